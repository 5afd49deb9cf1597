// SPDX-License-Identifier: MIT
// futex(2): operations and flags (linux/futex.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kFUTEX_WAIT = 0, kFUTEX_WAKE = 1, kFUTEX_WAIT_BITSET = 9, kFUTEX_WAKE_BITSET = 10;
inline constexpr u32 kFUTEX_PRIVATE_FLAG = 128, kFUTEX_CLOCK_REALTIME = 256;
inline constexpr u32 kFUTEX_BITSET_MATCH_ANY = ~u32{0};

}  // namespace hd::abi
