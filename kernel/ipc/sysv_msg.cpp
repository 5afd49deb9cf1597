// SPDX-License-Identifier: MIT
// See sysv_msg.hpp.
#include "kernel/ipc/sysv_msg.hpp"

#include <boost/intrusive/list.hpp>
#include <limits>
#include <memory>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

namespace {

using sync::WaitResult;

constinit SysvTable g_queues{abi::kMSGMNI};

i32 my_pid() { return task::current_process().pid(); }

// The text stands behind it.
struct Message : boost::intrusive::list_base_hook<> {
    i64 type = 0;
    u64 size = 0;
    u8* text() { return reinterpret_cast<u8*>(this + 1); }
};
struct FreeMessage {
    void operator()(Message* message) const {
        message->~Message();
        mm::kfree(message);
    }
};
using OwnMessage = std::unique_ptr<Message, FreeMessage>;

OwnMessage make_message(u64 size) {
    void* const memory = mm::kmalloc(sizeof(Message) + size);
    return OwnMessage(memory != nullptr ? new (memory) Message : nullptr);
}

// Who waits for a message. A sender gives it to the first whom it is for.
struct Receiver : boost::intrusive::list_base_hook<> {
    Receiver(i64 wanted, u64 room, u32 how) : type(wanted), size(room), flags(how) {}

    const i64 type;
    const u64 size;
    const u32 flags;
    const i32 pid = my_pid();
    sched::Entity& thread = sched::current();
    Message* message = nullptr;     // given
    Errno result{};                 // or why none is
    std::atomic<bool> done{false};  // set under the queue's lock
};

struct MessageQueue final : SysvObject {
    using SysvObject::SysvObject;
    ~MessageQueue() override { messages.clear_and_dispose(FreeMessage()); }

    // All guarded by `lock`.
    boost::intrusive::list<Message> messages;  // oldest first
    u64 bytes = 0, most_bytes = abi::kMSGMNB;
    i64 sent_at = 0, received_at = 0;
    i32 last_sender = 0, last_receiver = 0;
    boost::intrusive::list<Receiver, boost::intrusive::constant_time_size<false>> receivers;  // longest waiting first
    sync::WaitQueue senders;
};

Result<RefPtr<MessageQueue>> find(i32 id) { return find_sysv<MessageQueue>(g_queues, id); }

// Does msgrcv(2) with these arguments mean such a message?
bool fits(i64 message_type, i64 type, u32 flags) {
    if (type == 0) return true;
    if (type > 0) return (message_type == type) != ((flags & abi::kMSG_EXCEPT) != 0);
    return type == INT64_MIN || message_type <= -type;
}

// The first that fits, or of a negative type, the first of the lowest; nullptr: none is there.
Message* choose_locked(MessageQueue& queue, i64 type, u32 flags) REQUIRES(queue.lock) {
    Message* chosen = nullptr;
    for (Message& message : queue.messages) {
        if (!fits(message.type, type, flags)) continue;
        if (type >= 0) return &message;
        if (chosen == nullptr || message.type < chosen->type) chosen = &message;
    }
    return chosen;
}

void release_locked(MessageQueue& queue, Receiver& receiver, Message* message, Errno result) REQUIRES(queue.lock) {
    queue.receivers.erase(queue.receivers.iterator_to(receiver));
    receiver.message = message;
    receiver.result = result;
    receiver.done.store(true);  // seq_cst: the event, before the wake-up (kernel/sync/wait_queue.hpp)
    sched::wake(receiver.thread, sched::WakeHint::Sync);
}

void release_all_locked(MessageQueue& queue, Errno result) REQUIRES(queue.lock) {
    while (!queue.receivers.empty()) release_locked(queue, queue.receivers.front(), nullptr, result);
}

bool too_long(const Message& message, u64 room, u32 flags) {
    return message.size > room && (flags & abi::kMSG_NOERROR) == 0;
}

// To a receiver that waits for it? Those who have no room for it are told so on the way.
bool give_locked(MessageQueue& queue, Message& message) REQUIRES(queue.lock) {
    for (auto it = queue.receivers.begin(); it != queue.receivers.end();) {
        Receiver& receiver = *it++;
        if (!fits(message.type, receiver.type, receiver.flags)) continue;
        if (too_long(message, receiver.size, receiver.flags)) {
            release_locked(queue, receiver, nullptr, Errno::kE2BIG);
            continue;
        }
        queue.received_at = seconds_now();
        queue.last_receiver = receiver.pid;
        release_locked(queue, receiver, &message, {});
        return true;
    }
    return false;
}

bool has_room_locked(const MessageQueue& queue, u64 size) REQUIRES(queue.lock) {
    return queue.bytes + size <= queue.most_bytes && queue.messages.size() + 1 <= queue.most_bytes;
}

}  // namespace

