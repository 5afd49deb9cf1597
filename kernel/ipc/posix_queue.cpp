// SPDX-License-Identifier: MIT
// See posix_queue.hpp.
#include "kernel/ipc/posix_queue.hpp"

#include <memory>

#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::ipc {

using sync::WaitResult;

namespace {

struct FreeMessage {
    void operator()(QueuedMessage* message) const {
        message->~QueuedMessage();
        mm::kfree(message);
    }
};
using OwnMessage = std::unique_ptr<QueuedMessage, FreeMessage>;

class QueueSystem final : public fs::FileSystem {
public:
    QueueSystem() : FileSystem("mqueue") {}
    Result<fs::InodeRef> root() override { return fail(Errno::kENODEV); }
    void fill_statfs(abi::Statfs& statfs) const override { statfs.f_type = abi::kMQUEUE_MAGIC; }
};
constinit Late<QueueSystem> g_system{};

// ---- names

struct Name : boost::intrusive::list_base_hook<> {
    RefPtr<PosixQueue> queue;
    usize size = 0;
    char text[abi::kNAME_MAX];
};
constexpr u32 kMostQueues = 256;  // /proc/sys/fs/mqueue/queues_max

constinit core::Spinlock g_names_lock{core::Rank::SysvTable};
constinit Late<boost::intrusive::list<Name>> g_names{};

Name* find_name_locked(std::string_view name) REQUIRES(g_names_lock) {
    for (Name& known : *g_names)
        if (std::string_view(known.text, known.size) == name) return &known;
    return nullptr;
}

RefPtr<PosixQueue> find_queue(std::string_view name) {
    core::LockGuard guard(g_names_lock);
    Name* const known = find_name_locked(name);
    return known != nullptr ? known->queue : RefPtr<PosixQueue>();
}

Result<RefPtr<PosixQueue>> make_queue(std::string_view name, u32 mode, u64 most_messages, u64 message_size) {
    auto entry = TRY(mm::make<Name>());
    const fs::Credentials& who = task::current_process().credentials;
    entry->queue =
        TRY(mm::make_ref<PosixQueue>(*g_system, mode, g_system->next_inode_number(), most_messages, message_size));
    entry->queue->uid = who.euid;
    entry->queue->gid = who.egid;
    entry->size = name.copy(entry->text, sizeof entry->text);
    core::LockGuard guard(g_names_lock);
    if (find_name_locked(name) != nullptr) return fail(Errno::kEEXIST);
    if (g_names->size() >= kMostQueues && !who.is_root()) return fail(Errno::kENOSPC);
    g_names->push_back(*entry);
    return entry.release()->queue;
}

}  // namespace

Result<fs::FileRef> open_queue(std::string_view name, u32 flags, u32 mode, u64 most_messages, u64 message_size) {
    constexpr u32 kWanted[] = {fs::kMayRead, fs::kMayWrite, fs::kMayRead | fs::kMayWrite};
    for (;;) {
        RefPtr<PosixQueue> queue = find_queue(name);
        if (queue) {
            if ((flags & abi::kO_CREAT) != 0 && (flags & abi::kO_EXCL) != 0) return fail(Errno::kEEXIST);
            TRY(queue->check_access(task::current_process().credentials, kWanted[flags & abi::kO_ACCMODE]));
        } else {
            if ((flags & abi::kO_CREAT) == 0) return fail(Errno::kENOENT);
            auto made = make_queue(name, mode, most_messages, message_size);
            if (!made && made.error() == Errno::kEEXIST) continue;  // somebody was faster
            queue = TRY(std::move(made));
        }
        return mm::make_ref<QueueFile>(std::move(queue), flags & (abi::kO_ACCMODE | abi::kO_NONBLOCK));
    }
}

Result<> unlink_queue(std::string_view name) {
    std::unique_ptr<Name> gone;  // dies after the lock
    const fs::Credentials& who = task::current_process().credentials;
    core::LockGuard guard(g_names_lock);
    Name* const known = find_name_locked(name);
    if (known == nullptr) return fail(Errno::kENOENT);
    if (!who.is_root() && who.euid != known->queue->uid) return fail(Errno::kEPERM);
    g_names->erase(g_names->iterator_to(*known));
    gone.reset(known);
    return {};
}

void init_posix_queues() {
    g_system.construct();
    g_names.construct();
}

// ---- messages

PosixQueue::~PosixQueue() { messages_.clear_and_dispose(FreeMessage()); }

