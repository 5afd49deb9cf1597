// SPDX-License-Identifier: MIT
// Runs a function on other CPUs: an interrupt carries it there. TLB shootdowns go this way.
//
// Each CPU has one call under way at a time (preemption is off meanwhile), described in its own slot, and an inbox: a set
// of the CPUs that want something of it. There is no lock and nothing is allocated. A CPU that waits for its call to be
// done has interrupts on, so it serves the calls of others meanwhile: two CPUs that call each other do not wait in a circle.
#pragma once
#include "kernel/lib/cpu_mask.hpp"

namespace hd::core {

// Runs function(argument) on every online CPU of the set, this one included if it is in; returns when all have done so.
// There it runs in interrupt context, here with interrupts off: it must be short and must not call call_on().
// Context: interrupts on, not in an interrupt handler; a Spinlock may be held unless `function` takes it.
void call_on(CpuMask cpus, void (*function)(void*), void* argument);

// The other side: upcall::on_ipi_call_function().
void run_calls();

}  // namespace hd::core
