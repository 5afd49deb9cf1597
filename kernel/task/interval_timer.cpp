// SPDX-License-Identifier: MIT
// ITIMER_REAL: kernel/task/process.hpp.
#include <algorithm>

#include "kernel/task/signal/signal.hpp"

namespace hd::task {

void on_real_timer(time::Timer& timer) {
    Process& process = *boost::intrusive::get_parent_from_member(&timer, &Process::real_timer);
    (void)send_signal(process, kernel_signal(abi::kSIGALRM));
    // An interval of a microsecond must not leave the CPU in this handler for good.
    constexpr Nanoseconds kRest = microseconds(20);
    // relaxed: set before the timer was armed, and arming orders it.
    if (const i64 interval = process.real_interval.load(std::memory_order_relaxed); interval != 0)
        timer.arm(std::max(timer.deadline() + Nanoseconds{interval}, time::now() + kRest));
}

IntervalTimer read_real_timer(const Process& process) {
    IntervalTimer result;
    result.interval = Nanoseconds{process.real_interval.load(std::memory_order_relaxed)};  // as above
    if (process.real_timer.armed())
        result.value = std::max(process.real_timer.deadline() - time::now(), microseconds(1));
    return result;
}

IntervalTimer set_real_timer(Process& process, const IntervalTimer& setting) {
    sync::MutexGuard timers(process.timers_lock);
    const IntervalTimer old = read_real_timer(process);
    process.real_timer.cancel();
    process.real_interval.store(setting.value.raw == 0 ? 0 : setting.interval.raw,
                                std::memory_order_relaxed);  // as above
    if (setting.value.raw != 0) process.real_timer.arm(time::now() + setting.value);
    return old;
}

}  // namespace hd::task
