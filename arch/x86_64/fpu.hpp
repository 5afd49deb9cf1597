// SPDX-License-Identifier: MIT
// FPU, SSE and AVX state. The registers always hold the running thread's: they are switched with it, never lazily.
#pragma once
#include "arch/context.hpp"

namespace hd::arch {

// State components that are switched (SDM 1, 13.1). AVX-512 and others stay off: what XCR0 does not allow, nobody can
// use.
inline constexpr u32 kX87 = 1, kSse = 2, kAvx = 4, kFpuComponents = kX87 | kSse | kAvx;

// Bytes of the largest state that is ever switched: x87, SSE and AVX in the standard format (SDM 1, 13.4).
inline constexpr usize kMaxFpuState = 512 + 64 + 256;

// How an area begins: what FXSAVE writes (SDM 1, table 10-2), then, with XSAVE, the header (SDM 1, 13.4.2).
struct FpuArea {
    u16 control, status;
    u8 tags, reserved0;
    u16 opcode;
    u64 instruction, operand;
    u32 mxcsr, mxcsr_mask;
    u8 registers[8 * 16 + 16 * 16];
    u8 reserved1[48];
    u8 for_software[48];  // the CPU leaves it alone; Linux describes the area here in signal frames
    // With XSAVE:
    u64 present;    // XSTATE_BV: a component whose bit is 0 is in its initial state
    u64 compacted;  // XCOMP_BV: 0 in the standard format
    u64 reserved2[6];
};
static_assert(sizeof(FpuArea) == 576);

// Control registers and sizes of this CPU. IRQs off.
void init_fpu();

}  // namespace hd::arch
