// SPDX-License-Identifier: MIT
// See wait.hpp.
#include "kernel/ipc/deadlock/wait.hpp"

#include <algorithm>

#include "kernel/abi/futex.hpp"
#include "kernel/fs/vfs/file_lock.hpp"
#include "kernel/ipc/pi_futex.hpp"
#include "kernel/ipc/pipe.hpp"
#include "kernel/ipc/sysv_sem.hpp"
#include "kernel/task/tree.hpp"

namespace hd::ipc {

namespace {

// System calls that threads wait in (Linux's numbers, kernel/syscall/table.def).
enum : u64 {
    kRead = 0,
    kWrite = 1,
    kReadv = 19,
    kWritev = 20,
    kWait4 = 61,
    kSemop = 65,
    kFcntl = 72,
    kFutex = 202,
    kSemtimedop = 220,
    kWaitid = 247
};

// How often a thread has gone to sleep, if it sleeps now.
std::optional<u64> current_sleep(const task::Thread& thread) {
    if (thread.state.load() != sched::State::Sleeping || thread.stopped.load(std::memory_order_relaxed))
        return std::nullopt;
    return std::atomic_ref(const_cast<u64&>(thread.voluntary_switches)).load(std::memory_order_acquire);
}

// Looks at one wait.
class Reader {
public:
    explicit Reader(ThreadWait& wait) : wait_(wait), thread_(*wait.who), frame_(thread_.frame()) {}

    void read() {
        switch (frame_.syscall_number()) {
        case kFutex: return read_futex();
        case kSemop: return read_semaphore(false);
        case kSemtimedop: return read_semaphore(argument(3) != 0);
        case kFcntl: return read_record_lock();
        case kRead:
        case kReadv: return read_pipe(WaitKind::PipeInput);
        case kWrite:
        case kWritev: return read_pipe(WaitKind::PipeRoom);
        case kWait4: return read_children(static_cast<i32>(argument(0)));
        case kWaitid: return read_children(argument(0) == abi::kP_PID ? static_cast<i32>(argument(1)) : -1);
        default: return;
        }
    }

private:
    u64 argument(u32 index) const { return frame_.syscall_argument(index); }
    void add(Provider provider) {
        if (!wait_.add_provider(provider)) wait_.may_end = true;
    }
    void add_thread(i32 id) { add({false, id}); }
    void add_process(i32 id) { add({true, id}); }

    // Words of the program's memory around its futex.
    bool load(u64 address, std::span<u32> words) const {
        return space_->read_foreign(VirtAddr{address}, words.data(), words.size_bytes()) == words.size_bytes();
    }

    void read_futex();
    i32 mutex_owner(u64 address, u32 expected) const;
    i32 joined_thread(u64 address, u32 expected) const;
    void read_semaphore(bool limited);
    void read_record_lock();
    void read_pipe(WaitKind kind);
    void read_children(i32 which);

