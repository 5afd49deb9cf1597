// SPDX-License-Identifier: MIT
// execve(2): the current process becomes another program.
#pragma once
#include "kernel/fs/vfs/path.hpp"
#include "kernel/task/exec/arguments.hpp"

namespace hd::task {

// The bytes that argument and environment strings with their pointers may take in the current process (execve(2), E2BIG).
u64 argument_limit();

// Replaces the program of the current process; on success user_frame() starts the new one. Errors up to the point of no return as the
// man page says; behind it the process dies of SIGSEGV, and the error is seen by nobody. Task context.
Result<> exec(const fs::WalkStart& start, Program& program);

}  // namespace hd::task
