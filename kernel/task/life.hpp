// SPDX-License-Identifier: MIT
// How processes begin and end: the first one, clone(2), exit(2) and fatal signals, and wait(2) for those that have ended. All in
// task context. execve(2) is in kernel/task/exec.
#pragma once
#include <string_view>

#include "kernel/abi/sched.hpp"
#include "kernel/task/process.hpp"

namespace hd::task {

// ---- the first process (kernel/task/exec/init.cpp)

// Makes pid 1, which executes `path` with no argument but its name. Root file system and devices are there. A thread of
// its own does it: this returns at once; if the program cannot be executed, the boot ends with a sentence that says why.
void start_init(std::string_view path);

// ---- new processes and threads: fork(2), vfork(2), clone(2), clone3(2) (kernel/task/clone.cpp)

struct CloneRequest {
    u64 flags = 0;  // CLONE_*, without the exit signal
    i32 exit_signal = 0;
    u64 stack = 0;          // the child's stack pointer; 0: the parent's
    u64 parent_tid = 0;     // CLONE_PARENT_SETTID: where the parent gets the child's id
    u64 child_tid = 0;      // CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID: in the child's memory
    u64 tls = 0;            // CLONE_SETTLS
    u64 pidfd_address = 0;  // CLONE_PIDFD: where the parent, but not a child with a memory of its own, gets `pidfd`
    i32 pidfd = -1;
    RefPtr<Process>* made =
        nullptr;  // not null: where the caller wants the child, of which a pid may soon tell no more
};

// Makes a child of the current process, or with CLONE_THREAD a thread in it, that continues where the caller is, with result 0.
// Returns its pid or thread id; with CLONE_VFORK only when the child has executed a program or ended. EINVAL: flags that are not supported or do not fit together; EAGAIN, ENOMEM,
// kERESTARTNOINTR (a signal came first).
Result<i32> clone(const CloneRequest& request);

// ---- the end of threads and processes (kernel/task/exit.cpp)

// exit(2): the running thread ends; with the last one its process does, with this code unless it has one already.
[[noreturn]] void exit_this_thread(i32 code);
// exit_group(2): all threads of the process end.
[[noreturn]] void exit_this_process(i32 code);
// The running thread's way out, once its process knows why.
[[noreturn]] void exit_thread();

// The pieces that execve(2) shares. leave_program: others of the program learn that this thread is gone. It leaves the locks that it
// held, and the word that set_tid_address(2) named, which the C library's thread join waits for, is zeroed if somebody is left
// who can see it. take_ended_leader: its
// number is given up; the caller drops it without the locks. account_space: a space is about to go, with the counts in it.
void leave_program(Thread& self, bool for_good);
RefPtr<Thread> take_ended_leader_locked(Process& process) REQUIRES(g_tree_lock, process.signal_lock);
void account_space(Process& process, mm::AddressSpace& space);

// Wakes a futex after a thread's clear_child_tid word was zeroed; kernel/ipc/futex sets it. nullptr: there are no futexes.
extern void (*g_wake_futex)(u64 address);
// Before a thread ends or executes another program: it leaves the locks that it holds. kernel/ipc/futex sets it; or nullptr.
extern void (*g_leave_futexes)(Thread& self, bool for_good);

// At a process's end: its SEM_UNDO records are applied. kernel/ipc/sysv_sem sets it; or nullptr.
extern void (*g_leave_semaphores)(Process& process);

// ---- a parent hears of its children's ends, stops and continuations: wait4(2), waitid(2) (kernel/task/wait.cpp)

struct WaitRequest {
    i32 kind = abi::kP_ALL;  // kP_ALL, kP_PID, kP_PGID
    i32 id = 0;
    u32 options = 0;  // kWEXITED, kWSTOPPED, kWCONTINUED, kWNOHANG, kWNOWAIT, k__WALL, k__WCLONE
};

struct WaitAnswer {
    i32 pid = 0;  // 0: kWNOHANG, and nobody has changed
    u32 uid = 0;
    i32 code = 0;    // CLD_*
    i32 status = 0;  // in wait4's form; see signal_status() for waitid's
    Usage usage;
    // What si_status shows: the exit code, or the signal.
    i32 signal_status() const;
};

// Sleeps until a child fits; a zombie is taken out of the tree unless kWNOWAIT. ECHILD: there is none to wait for; kERESTARTSYS.
Result<WaitAnswer> wait_for_child(const WaitRequest& request);

}  // namespace hd::task
