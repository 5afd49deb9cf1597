// SPDX-License-Identifier: MIT
// vfork(2): the parent sleeps until the child no longer uses its memory.
#pragma once
#include "kernel/task/process.hpp"

namespace hd::task {

// The child's side: after execve(2) or at its end.
void release_vfork_parent(Process& child);

}  // namespace hd::task
