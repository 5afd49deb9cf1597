// SPDX-License-Identifier: MIT
// The first C++: turns what the boot loader left in memory into arch::g_boot_info, then enters kernel_main(). Runs on
// the boot CPU with the early page tables and no interrupt table: nothing here may fault.
#include <cstring>

#include "arch/cpu.hpp"
#include "arch/x86_64/apic.hpp"
#include "arch/x86_64/entry_offsets.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/sections.hpp"
#include "boot/protocols.hpp"
#include "kernel/core/panic.hpp"

namespace hd::arch {

constinit BootInfo g_boot_info = {};

PhysRange kernel_image() { return {PhysAddr{virt_of(__image_phys_start).raw}, image_phys(__image_end)}; }

}  // namespace hd::arch

namespace hd::boot {

using arch::g_boot_info;

const u8* early_bytes(u64 address, u64 size, const char* sentence) {
    if (address == 0 || address >= kEarlyMapEnd || size > kEarlyMapEnd - address) core::boot_failure("{}", sentence);
    return reinterpret_cast<const u8*>((arch::kDirectMap + address).raw);
}

void keep_command_line(std::string_view text) {
    if (text.size() >= sizeof g_boot_info.command_line)
        core::boot_failure("the command line is longer than 1023 characters");
    std::memcpy(g_boot_info.command_line, text.data(), text.size());
    g_boot_info.command_line[text.size()] = '\0';
}

void keep_initramfs(u64 begin, u64 size) {
    if (g_boot_info.initramfs.size() != 0) core::boot_failure("the boot loader loaded more than one initramfs");
    if (begin >= kEarlyMapEnd || size > kEarlyMapEnd - begin) core::boot_failure("the initramfs lies above 4 GiB");
    g_boot_info.initramfs = {PhysAddr{begin}, PhysAddr{begin + size}};
}

void keep_memory(MemoryMap& map, u64 begin, u64 size, u32 e820_type) {
    // ACPI 6.4, table 15-3. What is not known to be free is reserved.
    const auto kind = e820_type == 1   ? arch::MemoryKind::Usable
                      : e820_type == 3 ? arch::MemoryKind::AcpiReclaimable
                                       : arch::MemoryKind::Reserved;
    if (!map.add(begin, size, kind)) core::boot_failure("the boot loader's memory map has too many entries");
}

namespace {

constinit MemoryMap g_map;

bool in_usable_memory(arch::PhysRange range) {
    for (const arch::MemoryRegion& region : g_boot_info.memory())
        if (region.kind == arch::MemoryKind::Usable && region.range.begin <= range.begin &&
            range.end <= region.range.end)
            return true;
    return false;
}

// Makes the page reserved, so that nobody allocates it, and the boot information's map of all that is known.
void reserve(PhysAddr page) {
    keep_memory(g_map, page.raw, arch::kPageSize, 2);  // E820: reserved
    if (!g_map.normalise(g_boot_info)) core::boot_failure("the memory map has more than 64 regions");
}

// Where other CPUs start: the lowest usable page in the first 640 KiB; 0 if there is none.
PhysAddr find_trampoline_page() {
    const arch::PhysRange initramfs = g_boot_info.initramfs;
    for (PhysAddr page{}; page.raw < 0xa'0000; page += arch::kPageSize) {
        const PhysAddr end = page + arch::kPageSize;
        if (in_usable_memory({page, end}) && (end <= initramfs.begin || page >= initramfs.end)) return page;
    }
    return {};
}

void finish_memory_map() {
    reserve(PhysAddr{});  // the BIOS's data, and what a null physical address points to
    arch::g_trampoline_page = find_trampoline_page();
    reserve(arch::g_trampoline_page);
    if (!in_usable_memory(arch::kernel_image()))
        core::boot_failure("the memory map does not say that the memory the kernel was loaded to is usable");
    if (g_boot_info.initramfs.size() != 0 && !in_usable_memory(g_boot_info.initramfs))
        core::boot_failure("the initramfs does not lie in usable memory");
}

}  // namespace

extern "C" void boot_main(u32 protocol, u64 information) {
    arch::g_cpu_locals[0].self = &arch::g_cpu_locals[0];
    arch::init_early_console();
    if (protocol == BOOT_MULTIBOOT2)
        read_multiboot2(information, g_map);
    else
        read_pvh(information, g_map);
    finish_memory_map();
    kernel_main();
}

}  // namespace hd::boot
