// SPDX-License-Identifier: MIT
// Points in time and durations as system calls carry them (linux/time.h, linux/time_types.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

struct Timespec {
    i64 tv_sec = 0;
    i64 tv_nsec = 0;
    friend constexpr auto operator<=>(const Timespec&, const Timespec&) = default;
};
static_assert(sizeof(Timespec) == 16);

struct Timeval {
    i64 tv_sec = 0;
    i64 tv_usec = 0;
};
static_assert(sizeof(Timeval) == 16);

inline constexpr i32 kCLOCK_REALTIME = 0, kCLOCK_MONOTONIC = 1, kCLOCK_PROCESS_CPUTIME_ID = 2,
                     kCLOCK_THREAD_CPUTIME_ID = 3, kCLOCK_MONOTONIC_RAW = 4, kCLOCK_REALTIME_COARSE = 5,
                     kCLOCK_MONOTONIC_COARSE = 6, kCLOCK_BOOTTIME = 7, kCLOCK_REALTIME_ALARM = 8,
                     kCLOCK_BOOTTIME_ALARM = 9;

// Other processes' and threads' CPU time (clock_getcpuclockid(3)): the complement of the number above three bits.
inline constexpr i32 kCPUCLOCK_PROF = 0, kCPUCLOCK_VIRT = 1, kCPUCLOCK_SCHED = 2, kCPUCLOCK_KIND = 3,
                     kCPUCLOCK_PERTHREAD = 4;
constexpr i32 cpu_clock(i32 id, i32 kind) { return ~id * 8 | kind; }

constexpr Timespec timespec_of(Nanoseconds time) { return {time.raw / 1'000'000'000, time.raw % 1'000'000'000}; }

}  // namespace hd::abi
