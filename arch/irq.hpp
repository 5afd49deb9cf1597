// SPDX-License-Identifier: MIT
// Contract: device interrupt lines. A line is a number of the platform: on a PC the ISA IRQ 0 to 15, routed as the MADT
// says, beyond that the global system interrupt. Interrupts arrive as upcall::on_device_irq(line).
#pragma once
#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::arch {

inline constexpr u32 kIrqLines = 24;

// Routes the line to one CPU and unmasks it. EINVAL: no such line. One caller at a time.
Result<> irq_route(u32 line, CpuId cpu);

// Counters for /proc/interrupts: arrivals of vectors that nobody claims, and of the spurious one, on a CPU.
u64 unexpected_interrupts(CpuId cpu);

}  // namespace hd::arch
