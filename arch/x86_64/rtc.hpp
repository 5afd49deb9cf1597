// SPDX-License-Identifier: MIT
// The battery-backed clock.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

// The battery-backed clock, in seconds since 1970, taken to be UTC. 0 if it makes no sense. Boot CPU.
i64 read_rtc();

}  // namespace hd::arch
