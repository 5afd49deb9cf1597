// SPDX-License-Identifier: MIT
// POSIX timers (timer_create(2)): numbered timers of a process that send signals. A timer whose signal is pending waits for it to be
// taken: only then it is armed again, and how often it would have gone off meanwhile is told with the signal (the overrun).
// So a short interval queues one signal, and interrupts nobody faster than signals are handled.
//
// Locking: a process's timers change with its timers_lock (sleeping, rank ProcessTimers) held, and their list and state with its
// signal_lock as well, under which the callback and whoever takes a signal look at them. A timer is armed with the signal_lock
// held, so one at a time; it is cancelled without it, because the callback takes it.
#pragma once
#include <optional>

#include "kernel/abi/mqueue.hpp"
#include "kernel/task/cpu_clock.hpp"

namespace hd::task {

// What a timer's times are of.
struct TimerClock {
    bool wall = false;  // CLOCK_REALTIME: only what an absolute time means depends on it
    CpuClock cpu;       // none: the monotonic clock
};

class PosixTimer : public HookOf<OfTimers>, public mm::CachedBy<PosixTimer> {
public:
    static constexpr const char* kCacheName = "posix_timer";

    PosixTimer(Process& owner, const abi::Sigevent& event_in, TimerClock clock_in)
        : process(owner), event(event_in), clock(std::move(clock_in)), timer(*this) {}

    Process& process;
    abi::Sigevent event;
    const TimerClock clock;
    i32 id = 0;
    RefPtr<Thread> target;  // SIGEV_THREAD_ID

    // Guarded by process.signal_lock.
    std::optional<Nanoseconds> deadline;  // when it goes off, or went off; nullopt: it is not set
    Nanoseconds interval{};
    std::unique_ptr<QueuedSignal> record;  // for its next signal; null: it is pending, or there was no memory
    bool pending = false;                  // its signal is
    i32 overrun = 0;                       // of the last signal that was taken

    struct Alarm : time::Timer {
        explicit Alarm(PosixTimer& of) : Timer(&PosixTimer::expire), owner(of) {}
        PosixTimer& owner;
    } timer;

private:
    static void expire(time::Timer& timer);
};

// The system calls' bodies, for the current process. EINVAL: no such timer.
Result<i32> create_timer(const abi::Sigevent* event,
                         TimerClock clock);  // null: SIGALRM with the timer's number; EAGAIN, EINVAL
// It goes off in or at `setting.value` first; 0: it is not set. What was set before.
Result<IntervalTimer> set_timer(i32 id, const IntervalTimer& setting, bool absolute);
Result<IntervalTimer> read_timer(i32 id);
Result<i32> timer_overrun(i32 id);
Result<> delete_timer(i32 id);

void delete_timers(Process& process);  // execve(2) and the end

// A timer's signal was taken: arms it again, and puts the overrun into `info`.
// Those of CPU clocks that are due go off; is there one that is yet to?
// `usage`: the process's now.
bool check_cpu_timers_locked(Process& process, const Usage& usage) REQUIRES(process.signal_lock);

void note_timer_signal_locked(Process& process, abi::SigInfo& info) REQUIRES(process.signal_lock);

}  // namespace hd::task
