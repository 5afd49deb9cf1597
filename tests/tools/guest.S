# SPDX-License-Identifier: MIT
# The least guest that keeps the agreement in tools/qemu.py, for the driver's own tests. PVH enters it in 32-bit mode
# with EBX at the start info. The last letter of the command line says how it ends:
#   s  the log says "heddle: exit status 7", power off      p  isa-debug-exit says panic (0x10)
#   l  power off without a word                             h  never
#   e  as s, after the console's input up to ^D has been echoed
    .section .note, "a"
    .long 4, 4, 18              # name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start

    .text
    .code32
    .globl start
start:
    movl    $stack_top, %esp
    movl    24(%ebx), %esi      # hvm_start_info.cmdline_paddr
1:  lodsb
    testb   %al, %al
    jnz     1b
    movb    -2(%esi), %bl
    movl    $0x3f8, %edx
    movl    $noise, %esi
    call    print
    cmpb    $'e', %bl
    jne     3f
2:  movl    $0x3fd, %edx        # line status: data ready
    inb     %dx, %al
    testb   $1, %al
    jz      2b
    movl    $0x3f8, %edx
    inb     %dx, %al
    cmpb    $4, %al
    je      4f
    outb    %al, %dx
    jmp     2b
3:  cmpb    $'s', %bl
    jne     5f
4:  movl    $0xe9, %edx
    movl    $status, %esi
    call    print
    jmp     6f
5:  cmpb    $'p', %bl
    jne     7f
    movl    $0xe9, %edx
    movl    $panic, %esi
    call    print
    movl    $0x10, %eax
    outl    %eax, $0xf4
7:  cmpb    $'l', %bl
    jne     8f
6:  call    power_off
8:  hlt
    jmp     8b

# Prints the string at ESI to the port in DX.
print:
    lodsb
    testb   %al, %al
    jz      1f
    outb    %al, %dx
    jmp     print
1:  ret

# ACPI: Q35's power management block is not placed unless firmware does it, so place it and write SLP_EN for S5.
power_off:
    movl    $0x8000f840, %eax   # PCI 0:1f.0, PMBASE
    movl    $0xcf8, %edx
    outl    %eax, %dx
    movl    $0xcfc, %edx
    movl    $0x601, %eax
    outl    %eax, %dx
    movl    $0x8000f844, %eax   # ACPI_CNTL: enable
    movl    $0xcf8, %edx
    outl    %eax, %dx
    movl    $0xcfc, %edx
    movl    $0x80, %eax
    outl    %eax, %dx
    movl    $0x604, %edx
    movl    $0x2000, %eax
    outw    %ax, %dx
    ret

noise:  .ascii "firmware's noise\r\n"
        .ascii "\036heddle: run\036"
        .asciz "out\r\n"
status: .asciz "[0.1] booted\n[0.2] heddle: exit status 7\n"
panic:  .asciz "[0.1] panic: for the test\n"
    .bss
    .balign 16
    .skip   256
stack_top:
    .section .note.GNU-stack, "", @progbits