Result<i32> message_get(i32 key, u32 flags) {
    const auto make = [&]() -> Result<RefPtr<SysvObject>> { return TRY(mm::make_ref<MessageQueue>(key, flags)); };
    return g_queues.get(key, flags, make, [](SysvObject&) { return Result<>(); });
}

Result<> message_send(i32 id, u64 address, u64 size, u32 flags) {
    const i64 type = TRY(mm::UserPtr<i64>(address).load());
    if (type < 1 || id < 0 || size > abi::kMSGMAX) return fail(Errno::kEINVAL);
    OwnMessage message = make_message(size);
    if (!message) return fail(Errno::kENOMEM);
    message->type = type;
    message->size = size;
    TRY(mm::copy_from_user(message->text(), address + sizeof type, size));
    const RefPtr<MessageQueue> queue = TRY(find(id));
    {
        core::LockGuard guard(queue->lock);
        const auto ready = [&]() REQUIRES(queue->lock) { return queue->removed || has_room_locked(*queue, size); };
        if (queue->removed) return fail(Errno::kEIDRM);
        TRY(queue->check_access_locked(0222));
        if (!ready() && (flags & abi::kIPC_NOWAIT) != 0) return fail(Errno::kEAGAIN);
        if (queue->senders.wait_interruptible("msgsnd", guard, ready) != WaitResult::Ready)
            return fail(Errno::kERESTARTNOHAND);
        if (queue->removed) return fail(Errno::kEIDRM);
        TRY(queue->check_access_locked(0222));
        queue->sent_at = seconds_now();
        queue->last_sender = my_pid();
        Message& sent = *message.release();
        if (give_locked(*queue, sent)) return {};
        queue->bytes += size;
        queue->messages.push_back(sent);
    }
    return {};
}

namespace {

// What is there, or what comes. ENOMSG, E2BIG, EIDRM, EACCES, kERESTARTNOHAND.
Result<OwnMessage> take(MessageQueue& queue, u64 size, i64 type, u32 flags) {
    Receiver self(type, size, flags);
    {
        core::LockGuard guard(queue.lock);
        if (queue.removed) return fail(Errno::kEIDRM);
        TRY(queue.check_access_locked(0444));
        if (Message* const found = choose_locked(queue, type, flags)) {
            if (too_long(*found, size, flags)) return fail(Errno::kE2BIG);
            queue.messages.erase(queue.messages.iterator_to(*found));
            queue.bytes -= found->size;
            queue.received_at = seconds_now();
            queue.last_receiver = self.pid;
            return OwnMessage(found);
        }
        if ((flags & abi::kIPC_NOWAIT) != 0) return fail(Errno::kENOMSG);
        queue.receivers.push_back(self);
    }
    const auto done = [](const void* receiver) { return static_cast<const Receiver*>(receiver)->done.load(); };
    sync::sleep_on(done, &self, sched::SleepKind::Interruptible, "msgrcv", Nanoseconds::max());
    core::LockGuard guard(queue.lock);  // even if it is done: the sender may still be at it
    if (!self.done.load(std::memory_order_relaxed)) {
        queue.receivers.erase(queue.receivers.iterator_to(self));
        return fail(Errno::kERESTARTNOHAND);
    }
    if (self.message == nullptr) return fail(self.result);
    return OwnMessage(self.message);
}

}  // namespace

