// SPDX-License-Identifier: MIT
// The vDSO's file within the kernel's image: arch::vdso_image().
    .section .rodata.vdso, "a"
    .balign 4096
    .globl vdso_begin, vdso_end
vdso_begin:
    .incbin VDSO_FILE
    .balign 4096
vdso_end:
