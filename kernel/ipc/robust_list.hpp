// SPDX-License-Identifier: MIT
// Robust futexes (set_robust_list(2), pthread_mutexattr_setrobust(3)): a program keeps a list of the locks that a thread holds; when
// the thread ends or executes another program, each word that still names it is marked FUTEX_OWNER_DIED, and one waiter woken.
//
// The list is user memory, and may be anything: bad pointers end the walk, and it takes ROBUST_LIST_LIMIT steps at most.
#pragma once
#include "kernel/task/thread.hpp"

namespace hd::ipc {

// The current thread, with its address space still loaded; may sleep.
void leave_robust_list(task::Thread& self);

}  // namespace hd::ipc
