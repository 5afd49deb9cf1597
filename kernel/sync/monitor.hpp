// SPDX-License-Identifier: MIT
// A monitor's condition variable (Mesa style: a notified thread competes for the mutex again, so it checks its condition
// again - here wait() does that). The condition is guarded by one Mutex, named at each wait.
//
//     MutexGuard guard(mutex_);
//     not_empty_.wait(mutex_, [&]() REQUIRES(mutex_) { return count_ != 0; });
//
// Context: wait(): task, the mutex held. notify_*(): task, the mutex held or just released.
#pragma once
#include "kernel/sync/mutex.hpp"

namespace hd::sync {

class Monitor {
public:
    constexpr Monitor() = default;

    // Returns with the mutex held and the predicate true. It is released while asleep.
    template <class Predicate>
    void wait(Mutex& mutex, Predicate predicate, const char* channel = "monitor") REQUIRES(mutex) {
        queue_.wait_until(channel, mutex, predicate);
    }
    // May also end by a signal or at `deadline` (monotonic clock); the mutex is held in any case.
    template <class Predicate>
    WaitResult wait_interruptible(Mutex& mutex, Predicate predicate, Nanoseconds deadline = Nanoseconds::max(),
                                  const char* channel = "monitor") REQUIRES(mutex) {
        return queue_.wait_interruptible(channel, mutex, predicate, deadline);
    }
    void notify_one(sched::WakeHint hint = sched::WakeHint::None) { queue_.wake_one(hint); }
    void notify_all(sched::WakeHint hint = sched::WakeHint::None) { queue_.wake_all(hint); }

private:
    WaitQueue queue_;
};

}  // namespace hd::sync
