// SPDX-License-Identifier: MIT
// Meeting points. A Barrier holds threads until a fixed number has arrived; it is reusable at once. A Rendezvous is the meeting of
// two: each leaves with the other's value.
//
// Context: task. Interrupts do not end the wait: a party that left would leave the others waiting for good.
#pragma once
#include "kernel/sync/wait_queue.hpp"

namespace hd::sync {

class Barrier {
public:
    constexpr explicit Barrier(u32 parties) : parties_(parties) {}

    // Returns when all have arrived; true for exactly one of them (the last).
    bool arrive_and_wait(const char* channel = "barrier") {
        WaitNode node;
        bool last = false;
        queue_.take_or_wait(node, channel, [&]() REQUIRES(queue_.lock()) {
            last = ++arrived_ == parties_;
            if (last) {
                arrived_ = 0;
                queue_.wake_locked(WaitQueue::kAll);
            }
            return last;
        });
        return last;
    }

private:
    WaitQueue queue_;
    const u32 parties_;
    u32 arrived_ GUARDED_BY(queue_.lock()) = 0;  // of this generation; the nodes on the queue are theirs
};

class Rendezvous {
public:
    constexpr Rendezvous() = default;

    // Waits for a partner, gives it `value` and returns the partner's. Pairs in order of arrival.
    void* exchange(void* value, const char* channel = "rendezvous") {
        Node node(value);
        queue_.take_or_wait(node, channel, [&]() REQUIRES(queue_.lock()) {
            WaitNode* partner = queue_.first_locked();
            if (partner == nullptr) return false;
            std::swap(static_cast<Node*>(partner)->value, node.value);
            queue_.wake_locked(*partner);
            return true;
        });
        return node.value;
    }

private:
    struct Node : WaitNode {
        explicit Node(void* own) : value(own) {}
        void* value;  // the owner's, then the partner's; guarded by the queue's lock while queued
    };
    WaitQueue queue_;  // at most one thread waits: the second to come takes it off
};

}  // namespace hd::sync
