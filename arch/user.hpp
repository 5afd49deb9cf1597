// SPDX-License-Identifier: MIT
// Contract: the border with user mode: the registers of an interrupted program, system-call arguments, access to user
// memory, the layout of signal frames.
#pragma once
#include "kernel/abi/signal.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

// Gives: struct TrapFrame with
//          user_mode(), interrupts_enabled(), ip(), set_ip(), sp(), set_sp(), syscall_number(), syscall_argument(0..5),
//          result(), set_result(), kPreserved, copy_preserved()
#include <arch_impl/user.hpp>

namespace hd::arch {

// Where a thread's TrapFrame from user mode lies: at the top of its kernel stack.
TrapFrame& user_frame(VirtAddr kernel_stack_top);

// Registers of a program that starts at `entry` with its stack pointer at `stack`; all others are zero.
void init_user_frame(TrapFrame& frame, VirtAddr entry, VirtAddr stack);

// Continues in user mode with the frame at the top of the current kernel stack: the tail of a new thread's first
// function.
[[noreturn]] void return_to_user(TrapFrame& frame);

// Copies between kernel and user memory. Return how many bytes could NOT be copied, 0 on success; a fault in user
// memory that the fault handler cannot satisfy ends the copy (fix-up table), never the kernel. Page faults may sleep:
// task context with preemption on, no spinlock held. The user range must have been checked to lie below kUserEnd.
usize copy_from_user_raw(void* to, u64 from, usize size);
usize copy_to_user_raw(u64 to, const void* from, usize size);
usize clear_user_raw(u64 to, usize size);
// Reads up to `capacity` bytes up to and including a NUL. Returns its length without the NUL, `capacity` if there is
// none, or -1 after a fault.
i64 copy_string_from_user_raw(char* to, u64 from, usize capacity);
// Atomic compare-and-exchange and load of a user word, for futexes. false: fault.
bool user_compare_exchange(u64 address, u32& expected, u32 desired);
bool user_load_u32(u64 address, u32& value);

// Where a signal frame goes.
struct SignalStack {
    u64 top;     // of the stack to switch to; 0: it continues on the current one
    u64 bottom;  // what lies here and below is not the stack's: a frame must not reach it
};
// Pushes a signal frame (sigcontext, XSAVE area, siginfo) on the user's stack and sets `frame` to enter the handler.
// EFAULT: the stack is not writable, or its end too near; in the latter case nothing was written. Task context, may
// sleep. Source: Linux's arch/x86/include/uapi/asm/{sigcontext,ucontext}.h.
Result<> push_signal_frame(TrapFrame& frame, const abi::SigInfo& info, const abi::SigAction& action, u64 old_mask,
                           const abi::StackT& alternate, SignalStack stack);
// Undoes it for rt_sigreturn: registers, FPU state; gives back the mask and alternate stack. EFAULT or EINVAL: the
// frame is not readable or would give the program more than user rights.
Result<> pop_signal_frame(TrapFrame& frame, u64& mask, abi::StackT& alternate);

// arch_prctl(2): ARCH_SET_FS and relatives. EINVAL: unknown code; EPERM: the base is not a user address; EFAULT. May sleep.
Result<> arch_prctl(u64 code, u64 address);

// ELF's e_machine value for this architecture, AT_HWCAP, AT_HWCAP2, AT_PLATFORM, AT_MINSIGSTKSZ.
struct ElfPlatform {
    u16 machine;
    u64 hwcap;
    u64 hwcap2;
    const char* name;
    u64 min_signal_stack;
};
ElfPlatform elf_platform();

}  // namespace hd::arch
