// SPDX-License-Identifier: MIT
// The switch from one thread to the next, the idle loop, the tick.
//
// The way of a switch, on one CPU, interrupts off throughout:
//     lock the run queue - account the time that passed - drain the pending list - decide what becomes of the running
//     thread - take the best one - save and load what belongs to user mode - switch stacks - [on the other stack]
//     the old thread's registers are saved: say so - unlock - bury the old thread if it is dead.
// The count of the context ladder is 1 from lock to unlock, which lie in different threads: it belongs to the CPU.
#include "arch/paging.hpp"
#include "kernel/core/call_function.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/sched/run_queue.hpp"

namespace hd::sched {

namespace {

enum class Reason : u8 { Voluntary, Yield, Preempted };

// After every switch, on the new thread's stack, which may have come to another CPU since it was left.
void finish_switch() NO_THREAD_SAFETY_ANALYSIS {
    RunQueue& queue = this_run_queue();
    Entity& previous = *queue.previous;
    const bool dead = previous.state.load(std::memory_order_relaxed) == State::Dead;
    const bool leaves = std::exchange(queue.previous_leaves, false);
    // release pairs with the acquire in wake(): whoever sees false may let another CPU run the thread, which needs the
    // registers that were saved just now. From here on the thread may run elsewhere, and end.
    previous.on_cpu.store(false, std::memory_order_release);
    queue.lock.unlock_irqs_off();
    if (!leaves && !dead) [[likely]]
        return;
    core::preempt_disable();
    if (leaves) deliver(previous, choose_cpu(previous, WakeHint::None), WakeHint::None);
    if (dead) {
        arch::irq_enable();
        previous.reap(previous);
        arch::irq_disable();
    }
    core::preempt_enable_no_resched();
}

void load_user_space(RunQueue& queue, UserSpace& space) {
    // relaxed: forget_user_space() reads it after the last thread that could load it is gone.
    UserSpace* old = queue.loaded.load(std::memory_order_relaxed);
    if (old == &space) return;
    space.activate(
        queue.cpu);  // first: a space that this CPU has loaded must find it in its set (kernel/mm/vm/tlb.cpp)
    if (old != nullptr) old->deactivate(queue.cpu);
    queue.loaded.store(&space, std::memory_order_relaxed);
}

void switch_to(RunQueue& queue, Entity& previous, Entity& next, Nanoseconds now) NO_THREAD_SAFETY_ANALYSIS {
    if (&next == &queue.idle) {
        g_idle_cpus.add(queue.cpu);
    } else if (&previous == &queue.idle) {
        g_idle_cpus.remove(queue.cpu);
        if (queue.next_sample <= now) queue.next_sample = now + kTick;
    }
    // seq_cst: stands before the look at user_work on the way to user mode; pairs with kick().
    next.on_cpu.store(true);
    queue.current.store(&next, std::memory_order_relaxed);
    queue.running_slot.store(next.queue_slot, std::memory_order_relaxed);
    queue.previous = &previous;
    queue.switches.add();
    queue.update_tick(now);
    if (previous.fpu != nullptr) {
        arch::fpu_save(previous.fpu);
        arch::save_user_state(previous.user_state);
    }
    if (next.fpu != nullptr) {
        arch::fpu_restore(next.fpu);
        arch::load_user_state(next.user_state);
    }
    arch::set_kernel_stack(next.stack_top);
    if (next.user_space != nullptr) load_user_space(queue, *next.user_space);
    arch::local_store<&arch::CpuLocal::current>(&next);
    next.held_sleeping_locks.publish();
    arch::switch_context(previous.context, next.context);
    finish_switch();
}

// What becomes of the running thread: may it go on running, as far as its own state is concerned?
bool stays_runnable(Entity& running, Reason reason) {
    State state = running.state.load(std::memory_order_relaxed);  // others change it from Blocking to Running only
    if (state == State::Dead) return false;
    if (state != State::Blocking) return true;
    if (reason == Reason::Preempted) {
        // It had no time to look whether its event has come already. It goes on with that when it runs again.
        running.state.store(State::Running, std::memory_order_relaxed);
        return true;
    }
    // The other side of the race is wake(): only one of the two exchanges sees Blocking. release: a waker that sees Sleeping
    // owns the thread and all that was written to it here.
    return !running.state.compare_exchange_strong(state, State::Sleeping, std::memory_order_acq_rel,
                                                  std::memory_order_relaxed);
}

// The heart. Interrupts off, on return too.
void switch_away(Reason reason) NO_THREAD_SAFETY_ANALYSIS {
    ASSERT(core::preempt_count() == 0, "a thread gives up its CPU with a spinlock held or in an interrupt");
    RunQueue& queue = this_run_queue();
    queue.lock.lock_irqs_off();
    arch::local_store<&arch::CpuLocal::need_resched>(0);
    const Nanoseconds now = time::now();
    queue.account(now);

    Entity& running = *queue.current.load(std::memory_order_relaxed);
    const bool is_idle = &running == &queue.idle;
    const bool runnable = stays_runnable(running, reason);
    Entity* next = runnable ? nullptr : queue.take_only_pending();
    if (next == nullptr)
        queue.drain(reason == Reason::Preempted ? RunQueue::Claims::Compare : RunQueue::Claims::Ignore);
    if (runnable && reason == Reason::Preempted && !queue.preempt_current) {
        queue.update_tick(now);  // somebody may have come who has to wait for the end of the slice
        return queue.lock.unlock_irqs_off();
    }
    queue.preempt_current = false;
    if (reason == Reason::Yield) queue.ready.step_back(running);

    // sched(7): a real-time thread that is preempted stays the first of its priority and has the rest of its slice later.
    const bool keeps_turn =
        runnable && reason == Reason::Preempted && running.queue_slot != 0 && !round_robin_is_over(running);
    if (!keeps_turn) running.slice_used = {};
    const bool leaves = runnable && !is_idle && !affinity_of(running).has(queue.cpu);
    if (runnable && !is_idle) {
        if (!leaves && queue.waiting.load(std::memory_order_relaxed) == 0) return queue.lock.unlock_irqs_off();
        running.state.store(State::Runnable,
                            std::memory_order_relaxed);  // no waker touches a thread that does not sleep
        if (leaves)
            queue.previous_leaves = true;
        else
            queue.enqueue(running, keeps_turn ? Among::First : Among::Last);
        ++running.involuntary_switches;
    } else if (!is_idle) {
        ++running.voluntary_switches;
    }
    if (next == nullptr) next = queue.take_first();
    if (next == nullptr) next = &queue.idle;
    next->state.store(State::Running, std::memory_order_relaxed);
    if (next == &running) {
        queue.update_tick(now);
        return queue.lock.unlock_irqs_off();
    }
    switch_to(queue, running, *next, now);
}

void give_up_cpu(Reason reason) {
    const arch::IrqState state = arch::irq_save();
    switch_away(reason);
    arch::irq_restore(state);
    core::preempt_check();  // what became due after the choice was made
}

bool resched_due(PreemptionPoint point) {
    const u32 due = arch::local_load<&arch::CpuLocal::need_resched>();
    return (due == core::kReschedNow || (due != 0 && point == PreemptionPoint::ReturnToUser)) &&
           core::preempt_count() == 0;
}

}  // namespace

constinit AtomicCpuMask g_scheduling_cpus, g_idle_cpus;

HD_PERCPU core::PerCpu<Late<RunQueue>> g_run_queues;

Entity* running_on(CpuId cpu) {
    return g_scheduling_cpus.load().has(cpu) ? run_queue_of(cpu).current.load(std::memory_order_relaxed) : nullptr;
}

void init_cpu(Entity& idle) {
    const CpuId cpu = core::this_cpu();
    idle.cpu = cpu.raw;
    idle.on_cpu = true;
    idle.state = State::Running;
    idle.affinity = CpuMask::of(cpu);
    arch::local_store<&arch::CpuLocal::current>(&idle);
    g_run_queues.get().construct(cpu, idle, time::now());
    g_scheduling_cpus.add(cpu);
}

void schedule() { give_up_cpu(Reason::Voluntary); }

void yield() { give_up_cpu(Reason::Yield); }

void preempt_if_due(PreemptionPoint point) {
    while (resched_due(point)) {
        const arch::IrqState state = arch::irq_save();
        switch_away(Reason::Preempted);
        arch::irq_restore(state);
    }
}

void begin_thread() {
    finish_switch();
    arch::irq_enable();
    core::preempt_check();
}

void exit_current() {
    Entity& self = current();
    ASSERT(self.held_sleeping_locks.count() == 0, "a thread ends with a lock held");
    arch::irq_disable();
    self.state.store(State::Dead, std::memory_order_relaxed);  // read on this CPU only
    switch_away(Reason::Voluntary);
    core::panic("a dead thread runs");
}

// Polling before halting. To wake a CPU that halts takes an interrupt, which is dear, above all where CPUs are an emulator's or a
// hypervisor's threads; so one whose idle times have been short of late looks at its list for as long first. Nobody is missed:
//
//        the idle CPU                                a waker on another CPU
//        P1  polling = true
//            looks at its list, and in the end       W1  push the thread
//        P2  polling = false                         W2  polling? then no interrupt
//        P3  look at the list; empty: halt
//
// All five are sequentially consistent. If W2 sees true, then P2 came after it, so W1 < W2 < P2 < P3, and P3 finds the thread. Preemption
// is off meanwhile, or an interrupt could switch to another thread with the flag set.
static void poll_for_work(RunQueue& queue) {
    queue.polling.store(true);
    arch::irq_enable();
    const Nanoseconds end = time::now() + arch::kIdlePolling;
    while (queue.pending.load(std::memory_order_relaxed) == nullptr &&
           arch::local_load<&arch::CpuLocal::need_resched>() == 0 && time::now() < end)
        arch::cpu_relax();
    arch::irq_disable();
    queue.polling.store(false);
}

bool this_cpu_polls() { return this_run_queue().polling.load(std::memory_order_relaxed); }

void idle_loop() {
    constexpr u32 kMostCredit = 4;
    u32 credit = 0;  // how often polling may be in vain
    bool polled = false;
    Nanoseconds idled{};  // by the end of the last idle time, in all
    arch::irq_enable();
    for (;;) {
        arch::irq_disable();
        core::preempt_disable();
        RunQueue& queue = this_run_queue();
        // Other threads have run meanwhile: by a switch from here, or from the interrupt that ended a halt.
        if (const Nanoseconds sum = read_parameter(queue.idle.run_time); sum != idled) {
            // The end of a halt takes a good deal longer than what it waited for.
            const bool short_time = sum - idled < Nanoseconds{arch::kIdlePolling.raw * 4};
            credit = short_time ? std::min(credit + 1, kMostCredit) : credit - (credit != 0);
            idled = sum;
            polled = false;
        }
        const bool work = queue.pending.load() != nullptr || queue.waiting.load(std::memory_order_relaxed) != 0 ||
                          arch::local_load<&arch::CpuLocal::need_resched>() != 0 || pull(1);
        if (!work && !g_idle_cpus.load().has(queue.cpu)) g_idle_cpus.add(queue.cpu);  // a waker has taken it out
        const bool polls = !work && !polled && credit != 0 && g_scheduling_cpus.load().count() > 1;
        if (polls) poll_for_work(queue);
        polled = polled || polls;
        core::preempt_enable_no_resched();
        if (work) {
            arch::irq_enable();
            schedule();
        } else if (!polls) {
            // Work that comes from now on comes with an interrupt, which ends the halt.
            arch::halt_until_interrupt();
        }
    }
}

void on_reschedule_ipi() { arch::local_store<&arch::CpuLocal::need_resched>(core::kReschedNow); }

void on_tick(bool user) NO_THREAD_SAFETY_ANALYSIS {
    if (!time::take_tick()) return;
    RunQueue& queue = this_run_queue();
    queue.lock.lock_irqs_off();
    queue.next_tick = Nanoseconds::max();
    Entity& running = *queue.current.load(std::memory_order_relaxed);
    if (&running == &queue.idle) return queue.lock.unlock_irqs_off();
    const Nanoseconds now = time::now();
    queue.account(now);
    queue.drain(RunQueue::Claims::Compare);  // who came without asking for a switch: deliver()
    const bool sample = now >= queue.next_sample;
    if (sample) {
        queue.next_sample = now + kTick;
        ++(user ? running.user_ticks : running.system_ticks);
        // relaxed: for this CPU, on its way back from this interrupt.
        if (const u32 work = read_parameter(running.tick_work); work != 0)
            running.user_work.fetch_or(work, std::memory_order_relaxed);
        const bool nice = read_parameter(running.nice) > 0;
        (!user ? queue.system_ticks : nice ? queue.nice_ticks : queue.user_ticks).add();
    }
    if (queue.slice_is_over()) queue.preempt_current = true;
    if (queue.preempt_current) {
        arch::local_store<&arch::CpuLocal::need_resched>(core::kReschedNow);
    }
    queue.update_tick(now);
    const u32 waiting = queue.waiting.load(std::memory_order_relaxed);
    CpuMask invited;  // who may take the first that is allowed to go to an idle CPU
    if (const CpuMask idle = g_idle_cpus.load(); waiting != 0 && !idle.empty())
        queue.ready.find([&](const Entity& waiter) { return !(invited = idle & affinity_of(waiter)).empty(); });
    queue.lock.unlock_irqs_off();
    if (!invited.empty()) invite_idle_cpu(invited.first());
    if (!sample) return;
    pull(waiting + 2);
    update_load_averages(now);
}

void switch_user_space(UserSpace* space) {
    core::IrqGuard irqs_off;
    current().user_space = space;
    core::PreemptGuard no_preemption;
    if (space != nullptr) load_user_space(this_run_queue(), *space);
}

void forget_user_space(UserSpace& space) {
    CpuMask loaded;
    g_scheduling_cpus.load().for_each([&](CpuId cpu) {
        // relaxed: a CPU that has it loaded since before the last thread left it is what this is about; that came before.
        if (run_queue_of(cpu).loaded.load(std::memory_order_relaxed) == &space) loaded = loaded.with(cpu);
    });
    if (loaded.empty()) return;
    core::call_on(
        loaded,
        [](void* argument) {
            RunQueue& queue = this_run_queue();
            auto* gone = static_cast<UserSpace*>(argument);
            if (queue.loaded.load(std::memory_order_relaxed) != gone) return;  // it has switched to another meanwhile
            arch::set_page_table(arch::kernel_page_table());
            gone->deactivate(queue.cpu);
            queue.loaded.store(nullptr, std::memory_order_relaxed);
        },
        &space);
}

}  // namespace hd::sched

namespace hd::core {

void preempt_now() {
    if (arch::irqs_enabled()) sched::preempt_if_due(sched::PreemptionPoint::Kernel);
}

void describe_running_thread(TextSink& sink, CpuId cpu) {
    const sched::Entity* thread = sched::running_on(cpu);
    if (thread == nullptr)
        sink.put("no thread yet");
    else
        format_to(sink, "thread {} ({})", thread->id, thread->name);
}

}  // namespace hd::core
