// SPDX-License-Identifier: MIT
// Contract: page tables and the TLB. Page tables are a radix tree of kPageTableLevels levels, each a page of 512
// entries; the generic walker is kernel/mm/vm/page_table. An Entry is a plain word; its format is the architecture's.
#pragma once
#include "kernel/lib/cpu_mask.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::arch {

inline constexpr u64 kPageShift = 12;
inline constexpr u64 kPageSize = u64{1} << kPageShift;
inline constexpr u32 kPageTableLevels = 4;  // level 0 is the last one: its entries map pages
inline constexpr u32 kEntriesPerTable = 512;
constexpr u64 span_of_level(u32 level) { return kPageSize << (9 * level); }  // bytes that one entry of the level maps
constexpr u32 table_index(VirtAddr address, u32 level) {
    return static_cast<u32>(address.raw >> (kPageShift + 9 * u64{level})) & (kEntriesPerTable - 1);
}

// What a mapping allows. Kernel mappings are global: they stay in the TLB over address-space switches.
struct Access {
    bool write = false;
    bool execute = false;
    bool user = false;
    bool uncached = false;  // device memory
    friend constexpr bool operator==(Access, Access) = default;
};

}  // namespace hd::arch

// Gives: kUserEnd (first address past user space), kDirectMap (where physical address 0 is mapped, kernel text
//        excepted), kVmapBase and kVmapEnd (kernel mappings made page by page: stacks with guard pages, devices),
//        struct Entry with
//          static Entry page(PhysAddr, Access)            maps a page
//          static Entry table(PhysAddr, bool writable)    points to the next level; not writable: nothing below is
//          empty(), present(), writable(), address(), with_write(bool),
//          parked() - keeps the frame, hides it from the CPU: neither empty nor present -,
//          as raw word: raw;  an Entry{} is empty
//        local_tlb_flush_page(VirtAddr), local_tlb_flush_user() - all that is not global -, local_tlb_flush_all()
//        void set_page_table(PhysAddr root)               switches user space; flushes what is not global
//        PhysAddr kernel_page_table()                     the root that maps the kernel only
#include <arch_impl/paging.hpp>

namespace hd::arch {

// Where map_kernel_page gets the tables that it lacks: zeroed frames.
using FrameSource = Result<PhysAddr> (*)();

// Maps one page into the kernel's half, for every CPU and address space: the top-level entries of the vmap area exist
// from boot on and are shared. ENOMEM if a table is missing and `source` has none. The caller serialises calls (the
// vmap allocator's lock).
Result<> map_kernel_page(VirtAddr at, PhysAddr to, Access access, FrameSource source);

// Copies the kernel's half into a new, empty top-level table.
void init_user_root(Entry* root);

// Walks the current page tables for a report: what address `at` is mapped to, or an error. Any context.
Result<PhysAddr> translate_kernel(VirtAddr at);

static_assert(sizeof(Entry) == 8);

}  // namespace hd::arch
