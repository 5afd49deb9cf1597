// SPDX-License-Identifier: MIT
// The wait queue: threads that sleep until a condition holds. This is the one way to sleep in this kernel; the other
// primitives of kernel/sync are built on it.
//
//     queue.wait_until("pipe", [&] { return condition; });             the waiter
//     condition = true; queue.wake_one();                              whoever makes it true
//
// A waiter hangs a WaitNode on the queue *before* it looks at the condition. A waker takes nodes off and wakes their threads.
// "My node was taken off" is the event that ends the sleep: it is kept in the node, so it cannot be missed, whatever the
// waiter does meanwhile - evaluating a predicate that takes a mutex, faulting, being preempted.
//
// No wake-up is lost. Two words decide: the node's phase and the thread's state, both accessed in sequentially consistent
// order. Each side writes one of them and then reads the other:
//
//     waiter                                             waker
//     W1  announce: node on the list, phase = Queued
//     W2  predicate() is false                           K1  makes the condition true
//     W3  prepare_to_sleep: state = Blocking             K2  finds the node, phase = Taken
//     W4  phase still Queued? else go to W2              K3  wake: state Blocking -> Running or Sleeping -> Runnable
//     W5  switch: state Blocking -> Sleeping
//
//   K1 before W2    the predicate is true: no sleep.
//   K2 before W1    the node was not on the list, so K2 found nothing. Both take the queue's lock (or, on wake's fast path,
//                   both change the count of waiters), so K1 is visible after W1, and W2 sees the condition true.
//   K2 before W4    W4 sees Taken: no sleep.
//   W4 before K2    then W3 was before K3: K3 sees Blocking or Sleeping. Blocking: its exchange wins against the one in W5,
//                   which then fails, and the switch treats the thread as runnable. Sleeping: the thread is made runnable.
//
// A thread that is preempted between W3 and W5 is not put to sleep: the preemption turns Blocking back into Running, and the
// switch at W5 becomes a mere yield, after which the waiter starts again at W3.
//
// Locking: each queue has an IrqSpinlock (rank WaitQueue). Waiting: task context. Waking: any context but NMI.
#pragma once
#include <boost/intrusive/circular_list_algorithms.hpp>
#include <boost/intrusive/detail/list_node.hpp>

#include "kernel/core/spinlock.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/time/timer.hpp"

namespace hd::sync {

// How a wait ended.
enum class WaitResult : u8 { Ready, Interrupted, TimedOut };

// Set by kernel/task: has this thread a signal (or a stop, or its end) to see to? Called with the thread as current, in
// any state; must not sleep. Whoever makes it true calls sched::wake(thread) afterwards.
using InterruptPending = bool (*)(sched::Entity& thread);
extern InterruptPending g_interrupt_pending;

// While the flag is set, the next sleep that a signal could end calls the function first (kernel/ipc/deadlock/watch.hpp).
extern std::atomic<bool> g_watching_sleeps;
extern void (*g_on_watched_sleep)();
// The watch over long sleeps, set by kernel/task/sleep_watch.cpp. While it is off, whoever goes to an uninterruptible sleep calls
// g_watch_sleeps() after having become Blocking: it is then on.
extern std::atomic<bool> g_sleeps_watched;
extern void (*g_watch_sleeps)();

namespace detail {
using ListTraits = boost::intrusive::list_node_traits<void*>;
using ListNode = ListTraits::node;
using ListAlgorithms = boost::intrusive::circular_list_algorithms<ListTraits>;
}  // namespace detail

class WaitQueue;

// One thread's place on one queue, on the waiter's stack; or a standing one: a function that is called at each wake-up and stays on the
// queue (kernel/ipc/epoll).
class WaitNode : private detail::ListNode {
public:
    // Called with the queue's lock held, so in any context but NMI, and must not sleep. `events`: what has become possible,
    // in poll(2)'s bits; 0: perhaps anything. Has a thread been woken that will see to it?
    using Callback = bool (*)(WaitNode& node, u32 events);

    explicit WaitNode(sched::Entity& thread = sched::current()) : detail::ListNode(), thread_(&thread) {}
    explicit WaitNode(Callback callback) : detail::ListNode(), callback_(callback) {}
    ~WaitNode() { ASSERT(phase_.load(std::memory_order_relaxed) == Phase::Off, "a wait node dies on its queue"); }

    // Still on its queue? Once false, it stays so until the owner announces it again.
    bool queued() const { return phase_.load() == Phase::Queued; }
    sched::Entity& thread() const { return *thread_; }
    // A standing node's: of all such nodes of a queue, a wake-up is over with the first whose callback says true. Set before it is on
    // a queue.
    bool exclusive = false;
    // Takes the node off if it is still on a queue; false if a waker has taken it, or it never was on one. Afterwards no waker
    // touches it or its thread. The caller keeps alive whatever queue it may be on.
    bool retract() {
        // acquire pairs with the last store in wake_locked(): the waker is done with the node and with this thread.
        return phase_.load(std::memory_order_acquire) != Phase::Off && retract_queued();
    }

private:
    friend class WaitQueue;
    bool retract_queued();
    // Taken: off the list, but the waker still needs the node or its thread. Off is the waker's last word.
    enum class Phase : u8 { Off, Queued, Taken };

