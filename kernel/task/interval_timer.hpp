// SPDX-License-Identifier: MIT
// setitimer(2) and alarm(2) for ITIMER_REAL: a timer that sends SIGALRM. Locking: none of its own; the process's threads set it,
// one after the other in practice, and a lost race between them loses nothing but one of two settings.
#pragma once
#include "kernel/lib/types.hpp"
#include "kernel/time/timer.hpp"

namespace hd::task {

class Process;

struct IntervalTimer {
    Nanoseconds value{};     // until it next goes off; 0: not set
    Nanoseconds interval{};  // then again and again; 0: once
};
IntervalTimer read_real_timer(const Process& process);
// Returns what was set before. Task context.
IntervalTimer set_real_timer(Process& process, const IntervalTimer& setting);

void on_real_timer(time::Timer& timer);

}  // namespace hd::task
