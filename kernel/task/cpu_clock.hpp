// SPDX-License-Identifier: MIT
// CPU time as a clock (clock_getcpuclockid(3)), and what goes off by it: ITIMER_VIRTUAL and ITIMER_PROF, timers of timer_create(2),
// RLIMIT_CPU, clock_nanosleep(2).
//
// No hardware timer is armed for these. While a process has one of them, each tick of the scheduler asks the thread that it finds
// running to look (Entity::tick_work) before it goes on in user mode. So what goes off is late by up to a tick (10 ms; Linux: by a
// tick of its own), and a process that sleeps costs nothing.
//
// Locking: all of it is guarded by the process's signal_lock.
#pragma once
#include "kernel/task/process.hpp"

namespace hd::task {

enum class CpuTime : u8 { All, User };

// A process's or a thread's.
class CpuClock {
public:
    CpuClock() = default;  // none
    // By the number that system calls use. EINVAL: it is no CPU clock, or of nobody, or of a thread of another process.
    static Result<CpuClock> of(i32 number);

    explicit operator bool() const { return static_cast<bool>(process_); }
    Process& process() const { return *process_; }
    Thread* thread() const { return thread_.get(); }  // null: the whole process's

    Nanoseconds read() const;  // takes the process's signal_lock
    Nanoseconds read_locked() const REQUIRES(process_ -> signal_lock);
    // The same for who has the process's usage already, which takes a look at each thread. Needs the lock as well.
    Nanoseconds read_locked(const Usage& whole) const;

private:
    CpuClock(CpuTime kind, RefPtr<Process> process, RefPtr<Thread> thread)
        : kind_(kind), process_(std::move(process)), thread_(std::move(thread)) {}

    CpuTime kind_ = CpuTime::All;
    RefPtr<Process> process_;
    RefPtr<Thread> thread_;
};

// Something goes off by the process's CPU time, from now on until check_cpu_time() finds that nothing does.
void watch_cpu_time_locked(Process& process) REQUIRES(process.signal_lock);
// A thread's kWorkCpuTime: sends the signals that are due. Task context.
void check_cpu_time(Thread& self);
// RLIMIT_CPU has changed.
void set_cpu_limit(Process& process, const abi::RLimit& limit);

// setitimer(2) for ITIMER_VIRTUAL (User) and ITIMER_PROF, of the current process. Returns what was set before.
IntervalTimer set_cpu_interval(CpuTime kind, const IntervalTimer& setting);
IntervalTimer read_cpu_interval(CpuTime kind);

// Sleeps until the clock is there.
sync::WaitResult sleep_until(const CpuClock& clock, Nanoseconds deadline);

}  // namespace hd::task
