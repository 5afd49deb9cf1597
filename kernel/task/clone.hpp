// SPDX-License-Identifier: MIT
// New processes: fork(2), vfork(2), clone(2).
#pragma once
#include "kernel/abi/sched.hpp"
#include "kernel/task/process.hpp"

namespace hd::task {

struct CloneRequest {
    u64 flags = 0;  // CLONE_*, without the exit signal
    i32 exit_signal = 0;
    u64 stack = 0;       // the child's stack pointer; 0: the parent's
    u64 parent_tid = 0;  // CLONE_PARENT_SETTID: where the parent gets the child's id
    u64 child_tid = 0;   // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID: in the child's memory
    u64 tls = 0;         // CLONE_SETTLS
};

// Makes a child of the current process that continues where the parent is, with result 0. Returns its pid; with CLONE_VFORK only
// when the child has executed a program or ended. EINVAL: flags that are not supported or do not fit together; EAGAIN, ENOMEM,
// kERESTARTNOINTR (a signal came first). Task context.
Result<i32> clone(const CloneRequest& request);

}  // namespace hd::task
