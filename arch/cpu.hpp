// SPDX-License-Identifier: MIT
// Contract: the processor. The include path chooses the implementation: arch/x86_64, or the fake one of tests/unit.
#pragma once
#include <string_view>

#include "arch/cpu_local.hpp"
#include "kernel/lib/types.hpp"

namespace hd::arch {

// Inline functions of arch_impl/cpu.hpp:
//   bool irqs_enabled();
//   void irq_enable();  void irq_disable();
//   IrqState irq_save();              disables, returns what was before
//   void irq_restore(IrqState);
//   void cpu_relax();                 inside every spin loop
//   void halt_until_interrupt();      IRQs off on entry; enables them and halts in one step, so that no wake-up is
//                                     lost between; returns with IRQs on after an interrupt
//   u64 cycles();                     a counter that never goes back on one CPU (x86: the TSC)
//   kIdlePolling                      for how long to look out for work is worth more than a halt and the interrupt that ends it

// Stops this CPU for good. IRQs off on return - there is none.
[[noreturn]] void halt_forever();

// Ends the machine. `power_off` switches the power off by ACPI; for a status that is no success it tells that to an emulator
// that asks (QEMU's isa-debug-exit), and a real machine shows its report. Both fall back to halt_forever().
enum class ExitStatus : u8 { Success = 0, Panic = 0x10, BootFailure = 0x11, TestFailure = 0x12 };
[[noreturn]] void power_off(ExitStatus status);
[[noreturn]] void reboot();

// Writes to the console that works from the first instruction on (serial, polled, and the emulator's debug console).
// Any context, takes no lock. `DebugOnly` leaves the serial line alone.
enum class EarlyOutput : bool { DebugOnly, Serial };
void early_write(std::string_view text, EarlyOutput where);

// Inter-processor interrupts. They arrive as upcalls (arch/upcalls.hpp). Any context with preemption off.
enum class Ipi : u8 { Reschedule, CallFunction };
void send_ipi(CpuId cpu, Ipi kind);
// A non-maskable one, for panics. The CPU must be online: before, it has no way to take one. Arrives as upcall on_nmi().
void send_nmi(CpuId cpu);

// Starts the CPUs other than the boot CPU, one after the other; each calls upcall::on_ap_started(). A CPU that does not
// answer within a second is reported and left out. Returns how many CPUs run. Boot CPU, may sleep: no (spins).
u32 start_other_cpus();
// How many CPUs the firmware lists (at most kMaxCpus; more are reported and left out).
u32 listed_cpus();

// The model's name, as /proc/cpuinfo shows it, and its feature flags by Linux's names, separated by spaces.
std::string_view cpu_model_name();
std::string_view cpu_feature_names();

// Fills the buffer from the CPU's random number generator, or from the cycle counter's jitter where there is none.
void hardware_random(void* buffer, usize size);

// A function's return addresses, innermost first, by frame pointers; stops at the first that is not kernel text.
// Returns how many were stored. Any context.
usize backtrace(u64 frame_pointer, u64* addresses, usize capacity);
u64 frame_pointer();  // of the caller (inline)

}  // namespace hd::arch

#include <arch_impl/cpu.hpp>
