// SPDX-License-Identifier: MIT
// The simulated CPU's half of arch/cpu.hpp; machine.cpp implements it. Included by arch/cpu.hpp only.
#pragma once

namespace hd::arch {

struct IrqState {
    bool enabled;
};

bool irqs_enabled();
void irq_enable();
void irq_disable();
IrqState irq_save();
void irq_restore(IrqState state);
void cpu_relax();
inline constexpr Nanoseconds kIdlePolling{500};
void halt_until_interrupt();
u64 cycles();

inline u64 frame_pointer() { return reinterpret_cast<u64>(__builtin_frame_address(0)); }

}  // namespace hd::arch
