// SPDX-License-Identifier: MIT
// New contexts, and the state of user mode that a switch exchanges beside the registers on the stack.
#include "arch/context.hpp"

#include "arch/user.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/registers.hpp"

extern "C" void context_start();

namespace hd::arch {

static_assert(kKernelStackSize == KERNEL_STACK_SIZE);

namespace {

// What switch_context() pops.
struct SwitchFrame {
    u64 r15, r14, r13, r12, rbp, rbx, return_address;
};

}  // namespace

Context make_context(VirtAddr stack_top, void (*entry)(void*), void* argument) {
    // Below the place of the TrapFrame that a user thread has at the top of its stack. After the return to
    // context_start the stack pointer is a multiple of 16, as a call needs it.
    const u64 top = reinterpret_cast<u64>(&user_frame(stack_top));
    auto* frame = reinterpret_cast<SwitchFrame*>(top - sizeof(SwitchFrame));
    *frame = {};
    frame->r12 = reinterpret_cast<u64>(entry);
    frame->r13 = reinterpret_cast<u64>(argument);
    frame->return_address = reinterpret_cast<u64>(&context_start);
    return {reinterpret_cast<u64>(frame)};
}

u64 frame_pointer_of(const Context& context) {
    return reinterpret_cast<const SwitchFrame*>(context.stack_pointer)->rbp;
}

TrapFrame& user_frame(VirtAddr kernel_stack_top) {
    return *reinterpret_cast<TrapFrame*>(kernel_stack_top.raw - sizeof(TrapFrame));
}

void set_kernel_stack(VirtAddr stack_top) {
    local_store<&CpuLocal::kernel_stack_top>(stack_top.raw);  // for SYSCALL
    arch_cpu().tss.stack[0] = stack_top.raw;                  // for interrupts and exceptions
}

// Bases change by arch_prctl() and switches only, so what this CPU has loaded is known. (A program that loads a segment
// register changes its base behind our back; it gets the old one back at the next switch.)
void save_user_state(UserCpuState& state) {
    const ArchCpu& cpu = arch_cpu();
    state.fs_base = cpu.user_fs_base;
    state.gs_base = cpu.user_gs_base;
}

void load_user_state(const UserCpuState& state) {
    ArchCpu& cpu = arch_cpu();
    cpu.user_fs_base = state.fs_base;
    write_msr(Msr::FsBase, state.fs_base);
    // Nearly nobody uses GS. With both 0 a program may have changed the base only to 0 again: the descriptors' bases
    // are 0.
    if ((cpu.user_gs_base | state.gs_base) != 0) {
        cpu.user_gs_base = state.gs_base;
        write_msr(Msr::KernelGsBase, state.gs_base);
    }
}

}  // namespace hd::arch
