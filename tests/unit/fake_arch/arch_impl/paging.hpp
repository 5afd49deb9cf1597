// SPDX-License-Identifier: MIT
// The simulated machine's memory map and page-table format. The entries are x86-64's; who interprets them is the walker in
// memory.cpp, with a small TLB for each simulated CPU that really keeps stale entries until it is flushed.
// Included by arch/paging.hpp only.
#pragma once

namespace hd::arch {

// Addresses that are free in a host process under every sanitizer: below 2 GiB. Physical memory is a file in memory that
// is mapped at kDirectMap, so that a vmap page aliases the direct map as on a real machine.
inline constexpr VirtAddr kUserEnd{
    0x0000'7fff'ffff'f000};  // user addresses mean nothing to the host, only to the walker
inline constexpr VirtAddr kDirectMap{0x2000'0000};
inline constexpr u64 kDirectMapSize = u64{64} << 20;
inline constexpr VirtAddr kVmapBase{0x4000'0000};
inline constexpr VirtAddr kVmapEnd{0x6000'0000};

struct Entry {
    u64 raw = 0;

    static constexpr u64 kPresent = 1 << 0, kWrite = 1 << 1, kUser = 1 << 2, kUncached = 1 << 4, kAccessed = 1 << 5,
                         kDirty = 1 << 6, kGlobal = 1 << 8;
    static constexpr u64 kNoExecute = u64{1} << 63;
    static constexpr u64 kAddressMask = 0x000f'ffff'ffff'f000;

    static constexpr Entry page(PhysAddr frame, Access access) {
        return Entry{frame.raw | kPresent | kAccessed | (access.write ? kWrite | kDirty : 0) |
                     (access.user ? kUser : kGlobal) | (access.execute ? 0 : kNoExecute) |
                     (access.uncached ? kUncached : 0)};
    }
    static constexpr Entry table(PhysAddr frame, bool writable) {
        return Entry{frame.raw | kPresent | kAccessed | kUser | (writable ? kWrite : 0)};
    }
    constexpr bool empty() const { return raw == 0; }
    constexpr bool present() const { return (raw & kPresent) != 0; }
    constexpr bool writable() const { return (raw & kWrite) != 0; }
    constexpr bool user() const { return (raw & kUser) != 0; }
    constexpr bool executable() const { return (raw & kNoExecute) == 0; }
    constexpr bool dirty() const { return (raw & kDirty) != 0; }
    constexpr PhysAddr address() const { return PhysAddr{raw & kAddressMask}; }
    constexpr Entry with_write(bool on) const { return Entry{on ? raw | kWrite : raw & ~kWrite}; }
    constexpr Entry parked() const { return Entry{raw & ~(kPresent | kWrite)}; }
};

void local_tlb_flush_page(VirtAddr page);
void local_tlb_flush_user();
void local_tlb_flush_all();
void set_page_table(PhysAddr root);
PhysAddr kernel_page_table();

}  // namespace hd::arch
