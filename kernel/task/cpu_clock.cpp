// SPDX-License-Identifier: MIT
// See cpu_clock.hpp.
#include "kernel/task/cpu_clock.hpp"

#include <algorithm>

#include "kernel/abi/time.hpp"
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/signal/signal.hpp"
#include "kernel/task/tree.hpp"

namespace hd::task {

namespace {

constexpr Nanoseconds kForever = Nanoseconds::max();

Nanoseconds total(const Usage& usage) { return usage.user + usage.system; }
Nanoseconds of_kind(CpuTime kind, const Usage& usage) { return kind == CpuTime::User ? usage.user : total(usage); }

CpuInterval& interval_locked(Process& process, CpuTime kind) REQUIRES(process.signal_lock) {
    return process.cpu_intervals[kind == CpuTime::User ? 0 : 1];
}

IntervalTimer rest_of(const CpuInterval& timer, Nanoseconds now) {
    if (timer.deadline == kForever) return {};
    return {std::max(timer.deadline - now, microseconds(1)), timer.interval};
}

// Has it gone off? Then it is set for the next time.
bool take_expired(CpuInterval& timer, Nanoseconds now) {
    if (now < timer.deadline) return false;
    timer.deadline = timer.interval.raw == 0 ? kForever : std::max(timer.deadline + timer.interval, now);
    return true;
}

// The signal for the time that was used; 0: none. One warning a second, as each moves the soft limit (Linux).
int check_limit_locked(Process& process, Nanoseconds used) REQUIRES(process.signal_lock) {
    abi::RLimit& limit = process.limits[abi::kRLIMIT_CPU];
    const auto whole = static_cast<u64>(used.raw / 1'000'000'000);
    if (whole >= limit.rlim_max) return abi::kSIGKILL;
    if (whole < limit.rlim_cur) return 0;
    limit.rlim_cur = whole + 1;
    return abi::kSIGXCPU;
}

}  // namespace

Result<CpuClock> CpuClock::of(i32 number) {
    Thread& self = current_thread();
    if (number == abi::kCLOCK_PROCESS_CPUTIME_ID) number = abi::cpu_clock(0, abi::kCPUCLOCK_SCHED);
    if (number == abi::kCLOCK_THREAD_CPUTIME_ID)
        number = abi::cpu_clock(0, abi::kCPUCLOCK_SCHED | abi::kCPUCLOCK_PERTHREAD);
    if (number >= 0) return fail(Errno::kEINVAL);
    const i32 kind = number & abi::kCPUCLOCK_KIND, id = ~(number >> 3);
    if (kind > abi::kCPUCLOCK_SCHED) return fail(Errno::kEINVAL);
    const CpuTime time = kind == abi::kCPUCLOCK_VIRT ? CpuTime::User : CpuTime::All;
    if ((number & abi::kCPUCLOCK_PERTHREAD) == 0) {
        RefPtr<Process> process = id == 0 ? RefPtr<Process>(&self.process()) : find_process(Pid{id});
        if (!process) return fail(Errno::kEINVAL);
        return CpuClock(time, std::move(process), nullptr);
    }
    RefPtr<Thread> thread = id == 0 ? RefPtr<Thread>(&self) : find_thread(Pid{id});
    if (!thread || &thread->process() != &self.process()) return fail(Errno::kEINVAL);
    return CpuClock(time, RefPtr<Process>(&self.process()), std::move(thread));
}

Nanoseconds CpuClock::read() const {
    const SignalGuard guard(process_->signal_lock);
    return read_locked();
}

Nanoseconds CpuClock::read_locked() const {
    return of_kind(kind_, thread_ ? usage_of_locked(*thread_) : process_->usage_locked());
}

Nanoseconds CpuClock::read_locked(const Usage& whole) const {
    return of_kind(kind_, thread_ ? usage_of_locked(*thread_) : whole);
}

void watch_cpu_time_locked(Process& process) {
    if (process.watches_cpu_time) return;
    process.watches_cpu_time = true;
    for (Thread& thread : process.threads) sched::write_parameter(thread.tick_work, kWorkCpuTime);
}

void check_cpu_time(Thread& self) {
    Process& process = self.process();
    self.user_work.fetch_and(~kWorkCpuTime, std::memory_order_relaxed);
    constexpr int kTimers = 2, kSignals[kTimers] = {abi::kSIGVTALRM, abi::kSIGPROF};
    bool expired[kTimers];
    int limit_signal;
    {
        const SignalGuard guard(process.signal_lock);
        const Usage usage = process.usage_locked();
        const Nanoseconds now[kTimers] = {usage.user, total(usage)};
        bool watched = process.limits[abi::kRLIMIT_CPU].rlim_cur != abi::kRLIM_INFINITY || process.cpu_sleepers != 0;
        for (int i = 0; i < kTimers; ++i) {
            expired[i] = take_expired(process.cpu_intervals[i], now[i]);
            watched |= process.cpu_intervals[i].deadline != kForever;
        }
        watched |= check_cpu_timers_locked(process, usage);
        limit_signal = check_limit_locked(process, total(usage));
        if (process.cpu_sleepers != 0) process.cpu_time_passed.wake_all();
        process.watches_cpu_time = watched;
        if (!watched)
            for (Thread& thread : process.threads) sched::write_parameter(thread.tick_work, u32{0});
    }
    for (int i = 0; i < kTimers; ++i)
        if (expired[i]) (void)send_signal(process, kernel_signal(kSignals[i]));
    if (limit_signal != 0) (void)send_signal(process, kernel_signal(limit_signal));
}

void set_cpu_limit(Process& process, const abi::RLimit& limit) {
    const SignalGuard guard(process.signal_lock);
    process.limits[abi::kRLIMIT_CPU] = limit;
    if (limit.rlim_cur != abi::kRLIM_INFINITY) watch_cpu_time_locked(process);
}

IntervalTimer set_cpu_interval(CpuTime kind, const IntervalTimer& setting) {
    Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    CpuInterval& timer = interval_locked(process, kind);
    const Nanoseconds now = of_kind(kind, process.usage_locked());
    const IntervalTimer old = rest_of(timer, now);
    timer = {};
    if (setting.value.raw == 0) return old;
    timer = {now + setting.value, setting.interval};
    watch_cpu_time_locked(process);
    return old;
}

IntervalTimer read_cpu_interval(CpuTime kind) {
    Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    return rest_of(interval_locked(process, kind), of_kind(kind, process.usage_locked()));
}

sync::WaitResult sleep_until(const CpuClock& clock, Nanoseconds deadline) {
    Process& process = clock.process();
    {
        const SignalGuard guard(process.signal_lock);
        ++process.cpu_sleepers;
        watch_cpu_time_locked(process);
    }
    const auto result =
        process.cpu_time_passed.wait_interruptible("nanosleep", [&] { return clock.read() >= deadline; });
    const SignalGuard guard(process.signal_lock);
    --process.cpu_sleepers;
    return result;
}

}  // namespace hd::task
