// SPDX-License-Identifier: MIT
// The two boot protocols. What a loader hands over is checked before it is believed: every address and length against
// the memory that the early page tables reach, every count against what fits. What is wrong ends the boot with a
// sentence. Boot CPU, IRQs off, early page tables.
#pragma once
#include <algorithm>
#include <string_view>

#include "boot/memory_map.hpp"

namespace hd::boot {

inline constexpr u64 kEarlyMapEnd = u64{4} << 30;

// Physical memory through the early map; ends the boot with `sentence` if the range is not all reachable.
const u8* early_bytes(u64 address, u64 size, const char* sentence);
template <class T> const T& early_object(u64 address, const char* sentence) {
    return *reinterpret_cast<const T*>(early_bytes(address, sizeof(T), sentence));
}

// The string of at most `space` bytes at `text`, up to its NUL.
inline std::string_view bounded_text(const char* text, usize space) {
    return {text, static_cast<usize>(std::find(text, text + space, '\0') - text)};
}

// Keep a copy in g_boot_info; too long, or a second initramfs, ends the boot.
void keep_command_line(std::string_view text);
void keep_initramfs(u64 begin, u64 size);
void keep_memory(MemoryMap& map, u64 begin, u64 size, u32 e820_type);

void read_multiboot2(u64 information, MemoryMap& map);
void read_pvh(u64 start_info, MemoryMap& map);

// Called by boot/entry.S.
extern "C" [[noreturn]] void boot_main(u32 protocol, u64 information);

}  // namespace hd::boot
