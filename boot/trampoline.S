// SPDX-License-Identifier: MIT
// Where the other CPUs begin. A start-up IPI makes a CPU run in real mode at the start of a page below 1 MiB; smp.cpp
// copies the code between trampoline_start and trampoline_end there and fills in what depends on the page's address.
// From real mode the CPU goes to long mode in one step: with EFER.LME and CR4.PAE set, setting CR0.PE and CR0.PG
// together enters 64-bit mode through the code segment (SDM 3A, 10.8.5 asks for no stop in between).

#include "arch/x86_64/entry_offsets.hpp"

    .section .rodata
    .balign 16
    .global trampoline_start, trampoline_end, trampoline_long_mode
    .code16
trampoline_start:
    jmp 1f
    .org trampoline_start + TRAMPOLINE_CR3
    .long 0                         // page tables that map this page and the kernel
    .org trampoline_start + TRAMPOLINE_GDT_POINTER
    .short 4 * 8 - 1                // lgdt's operand: limit, address
    .long 0
    .long 0
    .org trampoline_start + TRAMPOLINE_LONG_MODE
    .long 0                         // far pointer to trampoline_long_mode
    .short KERNEL_CODE_SELECTOR
    .balign 8
    .global trampoline_gdt
trampoline_gdt:
    .quad 0, 0
    .quad GDT_KERNEL_CODE
    .quad GDT_KERNEL_DATA

1:  cli
    cld
    movw %cs, %ax                   // CS is the page's number times 256: data is addressed relative to the page, too
    movw %ax, %ds
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl TRAMPOLINE_CR3, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $(EFER_LME | EFER_NXE | EFER_SCE), %eax
    wrmsr
    lgdtl TRAMPOLINE_GDT_POINTER
    movl $(CR0_PG | CR0_WP | CR0_PE), %eax
    movl %eax, %cr0
    ljmpl *TRAMPOLINE_LONG_MODE

    .code64
trampoline_long_mode:
    movabsq $ap_entry, %rax
    jmp *%rax
trampoline_end:

    // In the upper half, without a stack. A CPU that was given up because it did not answer in time may still come
    // here, long after; only one that is still called for goes on.
    .text
ap_entry:
    movl $1, %eax
    cpuid
    shrl $24, %ebx                  // CPUID.1:EBX[31:24]: this CPU's APIC id
    movl $AP_CALLED, %eax
    movl $AP_CLAIMED, %ecx
    lock cmpxchgb %cl, g_ap_states(%rbx)
    jne 1f
    movzbl g_ap_cpu_ids(%rbx), %edi // the argument of ap_main()
    movl $KERNEL_DATA_SELECTOR, %eax
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movq g_kernel_pml4_address, %rax
    movq %rax, %cr3                 // from here on without the trampoline page, in which also the GDT lies
    movq %rdi, %rax
    shlq $CPU_LOCAL_SHIFT, %rax
    addq $g_cpu_locals, %rax
    movq %rax, %rdx
    shrq $32, %rdx
    movl $MSR_GS_BASE, %ecx
    wrmsr
    movq %gs:CPU_KERNEL_STACK, %rsp
    xorl %ebp, %ebp
    call ap_main
1:  cli
    hlt
    jmp 1b
