// SPDX-License-Identifier: MIT
// What the kernel tells the functions of the vDSO. Only the wall clock's offset ever changes, and it is one word: whoever reads finds
// the old or the new one, so there is no sequence count to wait for.
#pragma once
#include <atomic>

#include "kernel/lib/types.hpp"

namespace hd::arch {

// nanoseconds = (cycles - base_cycles) * multiplier >> shift
struct ClockScale {
    u64 base_cycles;
    u32 multiplier;
    u32 shift;
};

inline i64 scaled(const ClockScale& scale, u64 cycles) {
    using u128 = unsigned __int128;
    return static_cast<i64>(static_cast<u64>(u128{cycles - scale.base_cycles} * scale.multiplier >> scale.shift));
}

struct VdsoData {
    ClockScale clock;
    std::atomic<i64> wall_clock_offset;
    bool cpu_number;  // RDTSCP gives the CPU's number
};

}  // namespace hd::arch
