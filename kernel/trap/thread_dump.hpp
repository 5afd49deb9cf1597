// SPDX-License-Identifier: MIT
// The states of all threads, on request from outside (an NMI: the test driver sends one when a guest hangs).
#pragma once
#include "arch/user.hpp"

namespace hd::trap {

// Writes to the debug console: this CPU's running thread with its backtrace, and, by the first CPU that is asked, every
// thread that sleeps. NMI context: reads without locks, so a line may be stale; it does not touch freed memory, as it
// gives up where a lock is taken.
void dump_threads(const arch::TrapFrame& frame);

}  // namespace hd::trap