Result<u64> message_receive(i32 id, u64 address, u64 size, i64 type, u32 flags) {
    if (id < 0 || static_cast<i64>(size) < 0) return fail(Errno::kEINVAL);
    if ((flags & abi::kMSG_COPY) != 0)
        return fail((flags & abi::kMSG_EXCEPT) != 0 || (flags & abi::kIPC_NOWAIT) == 0 ? Errno::kEINVAL
                                                                                       : Errno::kENOSYS);
    const RefPtr<MessageQueue> queue = TRY(find(id));
    Result<OwnMessage> taken = take(*queue, size, type, flags);
    while (!taken && taken.error() == Errno::kEAGAIN) taken = take(*queue, size, type, flags);
    const OwnMessage message = TRY(std::move(taken));
    queue->senders.wake_all();
    const u64 count = std::min(size, message->size);
    TRY(mm::copy_to_user(address, &message->type, sizeof message->type));
    TRY(mm::copy_to_user(address + sizeof message->type, message->text(), count));
    return count;
}

namespace {

Result<i32> tell_limits(bool usage, u64 address) {
    abi::MsgInfo info{512000, abi::kMSGMNB, abi::kMSGMAX, abi::kMSGMNB, abi::kMSGMNI, 16, abi::kMSGMNB, 0xffff};
    if (usage) {
        info.msgpool = static_cast<i32>(g_queues.count());
        u64 messages = 0, bytes = 0;
        g_queues.for_each([&](SysvObject& object) {
            auto& queue = static_cast<MessageQueue&>(object);
            core::LockGuard guard(queue.lock);
            messages += queue.messages.size();
            bytes += queue.bytes;
        });
        info.msgmap = static_cast<i32>(messages);
        info.msgtql = static_cast<i32>(bytes);
    }
    TRY(mm::copy_to_user(address, &info, sizeof info));
    return g_queues.highest_index();
}

Result<i32> tell_state(const RefPtr<MessageQueue>& queue, bool checked, i32 result, u64 address) {
    abi::MsqidDs state{};
    {
        core::LockGuard guard(queue->lock);
        if (queue->removed) return fail(Errno::kEIDRM);
        if (checked) TRY(queue->check_access_locked(0444));
        state.perm = queue->permissions;
        state.stime = queue->sent_at;
        state.rtime = queue->received_at;
        state.ctime = queue->changed_at;
        state.cbytes = queue->bytes;
        state.qnum = queue->messages.size();
        state.qbytes = queue->most_bytes;
        state.lspid = queue->last_sender;
        state.lrpid = queue->last_receiver;
    }
    TRY(mm::copy_to_user(address, &state, sizeof state));
    return result;
}

Result<> set_state(const RefPtr<MessageQueue>& queue, const abi::MsqidDs& wanted) {
    {
        core::LockGuard guard(queue->lock);
        if (queue->removed) return fail(Errno::kEIDRM);
        TRY(queue->check_owner_locked());
        if (wanted.qbytes > abi::kMSGMNB && !task::current_process().credentials.is_root()) return fail(Errno::kEPERM);
        queue->set_owner_locked(wanted.perm);
        queue->most_bytes = wanted.qbytes;
        release_all_locked(*queue, Errno::kEAGAIN);  // they may no longer read, and begin again
    }
    queue->senders.wake_all();
    return {};
}

Result<> remove(const RefPtr<MessageQueue>& queue) {
    {
        core::LockGuard guard(queue->lock);
        if (queue->removed) return fail(Errno::kEIDRM);
        TRY(queue->check_owner_locked());
        queue->removed = true;
        release_all_locked(*queue, Errno::kEIDRM);
    }
    g_queues.remove(*queue);
    queue->senders.wake_all();
    return {};
}

}  // namespace

Result<i32> message_control(i32 id, i32 command, u64 argument) {
    if (id < 0) return fail(Errno::kEINVAL);
    switch (command) {
    case abi::kIPC_INFO:
    case abi::kMSG_INFO: return tell_limits(command == abi::kMSG_INFO, argument);
    case abi::kIPC_STAT: return tell_state(TRY(find(id)), true, 0, argument);
    case abi::kMSG_STAT:
    case abi::kMSG_STAT_ANY: {
        const auto queue = TRY(find_sysv_by_index<MessageQueue>(g_queues, id));
        return tell_state(queue, command == abi::kMSG_STAT, queue->id, argument);
    }
    case abi::kIPC_SET: {
        abi::MsqidDs wanted;
        TRY(mm::copy_from_user(&wanted, argument, sizeof wanted));
        TRY(set_state(TRY(find(id)), wanted));
        return 0;
    }
    case abi::kIPC_RMID: TRY(remove(TRY(find(id)))); return 0;
    default: return fail(Errno::kEINVAL);
    }
}

}  // namespace hd::ipc
