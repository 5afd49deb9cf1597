// SPDX-License-Identifier: MIT
// The interrupt controllers: each CPU's local APIC (end of interrupt, IPIs, one-shot timer, the start of other CPUs) and
// the I/O APICs for devices.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

// Maps the local APIC; boot CPU, once. Then this CPU's own set-up; each CPU. IRQs off.
void map_local_apic();
void init_local_apic();
// Boot CPU: mask the PICs, and map and mask the I/O APICs' inputs.
void silence_pics();
void init_io_apics();

void apic_end_of_interrupt();
bool apic_in_service(u32 vector);

// The timer: counts down from `ticks` (0: off) and interrupts at 0; and what is left. IRQs off.
void apic_timer_start(u32 ticks);
u32 apic_timer_left();

// Start-up of another CPU (SDM 3A, 9.4.4). `page_number` is where it begins, below 256.
void apic_send_init(u32 apic_id);
void apic_send_startup(u32 apic_id, u8 page_number);
// The page below 1 MiB in which the other CPUs start; boot/boot_main.cpp chose it. 0: there is none.
extern PhysAddr g_trampoline_page;
// Called by boot/trampoline.S: on the new CPU's own stack, kernel page tables, GS base set; no descriptor tables yet.
extern "C" [[noreturn]] void ap_main(u32 cpu);

// clock.cpp: measures the cycle counter and the APIC timer against a known clock; the timer's interrupt.
void calibrate_clocks();
void timer_interrupt(bool from_user);

}  // namespace hd::arch
