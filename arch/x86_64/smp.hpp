// SPDX-License-Identifier: MIT
// Where the start of the other CPUs (smp.cpp) meets boot/.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

// The page below 1 MiB in which the other CPUs start; boot/boot_main.cpp chose it. 0: there is none.
extern PhysAddr g_trampoline_page;

// Called by boot/trampoline.S: on the new CPU's own stack, kernel page tables, GS base set; no descriptor tables yet.
extern "C" [[noreturn]] void ap_main(u32 cpu);

}  // namespace hd::arch
