// SPDX-License-Identifier: MIT
// Descriptor tables: segments (GDT), task state (TSS), interrupts (IDT), and where SYSCALL goes. Each CPU has its own
// GDT and TSS, because the TSS holds its stacks; the IDT is one for all.
#include <cstddef>

#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/registers.hpp"

extern "C" hd::u8 interrupt_stubs[];  // entry.S: one each kStubSize bytes, in the order of the vectors
extern "C" void syscall_entry();

namespace hd::arch {

[[gnu::section("percpu")]] constinit ArchCpu g_arch_cpu = {};

namespace {

constexpr usize kStubSize = 16;
constexpr u32 kVectors = 256;

// SDM 3A, figure 6-8.
struct Gate {
    u16 offset_low;
    u16 selector;
    u8 stack;
    u8 type;
    u16 offset_middle;
    u32 offset_high;
    u32 reserved;
};
static_assert(sizeof(Gate) == 16);

alignas(16) constinit Gate g_idt[kVectors] = {};

struct [[gnu::packed]] TablePointer {
    u16 limit;
    const void* base;
};

// Vectors with a stack of their own: the first has the TSS's first one.
constexpr u32 kVectorsWithStack[kInterruptStacks] = {VECTOR_NMI, VECTOR_DOUBLE_FAULT, VECTOR_MACHINE_CHECK};

void fill_idt() {
    for (u32 vector = 0; vector < kVectors; ++vector) {
        const u64 stub = reinterpret_cast<u64>(interrupt_stubs + vector * kStubSize);
        const bool for_user = vector == 3 || vector == 4;  // INT3 and INTO: user mode may execute them
        g_idt[vector] = {
            .offset_low = static_cast<u16>(stub),
            .selector = KERNEL_CODE_SELECTOR,
            .stack = 0,                                       // the current one
            .type = static_cast<u8>(for_user ? 0xee : 0x8e),  // present, interrupt gate, DPL 3 or 0
            .offset_middle = static_cast<u16>(stub >> 16),
            .offset_high = static_cast<u32>(stub >> 32),
            .reserved = 0,
        };
    }
    for (u8 i = 0; i < kInterruptStacks; ++i) g_idt[kVectorsWithStack[i]].stack = i + 1;
}

}  // namespace

void load_descriptors() {
    static_assert(sizeof(CpuLocal) == 1 << CPU_LOCAL_SHIFT);
    static_assert(offsetof(CpuLocal, current) == CPU_CURRENT && offsetof(CpuLocal, need_resched) == CPU_NEED_RESCHED);
    static_assert(offsetof(CpuLocal, kernel_stack_top) == CPU_KERNEL_STACK);
    static_assert(offsetof(CpuLocal, user_stack_scratch) == CPU_USER_STACK);
    static_assert(kEntityUserWorkOffset == ENTITY_USER_WORK);

    ArchCpu& cpu = arch_cpu();
    // A copy of another CPU's per-CPU data may have been the template: every field is written.
    cpu.tss = {};
    cpu.tss.stack[0] = local_load<&CpuLocal::kernel_stack_top>();
    for (usize i = 0; i < kInterruptStacks; ++i)
        cpu.tss.interrupt_stack[i] = reinterpret_cast<u64>(cpu.interrupt_stacks[i] + kInterruptStackSize);
    cpu.tss.io_map = sizeof(Tss);

    for (u64& descriptor : cpu.gdt) descriptor = 0;
    cpu.gdt[KERNEL_CODE_SELECTOR / 8] = GDT_KERNEL_CODE;
    cpu.gdt[KERNEL_DATA_SELECTOR / 8] = GDT_KERNEL_DATA;
    cpu.gdt[USER_DATA_SELECTOR / 8] = GDT_USER_DATA;
    cpu.gdt[USER_CODE_SELECTOR / 8] = GDT_USER_CODE;
    // The TSS's descriptor takes two entries (SDM 3A, figure 8-4): present, available 64-bit TSS.
    const u64 tss = reinterpret_cast<u64>(&cpu.tss);
    cpu.gdt[TSS_SELECTOR / 8] =
        (sizeof(Tss) - 1) | (tss & 0xff'ffff) << 16 | u64{0x89} << 40 | (tss >> 24 & 0xff) << 56;
    cpu.gdt[TSS_SELECTOR / 8 + 1] = tss >> 32;

    cpu.user_fs_base = 0;
    cpu.user_gs_base = 0;
    cpu.timer_deadline = kNoDeadline;
    cpu.unexpected_interrupts = 0;

    if (local_load<&CpuLocal::id>() == CpuId{0}) fill_idt();
    // CS and SS stay: their selectors mean the same in the new table. FS and GS too: loading one would clear its base.
    const TablePointer gdt{sizeof cpu.gdt - 1, cpu.gdt};
    const TablePointer idt{sizeof g_idt - 1, g_idt};
    asm volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(gdt), "m"(idt), "r"(TSS_SELECTOR));
}

void load_syscall_registers() {
    // SYSCALL takes CS from STAR[47:32] and SS 8 above it; SYSRET takes SS 8 and CS 16 above STAR[63:48] (SDM 2B).
    static_assert(KERNEL_DATA_SELECTOR == KERNEL_CODE_SELECTOR + 8);
    static_assert(USER_DATA_SELECTOR == SYSRET_BASE_SELECTOR + 8 && USER_CODE_SELECTOR == SYSRET_BASE_SELECTOR + 16);
    write_msr(Msr::Star, u64{SYSRET_BASE_SELECTOR} << 48 | u64{KERNEL_CODE_SELECTOR} << 32);
    write_msr(Msr::LongStar, reinterpret_cast<u64>(&syscall_entry));
    // Flags that are off in the kernel, whatever the program had: arithmetic ones, TF, IF, DF, IOPL, NT, RF, AC, ID.
    write_msr(Msr::FlagMask, 0x257fd5);
    write_msr(Msr::FsBase, 0);
    write_msr(Msr::KernelGsBase, 0);
}

}  // namespace hd::arch
