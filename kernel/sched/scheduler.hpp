// SPDX-License-Identifier: MIT
// The scheduler's face to the rest of the kernel. Per-CPU run queues; classes in the order real-time (FIFO and RR by
// priority), fair (weighted virtual runtime), idle. A woken thread goes to its CPU's pending list without taking any run
// queue's lock; only the push onto an empty list sends an IPI. Idle CPUs pull from the busiest queue.
#pragma once
#include "kernel/lib/result.hpp"
#include "kernel/sched/entity.hpp"

namespace hd::sched {

// The running thread. Any context.
inline Entity& current() { return *static_cast<Entity*>(arch::local_load<&arch::CpuLocal::current>()); }

// Boot: makes the code that runs now the idle thread of this CPU. On the boot CPU and then on each other; after
// time::timers_init_cpu(), with interrupts off.
void init_cpu(Entity& idle);
// The idle loop: pulls work or halts. Never returns. The tail of each CPU's boot path.
[[noreturn]] void idle_loop();
bool this_cpu_polls();  // it is idle, with preemption off. For interrupt handlers

// Puts a new thread (context made, state New) on a run queue: on this CPU, to run when its creator sleeps, or, if others wait
// here already, on an idle one. Any context.
void start(Entity& thread);
// The first call in the function that a new thread's context starts in: ends the switch to it. Interrupts and preemption
// are on when it returns.
void begin_thread();

// Gives the CPU to the best runnable thread: the running one stays runnable if its state is Running, and sleeps if it is
// Blocking. Task context with preemption on. May be called with nothing to switch to.
void schedule();
// sched_yield(2): behind its equals.
void yield();
// Ends the running thread; `reap` runs after the switch.
[[noreturn]] void exit_current();

// The preemption points: switch if that is due. At the end of an interrupt from kernel mode, interrupts off; and on the
// way to user mode, where switches that a WakeHint::Sync has put off are due as well.
enum class PreemptionPoint : u8 { Kernel, ReturnToUser };
void preempt_if_due(PreemptionPoint point);

// Wakes a thread out of Blocking or Sleeping; true if this call did it. Any context but NMI, any locks but a run queue's.
// `Sync`: the waker is about to sleep itself, so stay on this CPU and hand over without an IPI.
enum class WakeHint : u8 { None, Sync };
bool wake(Entity& thread, WakeHint hint = WakeHint::None);

// Makes a thread notice `user_work` soon if it runs in user mode now (an IPI when it is on another CPU). Does not wake it.
void kick(Entity& thread);

// The two halves of every sleep; only kernel/sync uses them. See kernel/sync/wait_queue.hpp.
inline void prepare_to_sleep(SleepKind kind, const char* wait_channel) {
    Entity& self = current();
    self.sleep_kind = kind;
    self.wait_channel = wait_channel;
    self.state.store(State::Blocking);  // seq_cst: W3 of the proof
}
inline void finish_sleep() {
    Entity& self = current();
    self.state.store(State::Running, std::memory_order_relaxed);  // wakers that race with this write the same
    self.wait_channel = "";
}

// sched_setaffinity(2): EINVAL if no scheduling CPU is in the mask. A thread that runs on a CPU outside it moves at once
// (the caller itself: before this returns). Task context.
Result<> set_affinity(Entity& thread, CpuMask mask);
void set_nice(Entity& thread, i8 nice);  // -20 to 19
// sched_setscheduler(2); EINVAL for a priority that does not fit the policy.
Result<> set_policy(Entity& thread, Policy policy, u8 realtime_priority);
// Priority inheritance (kernel/ipc/pi_futex.hpp): the highest real-time priority of those who wait for the thread; 0: none.
void lend_priority(Entity& thread, u8 realtime_priority);
inline constexpr Nanoseconds kRoundRobinSlice = milliseconds(100);  // Linux's sched_rr_timeslice_ms
// The time that the thread has spent on CPUs so far. Takes a run queue's lock.
Nanoseconds cpu_time(const Entity& thread);

// exec: the running thread's user space becomes `space` (nullptr: none, the thread is about to end). Task context.
void switch_user_space(UserSpace* space);
// Before a user space that no thread uses any more is destroyed: CPUs that still have it loaded leave it. Interrupts on,
// not in an interrupt handler.
void forget_user_space(UserSpace& space);

// A kernel thread. `function` returns to end it. ENOMEM.
Result<Entity*> spawn_kernel_thread(const char* name, void (*function)(void*), void* argument, CpuMask affinity);
// Calls visit(thread, argument) for each that has not ended, with a spinlock held: none of them ends meanwhile.
void for_each_kernel_thread(void (*visit)(Entity& thread, void* argument), void* argument);

// Interrupt context, after each time::on_timer_interrupt(): does the tick's work (time slices, tick counts) if the tick is due,
// else nothing. `user`: user mode was interrupted.
void on_tick(bool user);
void on_reschedule_ipi();

// The numbers of /proc/stat and /proc/loadavg for one CPU.
struct CpuStatistics {
    u64 user_ticks, nice_ticks, system_ticks, idle_ticks;  // USER_HZ = 100 a second
    u64 switches;
    u32 runnable;  // queued and running, the idle thread excepted
};
CpuStatistics statistics(CpuId cpu);
// Load averages over 1, 5 and 15 minutes, times 65536 (sysinfo(2)). Counts runnable threads only.
void load_averages(u64 (&averages)[3]);

// The thread that a CPU runs: for comparing, and for reports. Any context.
Entity* running_on(CpuId cpu);

}  // namespace hd::sched
