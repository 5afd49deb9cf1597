// SPDX-License-Identifier: MIT
// Every way into the kernel and back: system calls, exceptions, interrupts, NMIs. Each pushes a TrapFrame (the layout
// is arch_impl/user.hpp's; entry_offsets.hpp has the numbers) and calls C++ with its address.
//
// Invariants:
//   - In C++ the GS base is this CPU's CpuLocal; in user mode it is the program's, and SWAPGS exchanges the two. So
//     every entry from user mode swaps once, every return to it swaps once, and in between lie windows of a few
//     instructions in which the kernel runs with the user's GS. In those windows interrupts are off and nothing faults.
//     Only NMI, #DF and #MC can come there: they look at the GS base itself.
//   - DF and AC are clear in C++, whatever the program had set: SYSCALL clears them (SFMASK), the other entries by CLD
//     and CLAC.
//   - IRETQ and SYSRETQ to user mode cannot fault: selectors and flags of a frame are constants or checked where user
//     space may set them (rt_sigreturn), and the RIP is cut to the user half here. So no exception comes from kernel
//     mode with the user's GS. (A #DB that MOV SS defers past SYSCALL would need a hardware breakpoint, which no
//     program can set.)

#include "arch/x86_64/entry_offsets.hpp"

// C++ functions, by their mangled names.
#define ON_SYSCALL _ZN2hd6upcall10on_syscallERNS_4arch9TrapFrameE
#define ON_RETURN_TO_USER _ZN2hd6upcall17on_return_to_userERNS_4arch9TrapFrameE
#define RETURN_TO_USER _ZN2hd4arch14return_to_userERNS0_9TrapFrameE

// CLAC where the CPU has SMAP: three bytes of nothing that init_cpu() overwrites (cpu.cpp, use_smap).
.macro CLEAR_AC
771:    .byte 0x0f, 0x1f, 0x00
        .pushsection smap_sites, "a"
        .long 771b - ., 0xca
        .popsection
.endm

.macro PUSH_REGISTERS
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        pushq %rdi
        pushq %rsi
        pushq %rdx
        pushq %rcx
        pushq %rax
        pushq %r8
        pushq %r9
        pushq %r10
        pushq %r11
.endm

.macro POP_CALLER_SAVED
        popq %r11
        popq %r10
        popq %r9
        popq %r8
        popq %rax
        popq %rcx
        popq %rdx
        popq %rsi
        popq %rdi
.endm

// ... and past number and error code, to what IRETQ wants.
.macro POP_REGISTERS
        POP_CALLER_SAVED
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        addq $16, %rsp
.endm

        .text

// ---- System calls ---------------------------------------------------------------------------------------------------
// SYSCALL (SDM 2B): RCX = return address, R11 = RFLAGS, interrupts off, still on the user's stack.
        .balign 16
        .global syscall_entry
syscall_entry:
        swapgs
        movq %rsp, %gs:CPU_USER_STACK
        movq %gs:CPU_KERNEL_STACK, %rsp
        pushq $USER_DATA_SELECTOR               // ss
        pushq %gs:CPU_USER_STACK                // rsp
        pushq %r11                              // rflags
        pushq $USER_CODE_SELECTOR               // cs
        pushq %rcx                              // rip
        pushq $FRAME_ERROR_SYSCALL              // error
        pushq %rax                              // number
        PUSH_REGISTERS
        movq %rsp, %rdi
        sti
        call ON_SYSCALL
        cli                                     // from here to user mode nothing may slip in between check and return
        movq %gs:CPU_CURRENT, %rax
        movl ENTITY_USER_WORK(%rax), %eax
        orl %gs:CPU_NEED_RESCHED, %eax
        jnz return_with_work
        cmpq $FRAME_ERROR_SYSCALL, FRAME_ERROR(%rsp)
        jne return_by_iret                      // exec or rt_sigreturn sent the program elsewhere
        // C++ kept rbx, rbp, r12 to r15. The slots of rcx and r11 hold what SYSCALL put there: return address and
        // flags. The address is canonical: the CPU came from there, and nothing is ever mapped at the last page below
        // the hole.
        POP_CALLER_SAVED
        movq (FRAME_RSP - FRAME_CALLEE_SAVED)(%rsp), %rsp
        swapgs
        sysretq

// ---- Exceptions and interrupts --------------------------------------------------------------------------------------
// One stub for each vector: makes the stack the same for all (error code, vector) and goes on to the common part. The
// CPU pushes an error code for some exceptions only (SDM 3A, table 6-1).
        .balign 16
        .global interrupt_stubs
interrupt_stubs:
        .set vector, 0
        .rept 256
        .balign 16
        .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && \
            vector != 17 && vector != 21 && vector != 29 && vector != 30
        pushq $0
        .endif
        pushq $vector
        .if vector == VECTOR_NMI || vector == VECTOR_DOUBLE_FAULT || vector == VECTOR_MACHINE_CHECK
        jmp paranoid_entry
        .else
        jmp interrupt_entry
        .endif
        .set vector, vector + 1
        .endr

        .balign 16
interrupt_entry:
        cld
        CLEAR_AC
        PUSH_REGISTERS
        testb $3, FRAME_CS(%rsp)                // privilege level of the interrupted code
        jz 1f
        swapgs
1:      movq %rsp, %rdi
        call handle_interrupt
        testb $3, FRAME_CS(%rsp)
        jz return_to_kernel

return_to_user_mode:                            // rsp: the frame. IRQs off
        movq %gs:CPU_CURRENT, %rax
        movl ENTITY_USER_WORK(%rax), %eax
        orl %gs:CPU_NEED_RESCHED, %eax
        jz return_by_iret
return_with_work:
        movq %rsp, %rdi
        call ON_RETURN_TO_USER
return_by_iret:
        movabsq $USER_END, %rax
        cmpq %rax, FRAME_RIP(%rsp)
        jae 2f
1:      POP_REGISTERS
        swapgs
        iretq
        // Handlers' and return addresses come from user space. What is not a user address becomes one where nothing is
        // ever mapped: the program gets its SIGSEGV from there, and IRETQ no #GP.
2:      movq %rax, FRAME_RIP(%rsp)
        jmp 1b

return_to_kernel:
        POP_REGISTERS
        iretq

// [[noreturn]] void return_to_user(TrapFrame& frame)
        .global RETURN_TO_USER
RETURN_TO_USER:
        cli
        movq %rdi, %rsp
        jmp return_to_user_mode

// ---- NMI, double fault, machine check -------------------------------------------------------------------------------
// They come at any instruction, each on a stack of its own (IST), so whether GS has been swapped yet cannot be told
// from CS. The GS base tells: the kernel's lies in the upper half, where no program can put its own (arch_prctl
// refuses, and CR4.FSGSBASE is off).
//
// NMIs do not nest: the CPU holds back the next one until an IRET, and the handler executes none, because nothing that
// it does may fault (on_nmi's contract). #DF and #MC do not return.
        .balign 16
paranoid_entry:
        cld
        CLEAR_AC
        PUSH_REGISTERS
        xorl %ebx, %ebx                         // kept by C++: did this entry swap?
        movl $MSR_GS_BASE, %ecx
        rdmsr
        testl %edx, %edx
        js 1f
        swapgs
        incl %ebx
1:      movq %rsp, %rdi
        call handle_paranoid
        testl %ebx, %ebx
        jz 2f
        swapgs
2:      POP_REGISTERS
        iretq
