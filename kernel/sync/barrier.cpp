// SPDX-License-Identifier: MIT
// See barrier.hpp. As everywhere here: a node that was taken off its queue has been given what it waits for.
#include "kernel/sync/barrier.hpp"

namespace hd::sync {

bool Barrier::arrive_and_wait(const char* channel) {
    core::assert_may_sleep();
    WaitNode node;
    {
        core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
        if (++arrived_ == parties_) {
            arrived_ = 0;
            while (WaitNode* other = queue_.first_locked()) queue_.wake_locked(*other);
            return true;
        }
        queue_.announce_locked(node);
    }
    sleep_on(node, sched::SleepKind::Uninterruptible, channel);
    queue_.retract(node);
    return false;
}

class Rendezvous::Node : public WaitNode {
public:
    void* value = nullptr;  // the owner's, then the partner's; guarded by the queue's lock while queued
};

void* Rendezvous::exchange(void* value, const char* channel) {
    core::assert_may_sleep();
    Node node;
    {
        core::LockGuard<core::IrqSpinlock> guard(queue_.lock());
        if (WaitNode* first = queue_.first_locked()) {
            void* theirs = std::exchange(static_cast<Node*>(first)->value, value);
            queue_.wake_locked(*first);
            return theirs;
        }
        node.value = value;
        queue_.announce_locked(node);
    }
    sleep_on(node, sched::SleepKind::Uninterruptible, channel);
    queue_.retract(node);
    return node.value;
}

}  // namespace hd::sync