    ThreadWait& wait_;
    task::Thread& thread_;
    const arch::TrapFrame& frame_;
    const RefPtr<mm::AddressSpace> space_ = resources_of(thread_.process()).space;
};

void Reader::read_futex() {
    const u32 command = static_cast<u32>(argument(1)) & ~(abi::kFUTEX_PRIVATE_FLAG | abi::kFUTEX_CLOCK_REALTIME);
    wait_.object = argument(0);
    wait_.may_end = argument(3) != 0;
    if (const i32 owner = pi_owner(thread_)) {
        wait_.kind = WaitKind::PriorityMutex;
        return add_thread(owner);
    }
    wait_.kind = WaitKind::Futex;
    if (!space_ || (command != abi::kFUTEX_WAIT && command != abi::kFUTEX_WAIT_BITSET)) return;
    const u32 expected = static_cast<u32>(argument(2));
    if (const i32 joined = joined_thread(wait_.object, expected)) {
        wait_.kind = WaitKind::Join;
        add_thread(joined);
    } else if (const i32 owner = mutex_owner(wait_.object, expected)) {
        wait_.kind = WaitKind::Mutex;
        add_thread(owner);
    }
}

// The thread that holds the mutex, if the word is part of one; else 0. A false guess has to name a living thread that itself
// never goes on before it can mislead anybody.
//
//     glibc, struct __pthread_mutex_s     musl, pthread_mutex_t
//      0  lock: 2, contended               0  type
//         (robust ones: as musl's)         4  lock: owner's thread id | FUTEX_WAITERS; a normal mutex
//      4  count                                     holds EBUSY instead, which names nobody
//      8  owner's thread id
//     12  users
//     16  kind
i32 Reader::mutex_owner(u64 address, u32 expected) const {
    constexpr u32 kContended = 2, kMuslBusy = 16, kMuslTypeMask = 15, kKinds = 0x3ff;
    u32 words[5];
    if ((expected & abi::kFUTEX_WAITERS) != 0) {
        const u32 owner = expected & abi::kFUTEX_TID_MASK;
        u32 type;
        const bool nameless =
            owner == kMuslBusy && load(address - sizeof type, {&type, 1}) && (type & kMuslTypeMask) == 0;
        return nameless || owner >= task::PidTable::kLimit ? 0 : static_cast<i32>(owner);
    }
    if (expected != kContended || !load(address, words) || words[0] != kContended) return 0;
    const u32 owner = words[2], users = words[3], kind = words[4];
    return owner < task::PidTable::kLimit && users != 0 && (kind & ~kKinds) == 0 ? static_cast<i32>(owner) : 0;
}

// pthread_join(3). glibc waits for the word that the kernel clears at the thread's end. musl waits for a field of the thread's own
// record, which begins with its own address.
//
//     musl, struct pthread:  0  self   48  thread id   56  detach state: 2, joinable
i32 Reader::joined_thread(u64 address, u32 expected) const {
    constexpr u64 kTid = 48, kState = 56;
    constexpr u32 kJoinable = 2;
    if (expected != 0 && expected < task::PidTable::kLimit) {
        const auto target = task::find_thread(Pid{static_cast<i32>(expected)});
        if (target && &target->process() == &thread_.process() && target->clear_child_tid == address)
            return target->number();
    }
    const u64 record = address - kState;
    u64 self;
    u32 id;
    if (expected != kJoinable || space_->read_foreign(VirtAddr{record}, &self, sizeof self) != sizeof self ||
        self != record || !load(record + kTid, {&id, 1}) || id >= task::PidTable::kLimit)
        return 0;
    return static_cast<i32>(id);
}

void Reader::read_semaphore(bool limited) {
    i32 holders[GraphNode::kMostProviders];
    SemaphoreWait found;
    wait_.object = argument(0);
    if (!find_semaphore_wait(static_cast<i32>(argument(0)), thread_, found, holders)) return;
    wait_.kind = WaitKind::Semaphore;
    wait_.part = found.number;
    wait_.may_end = limited || found.count > std::size(holders);
    for (const i32 holder : std::span(holders).first(std::min<usize>(found.count, std::size(holders))))
        add_process(holder);
}

void Reader::read_record_lock() {
    const i32 holder = fs::record_lock_holder(thread_);
    if (holder == 0) return;
    wait_.kind = WaitKind::RecordLock;
    wait_.object = argument(0);
    if (holder > 0) add_process(holder);
}

void Reader::read_pipe(WaitKind kind) {
    const task::Resources resources = resources_of(thread_.process());
    if (!resources.files) return;
    const auto file = resources.files->get_from_outside(static_cast<int>(argument(0)));
    if (!file || !PipeInode::is_pipe(*(*file)->inode)) return;
    wait_.kind = kind;
    wait_.object = argument(0);
    wait_.pipe = (*file)->inode;
}

void Reader::read_children(i32 which) {
    wait_.kind = WaitKind::Child;
    const task::TreeGuard guard(task::g_tree_lock);
    for (const task::Process& child : thread_.process().children)
        if (which <= 0 || child.pid() == which) add_process(child.pid());
}

bool has_timer(task::Process& process) {
    if (read_real_timer(process).value.raw != 0) return true;
    const task::SignalGuard guard(process.signal_lock);
    return !process.timers.empty();
}

bool handles_signals(const task::Process& process) {
    const task::SignalGuard guard(process.signal_lock);
    return std::ranges::any_of(process.actions, [](const abi::SigAction& action) {
        return action.handler != abi::kSIG_DFL && action.handler != abi::kSIG_IGN;
    });
}

}  // namespace

ThreadWait::ThreadWait(task::Thread& whose) : who(&whose) {
    thread = whose.number();
    process = whose.process().pid();
    const auto now = current_sleep(whose);
    if (!now) return;
    sleep = *now;
    kind = WaitKind::Other;
    Reader(*this).read();
    {
        const task::SignalGuard guard(whose.process().signal_lock);
        process_threads = static_cast<u32>(whose.process().threads.size());
    }
    may_end = may_end || kind == WaitKind::Other || has_timer(whose.process());
    if (!lasts()) kind = WaitKind::None;
}

bool ThreadWait::lasts() const { return kind != WaitKind::None && current_sleep(*who) == sleep; }

void find_pipe_providers(WaitList& waits) {
    const auto look = [&](const fs::File& file, const task::Process& holder) {
        for (GraphNode& node : waits) {
            auto& wait = static_cast<ThreadWait&>(node);
            const bool other_end = wait.kind == WaitKind::PipeInput ? file.writable() : file.readable();
            if (wait.pipe.get() != file.inode.get() || !other_end) continue;
            // A program that has both ends may mean to write from a signal handler.
            const bool own = holder.pid() == wait.process && handles_signals(wait.who->process());
            if (own || !wait.add_provider({true, holder.pid()})) wait.may_end = true;
        }
    };
    if (std::ranges::none_of(waits, [](GraphNode& node) { return static_cast<ThreadWait&>(node).pipe != nullptr; }))
        return;
    for (auto process = task::next_process(Pid{0}); process; process = task::next_process(Pid{process->pid() + 1})) {
        const task::Resources resources = resources_of(*process);
        if (!resources.files) continue;
        for (int fd = resources.files->next_open(0); fd >= 0; fd = resources.files->next_open(fd + 1))
            if (const auto file = resources.files->get_from_outside(fd); file && PipeInode::is_pipe(*(*file)->inode))
                look(**file, *process);
    }
}

}  // namespace hd::ipc
