// SPDX-License-Identifier: MIT
// The context ladder: what the code that runs now may do. From top to bottom each rung may do less.
//
//     rung            entered by                         may sleep  page-fault on user memory  take Spinlock  IrqSpinlock
//     task            a thread, nothing held             yes        yes                        yes            yes
//     preemption off  PreemptGuard, Spinlock             no         no                         yes            yes
//     interrupts off  IrqGuard, IrqSpinlock              no         no                         no             yes
//     interrupt       a device, timer or IPI             no         no                         no             yes
//     NMI             a non-maskable interrupt           no         no                         no             no
//
// The rung is this CPU's preempt_count (0: task) together with the interrupt flag: bits 0-15 count how often preemption was
// disabled, bits 16-23 nested interrupts, bits 24-31 NMIs. A thread that is switched out has a count of 1 (the switch's
// own), always, so the count belongs to the CPU and needs no saving.
#pragma once
#include "arch/cpu.hpp"
#include "kernel/core/panic.hpp"

namespace hd::core {

inline constexpr u32 kPreemptUnit = 1, kInterruptUnit = 1 << 16, kNmiUnit = 1 << 24;

inline u32 preempt_count() { return arch::local_load<&arch::CpuLocal::preempt_count>(); }

inline bool preemptible() { return preempt_count() == 0 && arch::irqs_enabled(); }

inline bool in_interrupt() { return preempt_count() >= kInterruptUnit; }

// Panics unless the caller is in task context. First line of whatever may sleep, fault or wait for memory.
inline void assert_may_sleep() { ASSERT(preemptible(), "this may sleep, but preemption or interrupts are off here"); }

// Values of CpuLocal::need_resched beside 0: switch at the next point where preemption is allowed; or on the way to user mode
// only (entry code tests for not 0), as the running thread is expected to sleep before that.
inline constexpr u32 kReschedNow = 1, kReschedAtUserReturn = 2;

// The switch that preempt_enable() makes when it opens a section during which somebody asked for one. kernel/sched has it.
void preempt_now();

inline void preempt_disable() { arch::local_add<&arch::CpuLocal::preempt_count>(kPreemptUnit); }

inline void preempt_enable_no_resched() { arch::local_add<&arch::CpuLocal::preempt_count>(-kPreemptUnit); }

// For whoever has just turned interrupts on: what became due meanwhile.
inline void preempt_check() {
    if (arch::local_load<&arch::CpuLocal::need_resched>() == kReschedNow) [[unlikely]]
        preempt_now();
}

inline void preempt_enable() {
    if (arch::local_sub_is_zero<&arch::CpuLocal::preempt_count>(kPreemptUnit) &&
        arch::local_load<&arch::CpuLocal::need_resched>() == kReschedNow) [[unlikely]]
        preempt_now();
}

class [[nodiscard]] PreemptGuard {
public:
    PreemptGuard() { preempt_disable(); }
    ~PreemptGuard() { preempt_enable(); }
    PreemptGuard(const PreemptGuard&) = delete;
    PreemptGuard& operator=(const PreemptGuard&) = delete;
};

class [[nodiscard]] IrqGuard {
public:
    IrqGuard() : state_(arch::irq_save()) {}
    ~IrqGuard() { arch::irq_restore(state_); }
    IrqGuard(const IrqGuard&) = delete;
    IrqGuard& operator=(const IrqGuard&) = delete;

private:
    arch::IrqState state_;
};

// The number of the CPU this runs on. Only meaningful while the thread cannot move.
inline CpuId this_cpu() { return arch::local_load<&arch::CpuLocal::id>(); }

}  // namespace hd::core
