// SPDX-License-Identifier: MIT
// See rw_lock.hpp. The word state_ decides the fast paths. kWaiters is set exactly while somebody is on the queue, and
// changes under the queue's lock only; with it set no fast path succeeds in taking the lock, and whoever releases it last
// comes for the queue's lock. So under that lock the word can only lose readers, by read_unlock().
#include "kernel/sync/rw_lock.hpp"

namespace hd::sync {

class RwLock::Node : public WaitNode {
public:
    explicit Node(bool is_writer) : writer(is_writer) {}
    const bool writer;
};

template <void (RwLock::*kLock)(core::Site)> void RwLock::learn_order(core::Site site) NO_THREAD_SAFETY_ANALYSIS {
    sched::current().held_sleeping_locks.learn(rank_, site);
    (this->*kLock)(site);
}

void RwLock::read_lock(core::Site site) {
    core::assert_may_sleep();
    if (!sched::current().held_sleeping_locks.push(this, rank_, site)) [[unlikely]]
        return learn_order<&RwLock::read_lock>(site);
    u64 seen = state_.load(std::memory_order_relaxed);
    while ((seen & (kWriter | kWaiters)) == 0)
        // acquire pairs with the release in write_unlock().
        if (state_.compare_exchange_weak(seen, seen + kReader, std::memory_order_acquire, std::memory_order_relaxed))
            return;
    wait_for_turn(false);
}

void RwLock::write_lock(core::Site site) {
    core::assert_may_sleep();
    if (!sched::current().held_sleeping_locks.push(this, rank_, site)) [[unlikely]]
        return learn_order<&RwLock::write_lock>(site);
    u64 free = 0;
    // acquire pairs with the releases in write_unlock() and read_unlock(): also what readers have *read* was before.
    if (!state_.compare_exchange_strong(free, kWriter, std::memory_order_acquire, std::memory_order_relaxed))
        [[unlikely]]
        wait_for_turn(true);
}

void RwLock::read_unlock() {
    sched::current().held_sleeping_locks.pop(this);
    // release: a writer comes after what was read here. acquire: the last reader passes on what the others have released.
    if (state_.fetch_sub(kReader, std::memory_order_acq_rel) == (kReader | kWaiters)) [[unlikely]]
        wake_writer();
}

void RwLock::wake_writer() {
    core::LockGuard guard(queue_.lock());
    // A reader may have joined before this got the queue's lock.
    if (state_.load(std::memory_order_acquire) == kWaiters) hand_over_locked(Turn::Writers);
}

void RwLock::write_unlock() {
    sched::current().held_sleeping_locks.pop(this);
    u64 mine = kWriter;
    if (state_.compare_exchange_strong(mine, 0, std::memory_order_release, std::memory_order_relaxed)) [[likely]]
        return;
    core::LockGuard guard(queue_.lock());
    hand_over_locked(Turn::Readers);
}

void RwLock::wait_for_turn(bool writer) {
    Node node(writer);
    sched::current().held_sleeping_locks.set_awaited(this, true);
    queue_.take_or_wait(node, "rwlock", [&] {
        const u64 before = state_.fetch_or(kWaiters, std::memory_order_acq_rel);  // stops the fast paths
        // If nobody else waits, the lock may have become free since the fast path failed; a reader may join readers.
        if ((before & kWaiters) != 0 || (writer ? before != 0 : (before & kWriter) != 0)) return false;
        // acquire, as on the fast paths.
        state_.fetch_add((writer ? kWriter : kReader) - kWaiters, std::memory_order_acquire);
        return true;
    });
    sched::current().held_sleeping_locks.set_awaited(this, false);
}

// Gives the lock, which nobody owns any more, to those whose turn it is, and wakes them. They own it before they run.
void RwLock::hand_over_locked(Turn turn) {
    Node* first_writer = nullptr;
    u64 readers = 0, writers = 0;
    for (WaitNode* node = queue_.first_locked(); node != nullptr; node = queue_.next_locked(*node)) {
        auto* waiter = static_cast<Node*>(node);
        ++(waiter->writer ? writers : readers);
        if (waiter->writer && first_writer == nullptr) first_writer = waiter;
    }
    if (first_writer != nullptr && (turn == Turn::Writers || readers == 0)) {
        state_.store(kWriter | (readers + writers > 1 ? kWaiters : 0), std::memory_order_release);
        return queue_.wake_locked(*first_writer);
    }
    state_.store(readers * kReader | (writers != 0 ? kWaiters : 0), std::memory_order_release);
    for (WaitNode* node = queue_.first_locked(); node != nullptr;) {
        auto* waiter = static_cast<Node*>(std::exchange(node, queue_.next_locked(*node)));
        if (!waiter->writer) queue_.wake_locked(*waiter);
    }
}

}  // namespace hd::sync
