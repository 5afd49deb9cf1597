// SPDX-License-Identifier: MIT
// x86-64's half of arch/cpu.hpp: flags, halting, the time-stamp counter. Included by arch/cpu.hpp only.
#pragma once

namespace hd::arch {

struct IrqState {
    bool enabled;
};

inline constexpr u64 kFlagInterrupt = 1 << 9;  // RFLAGS.IF (SDM 1, 3.4.3)

inline bool irqs_enabled() {
    u64 flags;
    asm volatile("pushfq; popq %0" : "=r"(flags));
    return (flags & kFlagInterrupt) != 0;
}

// The memory clobbers keep the compiler from moving accesses out of the section that runs with interrupts off.
inline void irq_enable() { asm volatile("sti" ::: "memory"); }

inline void irq_disable() { asm volatile("cli" ::: "memory"); }

inline IrqState irq_save() {
    const IrqState state{irqs_enabled()};
    irq_disable();
    return state;
}

inline void irq_restore(IrqState state) {
    if (state.enabled) irq_enable();
}

inline void cpu_relax() { asm volatile("pause"); }

inline constexpr Nanoseconds kIdlePolling{50'000};
inline void halt_until_interrupt() {
    // STI takes effect after the next instruction, so no interrupt can come between it and HLT (SDM 2B, STI).
    asm volatile("sti; hlt" ::: "memory");
}

inline u64 cycles() {
    u32 low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return u64{high} << 32 | low;
}

inline u64 frame_pointer() { return reinterpret_cast<u64>(__builtin_frame_address(0)); }

}  // namespace hd::arch
