// SPDX-License-Identifier: MIT
// From the number in a register to a handler and back. One table line a call: kernel/syscall/table.def.
#pragma once
#include "arch/user.hpp"

namespace hd::syscall {

// Runs the call that the frame holds and stores the answer in it.
// Task context, IRQs on.
void dispatch(arch::TrapFrame& frame);

// A thread that is watched for livelock goes back to user mode: was it a system call, and did it get the thread further?
// (kernel/syscall/livelock.cpp) Task context. A second look at the same return does no harm.
void watch_return(const arch::TrapFrame& frame);

}  // namespace hd::syscall
