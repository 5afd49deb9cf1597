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

constexpr Timespec timespec_of(Nanoseconds time) { return {time.raw / 1'000'000'000, time.raw % 1'000'000'000}; }

}  // namespace hd::abi
