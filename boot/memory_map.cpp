// SPDX-License-Identifier: MIT
#include "boot/memory_map.hpp"

#include <algorithm>

#include "arch/paging.hpp"

namespace hd::boot {

using arch::MemoryKind;

namespace {

constexpr u64 kPage = arch::kPageSize;

// Of two kinds for one page, the one to believe.
constexpr int caution(MemoryKind kind) {
    switch (kind) {
    case MemoryKind::Usable: return 1;
    case MemoryKind::AcpiReclaimable: return 2;
    case MemoryKind::Reserved: return 3;
    }
    return 3;
}

}  // namespace

bool MemoryMap::add(u64 begin, u64 size, MemoryKind kind) {
    if (begin >= arch::kDirectMapSize) return true;
    u64 end = begin + std::min(size, arch::kDirectMapSize - begin);
    if (kind == MemoryKind::Usable) {
        begin = align_up(begin, kPage);
        end = align_down(end, kPage);
    } else {
        begin = align_down(begin, kPage);
        end = align_up(end, kPage);
    }
    if (begin >= end) return true;
    if (count_ == kMaxEntries) return false;
    entries_[count_++] = {{PhysAddr{begin}, PhysAddr{end}}, kind};
    return true;
}

bool MemoryMap::normalise(arch::BootInfo& info) const {
    static constinit u64 borders[2 * kMaxEntries];  // too large for the stack
    usize border_count = 0;
    for (usize i = 0; i < count_; ++i) {
        borders[border_count++] = entries_[i].range.begin.raw;
        borders[border_count++] = entries_[i].range.end.raw;
    }
    std::sort(borders, borders + border_count);

    // Between two neighbouring borders every entry covers all or nothing.
    info.region_count = 0;
    for (usize i = 0; i + 1 < border_count; ++i) {
        const PhysAddr begin{borders[i]}, end{borders[i + 1]};
        if (begin == end) continue;
        const arch::MemoryRegion* winner = nullptr;
        for (usize j = 0; j < count_; ++j) {
            const arch::MemoryRegion& entry = entries_[j];
            if (entry.range.begin <= begin && end <= entry.range.end &&
                (winner == nullptr || caution(entry.kind) > caution(winner->kind)))
                winner = &entry;
        }
        if (winner == nullptr) continue;
        if (info.region_count > 0) {
            arch::MemoryRegion& last = info.regions[info.region_count - 1];
            if (last.kind == winner->kind && last.range.end == begin) {
                last.range.end = end;
                continue;
            }
        }
        if (info.region_count == arch::BootInfo::kMaxRegions) return false;
        info.regions[info.region_count++] = {{begin, end}, winner->kind};
    }
    return true;
}

}  // namespace hd::boot
