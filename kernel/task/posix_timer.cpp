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

IntervalTimer read_locked(const PosixTimer& timer) {
    if (!timer.deadline) return {};
    Nanoseconds rest = *timer.deadline - time::now();
    if (rest.raw <= 0) {
        const bool runs_out = timer.interval.raw == 0;
        // What is over but not yet told is not over: 1 ns (Linux).
        if (runs_out)
            return {timer.record || timer.event.notify == abi::kSIGEV_NONE ? Nanoseconds{0} : Nanoseconds{1}, {}};
        rest = timer.interval - Nanoseconds{(-rest.raw) % timer.interval.raw};
    }
    return {rest, timer.interval};
}

// Not set any more, and nothing of it pending.
void clear_locked(Process& process, PosixTimer& timer) REQUIRES(process.signal_lock) {
    timer.deadline = std::nullopt;
    timer.interval = {};
    PendingSignals& pending = timer.target ? timer.target->pending : process.pending;
    pending.remove_timer(timer.event.signo, timer.id);
}

void destroy(std::unique_ptr<PosixTimer> timer) { timer->timer.cancel(); }

}  // namespace

void PosixTimer::expire(time::Timer& alarm) {
    PosixTimer& self = static_cast<Alarm&>(alarm).owner;
    Process& process = self.process;
    const SignalGuard guard(process.signal_lock);
    if (!self.deadline || self.event.notify == abi::kSIGEV_NONE) return;
    if (self.record) {
        abi::SigInfo& info = self.record->info;
        info = {};
        info.signo = self.event.signo;
        info.code = abi::kSI_TIMER;
        info.timer.timer_id = self.id;
        info.timer.value = self.event.value;
        if (send_record_locked(process, self.target.get(), self.record)) return;
    }
    // Ignored, or no memory for a record: nobody takes it, so it goes on by itself, at a pace that leaves the CPU some time.
    constexpr Nanoseconds kRest = milliseconds(1);
    set_record_locked(self);
    if (self.interval.raw == 0) return;
    advance(self, time::now());
    self.timer.arm(std::max(*self.deadline, time::now() + kRest));
}

void note_timer_signal_locked(Process& process, abi::SigInfo& info) {
    PosixTimer* const timer = find_locked(process, info.timer.timer_id);
    if (timer == nullptr) return;
    set_record_locked(*timer);
    if (!timer->deadline) return;
    u64 missed = 0;
    if (timer->interval.raw != 0) {
        missed = advance(*timer, time::now());
        timer->timer.arm(*timer->deadline);
    }
    timer->overrun = info.timer.overrun = static_cast<i32>(std::min<u64>(missed, INT_MAX));
}

Result<i32> create_timer(const abi::Sigevent* event, bool wall_clock) {
    Process& process = current_process();
    abi::Sigevent wanted{};
    wanted.signo = abi::kSIGALRM;
    if (event != nullptr) wanted = *event;
    const bool sends = wanted.notify == abi::kSIGEV_SIGNAL || wanted.notify == abi::kSIGEV_THREAD_ID;
    if (!sends && wanted.notify != abi::kSIGEV_NONE) return fail(Errno::kEINVAL);
    if (sends && (wanted.signo < 1 || wanted.signo > abi::kSignalCount)) return fail(Errno::kEINVAL);
    std::unique_ptr<PosixTimer> timer(new (std::nothrow) PosixTimer(process, wanted, wall_clock));
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

Result<bool> is_of_wall_clock(i32 id) {
    Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    return TRY(timer_of_locked(process, id))->wall_clock;
}

Result<IntervalTimer> set_timer(i32 id, std::optional<Nanoseconds> deadline, Nanoseconds interval) {
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
    if (!deadline) return old;
    const SignalGuard guard(process.signal_lock);
    timer->deadline = deadline;
    timer->interval = interval;
    if (*deadline != Nanoseconds::max()) timer->timer.arm(*deadline);
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
