// SPDX-License-Identifier: MIT
// Contract: what the boot loader told us, in one form for every boot protocol (Multiboot2 through GRUB, PVH through
// qemu -kernel), and the steps of the architecture's own start, in the order in which kernel/main.cpp climbs them.
#pragma once
#include <span>
#include <string_view>

#include "kernel/lib/types.hpp"

namespace hd::arch {

struct PhysRange {
    PhysAddr begin;
    PhysAddr end;  // exclusive
    constexpr u64 size() const { return end - begin; }
};

enum class MemoryKind : u8 { Usable, Reserved, AcpiReclaimable };

struct MemoryRegion {
    PhysRange range;
    MemoryKind kind;
};

struct Framebuffer {
    PhysAddr base;
    u32 width = 0, height = 0, pitch = 0;  // pixels, pixels, bytes
    u8 bits_per_pixel = 0;                 // 0: no linear framebuffer
    u8 red_shift = 16, green_shift = 8, blue_shift = 0;
};

struct BootInfo {
    static constexpr usize kMaxRegions = 64;
    MemoryRegion regions[kMaxRegions];
    usize region_count = 0;
    char command_line[1024] = {};
    PhysRange initramfs{};  // empty: none
    PhysAddr rsdp{};        // ACPI's root pointer; 0: search the BIOS area
    Framebuffer framebuffer{};
    const char* protocol = "";

    std::span<const MemoryRegion> memory() const { return {regions, region_count}; }
};

// Set by the entry code before kernel_main runs; constant from then on.
extern BootInfo g_boot_info;

// The frames that the kernel image occupies.
PhysRange kernel_image();

// The ladder. Boot CPU, IRQs off.
// Required features, or one clear sentence and the end; control registers, descriptor tables, FPU.
void init_cpu();
// The final kernel page tables: image W^X, direct map without execute; the early identity map is gone afterwards.
// `take_frames(count)` gives contiguous zeroed frames from memory that the early map reaches.
void init_paging(PhysAddr (*take_frames)(usize count));
void init_interrupts();  // ACPI tables, local APIC, I/O APIC, clock calibration; needs map_kernel_page
void init_ap_cpu();      // on each other CPU: descriptor tables, local APIC, features

}  // namespace hd::arch

namespace hd {
// The kernel proper (kernel/main.cpp): entered once on the boot CPU, on its boot stack, with the early page tables.
[[noreturn]] void kernel_main();
}  // namespace hd
