// SPDX-License-Identifier: MIT
// The watch for livelock: threads of one process that run and run, and do nothing but try in vain. docs/stuck-threads.md says how it is
// decided and what it cannot know.
//
// Calls in vain - sched_yield(2), a tiny sleep, a try of a lock that fails - are the only ones that cost anything: they count. If a
// thread makes many within a second, all threads of its process are watched: kWorkWatched, in user_work, brings each return to
// user mode here. The first call that gets somewhere ends that, and for a while nothing is suspected. So a program that does anything
// else is watched for moments, and others never.
//
// Locking: what is recorded of a process and its threads is guarded by its signal_lock, but for what is the thread's own.
#pragma once
#include "kernel/lib/format.hpp"
#include "kernel/task/thread.hpp"
#include "kernel/time/timer.hpp"

namespace hd::task {

class Process;

// What a watched thread's system call was.
enum class Step : u8 { Neutral, HandOver, Progress, Yield, Nap, FutexChanged, FutexBusy, FileLockBusy, SemaphoreBusy };

inline constexpr Nanoseconds kTinySleep = microseconds(100);
inline constexpr u32 kSuspicious = 64;  // calls in vain of one thread within a second
inline constexpr u64 kMaxLivelockWindow = 3600;

void suspect_livelock(Thread& self);

// The running thread makes a call in vain, or has made it.
inline void note_futile() {
    Thread& self = current_thread();
    if ((self.user_work.load(std::memory_order_relaxed) & kWorkWatched) != 0) [[unlikely]]
        self.repetition.entered = time::now();
    else if (++self.repetition.tries == kSuspicious) [[unlikely]]
        suspect_livelock(self);
}
// The same of a call that has failed, if that was because a lock was taken.
[[gnu::cold]] void note_failure(Errno error);
inline Errno note_if_busy(Errno error) {
    if (error != kNoError) [[unlikely]]
        note_failure(error);
    return error;
}
template <class T> Result<T> note_if_busy(Result<T> result) {
    if (!result) [[unlikely]]
        note_failure(result.error());
    return result;
}

// The running thread is watched and returns to user mode, after a system call. Was it in vain? note_futile() was called then, and
// `step` says of which kind. Task context; reports what it finds.
// `state`: the place (first), the thread's registers and the top of its stack, if it was in vain.
using ProgramState = u64[Repetition::kWords];
void livelock_step(Step step, const ProgramState& state);

// How long it has to last; 0: never watched. Any context but NMI.
Nanoseconds livelock_window();
void set_livelock_window(Nanoseconds window);
void init_livelock_watch();  // boot: reads the option livelock_secs

void describe_livelock(TextSink& sink, Process& process);  // for /proc/PID/livelock

}  // namespace hd::task
