// SPDX-License-Identifier: MIT
// A counting semaphore. Strictly first come, first served: release() gives its unit to the longest waiting thread directly
// (hand-over) and never lets a newcomer overtake. That costs throughput where threads fight for one unit - the next owner
// has to be switched in first - so mutual exclusion is sync::Mutex's business; a semaphore counts resources, and there the
// order and the absence of starvation count more.
//
// Invariant: value > 0 implies that nobody waits. "My node was taken off the queue" means "a unit was given to me".
#pragma once
#include "kernel/sync/wait_queue.hpp"

namespace hd::sync {

class Semaphore {
public:
    constexpr explicit Semaphore(u32 initial) : value_(initial) {}

    // P: takes a unit, sleeping until there is one. Task context.
    void acquire(const char* channel = "semaphore") {
        acquire(channel, sched::SleepKind::Uninterruptible, Nanoseconds::max());
    }
    WaitResult acquire_interruptible(const char* channel = "semaphore", Nanoseconds deadline = Nanoseconds::max()) {
        return acquire(channel, sched::SleepKind::Interruptible, deadline);
    }
    // Takes a unit if there is one. Any context but NMI.
    [[nodiscard]] bool try_acquire() {
        core::LockGuard guard(queue_.lock());
        return take_locked();
    }
    // V: gives `units` back. Any context but NMI.
    void release(u32 units = 1, sched::WakeHint hint = sched::WakeHint::None) {
        core::LockGuard guard(queue_.lock());
        units -= queue_.wake_locked(units, hint);
        ASSERT(value_ + units >= value_, "a semaphore's value overflows");
        value_ += units;
    }
    u32 value() {
        core::LockGuard guard(queue_.lock());
        return value_;
    }

private:
    WaitResult acquire(const char* channel, sched::SleepKind kind, Nanoseconds deadline) {
        WaitNode node;
        const auto take = [this]() REQUIRES(queue_.lock()) { return take_locked(); };
        return queue_.take_or_wait(node, channel, take, kind, deadline);
    }
    bool take_locked() REQUIRES(queue_.lock()) {
        if (value_ == 0) return false;
        --value_;
        return true;
    }

    WaitQueue queue_;
    u32 value_ GUARDED_BY(queue_.lock());
};

}  // namespace hd::sync
