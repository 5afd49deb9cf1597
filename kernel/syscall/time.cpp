// SPDX-License-Identifier: MIT
// System calls of time: clocks, sleeping, interval timers, what was used.
#include <algorithm>

#include "kernel/syscall/helpers.hpp"
#include "kernel/task/livelock.hpp"
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/tree.hpp"

namespace hd::syscall {

namespace {

constexpr i64 kTickLength = 1'000'000'000 / abi::kUserHz;

i64 ticks(Nanoseconds time) { return time.raw / kTickLength; }

Result<Nanoseconds> read_clock(Int clock) {
    switch (clock) {
    case abi::kCLOCK_REALTIME:
    case abi::kCLOCK_REALTIME_COARSE: return time::wall_clock();
    case abi::kCLOCK_MONOTONIC:
    case abi::kCLOCK_MONOTONIC_RAW:
    case abi::kCLOCK_MONOTONIC_COARSE:
    case abi::kCLOCK_BOOTTIME: return time::now();
    case abi::kCLOCK_THREAD_CPUTIME_ID: return sched::cpu_time(task::current_thread());
    default: return TRY(task::CpuClock::of(clock)).read();
    }
}

// Sleeps on nothing but time and signals.
sync::WaitResult sleep_until(Nanoseconds deadline) {
    sync::WaitQueue nobody;
    return nobody.wait_interruptible("nanosleep", [] { return false; }, deadline);
}

// A relative sleep, which goes on after a stop with the end that it had. arguments[0]: where the rest is to be stored.
Result<u64> relative_sleep(task::RestartBlock& block) {
    if (sleep_until(block.deadline) == sync::WaitResult::TimedOut) return 0;
    const Out<abi::Timespec> rest(block.arguments[0]);
    if (rest) TRY(rest.store(abi::timespec_of(std::max(block.deadline - time::now(), Nanoseconds{0}))));
    return fail(Errno::kERESTART_RESTARTBLOCK);
}

Result<u64> sleep_for(Nanoseconds duration, Out<abi::Timespec> rest) {
    if (duration <= task::kTinySleep) task::note_futile();
    task::RestartBlock& block = task::current_thread().restart;
    block = {relative_sleep, deadline_after(duration), {rest.address()}};
    return relative_sleep(block);
}

// As relative_sleep(), by a CPU clock. arguments[1]: the clock.
Result<u64> cpu_sleep(task::RestartBlock& block) {
    const task::CpuClock clock = TRY(task::CpuClock::of(static_cast<i32>(block.arguments[1])));
    if (task::sleep_until(clock, block.deadline) == sync::WaitResult::Ready) return 0;
    const Out<abi::Timespec> rest(block.arguments[0]);
    if (rest) TRY(rest.store(abi::timespec_of(std::max(block.deadline - clock.read(), Nanoseconds{0}))));
    return fail(Errno::kERESTART_RESTARTBLOCK);
}

Answer sleep_on_cpu_clock(i32 number, bool absolute, Nanoseconds time, Out<abi::Timespec> rest) {
    const task::CpuClock clock = TRY(task::CpuClock::of(number));
    if (clock.thread() == &task::current_thread()) return fail(Errno::kEINVAL);  // it would sleep for ever
    if (absolute)
        return task::sleep_until(clock, time) == sync::WaitResult::Ready ? Result<>() : fail(Errno::kERESTARTNOHAND);
    task::RestartBlock& block = task::current_thread().restart;
    block = {cpu_sleep, time::later(clock.read(), time), {rest.address(), static_cast<u32>(number)}};
    return cpu_sleep(block);
}

}  // namespace

// ---- clocks

Answer sys_clock_gettime(Int clock, Out<abi::Timespec> time) {
    const Nanoseconds now = TRY(read_clock(clock));
    return time.store(abi::timespec_of(now));
}

Answer sys_clock_getres(Int clock, Out<abi::Timespec> resolution) {
    TRY(read_clock(clock));
    return store_if_wanted(resolution, {0, 1});
}

Answer sys_clock_settime(Int clock, In<abi::Timespec> time) {
    if (clock != abi::kCLOCK_REALTIME) return fail(task::CpuClock::of(clock) ? Errno::kEPERM : Errno::kEINVAL);
    const Nanoseconds wanted = TRY(duration_from(time));
    TRY(check_root());
    // The clock must go on for a machine's life before it overflows (Linux: TIME_SETTOD_SEC_MAX).
    if (wanted > Nanoseconds::max() - seconds(i64{30} * 366 * 86400)) return fail(Errno::kEINVAL);
    time::set_wall_clock(wanted);
    return 0;
}

Answer sys_gettimeofday(Out<abi::Timeval> time, Out<u64> zone) {
    TRY(store_if_wanted(time, timeval_of(time::wall_clock())));
    return store_if_wanted(zone, 0);  // UTC
}

Answer sys_time(Out<i64> time) {
    const i64 now = time::wall_clock().raw / 1'000'000'000;
    TRY(store_if_wanted(time, now));
    return now;
}

// ---- sleeping

Answer sys_nanosleep(In<abi::Timespec> duration, Out<abi::Timespec> rest) {
    return sleep_for(TRY(duration_from(duration)), rest);
}

Answer sys_clock_nanosleep(Int clock, Flags flags, In<abi::Timespec> time, Out<abi::Timespec> rest) {
    const bool wall = clock == abi::kCLOCK_REALTIME;
    if (!wall && clock != abi::kCLOCK_MONOTONIC && clock != abi::kCLOCK_BOOTTIME) {
        if (clock == abi::kCLOCK_THREAD_CPUTIME_ID || !task::CpuClock::of(clock)) {
            TRY(read_clock(clock));
            return fail(Errno::kEOPNOTSUPP);  // "no sleeping against this clock" (clock_nanosleep(2))
        }
        return sleep_on_cpu_clock(clock, (flags & abi::kTIMER_ABSTIME) != 0, TRY(duration_from(time)), rest);
    }
    const Nanoseconds wanted = TRY(duration_from(time));
    if ((flags & abi::kTIMER_ABSTIME) == 0) return sleep_for(wanted, rest);
    // Linux: a change of the wall clock moves the end of a sleep; here the end is fixed when the sleep begins.
    const Nanoseconds deadline =
        wall && wanted != Nanoseconds::max() ? wanted - time::wall_clock() + time::now() : wanted;
    return sleep_until(deadline) == sync::WaitResult::TimedOut ? Result<>() : fail(Errno::kERESTARTNOHAND);
}

// ---- interval timers

static abi::Itimerval itimerval_of(const task::IntervalTimer& timer) {
    return {timeval_of(timer.interval), timeval_of(timer.value)};
}

static Result<Nanoseconds> interval_from(const abi::Timeval& time) {
    if (time.tv_sec < 0 || time.tv_usec < 0 || time.tv_usec >= 1'000'000) return fail(Errno::kEINVAL);
    constexpr i64 kMost = INT64_MAX / 1'000'000'000 / 2;  // longer is for ever
    return seconds(std::min(time.tv_sec, kMost)) + microseconds(time.tv_usec);
}

static task::CpuTime counted_by(Int which) {
    return which == abi::kITIMER_VIRTUAL ? task::CpuTime::User : task::CpuTime::All;
}

Answer sys_getitimer(Int which, Out<abi::Itimerval> value) {
    if (which < abi::kITIMER_REAL || which > abi::kITIMER_PROF) return fail(Errno::kEINVAL);
    return value.store(itimerval_of(which == abi::kITIMER_REAL ? task::read_real_timer(process())
                                                               : task::read_cpu_interval(counted_by(which))));
}

Answer sys_setitimer(Int which, In<abi::Itimerval> value, Out<abi::Itimerval> old_value) {
    abi::Itimerval wanted{};
    if (value) wanted = TRY(value.load());
    task::IntervalTimer setting;
    setting.value = TRY(interval_from(wanted.it_value));
    setting.interval = TRY(interval_from(wanted.it_interval));
    if (which < abi::kITIMER_REAL || which > abi::kITIMER_PROF) return fail(Errno::kEINVAL);
    const task::IntervalTimer old = which == abi::kITIMER_REAL ? task::set_real_timer(process(), setting)
                                                               : task::set_cpu_interval(counted_by(which), setting);
    return store_if_wanted(old_value, itimerval_of(old));
}

Answer sys_alarm(UInt after) {
    const Nanoseconds left = task::set_real_timer(process(), {seconds(after), {}}).value;
    if (left.raw == 0) return 0;
    return std::max<i64>((left.raw + 500'000'000) / 1'000'000'000, 1);  // rounded, but never to "none"
}

// ---- POSIX timers

Answer sys_timer_create(Int clock, In<abi::Sigevent> event, Out<i32> id) {
    const bool wall = clock == abi::kCLOCK_REALTIME || clock == abi::kCLOCK_REALTIME_ALARM;
    const bool wakes = clock == abi::kCLOCK_REALTIME_ALARM || clock == abi::kCLOCK_BOOTTIME_ALARM;
    task::TimerClock timed_by{wall, {}};
    if (!wall && !wakes && clock != abi::kCLOCK_MONOTONIC && clock != abi::kCLOCK_BOOTTIME) {
        timed_by.cpu = TRY(task::CpuClock::of(clock));
        if (&timed_by.cpu.process() != &process())
            return fail(Errno::kEINVAL);  // Linux: allowed; here nobody would look
    }
    if (wakes) TRY(check_root());
    abi::Sigevent wanted;
    if (event) wanted = TRY(event.load());
    const i32 made = TRY(task::create_timer(event ? &wanted : nullptr, std::move(timed_by)));
    const Result<> stored = id.store(made);
    if (!stored) (void)task::delete_timer(made);
    return stored;
}

static abi::Itimerspec itimerspec_of(const task::IntervalTimer& timer) {
    return {abi::timespec_of(timer.interval), abi::timespec_of(timer.value)};
}

Answer sys_timer_settime(Int id, Flags flags, In<abi::Itimerspec> setting, Out<abi::Itimerspec> old) {
    if (!setting) return fail(Errno::kEINVAL);
    const Nanoseconds interval = TRY(duration_from(In<abi::Timespec>(setting.address())));
    const Nanoseconds value = TRY(duration_from(In<abi::Timespec>(setting.address() + sizeof(abi::Timespec))));
    const bool absolute = (flags & abi::kTIMER_ABSTIME) != 0;
    return store_if_wanted(old, itimerspec_of(TRY(task::set_timer(id, {value, interval}, absolute))));
}

Answer sys_timer_gettime(Int id, Out<abi::Itimerspec> setting) {
    return setting.store(itimerspec_of(TRY(task::read_timer(id))));
}

Answer sys_timer_getoverrun(Int id) { return task::timer_overrun(id); }

Answer sys_timer_delete(Int id) { return task::delete_timer(id); }

// ---- what was used

static task::Usage children_usage() {
    const task::TreeGuard guard(task::g_tree_lock);
    return process().children_usage;
}

Answer sys_times(Out<abi::Tms> times) {
    if (times) {
        const task::Usage own = process().usage(), children = children_usage();
        TRY(times.store({ticks(own.user), ticks(own.system), ticks(children.user), ticks(children.system)}));
    }
    return ticks(time::now());
}

Answer sys_getrusage(Int who, Out<abi::RUsage> result) {
    task::Usage usage;
    if (who == abi::kRUSAGE_CHILDREN) {
        usage = children_usage();
    } else if (who == abi::kRUSAGE_SELF || who == abi::kRUSAGE_THREAD) {
        const mm::SpaceStatistics pages = process().space->statistics();
        task::note_resident_pages(process(), pages.resident_pages);
        usage = process().usage();
        if (who == abi::kRUSAGE_THREAD) {
            const u64 peak = usage.max_resident_pages;
            usage = task::usage_of(task::current_thread());
            usage.max_resident_pages = peak;
        }
        usage.minor_faults += pages.minor_faults;
        usage.major_faults += pages.major_faults;
    } else {
        return fail(Errno::kEINVAL);
    }
    return result.store(rusage_of(usage));
}

}  // namespace hd::syscall
