// SPDX-License-Identifier: MIT
// Who handles which device interrupt. Lines are the architecture's (arch/irq.hpp); dispatch() is called by the upcall.
//
// Locking: the table is written at boot or in task context, under an IrqSpinlock of rank Device; dispatch() reads an
// atomic pointer without it. A handler, once registered, stays.
#pragma once
#include "arch/irq.hpp"
#include "kernel/core/percpu.hpp"

namespace hd::core {

// Runs in interrupt context, on one CPU at a time.
using IrqHandler = void (*)(void* argument);

// Routes the line to the boot CPU and lets it in. `name` lives for ever. EBUSY: the line has a handler; EINVAL: no such
// line.
Result<> register_irq(u32 line, const char* name, IrqHandler handler, void* argument);

// Interrupt context.
void dispatch_irq(u32 line);

// For /proc/interrupts. The name is nullptr where nobody registered.
const char* irq_name(u32 line);
u64 irq_count(u32 line, CpuId cpu);

}  // namespace hd::core
