// SPDX-License-Identifier: MIT
// The context switch. It is an ordinary call that returns on another stack, so only what a called function must keep
// (System V ABI, 3.2.1: rbx, rbp, r12 to r15, rsp) needs saving; the compiler has saved the rest.

#define SWITCH_CONTEXT _ZN2hd4arch14switch_contextERNS0_7ContextERKS1_

        .text
// void switch_context(Context& from, const Context& to): Context is the stack pointer.
        .balign 16
        .global SWITCH_CONTEXT
SWITCH_CONTEXT:
        pushq %rbx
        pushq %rbp
        pushq %r12
        pushq %r13
        pushq %r14
        pushq %r15
        movq %rsp, (%rdi)
        movq (%rsi), %rsp
        popq %r15
        popq %r14
        popq %r13
        popq %r12
        popq %rbp
        popq %rbx
        ret

// Where a new context's first switch returns to; make_context() put the function in r12 and its argument in r13.
        .global context_start
context_start:
        movq %r13, %rdi
        call *%r12
        ud2                     // the function must not return
