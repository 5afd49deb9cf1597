// SPDX-License-Identifier: MIT
// "It is done": one side waits for an event that happens once, the other reports it. May live on the waiter's stack: wait()
// returns only when complete() has let go of the object.
//
// Context: wait: task. complete: any but NMI.
#pragma once
#include "kernel/sync/wait_queue.hpp"

namespace hd::sync {

class Completion {
public:
    constexpr Completion() = default;

    // Wakes all, present and future. With the release of the lock, which is the last access, the object may be gone.
    void complete(sched::WakeHint hint = sched::WakeHint::None) {
        core::LockGuard guard(queue_.lock());
        done_ = true;
        queue_.wake_locked(WaitQueue::kAll, hint);
    }
    void wait(const char* channel = "completion") {
        wait(channel, sched::SleepKind::Uninterruptible, Nanoseconds::max());
    }
    WaitResult wait_interruptible(const char* channel = "completion", Nanoseconds deadline = Nanoseconds::max()) {
        return wait(channel, sched::SleepKind::Interruptible, deadline);
    }
    bool done() {
        core::LockGuard guard(queue_.lock());
        return done_;
    }

private:
    WaitResult wait(const char* channel, sched::SleepKind kind, Nanoseconds deadline) {
        WaitNode node;
        const auto is_done = [this]() REQUIRES(queue_.lock()) { return done_; };
        const WaitResult result = queue_.take_or_wait(node, channel, is_done, kind, deadline);
        // To get the lock here is to know that complete() has left it.
        core::LockGuard guard(queue_.lock());
        return result;
    }

    WaitQueue queue_;
    bool done_ GUARDED_BY(queue_.lock()) = false;
};

}  // namespace hd::sync
