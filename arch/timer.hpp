// SPDX-License-Identifier: MIT
// Contract: the clock and the per-CPU one-shot timer. The clock is the cycle counter scaled by a factor found at boot
// against a timer of known frequency. Under an emulator that counts instructions it is exact and repeatable.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

// Time since the machine's clock was calibrated (early boot), the same on every CPU. Any context.
Nanoseconds clock_now();
// The time at which the cycle counter stood there: for who notes times that are seldom asked for. Any context.
Nanoseconds clock_at(u64 cycles);
// Wall-clock time of boot in seconds since 1970, from the battery-backed clock; UTC.
i64 boot_wall_clock();
// The cycle counter's frequency, in kHz.
u64 cycles_khz();

// Arms this CPU's timer: upcall::on_timer() comes once, at `deadline` or a little later; at once if it is past.
// A second call replaces the first. IRQs off.
void timer_arm(Nanoseconds deadline);

}  // namespace hd::arch
