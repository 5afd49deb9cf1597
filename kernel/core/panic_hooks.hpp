// SPDX-License-Identifier: MIT
// What the panic report needs from above kernel/core, and what kernel/trap needs from it.
#pragma once
#include "kernel/core/panic.hpp"

namespace hd::core {

// A line about the thread that the CPU runs. Implemented in kernel/sched; any context.
void describe_running_thread(TextSink& sink, CpuId cpu);

// A stopped CPU's part of the report, called by its NMI handler; does not return.
[[noreturn]] void panic_stop_this_cpu(const arch::TrapFrame& frame);

}  // namespace hd::core
