// SPDX-License-Identifier: MIT
// See semaphore.hpp.
#include "kernel/sync/semaphore.hpp"

namespace hd::sync {

WaitResult Semaphore::acquire(const char* channel, sched::SleepKind kind, Nanoseconds deadline) {
    core::assert_may_sleep();
    WaitNode node;
    {
        core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
        if (value_ != 0) {
            --value_;
            return WaitResult::Ready;
        }
        queue_.announce_locked(node);
    }
    // From here on release() may give the unit to the node at any time.
    const WaitResult result = sleep_on(node, kind, channel, deadline);
    // Given at the last moment, it is kept: a signal or timeout must not make a unit disappear.
    return queue_.retract(node) ? result : WaitResult::Ready;
}

void Semaphore::acquire(const char* channel) {
    acquire(channel, sched::SleepKind::Uninterruptible, Nanoseconds::max());
}

WaitResult Semaphore::acquire_interruptible(const char* channel, Nanoseconds deadline) {
    return acquire(channel, sched::SleepKind::Interruptible, deadline);
}

bool Semaphore::try_acquire() {
    core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
    if (value_ == 0) return false;
    --value_;
    return true;
}

void Semaphore::release(u32 units, sched::WakeHint hint) {
    core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
    for (; units != 0; --units) {
        WaitNode* node = queue_.first_locked();
        if (node == nullptr) break;
        queue_.wake_locked(*node, hint);
    }
    ASSERT(value_ + units >= value_, "a semaphore's value overflows");
    value_ += units;
}

u32 Semaphore::value() {
    core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
    return value_;
}

}  // namespace hd::sync
