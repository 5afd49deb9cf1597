// SPDX-License-Identifier: MIT
// A program's first registers, its segment bases, what exec tells it about the processor.
#include "arch/user.hpp"

#include "arch/context.hpp"
#include "arch/paging.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/signal_frame.hpp"

namespace hd::arch {

void init_user_frame(TrapFrame& frame, VirtAddr entry, VirtAddr stack) {
    frame = {};
    frame.rip = entry.raw;
    frame.cs = USER_CODE_SELECTOR;
    frame.rflags = kFlagInterrupt | 2;  // bit 1 is always 1
    frame.rsp = stack.raw;
    frame.ss = USER_DATA_SELECTOR;
}

Result<u64> arch_prctl(u64 code, u64 address) {
    constexpr u64 kSetGs = 0x1001, kSetFs = 0x1002, kGetFs = 0x1003, kGetGs = 0x1004;  // Linux: asm/prctl.h
    const IrqsOff stay;                                                                // on this CPU
    const ArchCpu& cpu = arch_cpu();
    switch (code) {
    case kGetFs: return cpu.user_fs_base;
    case kGetGs: return cpu.user_gs_base;
    case kSetFs:
    case kSetGs:
        if (address >= kUserEnd.raw) return fail(Errno::kEPERM);
        if (code == kSetFs)
            load_user_state({address, cpu.user_gs_base});
        else
            load_user_state({cpu.user_fs_base, address});
        return 0;
    default: return fail(Errno::kEINVAL);
    }
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
