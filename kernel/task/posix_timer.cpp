// SPDX-License-Identifier: MIT
// See posix_timer.hpp.
#include "kernel/task/posix_timer.hpp"

#include <algorithm>
#include <climits>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

namespace {

PosixTimer* find_locked(Process& process, i32 id) REQUIRES(process.signal_lock) {
    for (PosixTimer& timer : process.timers)
        if (timer.id == id) return &timer;
    return nullptr;
}

Result<PosixTimer*> timer_of_locked(Process& process, i32 id) REQUIRES(process.signal_lock) {
    PosixTimer* const timer = find_locked(process, id);
    return timer != nullptr ? Result<PosixTimer*>(timer) : fail(Errno::kEINVAL);
}

void set_record_locked(PosixTimer& timer) {
    if (!timer.record) timer.record.reset(new (std::nothrow) QueuedSignal(abi::SigInfo{}));
}

// How often it has gone off by now, beyond the first time; its deadline moves to the next time.
u64 advance(PosixTimer& timer, Nanoseconds now) {
    const u64 missed = now < *timer.deadline ? 0 : static_cast<u64>((now - *timer.deadline).raw / timer.interval.raw);
    timer.deadline = *timer.deadline + Nanoseconds{static_cast<i64>(missed + 1) * timer.interval.raw};
    return missed;
}

// A CPU clock's process is the timer's, which clang cannot know. Needs its signal_lock.
Nanoseconds now_of_locked(const PosixTimer& timer) NO_THREAD_SAFETY_ANALYSIS {
    return timer.clock.cpu ? timer.clock.cpu.read_locked() : time::now();
}

void arm_locked(Process& process, PosixTimer& timer, Nanoseconds at) REQUIRES(process.signal_lock) {
    if (timer.clock.cpu)
        watch_cpu_time_locked(process);
    else if (at != Nanoseconds::max())
        timer.timer.arm(at);
}

void go_off_locked(Process& process, PosixTimer& timer) REQUIRES(process.signal_lock) {
    if (!timer.deadline || timer.event.notify == abi::kSIGEV_NONE) return;
    if (timer.record) {
        abi::SigInfo& info = timer.record->info;
        info = {};
        info.signo = timer.event.signo;
        info.code = abi::kSI_TIMER;
        info.timer.timer_id = timer.id;
        info.timer.value = timer.event.value;
        timer.pending = send_record_locked(process, timer.target.get(), timer.record);
        if (timer.pending) return;
    }
    // Ignored, or no memory for a record: nobody takes it, so it goes on by itself, at a pace that leaves the CPU some time.
    constexpr Nanoseconds kRest = milliseconds(1);
    set_record_locked(timer);
    if (timer.interval.raw == 0) {
        timer.deadline = std::nullopt;
        return;
    }
    const Nanoseconds now = now_of_locked(timer);
    advance(timer, now);
    arm_locked(process, timer, std::max(*timer.deadline, now + kRest));
}

IntervalTimer read_locked(const PosixTimer& timer) {
    if (!timer.deadline) return {};
    Nanoseconds rest = *timer.deadline - now_of_locked(timer);
    if (rest.raw <= 0) {
        const bool runs_out = timer.interval.raw == 0;
        // What is over but not yet told is not over: 1 ns (Linux).
        if (runs_out) return {Nanoseconds{timer.pending ? 1 : 0}, {}};
        rest = timer.interval - Nanoseconds{(-rest.raw) % timer.interval.raw};
    }
    return {rest, timer.interval};
}

// Not set any more, and nothing of it pending.
void clear_locked(Process& process, PosixTimer& timer) REQUIRES(process.signal_lock) {
    timer.deadline = std::nullopt;
    timer.interval = {};
    timer.pending = false;
    PendingSignals& pending = timer.target ? timer.target->pending : process.pending;
    pending.remove_timer(timer.event.signo, timer.id);
}

void destroy(std::unique_ptr<PosixTimer> timer) { timer->timer.cancel(); }

}  // namespace

void PosixTimer::expire(time::Timer& alarm) {
    PosixTimer& self = static_cast<Alarm&>(alarm).owner;
    const SignalGuard guard(self.process.signal_lock);
    go_off_locked(self.process, self);
}

bool check_cpu_timers_locked(Process& process, const Usage& usage) {
    bool watched = false;
    for (PosixTimer& timer : process.timers) {
        if (!timer.clock.cpu || !timer.deadline || timer.event.notify == abi::kSIGEV_NONE) continue;
        if (!timer.pending && timer.clock.cpu.read_locked(usage) >= *timer.deadline) go_off_locked(process, timer);
        watched |= timer.deadline.has_value();
    }
    return watched;
}

