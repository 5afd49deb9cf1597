// SPDX-License-Identifier: MIT
// Multiboot2 (GRUB). Source: Multiboot2 specification 2.0, section 3.6: a size, then tags, each aligned to 8 bytes.
#include <algorithm>
#include <cstring>

#include "arch/x86_64/sections.hpp"
#include "boot/protocols.hpp"
#include "kernel/core/panic.hpp"

namespace hd::boot {

namespace {

constexpr u64 kMaxInformation = 1 << 20;
constexpr const char* kBadInformation = "the Multiboot2 information is damaged";

enum class TagType : u32 {
    End = 0,
    CommandLine = 1,
    Module = 3,
    MemoryMap = 6,
    Framebuffer = 8,
    OldRsdp = 14,
    NewRsdp = 15
};

struct Header {
    u32 total_size;
    u32 reserved;
};
struct Tag {
    TagType type;
    u32 size;
};
struct ModuleTag {
    Tag tag;
    u32 begin, end;
};
struct MemoryMapTag {
    Tag tag;
    u32 entry_size, entry_version;
};
struct MemoryMapEntry {
    u64 base, length;
    u32 type, reserved;
};
struct [[gnu::packed]] FramebufferTag {
    Tag tag;
    u64 address;
    u32 pitch, width, height;
    u8 bits_per_pixel;
    u8 kind;  // 1: direct colour, then the fields below; 2: text
    u16 reserved;
    u8 red_position, red_size, green_position, green_size, blue_position, blue_size;
};

// The tag as a larger structure, if it is that large.
template <class T> const T& tag_as(const Tag& tag) {
    if (tag.size < sizeof(T)) core::boot_failure("{}", kBadInformation);
    return reinterpret_cast<const T&>(tag);
}

void read_memory_map(const MemoryMapTag& tag, MemoryMap& map) {
    if (tag.entry_size < sizeof(MemoryMapEntry)) core::boot_failure("{}", kBadInformation);
    const auto* bytes = reinterpret_cast<const u8*>(&tag);
    for (u64 at = sizeof tag; at + tag.entry_size <= tag.tag.size; at += tag.entry_size) {
        MemoryMapEntry entry;
        std::memcpy(&entry, bytes + at, sizeof entry);
        keep_memory(map, entry.base, entry.length, entry.type);
    }
}

void read_framebuffer(const FramebufferTag& tag) {
    if (tag.kind != 1) return;
    arch::g_boot_info.framebuffer = {
        .base = PhysAddr{tag.address},
        .width = tag.width,
        .height = tag.height,
        .pitch = tag.pitch,
        .bits_per_pixel = tag.bits_per_pixel,
        .red_shift = tag.red_position,
        .green_shift = tag.green_position,
        .blue_shift = tag.blue_position,
    };
}

// The tag holds a copy of ACPI's root pointer, not its address; and the copy's memory will be somebody else's soon.
void read_rsdp(const Tag& tag) {
    constinit static u8 copy[36] = {};
    std::memcpy(copy, &tag + 1, std::min<usize>(tag.size - sizeof tag, sizeof copy));
    arch::g_boot_info.rsdp = arch::image_phys(copy);
}

std::string_view text_of(const Tag& tag) {
    return bounded_text(reinterpret_cast<const char*>(&tag + 1), tag.size - sizeof tag);
}

// GRUB puts a backslash before quotes and backslashes, and quotes around words with blanks (its lib/cmdline.c).
void keep_grub_command_line(std::string_view text) {
    static constinit char plain[sizeof arch::BootInfo::command_line];
    usize length = 0;
    for (usize i = 0; i < text.size() && length < sizeof plain; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        plain[length++] = text[i];
    }
    keep_command_line({plain, length});
}

void read_tag(const Tag& tag, MemoryMap& map) {
    switch (tag.type) {
    case TagType::CommandLine: return keep_grub_command_line(text_of(tag));
    case TagType::MemoryMap: return read_memory_map(tag_as<MemoryMapTag>(tag), map);
    case TagType::NewRsdp: return read_rsdp(tag);
    case TagType::Module: {
        const auto& module = tag_as<ModuleTag>(tag);
        if (module.end < module.begin) core::boot_failure("{}", kBadInformation);
        return keep_initramfs(module.begin, module.end - module.begin);
    }
    case TagType::OldRsdp:
        if (arch::g_boot_info.rsdp == PhysAddr{}) read_rsdp(tag);
        return;
    case TagType::Framebuffer:
        if (tag.size >= sizeof(FramebufferTag)) read_framebuffer(tag_as<FramebufferTag>(tag));
        return;
    case TagType::End: return;
    }
}

}  // namespace

void read_multiboot2(u64 information, MemoryMap& map) {
    arch::g_boot_info.protocol = "Multiboot2";
    const u64 total = early_object<Header>(information, kBadInformation).total_size;
    if (total < sizeof(Header) || total > kMaxInformation) core::boot_failure("{}", kBadInformation);
    const u8* bytes = early_bytes(information, total, kBadInformation);
    for (u64 at = sizeof(Header); at + sizeof(Tag) <= total;) {
        const Tag& tag = *reinterpret_cast<const Tag*>(bytes + at);
        if (tag.size < sizeof tag || tag.size > total - at) core::boot_failure("{}", kBadInformation);
        if (tag.type == TagType::End) return;
        read_tag(tag, map);
        at += align_up<u64>(tag.size, 8);
    }
    core::boot_failure("{}", kBadInformation);
}

}  // namespace hd::boot
