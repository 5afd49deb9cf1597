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
inline constexpr u32 kWorkSignal = 1;  // a signal, a stop or the process's end: on_return_to_user() looks

// What restart_syscall(2) continues after a stop: a sleep with an absolute end.
struct RestartBlock {
    Result<u64> (*resume)(RestartBlock& block) = nullptr;
    Nanoseconds deadline{};  // of the monotonic clock
    u64 arguments[3] = {};   // `resume`'s own
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
