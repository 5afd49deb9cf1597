// SPDX-License-Identifier: MIT
// The C library's memory functions: the compiler calls the first four of its own accord, libstdc++'s string_view the
// others. Built on the string instructions: short, and the most bytes an instruction.

        .text
// void* memcpy(rdi: to, rsi: from, rdx: size)
        .balign 16
        .global memcpy
memcpy:
        movq %rdi, %rax
forward:
        movq %rdx, %rcx
        shrq $3, %rcx
        jz 1f
        movq -8(%rsi,%rdx), %r8         // the last 8 bytes, read before anything is written (memmove) ...
        leaq -8(%rdi,%rdx), %r9
        rep movsq
        movq %r8, (%r9)                 // ... so that no tail is left
        ret
1:      movl %edx, %ecx
        rep movsb
        ret

// void* memmove(rdi: to, rsi: from, rdx: size)
        .balign 16
        .global memmove
memmove:
        movq %rdi, %rax
        movq %rdi, %rcx
        subq %rsi, %rcx
        cmpq %rdx, %rcx                 // unsigned: is `to` outside [from, from + size)? Then forward is right
        jae forward
        std                             // from the end: the tail by bytes, then words
        movl %edx, %ecx
        andl $7, %ecx
        leaq -1(%rsi,%rdx), %rsi
        leaq -1(%rdi,%rdx), %rdi
        rep movsb
        subq $7, %rsi
        subq $7, %rdi
        movq %rdx, %rcx
        shrq $3, %rcx
        rep movsq
        cld
        ret

// void* memset(rdi: to, esi: byte, rdx: size)
        .balign 16
        .global memset
memset:
        movq %rdi, %r9
        movzbl %sil, %eax
        movabsq $0x0101010101010101, %rcx
        imulq %rcx, %rax
        movq %rdx, %rcx
        shrq $3, %rcx
        jz 1f
        movq %rax, -8(%rdi,%rdx)        // the last 8 bytes first: no tail is left
        rep stosq
        movq %r9, %rax
        ret
1:      movl %edx, %ecx
        rep stosb
        movq %r9, %rax
        ret

// int memcmp(rdi, rsi, rdx: size)
        .balign 16
        .global memcmp
memcmp:
        movq %rdx, %rcx
        cmpl %eax, %eax                 // equal, if size is 0
        repe cmpsb
        je 1f
        movzbl -1(%rdi), %eax
        movzbl -1(%rsi), %ecx
        subl %ecx, %eax
        ret
1:      xorl %eax, %eax
        ret

// size_t strlen(rdi)
        .balign 16
        .global strlen
strlen:
        movq $-1, %rcx
        xorl %eax, %eax
        repne scasb
        notq %rcx
        leaq -1(%rcx), %rax
        ret

// void* memchr(rdi, esi: byte, rdx: size)
        .balign 16
        .global memchr
memchr:
        movl %esi, %eax
        movq %rdx, %rcx
        testq %rcx, %rcx
        jz 1f
        repne scasb
        jne 1f
        leaq -1(%rdi), %rax
        ret
1:      xorl %eax, %eax
        ret
