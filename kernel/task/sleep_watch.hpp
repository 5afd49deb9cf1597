// SPDX-License-Identifier: MIT
// The watch over threads that sleep in the kernel for too long without a reason (Linux: khungtaskd). Without a reason is a sleep that
// nothing ends but its event (sched::SleepKind::Uninterruptible): for a lock, an answer, memory that another CPU is about to give back.
// All of these take moments. Whoever waits for input, a point in time, a futex, a child, or for what another program does can be
// interrupted or killed, and may sleep for as long as it likes. docs/stuck-threads.md.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::task {

inline constexpr u64 kMaxSleepLimit = 1'000'000;  // seconds

// Boot, in the first thread; reads the option hung_task_timeout_secs.
void init_sleep_watch();
// How long a thread may sleep before it is listed in the log; 0: for ever. Any context but NMI.
Nanoseconds sleep_limit();
void set_sleep_limit(Nanoseconds limit);

}  // namespace hd::task
