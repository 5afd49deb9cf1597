// SPDX-License-Identifier: MIT
// Contract: what a context switch saves. A thread that does not run is a stack pointer: its callee-saved registers and
// its return address lie on its kernel stack. User registers are in the TrapFrame at the stack's top, user FPU state in
// the thread's FpuState.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

struct Context {
    u64 stack_pointer = 0;
};

// Frames are at most 1 KiB (make lint); the deepest stack that the guest tests make, interrupts included, is 2,872 bytes.
inline constexpr u64 kKernelStackSize = 8192;

// Prepares a context that starts in `entry(argument)` on the stack that ends at `stack_top` (16-byte aligned).
// `entry` must not return. Interrupts are off there, as after any switch.
Context make_context(VirtAddr stack_top, void (*entry)(void*), void* argument);

// Saves the caller in `from` and continues `to`; returns when somebody switches back. IRQs off.
void switch_context(Context& from, const Context& to);

// The frame pointer that a context which does not run has saved, for backtraces.
u64 frame_pointer_of(const Context& context);

// The thread's kernel stack for the next entry from user mode, and the CPU state that belongs to user space (on x86 the
// FS base). IRQs off.
struct UserCpuState {
    u64 fs_base = 0;
    u64 gs_base = 0;
};
void set_kernel_stack(VirtAddr stack_top);
void save_user_state(UserCpuState& state);
void load_user_state(const UserCpuState& state);

// FPU, SSE and AVX registers: an area of fpu_state_size() bytes, aligned to 64, which fpu_init() or a copy of another
// area has filled before the first use. IRQs off or preemption off.
usize fpu_state_size();
void fpu_save(void* area);
void fpu_restore(const void* area);
void fpu_init(void* area);  // the state of a fresh program

}  // namespace hd::arch
