// SPDX-License-Identifier: MIT
// All that the architecture calls in the kernel proper; kernel/trap implements it. Interrupts are off on entry of each,
// unless it says otherwise.
#pragma once
#include <string_view>

#include "arch/user.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::upcall {

struct PageFault {
    VirtAddr address;
    bool write;
    bool execute;
    bool user;        // from user mode
    bool protection;  // the page is present, its rights were not enough
    bool reserved;    // a reserved bit was set: a corrupt page table
};
// `fixup` is where kernel code at the faulting instruction wants to continue, 0 if nowhere. Returns with IRQs off; it
// may enable them meanwhile if the interrupted code had them on.
void on_page_fault(arch::TrapFrame& frame, const PageFault& fault, u64 fixup);

// An exception other than page fault. From user mode it becomes `signal` with `code` and `address` (siginfo); from
// kernel mode it is a panic, which never returns.
struct Exception {
    std::string_view name;
    int signal;
    int code;
    u64 address;
};
void on_exception(arch::TrapFrame& frame, const Exception& exception);

// System call: number and arguments are in the frame; the result goes there too. IRQs on.
void on_syscall(arch::TrapFrame& frame);

// Before every return to user mode that finds work pending (see `user_work_pending`): signals, rescheduling. On return
// nothing is pending and IRQs are off.
void on_return_to_user(arch::TrapFrame& frame);

// `from_user`: it interrupted user mode, so the tick is the program's and not the kernel's.
void on_timer(bool from_user);
void on_device_irq(u32 line);
void on_ipi_reschedule();
void on_ipi_call_function();
// The end of every interrupt that came from kernel mode: the chance to preempt.
void on_irq_exit();

// NMI: may come anywhere, even inside spinlocks; must not take locks or sleep.
void on_nmi(arch::TrapFrame& frame);

// On the boot CPU, before another one is started: its copy of the per-CPU variables (what CpuLocal::percpu_offset gets)
// and the top of the stack that it starts on. IRQs as the caller of start_other_cpus() has them. ENOMEM.
Result<u64> ap_percpu(CpuId cpu);
Result<VirtAddr> ap_boot_stack(CpuId cpu);
// On the new CPU, on its own boot stack, which becomes its idle thread's. Does not return.
[[noreturn]] void on_ap_started(CpuId cpu);

// The address of device memory, mapped uncached for good. Boot CPU, once kernel memory can be mapped. ENOMEM.
Result<VirtAddr> map_device(PhysAddr base, usize bytes);

}  // namespace hd::upcall
