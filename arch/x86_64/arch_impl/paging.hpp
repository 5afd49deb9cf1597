// SPDX-License-Identifier: MIT
// x86-64's 4-level page tables: entry format (SDM 3A, 4.5, table 4-15 to 4-20), the address-space map, TLB
// instructions. Included by arch/paging.hpp only.
#pragma once

namespace hd::arch {

// The map of the upper half; docs/memory-map.md draws it.
inline constexpr VirtAddr kUserEnd{0x0000'7fff'ffff'f000};  // the last page stays empty: SYSRET faults in the kernel on
                                                            // a non-canonical return address (SDM 2B, SYSRET)
inline constexpr VirtAddr kDirectMap{0xffff'8000'0000'0000};
inline constexpr u64 kDirectMapSize = u64{64} << 40;
// One top-level entry, 512 GiB: what the vmap allocator gives out.
inline constexpr VirtAddr kVmapBase{0xffff'e000'0000'0000};
inline constexpr VirtAddr kVmapEnd{0xffff'e080'0000'0000};
inline constexpr VirtAddr kKernelImage{0xffff'ffff'8000'0000};

struct Entry {
    u64 raw = 0;

    static constexpr u64 kPresent = 1 << 0, kWrite = 1 << 1, kUser = 1 << 2, kWriteThrough = 1 << 3, kUncached = 1 << 4,
                         kAccessed = 1 << 5, kDirty = 1 << 6, kLarge = 1 << 7, kGlobal = 1 << 8;
    static constexpr u64 kNoExecute = u64{1} << 63;
    static constexpr u64 kAddressMask = 0x000f'ffff'ffff'f000;

    static constexpr Entry page(PhysAddr frame, Access access) {
        return Entry{frame.raw | kPresent | kAccessed | (access.write ? kWrite | kDirty : 0) |
                     (access.user ? kUser : kGlobal) | (access.execute ? 0 : kNoExecute) |
                     (access.uncached ? kUncached | kWriteThrough : 0)};
    }
    // User tables: what the last level forbids stays forbidden, so upper levels allow everything but writing on demand.
    static constexpr Entry table(PhysAddr frame, bool writable) {
        return Entry{frame.raw | kPresent | kAccessed | kUser | (writable ? kWrite : 0)};
    }
    constexpr bool empty() const { return raw == 0; }
    constexpr bool present() const { return (raw & kPresent) != 0; }
    constexpr bool writable() const { return (raw & kWrite) != 0; }
    constexpr PhysAddr address() const { return PhysAddr{raw & kAddressMask}; }
    constexpr Entry with_write(bool on) const { return Entry{on ? raw | kWrite : raw & ~kWrite}; }
    // Keeps the frame but hides it from the CPU: how PROT_NONE looks. Neither empty nor present.
    constexpr Entry parked() const { return Entry{raw & ~(kPresent | kWrite)}; }
};

inline void local_tlb_flush_page(VirtAddr page) { asm volatile("invlpg (%0)" : : "r"(page.raw) : "memory"); }

// A write to CR3 drops every entry that is not global (SDM 3A, 4.10.4.1).
inline void local_tlb_flush_user() {
    u64 cr3;
    asm volatile("mov %%cr3, %0; mov %0, %%cr3" : "=&r"(cr3) : : "memory");
}

// A change of CR4.PGE drops the global ones too.
inline void local_tlb_flush_all() {
    constexpr u64 kPageGlobal = 1 << 7;
    u64 cr4;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4; mov %1, %%cr4" : : "r"(cr4 & ~kPageGlobal), "r"(cr4) : "memory");
}

inline void set_page_table(PhysAddr root) { asm volatile("mov %0, %%cr3" : : "r"(root.raw) : "memory"); }

PhysAddr kernel_page_table();

}  // namespace hd::arch
