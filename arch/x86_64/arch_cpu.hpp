// SPDX-License-Identifier: MIT
// What each CPU has of the architecture's own, beside CpuLocal: descriptor table, task state segment, stacks for the
// vectors that must not trust the current one. A per-CPU variable: it lies in the section `percpu`
// (CpuLocal::percpu_offset), but the policy check of core::PerCpu is above this layer. Owner CPU with preemption off,
// except where it says otherwise.
#pragma once
#include <atomic>

#include "arch/cpu.hpp"
#include "arch/x86_64/entry_offsets.hpp"

namespace hd::arch {

// SDM 3A, 8.7: in 64-bit mode only stack pointers and the I/O map's place are left of it.
struct [[gnu::packed]] Tss {
    u32 reserved0;
    u64 stack[3];  // [0]: the stack for entry from user mode
    u64 reserved1;
    u64 interrupt_stack[7];
    u64 reserved2;
    u16 reserved3;
    u16 io_map;  // at the end of the segment: no port is open to user mode
};
static_assert(sizeof(Tss) == 104);

inline constexpr usize kInterruptStacks = 3;
inline constexpr usize kInterruptStackSize = 4096;

inline constexpr i64 kNoDeadline = INT64_MAX;

struct ArchCpu {
    u64 gdt[TSS_SELECTOR / 8 + 2];
    Tss tss;

    u64 user_fs_base, user_gs_base;          // what this CPU's user-mode segment bases are
    i64 timer_deadline;                      // nanoseconds; kNoDeadline when the timer is off. IRQs off.
    std::atomic<u64> unexpected_interrupts;  // written by the owner, read by anybody

    alignas(16) u8 interrupt_stacks[kInterruptStacks][kInterruptStackSize];
};
extern ArchCpu g_arch_cpu;

inline ArchCpu& arch_cpu_at(u64 percpu_offset) {
    return *reinterpret_cast<ArchCpu*>(reinterpret_cast<u64>(&g_arch_cpu) + percpu_offset);
}
inline ArchCpu& arch_cpu() { return arch_cpu_at(local_load<&CpuLocal::percpu_offset>()); }
inline ArchCpu& arch_cpu_of(CpuId cpu) { return arch_cpu_at(g_cpu_locals[cpu.raw].percpu_offset); }

// This CPU's GDT, TSS, and the interrupt table that all share, filled by the boot CPU's call. IRQs off.
void load_descriptors();
// SYSCALL's registers. IRQs off.
void load_syscall_registers();

}  // namespace hd::arch
