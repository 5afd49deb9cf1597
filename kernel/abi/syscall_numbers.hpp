// SPDX-License-Identifier: MIT
// System-call numbers that the kernel itself needs; all others stand in kernel/syscall/table.def.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u64 k__NR_restart_syscall = 219;

}  // namespace hd::abi
