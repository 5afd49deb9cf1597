// SPDX-License-Identifier: MIT
// Numbers that assembly and C++ share. Plain macros, because the assembler reads this file too; the C++ side's own
// constants are checked against them (trap.cpp, descriptors.cpp).
#pragma once

// struct TrapFrame
#define FRAME_CALLEE_SAVED 72
#define FRAME_ERROR 128
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RSP 160
#define FRAME_SIZE 176
#define FRAME_ERROR_SYSCALL -1

// struct CpuLocal, by GS
#define CPU_CURRENT 8
#define CPU_NEED_RESCHED 20
#define CPU_KERNEL_STACK 24
#define CPU_USER_STACK 32
#define CPU_LOCAL_SHIFT 6

// sched::Entity, which CpuLocal::current points to
#define ENTITY_USER_WORK 0

#define KERNEL_STACK_SIZE 8192
#define USER_END 0x00007ffffffff000

// Segment selectors (descriptors.cpp): Linux's, since user programs see theirs.
#define KERNEL_CODE_SELECTOR 0x10
#define KERNEL_DATA_SELECTOR 0x18
#define SYSRET_BASE_SELECTOR 0x23
#define USER_DATA_SELECTOR 0x2b
#define USER_CODE_SELECTOR 0x33
#define TSS_SELECTOR 0x40
// Descriptors (SDM 3A, 3.4.5): present, accessed; code: execute, read, 64-bit; data: read, write; user: DPL 3.
#define GDT_KERNEL_CODE 0x00af9b000000ffff
#define GDT_KERNEL_DATA 0x00cf93000000ffff
#define GDT_USER_DATA 0x00cff3000000ffff
#define GDT_USER_CODE 0x00affb000000ffff

// Vectors with a stack of their own.
#define VECTOR_NMI 2
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_MACHINE_CHECK 18

#define MSR_EFER 0xc0000080
#define EFER_SCE 0x001
#define EFER_LME 0x100
#define EFER_NXE 0x800
#define MSR_GS_BASE 0xc0000101
#define CR0_PE 0x00000001
#define CR0_WP 0x00010000
#define CR0_PG 0x80000000
#define CR4_PAE 0x20

// How the kernel was started: boot_main()'s first argument.
#define BOOT_MULTIBOOT2 1
#define BOOT_PVH 2
#define BOOT_FAILURE_STATUS 0x11

// struct TrampolineData, at the start of the trampoline page (boot/trampoline.S)
#define TRAMPOLINE_CR3 8
#define TRAMPOLINE_GDT_POINTER 16
#define TRAMPOLINE_LONG_MODE 26

// How far the start of a CPU has come (smp.cpp).
#define AP_IDLE 0
#define AP_CALLED 1
#define AP_CLAIMED 2