void note_timer_signal_locked(Process& process, abi::SigInfo& info) {
    PosixTimer* const timer = find_locked(process, info.timer.timer_id);
    if (timer == nullptr) return;
    set_record_locked(*timer);
    timer->pending = false;
    if (!timer->deadline) return;
    u64 missed = 0;
    if (timer->interval.raw != 0) {
        missed = advance(*timer, now_of_locked(*timer));
        arm_locked(process, *timer, *timer->deadline);
    } else {
        timer->deadline = std::nullopt;
    }
    timer->overrun = info.timer.overrun = static_cast<i32>(std::min<u64>(missed, INT_MAX));
}

Result<i32> create_timer(const abi::Sigevent* event, TimerClock clock) {
    Process& process = current_process();
    abi::Sigevent wanted{};
    wanted.signo = abi::kSIGALRM;
    if (event != nullptr) wanted = *event;
    const bool sends = wanted.notify == abi::kSIGEV_SIGNAL || wanted.notify == abi::kSIGEV_THREAD_ID;
    if (!sends && wanted.notify != abi::kSIGEV_NONE) return fail(Errno::kEINVAL);
    if (sends && (wanted.signo < 1 || wanted.signo > abi::kSignalCount)) return fail(Errno::kEINVAL);
    std::unique_ptr<PosixTimer> timer(new (std::nothrow) PosixTimer(process, wanted, std::move(clock)));
    if (!timer) return fail(Errno::kEAGAIN);
    set_record_locked(*timer);
    if (!timer->record) return fail(Errno::kEAGAIN);
    if (wanted.notify == abi::kSIGEV_THREAD_ID) {
        timer->target = find_thread(Pid{wanted.thread_id});
        if (!timer->target || &timer->target->process() != &process) return fail(Errno::kEINVAL);
    }
    sync::MutexGuard timers(process.timers_lock);
    const SignalGuard guard(process.signal_lock);
    while (find_locked(process, timer->id) != nullptr) ++timer->id;
    if (event == nullptr) timer->event.value = static_cast<u64>(timer->id);
    process.timers.push_back(*timer);
    return timer.release()->id;
}

Result<IntervalTimer> set_timer(i32 id, const IntervalTimer& setting, bool absolute) {
    Process& process = current_process();
    sync::MutexGuard timers(process.timers_lock);  // so that it stays
    PosixTimer* timer;
    IntervalTimer old;
    {
        const SignalGuard guard(process.signal_lock);
        timer = TRY(timer_of_locked(process, id));
        old = read_locked(*timer);
        clear_locked(process, *timer);
        set_record_locked(*timer);
        timer->overrun = 0;
    }
    timer->timer.cancel();
    if (setting.value.raw == 0) return old;
    const SignalGuard guard(process.signal_lock);
    Nanoseconds deadline = setting.value;
    if (!absolute)
        deadline = time::later(now_of_locked(*timer), deadline);
    else if (timer->clock.wall)
        deadline = deadline - time::wall_clock() + time::now();
    timer->deadline = deadline;
    timer->interval = setting.interval;
    arm_locked(process, *timer, deadline);
    // It may be past already.
    if (timer->clock.cpu) current_thread().user_work.fetch_or(kWorkCpuTime, std::memory_order_relaxed);
    return old;
}

Result<IntervalTimer> read_timer(i32 id) {
    Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    return read_locked(*TRY(timer_of_locked(process, id)));
}

Result<i32> timer_overrun(i32 id) {
    Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    return TRY(timer_of_locked(process, id))->overrun;
}

Result<> delete_timer(i32 id) {
    Process& process = current_process();
    sync::MutexGuard timers(process.timers_lock);
    std::unique_ptr<PosixTimer> gone;
    {
        const SignalGuard guard(process.signal_lock);
        gone.reset(TRY(timer_of_locked(process, id)));
        clear_locked(process, *gone);
        process.timers.erase(process.timers.iterator_to(*gone));
    }
    destroy(std::move(gone));
    return {};
}

void delete_timers(Process& process) {
    for (;;) {
        std::unique_ptr<PosixTimer> gone;
        {
            const SignalGuard guard(process.signal_lock);
            if (process.timers.empty()) return;
            gone.reset(&process.timers.front());
            clear_locked(process, *gone);
            process.timers.pop_front();
        }
        destroy(std::move(gone));
    }
}

}  // namespace hd::task
