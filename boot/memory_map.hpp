// SPDX-License-Identifier: MIT
// Makes an ordered map out of the list that firmware and boot loader give: its entries may overlap, stand in any order
// and end within a page. Pure; boot CPU only.
#pragma once
#include "arch/boot.hpp"

namespace hd::boot {

class MemoryMap {
public:
    // false: too many entries. Empty ones and what lies past the direct map are left out.
    bool add(u64 begin, u64 size, arch::MemoryKind kind);

    // Fills info.regions: ordered by address, without overlaps, neighbours of a kind joined. Where entries overlap, the
    // most careful one wins: reserved, then ACPI, then usable. Usable memory shrinks to whole pages, the rest grows.
    // false: more regions than fit.
    bool normalise(arch::BootInfo& info) const;

private:
    static constexpr usize kMaxEntries = 128;

    arch::MemoryRegion entries_[kMaxEntries] = {};
    usize count_ = 0;
};

}  // namespace hd::boot
