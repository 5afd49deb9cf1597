// SPDX-License-Identifier: MIT
// Waking: which CPU a thread goes to, and how it gets there without a run queue's lock.
#include <algorithm>

#include "kernel/sched/run_queue.hpp"

namespace hd::sched {

namespace {

// For a real-time thread when no CPU idles: one that runs something less urgent.
CpuId less_urgent_cpu(const Entity& thread, CpuMask allowed, CpuId otherwise) {
    const auto urgency = [](CpuId cpu) { return run_queue_of(cpu).running_slot.load(std::memory_order_relaxed); };
    if (urgency(otherwise) < realtime_slot(thread)) return otherwise;
    CpuId best = otherwise;
    allowed.for_each([&](CpuId cpu) {
        if (urgency(cpu) < urgency(best)) best = cpu;
    });
    return best;
}

}  // namespace

CpuId choose_cpu(const Entity& thread, WakeHint hint) {
    const CpuId self = core::this_cpu();
    if (hint == WakeHint::Sync && affinity_of(thread).has(self)) return self;
    const CpuId previous{thread.cpu.load(std::memory_order_relaxed)};
    const CpuMask allowed = affinity_of(thread) & g_scheduling_cpus.load();
    // The CPU where its data may still be in the cache, else any that has nothing to do.
    const CpuMask idle = allowed & g_idle_cpus.load();
    if (idle.has(previous)) return previous;
    if (!idle.empty()) return idle.first();
    const CpuId fallback = allowed.has(previous) ? previous : allowed.empty() ? self : allowed.first();
    return realtime_slot(thread) == 0 ? fallback : less_urgent_cpu(thread, allowed, fallback);
}

void request_resched(CpuId cpu) {
    if (cpu == core::this_cpu())
        arch::local_store<&arch::CpuLocal::need_resched>(core::kReschedNow);
    else
        arch::send_ipi(cpu, arch::Ipi::Reschedule);
}

void deliver(Entity& thread, CpuId target, WakeHint hint) {
    const bool local = target == core::this_cpu();
    RunQueue& queue = local ? this_run_queue() : run_queue_of(target);
    const CpuId from{thread.cpu.load(std::memory_order_relaxed)};
    if (from != target) {
        thread.virtual_runtime += queue.minimum() - run_queue_of(from).minimum();  // to the other queue's scale
        ++thread.migrations;
        thread.cpu.store(target.raw);  // seq_cst: see set_affinity()
    }
    if (!local) {
        // Of the wakers that find the same CPU idle all but one look for another. Before the push: the interrupt for it, or for
        // a push that came first and is not drained yet, is then still to come, and has the CPU put itself back (idle_loop()).
        if (g_idle_cpus.load().has(target)) g_idle_cpus.remove(target);
        // A CPU whose list is not empty knows of it by an interrupt, except after a quiet push. relaxed, on both sides: the flag
        // is set before that push, and whoever finds the list not empty because of it has acquired what came before.
        // And a CPU that polls finds it by itself: idle_loop().
        if ((queue.push(thread) || queue.quiet.exchange(false, std::memory_order_relaxed)) && !queue.polling.load())
            arch::send_ipi(target, arch::Ipi::Reschedule);
    } else if (core::IrqGuard irqs_off; queue.can_wait(thread)) {
        queue.quiet.store(true, std::memory_order_relaxed);
        queue.push(thread);
    } else if (hint == WakeHint::None) {
        queue.push(thread);
        arch::local_store<&arch::CpuLocal::need_resched>(core::kReschedNow);
    } else {
        queue.quiet.store(true, std::memory_order_relaxed);
        queue.push(thread);
        if (arch::local_load<&arch::CpuLocal::need_resched>() == 0)
            arch::local_store<&arch::CpuLocal::need_resched>(core::kReschedAtUserReturn);
    }
}

// The other sides of the two races: prepare_to_sleep() with the look at the event (proof in kernel/sync/wait_queue.hpp), and
// the switch, which turns Blocking into Sleeping before the registers are saved.
bool wake(Entity& thread, WakeHint hint) {
    State seen = thread.state.load();
    for (;;) {
        if (seen == State::Blocking) {
            // It has not been switched out yet and will not be: the exchange in stays_runnable() fails.
            if (thread.state.compare_exchange_weak(seen, State::Running)) return true;
        } else if (seen == State::Sleeping) {
            // Whoever wins this exchange owns the thread until it has pushed it.
            if (thread.state.compare_exchange_weak(seen, State::Runnable)) break;
        } else {
            return false;
        }
    }
    core::PreemptGuard guard;
    // Still in the CPU that puts it to sleep: that one alone may take it. It drains its pending list after its switch, or in
    // the section of the switch itself, and then it keeps the thread there until the registers are saved (drain()).
    // acquire pairs with the release in finish_switch(): elsewhere the saved registers are seen.
    const CpuId target = thread.on_cpu.load(std::memory_order_acquire)
                             ? CpuId{thread.cpu.load(std::memory_order_relaxed)}
                             : choose_cpu(thread, hint);
    deliver(thread, target, hint);
    return true;
}

void start(Entity& thread) {
    core::PreemptGuard guard;
    ASSERT(thread.state.load(std::memory_order_relaxed) == State::New, "a thread is started twice");
    const CpuId self = core::this_cpu();
    RunQueue& queue = this_run_queue();
    thread.state.store(State::Runnable, std::memory_order_relaxed);  // published by the push
    thread.start_time = time::now();
    thread.cpu.store(self.raw, std::memory_order_relaxed);
    {
        // It begins where its creator stands: to create threads is no way to get more than one's share.
        core::LockGuard<core::IrqSpinlock> lock(queue.lock);
        queue.account(thread.start_time);
        thread.virtual_runtime = std::max(queue.minimum(), current().virtual_runtime);
    }
    // Beside its creator, which as a rule will wait for it. A second one that waits there already is a sign of the opposite.
    const bool here = affinity_of(thread).has(self) && queue.pending.load(std::memory_order_relaxed) == nullptr &&
                      queue.waiting.load(std::memory_order_relaxed) == 0;
    deliver(thread, here ? self : choose_cpu(thread, WakeHint::None), WakeHint::None);
}

void kick(Entity& thread) {
    core::PreemptGuard guard;
    // seq_cst: the caller has set user_work; pairs with switch_to(). A thread that is switched in later sees it.
    if (!thread.on_cpu.load()) return;
    const CpuId cpu{thread.cpu.load(std::memory_order_relaxed)};
    if (cpu != core::this_cpu()) arch::send_ipi(cpu, arch::Ipi::Reschedule);
}

}  // namespace hd::sched
