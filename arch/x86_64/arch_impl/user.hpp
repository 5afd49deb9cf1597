// SPDX-License-Identifier: MIT
// The registers that entry.S pushes, in the order of the stack. Included by arch/user.hpp and, for the offsets, checked
// by arch/x86_64/entry_offsets.hpp.
#pragma once

namespace hd::arch {

struct TrapFrame {
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;  // all that a system call restores
    u64 r15, r14, r13, r12, rbp, rbx;               // callee-saved
    u64 number;  // system-call number (Linux's orig_rax), or the vector of an interrupt or exception
    u64 error;   // the CPU's error code, 0 where it pushes none; kSystemCall: a system call goes on where it was made
    u64 rip, cs, rflags, rsp, ss;  // what the CPU pushes (SDM 3A, figure 6-9)

    // The mark also allows the return by SYSRET, which takes RIP and RFLAGS from rcx and r11 as SYSCALL left them
    // there. Whoever sends a program elsewhere takes it away.
    static constexpr u64 kSystemCall = ~u64{0};

    bool interrupts_enabled() const { return (rflags >> 9 & 1) != 0; }
    bool user_mode() const { return (cs & 3) == 3; }
    bool is_system_call() const { return error == kSystemCall; }
    VirtAddr ip() const { return VirtAddr{rip}; }
    void set_ip(VirtAddr address) {
        rip = address.raw;
        if (is_system_call()) leave_system_call();
    }
    VirtAddr sp() const { return VirtAddr{rsp}; }
    void set_sp(VirtAddr address) { rsp = address.raw; }
    u64 frame_pointer() const { return rbp; }
    u64 syscall_number() const { return number; }
    u64 syscall_argument(u32 index) const {
        const u64 arguments[6] = {rdi, rsi, rdx, r10, r8, r9};
        return arguments[index];
    }
    // The place of the call, and what calls preserve.
    static constexpr usize kPreserved = 8;
    void copy_preserved(u64* words) const {
        usize at = 0;
        for (const u64 word : {rip, rsp, rbx, rbp, r12, r13, r14, r15}) words[at++] = word;
    }
    u64 result() const { return rax; }
    void set_result(u64 value) { rax = value; }
    // Makes the frame execute its system call, or call `nr`, again: back over the two bytes of `syscall`.
    void restart_syscall(u64 nr) {
        rax = nr;
        rip -= 2;
        leave_system_call();
    }
    void leave_system_call() {
        number = ~u64{0};
        error = 0;
    }
};

}  // namespace hd::arch
