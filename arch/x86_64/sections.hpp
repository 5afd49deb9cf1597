// SPDX-License-Identifier: MIT
// Borders of the kernel image, from linker.ld.
#pragma once
#include "arch/paging.hpp"

extern "C" {
extern hd::u8 __image_phys_start[];  // low: a physical address
extern hd::u8 __text_start[], __text_end[], __rodata_start[], __rodata_end[], __image_end[];
extern hd::u8 boot_stack_guard[], boot_pml4[];
}

namespace hd::arch {

// Where something inside the image lies in memory.
inline PhysAddr image_phys(const volatile void* symbol) { return PhysAddr{virt_of(symbol) - kKernelImage}; }

inline bool is_kernel_text(u64 address) {
    return address >= virt_of(__text_start).raw && address < virt_of(__text_end).raw;
}

}  // namespace hd::arch