    sched::Entity* const thread_ = nullptr;
    const Callback callback_ = nullptr;  // not null: a standing node
    std::atomic<Phase> phase_{Phase::Off};
    std::atomic<WaitQueue*> queue_{
        nullptr};  // the last one it was on; changed under that one's lock, and the next one's
};

class WaitQueue {
public:
    constexpr WaitQueue() = default;

    // Sleeps until `predicate()` is true. It is called without the queue's lock, any number of times, in task context;
    // it may sleep itself. `kind` says how the sleep is shown; it cannot be interrupted in any case.
    template <class Predicate>
    void wait_until(const char* channel, Predicate predicate,
                    sched::SleepKind kind = sched::SleepKind::Uninterruptible) {
        NoLock none;
        wait(channel, none, predicate, kind, Nanoseconds::max());
    }
    // The same, but ends early when a signal is pending or at `deadline` (of the monotonic clock). Ready means that the
    // predicate is true, whatever else happened.
    template <class Predicate>
    WaitResult wait_interruptible(const char* channel, Predicate predicate, Nanoseconds deadline = Nanoseconds::max()) {
        NoLock none;
        return wait(channel, none, predicate, sched::SleepKind::Interruptible, deadline);
    }

    // The same with a lock that guards the condition: held on call, on return and at each call of the predicate; released
    // while asleep. Whoever changes the condition holds it too; the wake-up may come after its release. `lock` has lock()
    // and unlock(): a LockGuard, a Mutex or its guard. For clang's analysis the predicate says what it needs:
    // [&]() REQUIRES(lock_) { … }.
    template <class Lock, class Predicate>
    void wait_until(const char* channel, Lock& lock, Predicate predicate,
                    sched::SleepKind kind = sched::SleepKind::Uninterruptible) {
        wait(channel, lock, predicate, kind, Nanoseconds::max());
    }
    template <class Lock, class Predicate>
    WaitResult wait_interruptible(const char* channel, Lock& lock, Predicate predicate,
                                  Nanoseconds deadline = Nanoseconds::max()) {
        return wait(channel, lock, predicate, sched::SleepKind::Interruptible, deadline);
    }

    // Wakes the longest waiting thread, or all. Without waiters the cost is one atomic operation. A wake_one() that hits a
    // waiter whose condition was true already is passed on to the next. Any context but NMI; the caller may hold locks
    // of lower rank, the one that guards the condition among them.
    void wake_one(sched::WakeHint hint = sched::WakeHint::None) {
        if (someone_waits()) [[unlikely]]
            wake_some(1, hint);
    }
    // `events`: for standing nodes. A queue with such nodes is woken by this function, or locked and by wake_locked(count).
    void wake_all(sched::WakeHint hint = sched::WakeHint::None, u32 events = 0) {
        if (someone_waits()) [[unlikely]]
            wake_some(kAll, hint, events);
    }
    // Up to `count` threads; returns how many.
    u32 wake_some(u32 count, sched::WakeHint hint = sched::WakeHint::None, u32 events = 0);
    // From a standing node's callback, with its queue's lock held: the queues that wake each other form no circle (epoll(7)).
    void wake_nested(u32 count, u32 events);
    static constexpr u32 kAll = ~u32{0};
    bool has_waiters() const { return waiters_.load(std::memory_order_relaxed) != 0; }  // a hint

    // For the other primitives here, which decide and queue in one critical section: `take()` says, under the queue's lock,
    // whether the caller has what it wants; if not, it waits in its turn. Whoever takes its node off gives it what it waits
    // for, which is kept even if a signal or the deadline comes at that moment: Ready. Task context.
    template <class Take>
    WaitResult take_or_wait(WaitNode& node, const char* channel, Take take,
                            sched::SleepKind kind = sched::SleepKind::Uninterruptible,
                            Nanoseconds deadline = Nanoseconds::max()) NO_THREAD_SAFETY_ANALYSIS;

