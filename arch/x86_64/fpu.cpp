// SPDX-License-Identifier: MIT
#include "arch/x86_64/fpu.hpp"

#include <cstring>
#include <new>

#include "arch/cpu.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"

namespace hd::arch {

namespace {

constexpr u16 kInitialControl = 0x37f;  // all exceptions masked, 64-bit precision
constexpr u32 kInitialMxcsr = 0x1f80;   // all exceptions masked

}  // namespace

void init_fpu() {
    if (g_features.xsave)
        asm volatile("xsetbv"
                     :
                     : "c"(0), "a"(static_cast<u32>(g_features.xcr0)), "d"(static_cast<u32>(g_features.xcr0 >> 32)));
    alignas(64) u8 bytes[kMaxFpuState];
    if (local_load<&CpuLocal::id>() == CpuId{0}) {
        if (g_features.xsave) g_features.fpu_size = cpuid(0xd).ebx;  // of what XCR0 has on
        if (g_features.fpu_size > kMaxFpuState) refuse("this CPU's AVX state takes {} bytes", g_features.fpu_size);
        auto& area = *new (bytes) FpuArea{};
        asm volatile("fninit; fxsave64 %0" : "+m"(area));
        if (area.mxcsr_mask != 0) g_features.mxcsr_mask = area.mxcsr_mask;  // 0: the default (SDM 1, 11.6.6)
    }
    fpu_init(bytes);
    fpu_restore(bytes);
}

usize fpu_state_size() { return g_features.fpu_size; }

// Standard XSAVE writes every component, also those in their initial state, so an area never shows old memory.
void fpu_save(void* area) {
    if (g_features.xsave)
        asm volatile("xsave64 (%0)" : : "r"(area), "a"(kFpuComponents), "d"(0) : "memory");
    else
        asm volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

void fpu_restore(const void* area) {
    if (g_features.xsave)
        asm volatile("xrstor64 (%0)" : : "r"(area), "a"(kFpuComponents), "d"(0) : "memory");
    else
        asm volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

void fpu_init(void* area) {
    std::memset(area, 0, fpu_state_size());
    auto& legacy = *static_cast<FpuArea*>(area);
    legacy.control = kInitialControl;
    legacy.mxcsr = kInitialMxcsr;
}

}  // namespace hd::arch
