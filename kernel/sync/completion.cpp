// SPDX-License-Identifier: MIT
// See completion.hpp.
#include "kernel/sync/completion.hpp"

namespace hd::sync {

void Completion::complete(sched::WakeHint hint) {
    core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
    done_ = true;
    while (WaitNode* node = queue_.first_locked()) queue_.wake_locked(*node, hint);
    // With the release of the lock, which is the last access, the object may be gone.
}

WaitResult Completion::wait(const char* channel, sched::SleepKind kind, Nanoseconds deadline) {
    core::assert_may_sleep();
    WaitNode node;
    {
        core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
        if (done_) return WaitResult::Ready;
        queue_.announce_locked(node);
    }
    const WaitResult result = sleep_on(node, kind, channel, deadline);
    // Not retract(), which needs no lock when the node is off: to get the lock here is to know that complete() has left it.
    core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
    return queue_.retract_locked(node) ? result : WaitResult::Ready;
}

void Completion::wait(const char* channel) { wait(channel, sched::SleepKind::Uninterruptible, Nanoseconds::max()); }

WaitResult Completion::wait_interruptible(const char* channel, Nanoseconds deadline) {
    return wait(channel, sched::SleepKind::Interruptible, deadline);
}

bool Completion::done() {
    core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
    return done_;
}

}  // namespace hd::sync
