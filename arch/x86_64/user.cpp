// SPDX-License-Identifier: MIT
// A program's first registers, its segment bases, what exec tells it about the processor.
#include "arch/user.hpp"

#include "arch/context.hpp"
#include "arch/paging.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/signal_frame.hpp"
#include "kernel/core/context.hpp"

namespace hd::arch {

void init_user_frame(TrapFrame& frame, VirtAddr entry, VirtAddr stack) {
    frame = {};
    frame.rip = entry.raw;
    frame.cs = USER_CODE_SELECTOR;
    frame.rflags = kFlagInterrupt | 2;  // bit 1 is always 1
    frame.rsp = stack.raw;
    frame.ss = USER_DATA_SELECTOR;
}

Result<> arch_prctl(u64 code, u64 address) {
    constexpr u64 kSetGs = 0x1001, kSetFs = 0x1002, kGetFs = 0x1003, kGetGs = 0x1004;  // Linux: asm/prctl.h
    if (code < kSetGs || code > kGetGs) return fail(Errno::kEINVAL);
    const bool fs = code == kSetFs || code == kGetFs;
    if (code == kGetFs || code == kGetGs) {
        UserCpuState state;
        {
            const core::IrqGuard stay;  // on this CPU
            save_user_state(state);
        }
        const u64 base = fs ? state.fs_base : state.gs_base;
        const bool stored = address <= kUserEnd.raw - sizeof base && copy_to_user_raw(address, &base, sizeof base) == 0;
        return stored ? Result<>() : fail(Errno::kEFAULT);
    }
    if (address >= kUserEnd.raw) return fail(Errno::kEPERM);
    const core::IrqGuard stay;  // as above
    UserCpuState state;
    save_user_state(state);
    (fs ? state.fs_base : state.gs_base) = address;
    load_user_state(state);
    return {};
}

ElfPlatform elf_platform() {
    return {
        .machine = 62,  // EM_X86_64
        .hwcap = g_features.hwcap,
        .hwcap2 = 0,
        .name = "x86_64",
        .min_signal_stack = signal_frame_size(),
    };
}

}  // namespace hd::arch
