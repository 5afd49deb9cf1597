// SPDX-License-Identifier: MIT
// Spinlocks. The interrupt policy is the type's: an IrqSpinlock turns interrupts off, because handlers take it too; a
// Spinlock turns only preemption off and is never taken in a handler. The rank has no default (kernel/core/rank.hpp).
//
// Test-and-test-and-set: a waiter reads until the lock looks free and only then tries to take it, so waiting costs no
// cache-line transfers. Not fair, on purpose: with more virtual than real processors, a fair lock's next owner is often
// not running, and everybody behind it waits for the host's scheduler (a convoy).
//
// Checked in the default build: rank order, release by the owner, waiting longer than kTooLong (a panic that names the
// place where the lock was taken and the place that waits), a Spinlock in an interrupt handler.
#pragma once
#include <atomic>
#include <source_location>

#include "kernel/core/context.hpp"
#include "kernel/core/held_locks.hpp"
#include "kernel/core/rank.hpp"
#include "kernel/core/thread_safety.hpp"

namespace hd::core {

using Site = std::source_location;

struct NothingToRestore {};  // what a lock's lock() gives to its unlock(), if it leaves interrupts alone

class SpinlockBase {
public:
    constexpr explicit SpinlockBase(Rank rank) : rank_(rank) {}

protected:
    // Preemption is off. acquire pairs with the release in release(): the section sees what the last owner wrote.
    void acquire(const Site& site) {
        if (!held_spinlocks().push(this, rank_, site)) [[unlikely]]
            return acquire_new(site);
        if (locked_.exchange(true, std::memory_order_acquire)) [[unlikely]]
            wait(site);
    }
    // The second of two locks of one rank, in an order that the caller has decided.
    void acquire_nested(const Site& site) {
        held_spinlocks().push_second(this, rank_, site);
        if (locked_.exchange(true, std::memory_order_acquire)) [[unlikely]]
            wait(site);
    }
    bool try_acquire(const Site& site) {
        if (locked_.exchange(true, std::memory_order_acquire)) return false;
        held_spinlocks().push_tried(this, rank_, site);
        return true;
    }
    void release() {
        held_spinlocks().pop(this);
        locked_.store(false, std::memory_order_release);
    }

private:
    [[gnu::cold]] void acquire_new(const Site& site);  // in an order not seen before
    void wait(const Site& site);

    std::atomic<bool> locked_{false};
    Rank rank_;
};

// Not for interrupt handlers.
class CAPABILITY("spinlock") Spinlock : public SpinlockBase {
public:
    constexpr explicit Spinlock(Rank rank) : SpinlockBase(rank) {
        ASSERT(is_spin(rank), "a Spinlock with another kind's rank");
    }
    using State = NothingToRestore;
    State lock(Site site = Site::current()) ACQUIRE() {
        ASSERT(!in_interrupt(), "a Spinlock taken in an interrupt handler: it must be an IrqSpinlock");
        preempt_disable();
        acquire(site);
        return {};
    }
    bool try_lock(Site site = Site::current()) TRY_ACQUIRE(true) {
        preempt_disable();
        if (try_acquire(site)) return true;
        preempt_enable();
        return false;
    }
    void unlock(State = {}) RELEASE() {
        release();
        preempt_enable();
    }
};

// For interrupt handlers as well. Preemption is off too, so that a wake-up inside the section reschedules at its end.
class CAPABILITY("spinlock") IrqSpinlock : public SpinlockBase {
public:
    constexpr explicit IrqSpinlock(Rank rank) : SpinlockBase(rank) {
        ASSERT(is_irq_spin(rank), "an IrqSpinlock with another kind's rank");
    }
    using State = arch::IrqState;
    [[nodiscard]] State lock(Site site = Site::current()) ACQUIRE() {
        const State state = arch::irq_save();
        preempt_disable();
        acquire(site);
        return state;
    }
    [[nodiscard]] State lock_nested(Site site = Site::current()) ACQUIRE() {
        const State state = arch::irq_save();
        preempt_disable();
        acquire_nested(site);
        return state;
    }
    void unlock(State state) RELEASE() {
        release();
        preempt_enable_no_resched();
        arch::irq_restore(state);
        // A reschedule that became due inside waits for here; with interrupts still off the outer section will see to it.
        if (state.enabled && preempt_count() == 0 && arch::local_load<&arch::CpuLocal::need_resched>() == kReschedNow)
            [[unlikely]]
            preempt_now();
    }
    // For the scheduler, which carries the lock over a switch: interrupts are off already and stay off.
    void lock_irqs_off(Site site = Site::current()) ACQUIRE() {
        preempt_disable();
        acquire(site);
    }
    void unlock_irqs_off() RELEASE() {
        release();
        preempt_enable_no_resched();
    }
};

// For any lock whose lock() returns its State.
template <class Lock> class SCOPED_CAPABILITY [[nodiscard]] LockGuard {
public:
    explicit LockGuard(Lock& lock, Site site = Site::current()) ACQUIRE(lock) : lock_(lock), state_(lock_.lock(site)) {}
    ~LockGuard() RELEASE() { lock_.unlock(state_); }
    // For whoever sleeps in the middle of the section (kernel/sync): locked again by the end of the scope.
    void unlock() RELEASE() { lock_.unlock(state_); }
    void lock(Site site = Site::current()) ACQUIRE() { state_ = lock_.lock(site); }
    LockGuard(const LockGuard&) = delete;

private:
    Lock& lock_;
    [[no_unique_address]] Lock::State state_;
};

}  // namespace hd::core
