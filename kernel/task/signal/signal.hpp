// SPDX-License-Identifier: MIT
// Signals: sending, taking, and acting on them before a thread goes back to user mode (signal(7)).
//
// Sending puts a record in the process's or thread's pending set and makes one thread that does not block it notice: its
// user_work gets kWorkSignal, then it is woken and kicked. A signal that is ignored and not blocked is dropped at once. All
// else - stops, ends, handlers - is done by the receiving thread itself in on_return_to_user().
//
// kWorkSignal is set under signal_lock by whoever makes something deliverable, and cleared by the thread itself alone, under
// the same lock, when it finds nothing to deliver; so it cannot get lost.
#pragma once
#include "kernel/abi/signal.hpp"
#include "kernel/task/process.hpp"

namespace hd::task {

// ---- sending

// siginfo of kill(2) and the like from the current process, or of the kernel.
abi::SigInfo user_signal(int signo, int code = abi::kSI_USER);
abi::SigInfo kernel_signal(int signo, int code = abi::kSI_KERNEL);

// To a process, or to one of its threads. No permission check. Signal 0 and signals to a zombie vanish. EAGAIN: a queued
// (code < 0) real-time signal finds no memory or the limit reached. Any context but NMI; no lock of rank Signal or above held.
Result<> send_signal(Process& process, const abi::SigInfo& info);
Result<> send_signal(Thread& thread, const abi::SigInfo& info);
void signal_self(int signo);  // user_signal() to the current thread
// To each member. Takes g_tree_lock: task context or preemption off.
void signal_group(Group& group, const abi::SigInfo& info);
inline void signal_group(Group& group, int signo) { signal_group(group, kernel_signal(signo)); }

// The current thread's own fault: if the signal is blocked or ignored the process dies of it. Task context.
void force_signal(int signo, int code, u64 address);

// Bodies of kill(2), tgkill(2), tkill(2) (`process` 0: any), rt_sigqueueinfo(2), with permission checks. EPERM, ESRCH, EINVAL.
Result<> kill(i32 pid, int signo);
Result<> kill_thread(i32 process, i32 thread, int signo);
Result<> queue_signal(i32 process, const abi::SigInfo& info);
Result<> kill(Process& process, int signo);  // pidfd_send_signal(2); and with information:
Result<> queue_signal(Process& process, const abi::SigInfo& info);
Result<> queue_thread_signal(i32 process, i32 thread, const abi::SigInfo& info);

// Ends the whole process with this wait(2) status: every thread leaves when it next comes to the border of user mode. The
// first status counts. `signal_lock` is taken.
void begin_exit(Process& process, i32 status);

// ---- the current thread's mask, handlers and waits

// Has the thread something to see to before user mode? sync::g_interrupt_pending; any context.
bool signal_pending(const sched::Entity& thread);
// Is it to end, so that no further work for it makes sense? For long loops in the kernel.
bool dying();

void set_blocked(u64 mask);  // SIGKILL and SIGSTOP stay unblocked
Result<abi::SigAction> exchange_action(int signo, const abi::SigAction* replacement);  // EINVAL
Result<> change_alternate_stack(const abi::StackT* replacement, abi::StackT& old);     // EPERM, ENOMEM, EINVAL
u64 pending_signals();                                                                 // sigpending(2)
// sigtimedwait(2). EAGAIN at the deadline, EINTR.
Result<abi::SigInfo> wait_for_signal(u64 wanted, Nanoseconds deadline);
// Takes one of the `wanted` signals that are pending for the current thread; false: none is. For signalfd(2).
bool take_signal(u64 wanted, abi::SigInfo& info);
bool has_pending(u64 wanted);
// sigsuspend(2): sleeps with another mask until a handler ran. Always kERESTARTNOHAND.
Result<u64> suspend(u64 mask);
// A mask for the duration of one system call (ppoll, pselect6). finish puts the old one back, or leaves it to
// on_return_to_user() if the call was interrupted, so that the handler still runs with the temporary one.
void begin_temporary_mask(u64 mask);
void finish_temporary_mask(bool interrupted);
// Does the current thread ignore or block it? For terminals.
bool ignores_or_blocks(int signo);
// Handlers back to default, as execve(2) does; ignored signals stay ignored.
void reset_handlers(Process& process);

// ---- delivery

// Acts on everything that is pending for the current thread: handlers get their frames on the user's stack, stops sleep here,
// ends do not return. `frame` is what user mode will continue with; it also carries an interrupted system call's result,
// which becomes EINTR or a restart here. Task context, IRQs on.
void on_return_to_user(arch::TrapFrame& frame);

}  // namespace hd::task
