// SPDX-License-Identifier: MIT
// What the processor can do. Read once by init_cpu() on the boot CPU, constant afterwards; the others are taken to be
// alike.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

struct Features {
    bool smep = false, smap = false, umip = false;
    bool xsave = false;
    bool gigabyte_pages = false;
    bool random = false;  // RDRAND
    bool rdtscp = false;
    u32 apic_id = 0;
    u64 xcr0 = 0;             // state components that are switched: x87, SSE, AVX; 0 without XSAVE
    u32 fpu_size = 512;       // bytes of an area that FXSAVE or XSAVE fills
    u32 mxcsr_mask = 0xffbf;  // bits that may be set in MXCSR
    u32 hwcap = 0;            // CPUID.1:EDX
};
extern Features g_features;

}  // namespace hd::arch
