// SPDX-License-Identifier: MIT
// The memory that boot may hand out before frames have records: a handful of ranges, taken from at their low ends and
// never given back. Boot CPU only.
#pragma once
#include <span>

#include "arch/boot.hpp"

namespace hd::mm {

class EarlyMemory {
public:
    // Usable memory: whole pages, not overlapping what was added before, in order of address.
    void add(arch::PhysRange range);
    // Takes a range away, wherever it overlaps; pages in part as a whole.
    void reserve(arch::PhysRange range);
    // The lowest `bytes` (whole pages) that are left in one piece; 0: there are none.
    PhysAddr take(u64 bytes);
    std::span<const arch::PhysRange> ranges() const { return {ranges_, count_}; }  // some may be empty

private:
    static constexpr usize kMaxRanges = arch::BootInfo::kMaxRegions + 8;

    arch::PhysRange ranges_[kMaxRanges] = {};
    usize count_ = 0;
};

}  // namespace hd::mm
