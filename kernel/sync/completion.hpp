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

    void complete(sched::WakeHint hint = sched::WakeHint::None);  // wakes all, present and future
    void wait(const char* channel = "completion");
    WaitResult wait_interruptible(const char* channel = "completion", Nanoseconds deadline = Nanoseconds::max());
    bool done();

private:
    WaitResult wait(const char* channel, sched::SleepKind kind, Nanoseconds deadline);

    WaitQueue queue_;
    bool done_ GUARDED_BY(queue_.lock()) = false;
};

}  // namespace hd::sync
