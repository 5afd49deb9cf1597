// SPDX-License-Identifier: MIT
// Threads that change their CPU, and changes of what a thread is to the scheduler.
#include <algorithm>

#include "kernel/sched/run_queue.hpp"

namespace hd::sched {

bool pull(u32 at_least) NO_THREAD_SAFETY_ANALYSIS {
    const CpuId self = core::this_cpu();
    CpuId busiest = self;
    u32 most = at_least - 1;
    g_scheduling_cpus.load().for_each([&](CpuId cpu) {
        const u32 waiting = cpu == self ? 0 : run_queue_of(cpu).waiting.load(std::memory_order_relaxed);
        if (waiting <= most) return;
        most = waiting;
        busiest = cpu;
    });
    if (busiest == self) return false;
    RunQueue& theirs = run_queue_of(busiest);
    theirs.lock.lock_irqs_off();
    Entity* thread = theirs.ready.find([&](const Entity& candidate) { return affinity_of(candidate).has(self); });
    if (thread != nullptr) theirs.dequeue(*thread);
    theirs.lock.unlock_irqs_off();
    if (thread == nullptr) return false;
    // On no queue, hence ours. Its affinity may change before it is on one: drain() looks at it again.
    deliver(*thread, self, WakeHint::None);
    return true;
}

void invite_idle_cpu(CpuId cpu) {
    g_idle_cpus.remove(cpu);
    arch::send_ipi(cpu, arch::Ipi::Reschedule);
}

namespace {

// Locks the run queue of the CPU that the thread belongs to. It may move to another as long as that lock is not held, and, if
// it sleeps, even then: a waker needs no lock.
RunQueue& lock_queue_of(const Entity& thread) NO_THREAD_SAFETY_ANALYSIS {
    for (;;) {
        const u32 cpu = thread.cpu.load();
        RunQueue& queue = run_queue_of(CpuId{cpu});
        queue.lock.lock_irqs_off();
        if (thread.cpu.load() == cpu) return queue;
        queue.lock.unlock_irqs_off();
    }
}

// Makes a change of the parameters with the thread in no queue, and has the CPU think again.
template <class Change> void change_parameters(Entity& thread, Change change) NO_THREAD_SAFETY_ANALYSIS {
    core::PreemptGuard no_preemption;
    core::IrqGuard irqs_off;
    RunQueue& queue = lock_queue_of(thread);
    const bool runs = queue.current.load(std::memory_order_relaxed) == &thread;
    const bool was_queued = queue.holds(thread);
    if (was_queued) queue.dequeue(thread);
    if (runs) queue.account(time::now());
    change();
    if (was_queued) queue.enqueue(thread);
    if (runs) {
        thread.queue_slot = realtime_slot(thread);
        queue.running_slot.store(thread.queue_slot, std::memory_order_relaxed);
    }
    if (runs || was_queued) queue.preempt_current = true;
    queue.lock.unlock_irqs_off();
    if (runs || was_queued) request_resched(queue.cpu);
}

}  // namespace

void set_nice(Entity& thread, i8 nice) {
    change_parameters(thread, [&] { write_parameter(thread.nice, std::clamp(nice, i8{-20}, i8{19})); });
}

Result<> set_policy(Entity& thread, Policy policy, u8 realtime_priority) {
    if (is_realtime(policy) ? realtime_priority < 1 || realtime_priority > 99 : realtime_priority != 0)
        return fail(Errno::kEINVAL);
    change_parameters(thread, [&] {
        write_parameter(thread.policy, policy);
        write_parameter(thread.realtime_priority, realtime_priority);
    });
    return {};
}

void lend_priority(Entity& thread, u8 realtime_priority) {
    if (read_parameter(thread.lent_priority) == realtime_priority) return;
    change_parameters(thread, [&] { write_parameter(thread.lent_priority, realtime_priority); });
}

// What the thread used since its last tick is not in run_time yet if it runs, so it is accounted first.
Nanoseconds cpu_time(const Entity& thread) NO_THREAD_SAFETY_ANALYSIS {
    core::IrqGuard irqs_off;
    RunQueue& queue = lock_queue_of(thread);
    if (queue.current.load(std::memory_order_relaxed) == &thread) queue.account(time::now());
    const Nanoseconds used = thread.run_time;
    queue.lock.unlock_irqs_off();
    return used;
}

// Wherever the thread is, it ends up on a CPU of the mask:
//   - it runs: its CPU is told to choose again and then sends it away (switch_away());
//   - it is queued: it is taken off here and sent;
//   - it sleeps, or is on its way to a queue: whoever delivers it chooses by the mask, and drain() looks again. Could drain()
//     on another CPU than the one locked here miss the new mask? It reads the mask after the thread's `cpu` was set to
//     its number (M2, then L2 below); that had not happened yet when lock_queue_of() read `cpu` (L1), and the mask was
//     stored before that (M1). All four are sequentially consistent: M1 < L1 < M2 < L2, so L2 sees the new mask.
Result<> set_affinity(Entity& thread, CpuMask mask) NO_THREAD_SAFETY_ANALYSIS {
    mask = mask & g_scheduling_cpus.load();
    if (mask.empty()) return fail(Errno::kEINVAL);
    std::atomic_ref(thread.affinity).store(mask);
    core::PreemptGuard no_preemption;
    core::IrqGuard irqs_off;
    RunQueue& queue = lock_queue_of(thread);
    const bool misplaced = !mask.has(queue.cpu);
    const bool runs = queue.current.load(std::memory_order_relaxed) == &thread;
    const bool sent_away = misplaced && queue.holds(thread);
    if (sent_away) queue.dequeue(thread);
    if (misplaced && runs) queue.preempt_current = true;
    queue.lock.unlock_irqs_off();
    if (sent_away) deliver(thread, choose_cpu(thread, WakeHint::None), WakeHint::None);
    if (misplaced && runs) request_resched(queue.cpu);
    return {};
}

}  // namespace hd::sched
