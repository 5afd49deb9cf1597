// SPDX-License-Identifier: MIT
// The handlers' declarations, out of the table. A handler is thin: it copies arguments in and results out, checks flags, and calls the
// layer whose business it is. The files here are families of calls. Task context.
#pragma once
#include "kernel/syscall/types.hpp"

namespace hd::syscall {

// pselect6(2)'s last argument.
struct MaskAndSize {
    u64 mask_address;
    u64 mask_size;
};

#define SYSCALL(number, name, parameters) Answer sys_##name parameters;
#include "kernel/syscall/table.def"

}  // namespace hd::syscall