Result<> PosixQueue::send(u64 text, u64 size, u32 priority, bool nonblocking, Nanoseconds deadline) {
    if (size > message_size) return fail(Errno::kEMSGSIZE);
    void* const memory = mm::kmalloc(sizeof(QueuedMessage) + size);
    if (memory == nullptr) return fail(Errno::kENOMEM);
    OwnMessage message(new (memory) QueuedMessage);
    message->priority = priority;
    message->size = size;
    TRY(mm::copy_from_user(message->text(), text, size));
    Notification notified;
    {
        core::LockGuard guard(lock_);
        const auto room = [&]() REQUIRES(lock_) { return messages_.size() < most_messages; };
        if (!room() && nonblocking) return fail(Errno::kEAGAIN);
        const auto ended = senders_.wait_interruptible("mq_send", guard, room, deadline);
        if (ended != WaitResult::Ready)
            return fail(ended == WaitResult::TimedOut ? Errno::kETIMEDOUT : Errno::kERESTARTSYS);
        // A notification is for a queue that was empty, and where nobody waits for the message already (mq_notify(3)).
        if (messages_.empty() && !receivers_.has_waiters()) notified = std::exchange(notification_, {});
        auto before = messages_.end();
        while (before != messages_.begin() && std::prev(before)->priority < priority) --before;
        messages_.insert(before, *message.release());
    }
    receivers_.wake_one(sched::WakeHint::Sync);
    poll_queue_.wake_all(sched::WakeHint::None, abi::kPOLLIN);
    if (!notified.process || notified.event.notify != abi::kSIGEV_SIGNAL) return {};
    abi::SigInfo info = task::user_signal(notified.event.signo, abi::kSI_MESGQ);
    info.rt.value = notified.event.value;
    (void)task::send_signal(*notified.process, info);  // mq_send(3) knows no error for it
    return {};
}

Result<u64> PosixQueue::receive(u64 text, u64 size, u32& priority, bool nonblocking, Nanoseconds deadline) {
    if (size < message_size) return fail(Errno::kEMSGSIZE);
    OwnMessage message;
    {
        core::LockGuard guard(lock_);
        const auto ready = [&]() REQUIRES(lock_) { return !messages_.empty(); };
        if (!ready() && nonblocking) return fail(Errno::kEAGAIN);
        const auto ended = receivers_.wait_interruptible("mq_receive", guard, ready, deadline);
        if (ended != WaitResult::Ready)
            return fail(ended == WaitResult::TimedOut ? Errno::kETIMEDOUT : Errno::kERESTARTSYS);
        message.reset(&messages_.front());
        messages_.pop_front();
    }
    senders_.wake_one(sched::WakeHint::Sync);
    poll_queue_.wake_all(sched::WakeHint::None, abi::kPOLLOUT);
    priority = message->priority;
    TRY(mm::copy_to_user(text, message->text(), message->size));
    return message->size;
}

u64 PosixQueue::count() {
    core::LockGuard guard(lock_);
    return messages_.size();
}

void PosixQueue::describe(TextSink& sink) {
    u64 bytes = 0;
    core::LockGuard guard(lock_);
    for (const QueuedMessage& message : messages_) bytes += message.size;
    const bool asked = static_cast<bool>(notification_.process);
    const abi::Sigevent& event = notification_.event;
    format_to(sink, "QSIZE:{:<10} NOTIFY:{:<5} SIGNO:{:<5} NOTIFY_PID:{:<6}\n", bytes, asked ? event.notify : 0,
              asked && event.notify == abi::kSIGEV_SIGNAL ? event.signo : 0, asked ? notification_.process->pid() : 0);
}

Result<u64> QueueFile::read_at(fs::IoBuffer& buffer, u64 from) {
    char text[96];
    BufferSink sink(text);
    queue.describe(sink);
    std::string_view rest = sink.view();
    rest.remove_prefix(std::min<u64>(from, rest.size()));
    rest = rest.substr(0, buffer.remaining());
    TRY(buffer.put({reinterpret_cast<const u8*>(rest.data()), rest.size()}));
    return rest.size();
}

u32 PosixQueue::poll(fs::PollTable* table) {
    if (table != nullptr) table->add(poll_queue_);
    core::LockGuard guard(lock_);
    return (messages_.empty() ? 0 : abi::kPOLLIN) | (messages_.size() < most_messages ? abi::kPOLLOUT : 0);
}

Result<> PosixQueue::ask(const abi::Sigevent& event) {
    core::LockGuard guard(lock_);
    if (notification_.process) return fail(Errno::kEBUSY);
    notification_ = {RefPtr<task::Process>(&task::current_process()), event};
    return {};
}

void PosixQueue::take_back() {
    Notification gone;  // dies after the lock
    core::LockGuard guard(lock_);
    if (notification_.process == &task::current_process()) gone = std::exchange(notification_, {});
}

}  // namespace hd::ipc
