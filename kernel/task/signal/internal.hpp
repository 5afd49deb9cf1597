// SPDX-License-Identifier: MIT
// What the files of kernel/task/signal share. Everything named *_locked needs the process's signal_lock.
#pragma once
#include "kernel/task/signal/signal.hpp"
#include "kernel/task/tree.hpp"

namespace hd::task {

// Makes the thread look at its signals before it next is in user mode, and ends an interruptible sleep.
void notify_locked(Process& process, Thread& thread) REQUIRES(process.signal_lock);
// Some thread that does not block `signo` is to take it from process.pending.
void notify_any_locked(Process& process, int signo) REQUIRES(process.signal_lock);
// A timer's signal, whose record goes to the pending ones; false: it is ignored, or whom it is for has left.
bool send_record_locked(Process& process, Thread* target, std::unique_ptr<QueuedSignal>& record)
    REQUIRES(process.signal_lock);
// The most urgent of the `wanted` signals that are pending for the thread; false: none is.
bool take_pending_locked(Process& process, Thread& self, u64 wanted, abi::SigInfo& info) REQUIRES(process.signal_lock);
void begin_exit_locked(Process& process, i32 status) REQUIRES(process.signal_lock);
// Is `self` to end: with its process, or for an execve(2) by another thread?
inline bool leaving_locked(const Thread& self, const Process& process) REQUIRES(process.signal_lock) {
    return process.exiting || (process.survivor != nullptr && process.survivor != &self);
}
// An alternate stack that disarms itself is no longer the thread's while it is on it (sigaltstack(2), SS_AUTODISARM).
inline bool on_alternate_stack(const abi::StackT& stack, u64 sp) {
    return (static_cast<u32>(stack.ss_flags) & abi::kSS_AUTODISARM) == 0 && sp > stack.ss_sp &&
           sp - stack.ss_sp <= stack.ss_size;
}
void set_blocked_locked(Process& process, Thread& self, u64 mask) REQUIRES(process.signal_lock);

// Group stops (kernel/task/signal/stop.cpp).
void begin_stop_locked(Process& process, int signo) REQUIRES(process.signal_lock);
// SIGCONT was sent, or the process is to end: whoever is stopped goes on.
void end_stop_locked(Process& process) REQUIRES(process.signal_lock);
// One thread less that runs; true: it was the last, so the stop is complete and the parent to be told.
bool thread_stopped_locked(Process& process) REQUIRES(process.signal_lock);
// Sleeps until the stop is over, tells the parent what it has to know.
void take_part_in_stop(Thread& self);
void report_stop(Process& process);

}  // namespace hd::task