    // The pieces, for those primitives and for poll(2), which waits on many queues with one node on each: announce all, look,
    // sleep_on(), retract all.
    enum class Place : u8 { Last, First };
    core::IrqSpinlock& lock() RETURN_CAPABILITY(lock_) { return lock_; }
    void announce(WaitNode& node) EXCLUDES(lock_);
    void announce_locked(WaitNode& node, Place place = Place::Last) REQUIRES(lock_);
    // The first waiter, nullptr if none. It stays queued, hence alive, while the lock is held.
    WaitNode* first_locked() REQUIRES(lock_) {
        detail::ListNode* next = detail::ListTraits::get_next(&head_);
        return next == nullptr || next == &head_ ? nullptr : static_cast<WaitNode*>(next);
    }
    WaitNode* next_locked(WaitNode& node) REQUIRES(lock_) {
        detail::ListNode* next = detail::ListTraits::get_next(&node);
        return next == &head_ ? nullptr : static_cast<WaitNode*>(next);
    }
    void wake_locked(WaitNode& node, sched::WakeHint hint = sched::WakeHint::None) REQUIRES(lock_);
    u32 wake_locked(u32 count, sched::WakeHint hint = sched::WakeHint::None, u32 events = 0) REQUIRES(lock_);
    // Off the queue without a wake-up.
    void take_off_locked(WaitNode& node) REQUIRES(lock_);
    // The node, which is on this queue, goes to the end of another one. Both are locked (WaitQueuePairGuard).
    void move_locked(WaitNode& node, WaitQueue& to) REQUIRES(lock_, to.lock_);
    // Might wake() find somebody? After a change of the condition, no waiter who has not seen the change is overlooked.
    // Reads the count by a read-modify-write: all those on one word stand in one order. If the waiter's increment comes
    // first, it is seen here; if it comes second, the waiter sees all that was written before this (acq_rel on both).
    bool someone_waits() { return waiters_.fetch_add(0, std::memory_order_acq_rel) != 0; }

private:
    friend class WaitNode;
    struct NoLock {
        void lock() {}
        void unlock() {}
    };
    template <class Lock, class Predicate>
    WaitResult wait(const char* channel, Lock& lock, Predicate& predicate, sched::SleepKind kind, Nanoseconds deadline)
        NO_THREAD_SAFETY_ANALYSIS;

    void unlink_locked(WaitNode& node) REQUIRES(lock_);

    core::IrqSpinlock lock_{core::Rank::WaitQueue};
    std::atomic<u32> waiters_{0};  // nodes on the list; changed under lock_
    detail::ListNode head_
        GUARDED_BY(lock_){};  // oldest first; all zero until the first use, so that globals are constants
};

// Two queues, or one twice; lower address first.
class SCOPED_CAPABILITY [[nodiscard]] WaitQueuePairGuard {
public:
    WaitQueuePairGuard(WaitQueue& a, WaitQueue& b, core::Site site = core::Site::current()) ACQUIRE(a.lock(), b.lock());
    ~WaitQueuePairGuard() RELEASE();
    WaitQueuePairGuard(const WaitQueuePairGuard&) = delete;

private:
    WaitQueue& first_;
    WaitQueue& second_;
    core::IrqSpinlock::State state_;
};

// Sleeps until one of the waiter's nodes was taken off its queue, which `taken` says of it, or (Interruptible only) a signal is
// pending, or the deadline has passed. Ready: it was taken off. Task context, no lock held. The nodes have been announced.
WaitResult sleep_on(bool (*taken)(const void* waiter), const void* waiter, sched::SleepKind kind, const char* channel,
                    Nanoseconds deadline);

// The same for a waiter with one node.
inline WaitResult sleep_on(const WaitNode& node, sched::SleepKind kind, const char* channel,
                           Nanoseconds deadline = Nanoseconds::max()) {
    const auto taken = [](const void* waiter) { return !static_cast<const WaitNode*>(waiter)->queued(); };
    return sleep_on(taken, &node, kind, channel, deadline);
}

template <class Take>
WaitResult WaitQueue::take_or_wait(WaitNode& node, const char* channel, Take take, sched::SleepKind kind,
                                   Nanoseconds deadline) {
    core::assert_may_sleep();
    {
        core::LockGuard guard(lock_);
        if (take()) return WaitResult::Ready;
        announce_locked(node);
    }
    const WaitResult result = sleep_on(node, kind, channel, deadline);
    return node.retract() ? result : WaitResult::Ready;
}

template <class Lock, class Predicate>
WaitResult WaitQueue::wait(const char* channel, Lock& lock, Predicate& predicate, sched::SleepKind kind,
                           Nanoseconds deadline) {
    if (predicate()) return WaitResult::Ready;
    WaitNode node;
    for (;;) {
        announce(node);
        // With a lock, the condition cannot have changed since the last look.
        if constexpr (std::is_same_v<Lock, NoLock>) {
            if (predicate()) {
                if (!node.retract()) wake_one();  // that wake-up was for somebody who needs it
                return WaitResult::Ready;
            }
        }
        lock.unlock();
        const WaitResult result = sleep_on(node, kind, channel, deadline);
        node.retract();
        lock.lock();
        // A wake-up and a signal may have come together: the condition decides, or the wake-up would be lost.
        if (predicate()) return WaitResult::Ready;
        if (result != WaitResult::Ready) return result;
    }
}

}  // namespace hd::sync
