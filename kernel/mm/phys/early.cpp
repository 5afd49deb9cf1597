// SPDX-License-Identifier: MIT
#include "kernel/mm/phys/early.hpp"

#include <algorithm>

#include "arch/paging.hpp"
#include "kernel/core/panic.hpp"

namespace hd::mm {

using arch::PhysRange;

void EarlyMemory::add(PhysRange range) {
    if (range.begin >= range.end) return;
    if (count_ == kMaxRanges) core::boot_failure("the memory map is in too many pieces");
    ranges_[count_++] = range;
}

void EarlyMemory::reserve(PhysRange taken) {
    if (taken.begin >= taken.end) return;
    taken = {taken.begin.align_down(arch::kPageSize), taken.end.align_up(arch::kPageSize)};
    for (usize i = 0; i < count_; ++i) {
        const PhysRange range = ranges_[i];
        if (taken.end <= range.begin || range.end <= taken.begin) continue;
        ranges_[i].end = std::max(range.begin, taken.begin);
        if (taken.end >= range.end) continue;
        // The part above it comes after the part below, so that the order stays.
        add({taken.end, range.end});
        std::rotate(ranges_ + i + 1, ranges_ + count_ - 1, ranges_ + count_);
        return;
    }
}

PhysAddr EarlyMemory::take(u64 bytes) {
    for (PhysRange& range : std::span(ranges_, count_)) {
        if (range.size() < bytes) continue;
        const PhysAddr taken = range.begin;
        range.begin += bytes;
        return taken;
    }
    return PhysAddr{0};
}

}  // namespace hd::mm
