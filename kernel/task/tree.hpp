// SPDX-License-Identifier: MIT
// The process tree's moves, for kernel/task itself: each happens with g_tree_lock held and leaves the tree whole.
#pragma once
#include "kernel/task/process.hpp"

namespace hd::task {

using TreeGuard = core::LockGuard<core::Spinlock>;
using SignalGuard = core::LockGuard<core::IrqSpinlock>;

Process* find_process_locked(i32 pid) REQUIRES(g_tree_lock);
// The same, or by the number of any of its threads: kill(2), getpgid(2), getsid(2) as Linux has them.
Process* find_process_of_locked(i32 id) REQUIRES(g_tree_lock);
Process* next_process_locked(i32 from) REQUIRES(g_tree_lock);  // the one with the lowest pid >= from
Group* find_group_locked(i32 id) REQUIRES(g_tree_lock);

// ---- groups
RefPtr<Group> add_group_locked(RefPtr<Group> group, i32 id) REQUIRES(g_tree_lock);
void join_group_locked(Process& process, RefPtr<Group> group) REQUIRES(g_tree_lock);
// Takes the group and the session out of the table if they are empty now. process.group stays, for zombies' readers.
void leave_group_locked(Process& process) REQUIRES(g_tree_lock);
// `leaving` is not counted: it is about to end. See is_orphaned().
bool is_orphaned_locked(const Group& group, const Process* leaving) REQUIRES(g_tree_lock);

// ---- life
// A zombie's last step: out of the tree; its usage goes to its parent's children. The tree's reference is the caller's.
[[nodiscard]] RefPtr<Process> bury_locked(Process& zombie) REQUIRES(g_tree_lock);

// vfork(2): the child no longer uses its parent's memory. true: it did so far.
bool return_memory_locked(Process& child) REQUIRES(g_tree_lock);

// New user and group ids. With other rights than before, the process no longer gets PR_SET_PDEATHSIG's signal (prctl(2)).
void set_credentials_locked(Process& process, const fs::Credentials& fresh) REQUIRES(g_tree_lock);

// Tells the parent of a child's end, stop or continuation: SIGCHLD and its wait(2). `code` is a CLD_ constant, `status` what si_status
// shows. False: the parent does not want to know of ends, so the child need not become a zombie (SIG_IGN, SA_NOCLDWAIT).
bool notify_parent_locked(Process& child, int code, i32 status) REQUIRES(g_tree_lock);

}  // namespace hd::task
