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
    bool arrive_and_wait(const char* channel = "barrier");

private:
    WaitQueue queue_;
    const u32 parties_;
    u32 arrived_ GUARDED_BY(queue_.lock()) = 0;  // of this generation; the nodes on the queue are theirs
};

class Rendezvous {
public:
    constexpr Rendezvous() = default;

    // Waits for a partner, gives it `value` and returns the partner's. Pairs in order of arrival.
    void* exchange(void* value, const char* channel = "rendezvous");

private:
    class Node;
    WaitQueue queue_;  // at most one thread waits: the second to come takes it off
};

}  // namespace hd::sync
