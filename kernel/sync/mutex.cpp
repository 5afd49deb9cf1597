// SPDX-License-Identifier: MIT
// See mutex.hpp. The word owner_ decides; the queue's lock orders those who sleep:
//
//     0                unlocked                          T               locked by T, nobody sleeps
//     kWaiters         unlocked, a waiter is on its way  T | kWaiters    locked by T, unlock() has to wake somebody
//
// kWaiters is set and cleared under the queue's lock only, together with the queue's becoming not empty and empty.
#include "kernel/sync/mutex.hpp"

#include <functional>

namespace hd::sync {

class Mutex::Node : public WaitNode {
public:
    bool lost_a_race = false;  // was woken once, but somebody else was faster; guarded by the queue's lock
};

// Takes the lock if it is free now, whoever waits for it.
bool Mutex::try_take(u64 me) {
    u64 seen = owner_.load(std::memory_order_relaxed);
    while ((seen & ~kWaiters) == 0)
        // acquire pairs with the release in unlock(): the section sees what the last owner wrote.
        if (owner_.compare_exchange_weak(seen, me | seen, std::memory_order_acquire, std::memory_order_relaxed))
            return true;
    return false;
}

// Waits while the owner runs on another CPU, but no longer than it costs to sleep and be woken: so the waiting costs at most
// twice what it must, and a spinner that is always a little too late goes to where it is served in turn. The owner's
// Entity is never touched, it may be gone at any moment: that CPU's running thread is compared with it.
bool Mutex::spin(u64 me) {
    constexpr u32 kRounds = 100;
    for (u32 round = 0; round < kRounds; ++round) {
        if (try_take(me)) return true;
        const CpuId cpu{owner_cpu_.load(std::memory_order_relaxed)};  // a hint: a wrong one only ends the spinning
        const u64 running = word_of(sched::running_on(cpu));
        const u64 owner = owner_.load(std::memory_order_relaxed) & ~kWaiters;
        if (owner != 0 && running != owner) return false;
        if (arch::local_load<&arch::CpuLocal::need_resched>() != 0) return false;
        arch::cpu_relax();
    }
    return false;
}

Mutex::State Mutex::learn_order(core::Site site) NO_THREAD_SAFETY_ANALYSIS {
    sched::current().held_sleeping_locks.learn(rank_, site);
    return lock(site);
}

void Mutex::lock_second(core::Site site) {
    sched::Entity& self = sched::current();
    self.held_sleeping_locks.push_second(this, rank_, site);
    take(word_of(&self));
}

bool Mutex::try_lock(core::Site site) {
    sched::Entity& self = sched::current();
    if (!try_take(word_of(&self))) return false;
    self.held_sleeping_locks.push_tried(this, rank_, site);
    owner_cpu_.store(arch::local_load<&arch::CpuLocal::id>().raw, std::memory_order_relaxed);
    return true;
}

void Mutex::lock_slow(u64 me) {
    sched::current().held_sleeping_locks.set_awaited(this, true);
    spin_or_sleep(me);
    sched::current().held_sleeping_locks.set_awaited(this, false);
}

void Mutex::spin_or_sleep(u64 me) {
    Node node;
    for (;; node.lost_a_race = true) {
        if (spin(me)) return;
        {
            core::LockGuard guard(queue_.lock());
            // From here on unlock() finds kWaiters and comes for the queue's lock, unless it came before: then it is free.
            if ((owner_.fetch_or(kWaiters, std::memory_order_relaxed) & ~kWaiters) == 0 && try_take(me)) {
                if (queue_.first_locked() == nullptr) owner_.fetch_and(~kWaiters, std::memory_order_relaxed);
                return;
            }
            queue_.announce_locked(node, node.lost_a_race ? WaitQueue::Place::First : WaitQueue::Place::Last);
        }
        sleep_on(node, sched::SleepKind::Uninterruptible, "mutex");
        node.retract();
        // acquire pairs with the release of the hand-over.
        if ((owner_.load(std::memory_order_acquire) & ~kWaiters) == me) return;
    }
}

void Mutex::unlock_slow() {
    core::LockGuard guard(queue_.lock());
    WaitNode* first = queue_.first_locked();
    ASSERT(first != nullptr, "a mutex says that somebody waits for it, but nobody does");
    const u64 rest = queue_.next_locked(*first) != nullptr ? kWaiters : 0;
    const u64 next = static_cast<Node*>(first)->lost_a_race ? word_of(&first->thread()) : 0;
    owner_.store(next | rest,
                 std::memory_order_release);  // pairs with try_take(), or with lock_slow() after a hand-over
    queue_.wake_locked(*first);
}

bool Mutex::held_by_me() const {
    return (owner_.load(std::memory_order_relaxed) & ~kWaiters) == word_of(&sched::current());
}

MutexPairGuard::MutexPairGuard(Mutex& a, Mutex& b, core::Site site) NO_THREAD_SAFETY_ANALYSIS
    : first_(std::less<>()(&a, &b) ? a : b),
      second_(&first_ == &a ? b : a) {
    first_.lock(site);
    if (&first_ != &second_) second_.lock_second(site);
}

MutexPairGuard::~MutexPairGuard() NO_THREAD_SAFETY_ANALYSIS {
    if (&first_ != &second_) second_.unlock();
    first_.unlock();
}

}  // namespace hd::sync
