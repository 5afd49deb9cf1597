// SPDX-License-Identifier: MIT
// What the architecture calls when something happens: faults, exceptions, system calls, interrupts, NMIs. Each upcall is a few
// lines that hand over to the layer whose business it is.
//
// Interrupt handlers run with kInterruptUnit in the preempt count, so that nothing in them can sleep or be preempted.
#include "arch/cpu.hpp"
#include "arch/paging.hpp"
#include "arch/upcalls.hpp"
#include "kernel/core/call_function.hpp"
#include "kernel/core/context.hpp"
#include "kernel/core/held_locks.hpp"
#include "kernel/core/irq.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/mm/slab/vmap.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/syscall/dispatch.hpp"
#include "kernel/task/cpu_clock.hpp"
#include "kernel/task/memory.hpp"
#include "kernel/task/signal/signal.hpp"
#include "kernel/time/timer.hpp"
#include "kernel/trap/thread_dump.hpp"

namespace hd::upcall {

namespace {

class [[nodiscard]] InterruptScope {
public:
    InterruptScope() { arch::local_add<&arch::CpuLocal::preempt_count>(core::kInterruptUnit); }
    ~InterruptScope() { arch::local_add<&arch::CpuLocal::preempt_count>(-core::kInterruptUnit); }
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;

private:
    core::InterruptMark mark_;
};

[[noreturn]] void kernel_fault(arch::TrapFrame& frame, const PageFault& fault) {
    char text[160];
    BufferSink sink(text);
    const char* what = fault.reserved  ? "a corrupt page table at"
                       : fault.execute ? "an attempt to execute"
                       : fault.write   ? "a write to"
                                       : "a read of";
    const char* why = mm::is_stack_guard(fault.address) ? " (kernel stack overflow)"
                      : fault.address < mm::kUserBegin  ? " (null pointer)"
                      : mm::is_user_range(fault.address.raw, 1) && !fault.protection
                          ? " (user memory outside a user copy)"
                      : mm::is_user_range(fault.address.raw, 1) ? " (user memory, forbidden by SMAP or SMEP)"
                      : fault.protection                        ? " (protected)"
                                                                : " (not mapped)";
    format_to(sink, "{} {}{}", what, fault.address, why);
    core::panic_at(frame, "page fault in the kernel: {}", sink.view());
}

mm::FaultResult resolve(const PageFault& fault) {
    auto* space = static_cast<mm::AddressSpace*>(sched::current().user_space);
    if (space == nullptr || !mm::is_user_range(fault.address.raw, 1)) return mm::FaultResult::BadAddress;
    for (;;) {
        const auto result = space->handle_fault(fault.address, {.write = fault.write, .execute = fault.execute});
        if (result != mm::FaultResult::OutOfMemory || task::dying() || !task::make_room()) return result;
    }
}

void signal_for(mm::FaultResult result, VirtAddr address) {
    switch (result) {
    case mm::FaultResult::Done: break;
    case mm::FaultResult::BadAddress: task::force_signal(abi::kSIGSEGV, abi::kSEGV_MAPERR, address.raw); break;
    case mm::FaultResult::BadAccess: task::force_signal(abi::kSIGSEGV, abi::kSEGV_ACCERR, address.raw); break;
    case mm::FaultResult::PastEnd: task::force_signal(abi::kSIGBUS, abi::kBUS_ADRERR, address.raw); break;
    case mm::FaultResult::OutOfMemory: task::force_signal(abi::kSIGKILL, abi::kSI_KERNEL, 0); break;
    }
}

}  // namespace

void on_page_fault(arch::TrapFrame& frame, const PageFault& fault, u64 fixup) {
    // The kernel touches user memory in copies, which have a fix-up, and nothing else may fault. First of all, because early in the
    // boot there is not even a current thread.
    if (fault.reserved || (!fault.user && (fixup == 0 || !mm::is_user_range(fault.address.raw, 1))))
        kernel_fault(frame, fault);
    if (fault.user) {
        arch::irq_enable();
        signal_for(resolve(fault), fault.address);
        arch::irq_disable();
        return;
    }
    if (frame.interrupts_enabled() && core::preempt_count() == 0) {
        arch::irq_enable();
        const mm::FaultResult result = resolve(fault);
        arch::irq_disable();
        if (result == mm::FaultResult::Done) return;
    }
    frame.set_ip(VirtAddr{fixup});
}

void on_exception(arch::TrapFrame& frame, const Exception& exception) {
    if (!frame.user_mode()) core::panic_at(frame, "{} in the kernel", exception.name);
    arch::irq_enable();
    task::force_signal(exception.signal, exception.code, exception.address);
    arch::irq_disable();
}

void on_syscall(arch::TrapFrame& frame) { syscall::dispatch(frame); }

void on_return_to_user(arch::TrapFrame& frame) {
    for (;;) {
        arch::irq_enable();
        sched::preempt_if_due(sched::PreemptionPoint::ReturnToUser);
        // acquire: pairs with the release of whoever set the flag after preparing the signal.
        if (const u32 work = sched::current().user_work.load(std::memory_order_acquire); work != 0) [[unlikely]] {
            if ((work & task::kWorkWatched) != 0) syscall::watch_return(frame);
            if ((work & task::kWorkCpuTime) != 0) task::check_cpu_time(task::current_thread());
            if ((work & ~task::kWorkWatched) != 0) task::on_return_to_user(frame);
        }
        arch::irq_disable();
        if ((sched::current().user_work.load(std::memory_order_relaxed) & ~task::kWorkWatched) == 0 &&
            arch::local_load<&arch::CpuLocal::need_resched>() == 0)
            return;
    }
}

void on_timer(bool from_user) {
    InterruptScope scope;
    time::on_timer_interrupt();
    sched::on_tick(from_user);
}

void on_device_irq(u32 line) {
    InterruptScope scope;
    core::dispatch_irq(line);
}

void on_ipi_reschedule() {
    InterruptScope scope;
    sched::on_reschedule_ipi();
}

void on_ipi_call_function() {
    InterruptScope scope;
    core::run_calls();
}

void on_irq_exit() {
    if (core::preempt_count() == 0) sched::preempt_if_due(sched::PreemptionPoint::Kernel);
}

void on_nmi(arch::TrapFrame& frame) {
    arch::local_add<&arch::CpuLocal::preempt_count>(core::kNmiUnit);
    if (core::panicking())
        core::panic_stop_this_cpu(frame);
    else
        trap::dump_threads(frame);  // somebody outside wants to know where everybody stands
    arch::local_add<&arch::CpuLocal::preempt_count>(-core::kNmiUnit);
}

}  // namespace hd::upcall
