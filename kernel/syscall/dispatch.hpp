// SPDX-License-Identifier: MIT
// From the number in a register to a handler and back. One table line a call: kernel/syscall/table.def.
#pragma once
#include <string_view>

#include "arch/user.hpp"

namespace hd::syscall {

// Runs the call that the frame holds and stores the result in it; errors become negative numbers here and nowhere else.
// Task context, IRQs on.
void dispatch(arch::TrapFrame& frame);

// For tracers and reports: name and parameter list as the table has them; empty for numbers that are not there.
struct Description {
    std::string_view name, parameters;
};
Description describe(u64 number);

}  // namespace hd::syscall
