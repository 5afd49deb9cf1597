// SPDX-License-Identifier: MIT
// task::Thread: a thread of a user program. To the scheduler it is a sched::Entity; its Process holds what threads share.
//
// Life: copy_process() makes it; it runs until exit_thread(), which takes it off its process's list; once it is off its stack the
// scheduler calls reap, which frees the stack and drops the reference that the thread held on itself.
#pragma once
#include "arch/user.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/mm/slab/object_cache.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/task/pid.hpp"
#include "kernel/task/signal/pending.hpp"

namespace hd::ipc {
class PiFutex;
class PiWaiter;
}  // namespace hd::ipc

namespace hd::task {

class Process;

// Bits of sched::Entity::user_work.
inline constexpr u32 kWorkSignal = 1;   // a signal, a stop or the process's end: on_return_to_user() looks
inline constexpr u32 kWorkWatched = 2;  // watched for livelock: stays set meanwhile, and keeps nobody from user mode
inline constexpr u32 kWorkCpuTime = 4;  // something may go off by CPU time (kernel/task/cpu_clock.hpp)

// What restart_syscall(2) continues after a stop: a sleep with an absolute end.
struct RestartBlock {
    Result<u64> (*resume)(RestartBlock& block) = nullptr;
    Nanoseconds deadline{};  // of the monotonic clock
    u64 arguments[3] = {};   // `resume`'s own
};

// What the watch for livelock knows of a thread (kernel/task/livelock.hpp).
struct Repetition {
    static constexpr usize kKinds = 6;   // of calls in vain
    static constexpr usize kWords = 40;  // of a thread's state: the place of its call, registers, the top of its stack

    // The thread's own.
    u32 tries = 0;  // calls in vain while it was not watched, since `since`
    Nanoseconds since{};
    Nanoseconds entered{};  // the call in vain that it is in; 0: none

    // Since it is watched. Guarded by its process's signal_lock.
    u32 counts[kKinds] = {};  // calls in vain
    u32 in_haste = 0;         // those that came shortly after the call before
    u64 states[4] = {};       // a bit for each state that it was in, by hash
    // What changes from one to the next, by the words' last bytes: a counter, if it always is one word that grows by as much.
    u8 last_bytes[kWords] = {};
    u8 counter = 0, counter_step = 0;
    u32 other_changes = 0;
    u32 hand_overs = 0;         // it was woken by another thread's doing, or woke one
    u64 where = 0;              // the last one's place in the program
    Nanoseconds left_kernel{};  // when it last went back from a call
    Nanoseconds run_time{};     // what it had run before

    u32 in_vain() const {
        u32 sum = 0;
        for (const u32 count : counts) sum += count;
        return sum;
    }
};

struct OfProcess;

class Thread final : public sched::Entity,
                     public RefCounted<Thread>,
                     public mm::CachedBy<Thread>,
                     public PidLink,
                     public HookOf<OfProcess> {
public:
    static constexpr const char* kCacheName = "thread";

    // Kernel stack and FPU area included. ENOMEM.
    static Result<RefPtr<Thread>> create(Process& process);
    ~Thread();

    Process& process() const { return *process_; }
    // The registers with which it entered the kernel from user mode.
    arch::TrapFrame& frame() const { return arch::user_frame(stack_top); }

    // ---- guarded by process().signal_lock
    // On its process's list: until exit_thread().
    bool in_process() const { return HookOf<OfProcess>::is_linked(); }
    PendingSignals pending;
    mutable Nanoseconds told_user{}, told_system{};  // of its CPU time, what was told last: usage_of_locked()
    // It takes part in a stop of its process, asleep or on its way there: whoever hears of the stop sees it so. Read without the lock.
    std::atomic<bool> stopped{false};
    u64 waited_for = 0;  // sigtimedwait(2): signals that end the sleep although they are blocked
    u64 blocked = 0;     // changed by the thread itself only, under the lock; so it reads it without

    // ---- the thread's own
    abi::StackT alternate_stack;
    u64 saved_mask = 0;         // sigsuspend(2), ppoll(2): the mask to go back to once a handler ran or none did
    bool restore_mask = false;  // saved_mask is valid
    RestartBlock restart;
    u64 set_child_tid = 0;            // clone(2): where to store the thread id at the start
    u64 clear_child_tid = 0;          // set_tid_address(2): where to store 0 and wake a futex at the end
    u64 robust_list = 0;              // set_robust_list(2)
    Nanoseconds timer_slack{50'000};  // prctl(PR_SET_TIMERSLACK): only remembered; timers here are exact
    bool reset_on_fork = false;       // sched_setscheduler(2), SCHED_RESET_ON_FORK
    Repetition repetition;

    // ---- kernel/ipc/pi_futex's, guarded by its lock
    ipc::PiFutex* owned_pi_futexes = nullptr;  // locks that it owns and others wait for
    ipc::PiWaiter* pi_waiter = nullptr;        // its place at the one that it waits for
    bool left_pi_futexes = false;              // it is about to end: nobody may wait for it

    // ---- kernel/ipc/deadlock's
    u64 told_deadlock = 0;  // in which of its sleeps it was last reported

private:
    explicit Thread(Process& process);
    static void reap_dead(sched::Entity& entity);

    const RefPtr<Process> process_;
};

// The running thread. Only where a user thread runs: system calls, faults from user mode, signal delivery.
inline Thread& current_thread() { return static_cast<Thread&>(sched::current()); }

}  // namespace hd::task
