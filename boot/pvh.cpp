// SPDX-License-Identifier: MIT
// PVH (qemu -kernel). Source: Xen, xen/include/public/arch-x86/hvm/start_info.h.
#include "boot/protocols.hpp"
#include "kernel/core/panic.hpp"

namespace hd::boot {

namespace {

constexpr u32 kMagic = 0x336ec578;
constexpr const char* kBadInformation = "the PVH start information is damaged";

struct StartInfo {
    u32 magic, version, flags, module_count;
    u64 modules, command_line, rsdp;
    u64 memory_map;  // from version 1 on
    u32 memory_map_entries, reserved;
};
struct Module {
    u64 address, size, command_line, reserved;
};
struct MemoryMapEntry {
    u64 base, size;
    u32 type, reserved;
};

}  // namespace

void read_pvh(u64 start_info, MemoryMap& map) {
    arch::g_boot_info.protocol = "PVH";
    const auto& info = early_object<StartInfo>(start_info, kBadInformation);
    if (info.magic != kMagic) core::boot_failure("{}", kBadInformation);
    if (info.version < 1 || info.memory_map_entries == 0)
        core::boot_failure("the PVH start information has no memory map");
    if (info.memory_map_entries > 1024 || info.module_count > 1024) core::boot_failure("{}", kBadInformation);

    for (u32 i = 0; i < info.memory_map_entries; ++i) {
        const auto& entry = early_object<MemoryMapEntry>(info.memory_map + i * sizeof(MemoryMapEntry), kBadInformation);
        keep_memory(map, entry.base, entry.size, entry.type);
    }
    for (u32 i = 0; i < info.module_count; ++i) {
        const auto& module = early_object<Module>(info.modules + i * sizeof(Module), kBadInformation);
        keep_initramfs(module.address, module.size);
    }
    if (info.command_line != 0) {
        const usize most = sizeof arch::g_boot_info.command_line;
        const auto* text = reinterpret_cast<const char*>(early_bytes(info.command_line, most, kBadInformation));
        keep_command_line(bounded_text(text, most));
    }
    arch::g_boot_info.rsdp = PhysAddr{info.rsdp};
}

}  // namespace hd::boot
