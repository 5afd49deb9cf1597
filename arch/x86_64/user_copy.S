// SPDX-License-Identifier: MIT
// Access to user memory. Each instruction that touches it stands in the exception table (section __ex_table) with the
// place where to go on if the access fails for good; a page fault that the kernel can satisfy goes unnoticed. With
// SMAP, user memory is open only between STAC and CLAC (SDM 3A, 4.6.1); interrupts in between save and clear AC.
//
// Bulk copies use REP MOVSQ: one instruction for 8 bytes.

#define COPY_FROM_USER _ZN2hd4arch18copy_from_user_rawEPvmm
#define COPY_TO_USER _ZN2hd4arch16copy_to_user_rawEmPKvm
#define CLEAR_USER _ZN2hd4arch14clear_user_rawEmm
#define COPY_STRING _ZN2hd4arch25copy_string_from_user_rawEPcmm
#define COMPARE_EXCHANGE _ZN2hd4arch21user_compare_exchangeEmRjj
#define LOAD_U32 _ZN2hd4arch13user_load_u32EmRj

// Three bytes of nothing, replaced where the CPU has SMAP (cpu.cpp, use_smap).
.macro SMAP_SITE last_byte
771:    .byte 0x0f, 0x1f, 0x00
        .pushsection smap_sites, "a"
        .long 771b - ., \last_byte
        .popsection
.endm
.macro OPEN_USER
        SMAP_SITE 0xcb                  // STAC
.endm
.macro CLOSE_USER
        SMAP_SITE 0xca                  // CLAC
.endm

// If the instruction that follows faults, go on at \continuation.
.macro ON_FAULT continuation
772:    .pushsection __ex_table, "a"
        .balign 4
        .long 772b - ., \continuation - .
        .popsection
.endm

        .text
// usize copy_{from,to}_user_raw(rdi: to, rsi: from, rdx: size): bytes that could not be copied
        .balign 16
        .global COPY_FROM_USER, COPY_TO_USER
COPY_FROM_USER:
COPY_TO_USER:
        OPEN_USER
        movq %rdx, %rcx
        shrq $3, %rcx
        jz 2f
        // The last 8 bytes first; they overlap what the loop copies, so no tail is left.
        ON_FAULT 1f
        movq -8(%rsi,%rdx), %rax
        ON_FAULT 1f
        movq %rax, -8(%rdi,%rdx)
        ON_FAULT 1f
        rep movsq
        xorl %eax, %eax
        CLOSE_USER
        ret
        // After a fault, and for short copies: byte by byte, so that what is left is known exactly. rcx: words left.
1:      andl $7, %edx
        leaq (%rdx,%rcx,8), %rcx
        jmp 3f
2:      movl %edx, %ecx
3:      ON_FAULT 4f
        rep movsb
4:      movq %rcx, %rax
        CLOSE_USER
        ret

// usize clear_user_raw(rdi: to, rsi: size)
        .balign 16
        .global CLEAR_USER
CLEAR_USER:
        OPEN_USER
        xorl %eax, %eax
        movq %rsi, %rcx
        shrq $3, %rcx
        ON_FAULT 1f
        rep stosq
1:      andl $7, %esi                   // after a fault rcx is not 0 yet: the rest byte by byte
        leaq (%rsi,%rcx,8), %rcx
        ON_FAULT 2f
        rep stosb
2:      movq %rcx, %rax
        CLOSE_USER
        ret

// i64 copy_string_from_user_raw(rdi: to, rsi: from, rdx: capacity): length, capacity if there is no NUL, -1 after a
// fault An aligned word never reaches into a second page, so reading one whole is safe wherever its first byte is.
        .balign 16
        .global COPY_STRING
COPY_STRING:
        OPEN_USER
        xorl %ecx, %ecx                 // bytes copied
        movabsq $0x0101010101010101, %r8
        movq %r8, %r9
        shlq $7, %r9                    // 0x80 in every byte
1:      leaq (%rsi,%rcx), %r10
        testb $7, %r10b
        jnz 2f                          // not aligned yet
        leaq 8(%rcx), %r10
        cmpq %rdx, %r10
        ja 2f                           // fewer than 8 bytes of room
        ON_FAULT 6f
        movq (%rsi,%rcx), %rax
        // Is a byte of the word 0? (w - 0x01..) & ~w & 0x80.. is not 0 exactly then (Mycroft, 1987).
        movq %rax, %r11
        notq %r11
        movq %rax, (%rdi,%rcx)
        subq %r8, %rax
        andq %r11, %rax
        andq %r9, %rax
        jnz 4f
        movq %r10, %rcx
        jmp 1b
2:      cmpq %rdx, %rcx
        je 3f
        ON_FAULT 6f
        movb (%rsi,%rcx), %al
        movb %al, (%rdi,%rcx)
        testb %al, %al
        jz 3f
        incq %rcx
        jmp 1b
3:      movq %rcx, %rax
        CLOSE_USER
        ret
4:      bsfq %rax, %rax                 // the lowest set bit belongs to the first NUL
        shrq $3, %rax
        addq %rcx, %rax
        CLOSE_USER
        ret
6:      movq $-1, %rax
        CLOSE_USER
        ret

// bool user_compare_exchange(rdi: address, rsi: u32& expected, edx: desired): expected gets what was there
        .balign 16
        .global COMPARE_EXCHANGE
COMPARE_EXCHANGE:
        movl (%rsi), %eax
        OPEN_USER
        ON_FAULT user_fault
        lock cmpxchgl %edx, (%rdi)
        CLOSE_USER
        movl %eax, (%rsi)
        movl $1, %eax
        ret

// bool user_load_u32(rdi: address, rsi: u32& value)
        .balign 16
        .global LOAD_U32
LOAD_U32:
        OPEN_USER
        ON_FAULT user_fault
        movl (%rdi), %eax
        CLOSE_USER
        movl %eax, (%rsi)
        movl $1, %eax
        ret

user_fault:
        CLOSE_USER
        xorl %eax, %eax
        ret
