// SPDX-License-Identifier: MIT
// The kernel's own page tables. Made once, by init_paging(); afterwards only the vmap area's lower levels change, and
// they are shared by every address space, as all of the upper half is: user tables copy its top-level entries.
//
//     kDirectMap     all RAM, without execute, in the largest pages that fit; read-only where it aliases kernel code
//                    and constants
//     kVmapBase      page by page (map_kernel_page)
//     kKernelImage   the image by section: code read and execute, constants read, data read and write
#include "arch/paging.hpp"

#include <algorithm>

#include "arch/boot.hpp"
#include "arch/upcalls.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/sections.hpp"

extern "C" hd::u64 g_kernel_pml4_address;  // for boot/trampoline.S
constinit hd::u64 g_kernel_pml4_address = 0;

namespace hd::arch {

namespace {

constexpr u32 kTopLevel = kPageTableLevels - 1;
constexpr u32 kFirstKernelSlot = kEntriesPerTable / 2;

alignas(kPageSize) constinit Entry g_kernel_pml4[kEntriesPerTable] = {};
// The top-level entries in use: what init_user_root() copies.
constinit u16 g_kernel_slots[kEntriesPerTable / 2] = {};
constinit u32 g_kernel_slot_count = 0;

using TakeFrames = PhysAddr (*)(usize count);
constinit TakeFrames g_take_frames = nullptr;

Entry* table_at(PhysAddr address) { return reinterpret_cast<Entry*>((kDirectMap + address.raw).raw); }

// Entries of the upper levels allow everything; the last one decides. Not for user mode.
Entry kernel_table(PhysAddr address) { return Entry{address.raw | Entry::kPresent | Entry::kWrite | Entry::kAccessed}; }

// The entry that maps `at` at `level`. Tables above it that are missing come from `source`.
Result<Entry*> entry_at(VirtAddr at, u32 level, FrameSource source) {
    Entry* table = g_kernel_pml4;
    for (u32 l = kTopLevel; l > level; --l) {
        Entry& entry = table[table_index(at, l)];
        if (!entry.present()) entry = kernel_table(TRY(source()));
        table = table_at(entry.address());
    }
    return &table[table_index(at, level)];
}

Entry& boot_entry(VirtAddr at, u32 level) {
    return **entry_at(at, level, []() -> Result<PhysAddr> { return g_take_frames(1); });
}

u32 largest_level(VirtAddr at, PhysAddr from, u64 size) {
    for (u32 level = g_features.gigabyte_pages ? 2 : 1; level > 0; --level) {
        const u64 span = span_of_level(level);
        if (at.is_aligned(span) && from.is_aligned(span) && size >= span) return level;
    }
    return 0;
}

void map_range(VirtAddr at, PhysAddr from, PhysAddr end, Access access) {
    while (from < end) {
        const u32 level = largest_level(at, from, end - from);
        boot_entry(at, level) = Entry{Entry::page(from, access).raw | (level > 0 ? Entry::kLarge : 0)};
        at += span_of_level(level);
        from += span_of_level(level);
    }
}

void map_image() {
    const auto map = [](const u8* begin, const u8* end, Access access) {
        map_range(virt_of(begin), image_phys(begin), image_phys(end), access);
    };
    map(__text_start, __text_end, {.execute = true});
    map(__rodata_start, __rodata_end, {});
    // Without the page below the boot stack: an overflow must fault, not overwrite.
    map(__rodata_end, boot_stack_guard, {.write = true});
    map(boot_stack_guard + kPageSize, __image_end, {.write = true});
}

void map_direct(PhysAddr begin, PhysAddr end) {
    // The part of [begin, end) in [from, to).
    const auto map = [=](PhysAddr from, PhysAddr to, Access access) {
        from = std::max(begin, from);
        to = std::min(end, to);
        if (from < to) map_range(kDirectMap + from.raw, from, to, access);
    };
    const PhysAddr constant_begin = image_phys(__text_start), constant_end = image_phys(__rodata_end);
    map(PhysAddr{}, constant_begin, {.write = true});
    map(constant_begin, constant_end, {});
    map(constant_end, PhysAddr{kDirectMapSize}, {.write = true});
}

}  // namespace

void init_paging(PhysAddr (*take_frames)(usize count)) {
    read_acpi_tables();  // while the early map still reaches them, wherever they are

    g_take_frames = take_frames;
    map_image();
    // The first MiB always: BIOS data, the VGA screen, the page where other CPUs start.
    const PhysAddr low_end{0x10'0000};
    map_direct(PhysAddr{}, low_end);
    for (const MemoryRegion& region : g_boot_info.memory())
        if (region.kind != MemoryKind::Reserved && region.range.end > low_end)
            map_direct(std::max(region.range.begin, low_end), region.range.end);
    boot_entry(kVmapBase, 0);  // its tables: every address space copies the top-level entry
    for (u32 slot = kFirstKernelSlot; slot < kEntriesPerTable; ++slot)
        if (g_kernel_pml4[slot].present()) g_kernel_slots[g_kernel_slot_count++] = static_cast<u16>(slot);

    g_kernel_pml4_address = kernel_page_table().raw;
    set_page_table(kernel_page_table());
    local_tlb_flush_all();
}

PhysAddr kernel_page_table() { return image_phys(g_kernel_pml4); }

void init_user_root(Entry* root) {
    for (u32 i = 0; i < g_kernel_slot_count; ++i) root[g_kernel_slots[i]] = g_kernel_pml4[g_kernel_slots[i]];
}

Result<> map_kernel_page(VirtAddr at, PhysAddr to, Access access, FrameSource source) {
    *TRY(entry_at(at, 0, source)) = Entry::page(to, access);
    return {};
}

Result<PhysAddr> translate_kernel(VirtAddr at) {
    const Entry* table = table_at(PhysAddr{read_cr3() & Entry::kAddressMask});
    for (u32 level = kTopLevel;; --level) {
        const Entry entry = table[table_index(at, level)];
        if (!entry.present()) return fail(Errno::kEFAULT);
        if (level == 0 || (entry.raw & Entry::kLarge) != 0) {
            const u64 span = span_of_level(level);
            return entry.address().align_down(span) + at.raw % span;
        }
        table = table_at(entry.address());
    }
}

volatile u32* map_device(PhysAddr registers) {
    constexpr usize kMostRegisters = 1024;  // bytes: the local APIC's and the HPET's
    const auto at = upcall::map_device(registers, kMostRegisters);
    if (!at) refuse("there is no memory to map the registers at {:#x}", registers.raw);
    return reinterpret_cast<volatile u32*>(at->raw);
}

}  // namespace hd::arch
