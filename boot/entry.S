// SPDX-License-Identifier: MIT
// The first instructions. A boot loader jumps to boot_multiboot2 or boot_pvh in 32-bit protected mode, paging off,
// interrupts off, EBX = physical address of its information. From there: is this a 64-bit CPU? - early page tables -
// long mode - the upper half - boot_main() in C++.
//
// Early page tables, replaced by init_paging(); every other CPU begins with them, too:
//     0                     the first 4 GiB, identity    the code that turns paging on runs there
//     0xffff800000000000    the first 4 GiB again        the direct map's place: C++ reads physical memory here
//     0xffffffff80000000    the first 1 GiB              the kernel image

#include "arch/x86_64/entry_offsets.hpp"

#define MULTIBOOT2_BOOTLOADER_MAGIC 0x36d76289

// The image's symbols as physical addresses, for code that runs before paging.
#define PHYS(symbol) (symbol - 0xffffffff80000000)

#define PAGE_PRESENT_WRITE 3
#define PAGE_LARGE 0x80

    .section .bss.boot, "aw", @nobits
    .balign 4096
    .global boot_pml4
boot_pml4:          .skip 4096
boot_pdpt:          .skip 4096      // for 0 and for the direct map
boot_pdpt_image:    .skip 4096
boot_directories:   .skip 4 * 4096  // 4 x 512 pages of 2 MiB
    .global boot_stack_guard, boot_stack_top
boot_stack_guard:   .skip 4096      // init_paging() leaves this page unmapped
    .skip KERNEL_STACK_SIZE
boot_stack_top:

    .section .boot.text, "ax"
    .code32
    .global boot_pvh, boot_multiboot2
boot_pvh:
    movl $BOOT_PVH, %edi
    jmp boot_common

boot_multiboot2:
    movl $BOOT_MULTIBOOT2, %edi
    cmpl $MULTIBOOT2_BOOTLOADER_MAGIC, %eax
    movl $sentence_loader, %ebp
    jne boot_refuse

boot_common:
    cli
    cld
    movl %ebx, %esi                 // EDI, ESI: arguments of boot_main(); nothing below touches them
    movl $PHYS(boot_stack_top), %esp

    // Long mode: CPUID.80000001H:EDX bit 29. (A CPU without CPUID is older than every machine with Multiboot2 or PVH.)
    movl $sentence_cpu, %ebp
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb boot_refuse
    movl $0x80000001, %eax
    cpuid
    testl $0x20000000, %edx
    jz boot_refuse

    // Four page directories, one after the other: entry i maps 2 MiB at i * 2 MiB. The memory is zero (.bss).
    movl $PHYS(boot_directories), %ebx
    movl $(PAGE_LARGE | PAGE_PRESENT_WRITE), %eax
1:  movl %eax, (%ebx)
    addl $8, %ebx
    addl $0x200000, %eax
    jnc 1b                          // until the address passes 4 GiB
    // The table above them, and the top.
    movl $(PHYS(boot_directories) + PAGE_PRESENT_WRITE), %eax
    movl %eax, PHYS(boot_pdpt_image) + 510 * 8
    movl $PHYS(boot_pdpt), %ebx
    movl $4, %ecx
2:  movl %eax, (%ebx)
    addl $4096, %eax
    addl $8, %ebx
    loop 2b
    movl $(PHYS(boot_pdpt) + PAGE_PRESENT_WRITE), PHYS(boot_pml4)
    movl $(PHYS(boot_pdpt) + PAGE_PRESENT_WRITE), PHYS(boot_pml4) + 256 * 8
    movl $(PHYS(boot_pdpt_image) + PAGE_PRESENT_WRITE), PHYS(boot_pml4) + 511 * 8

    // Into IA-32e mode (SDM 3A, 10.8.5): PAE, the tables, EFER.LME, then paging. Multiboot2 leaves CR4 undefined: what
    // else the firmware had set there goes, above all tables of five levels (LA57).
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl %cr0, %eax
    orl $(CR0_PG | CR0_PE), %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $KERNEL_CODE_SELECTOR, $boot_long_mode

    .code64
boot_long_mode:
    movabsq $kernel_start, %rax     // too far for a relative jump
    jmp *%rax

    // Too early for anything but the ports: tells EBP's sentence to the serial line and the debug console, then leaves an
    // emulator through its exit device, or stops.
    .code32
boot_refuse:
1:  movb (%ebp), %cl
    testb %cl, %cl
    jz 4f
    movw $0x3fd, %dx                // line status: wait for the transmitter, but not for ever
    movl $100000, %ebx
2:  inb %dx, %al
    testb $0x20, %al
    jnz 3f
    decl %ebx
    jnz 2b
3:  movb %cl, %al
    movw $0x3f8, %dx
    outb %al, %dx
    outb %al, $0xe9
    incl %ebp
    jmp 1b
4:  movl $BOOT_FAILURE_STATUS, %eax
    movw $0xf4, %dx
    outl %eax, %dx
5:  cli
    hlt
    jmp 5b

sentence_loader:
    .asciz "Heddle cannot start: the boot loader does not speak Multiboot2.\r\n"
sentence_cpu:
    .asciz "Heddle cannot start: this CPU has no 64-bit mode.\r\n"

    // The same selectors as the final table's, so that loading that one changes nothing (SDM 3A, 3.4.5).
    .balign 8
boot_gdt:
    .quad 0, 0
    .quad GDT_KERNEL_CODE
    .quad GDT_KERNEL_DATA
boot_gdt_pointer:
    .short . - boot_gdt - 1
    .long boot_gdt
    .long 0

    .text
    .code64
kernel_start:
    movl $KERNEL_DATA_SELECTOR, %eax
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    // The GS base: this CPU's CpuLocal, from the first line of C++ on.
    movl $MSR_GS_BASE, %ecx
    movq $g_cpu_locals, %rax
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    xorl %ebp, %ebp                 // the end of every backtrace
    movl %edi, %edi                 // boot_main(protocol, information): clear the upper halves
    movl %esi, %esi
    call boot_main
    ud2
