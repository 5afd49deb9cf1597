// SPDX-License-Identifier: MIT
// Interrupt vectors and the names of exceptions.
#pragma once
#include <string_view>

#include "arch/user.hpp"

namespace hd::arch {

namespace vector {
inline constexpr u32 kDebug = 1, kNmi = 2, kBreakpoint = 3, kDoubleFault = 8, kPageFault = 14, kFloatingPoint = 16,
                     kMachineCheck = 18, kSimd = 19;
inline constexpr u32 kExceptions = 32;   // 0 to 31 are the CPU's own
inline constexpr u32 kLegacyPic = 0x20;  // where the masked PICs' spurious interrupts would arrive
inline constexpr u32 kLines = 0x30;      // line 0; device lines follow
// By priority: the upper half byte is the class (SDM 3A, 11.8.3).
inline constexpr u32 kTimer = 0xf0, kReschedule = 0xf1, kCallFunction = 0xf2, kApicError = 0xfe, kSpurious = 0xff;
}  // namespace vector

std::string_view exception_name(u64 vector);

// Called by entry.S.
extern "C" void handle_interrupt(TrapFrame& frame);
extern "C" void handle_paranoid(TrapFrame& frame);  // NMI, double fault, machine check

}  // namespace hd::arch
