// SPDX-License-Identifier: MIT
// See wait_queue.hpp.
#include "kernel/sync/wait_queue.hpp"

#include <functional>
#include <optional>

namespace hd::sync {

constinit InterruptPending g_interrupt_pending = [](sched::Entity&) { return false; };
constinit std::atomic<bool> g_watching_sleeps{false};
void (*g_on_watched_sleep)() = nullptr;

constinit std::atomic<bool> g_sleeps_watched{true};  // before there is a watch, nobody has to call it
void (*g_watch_sleeps)() = nullptr;

void WaitQueue::announce_locked(WaitNode& node, Place place) {
    ASSERT(node.phase_.load(std::memory_order_relaxed) == WaitNode::Phase::Off, "a wait node is announced twice");
    if (detail::ListTraits::get_next(&head_) == nullptr) detail::ListAlgorithms::init_header(&head_);
    detail::ListNode* before = place == Place::First ? detail::ListTraits::get_next(&head_) : &head_;
    detail::ListAlgorithms::link_before(before, &node);
    node.queue_.store(this, std::memory_order_relaxed);
    node.phase_.store(WaitNode::Phase::Queued, std::memory_order_relaxed);  // changed by others under the lock only
    waiters_.fetch_add(1, std::memory_order_acq_rel);                       // pairs with someone_waits()
}

void WaitQueue::unlink_locked(WaitNode& node) {
    detail::ListAlgorithms::unlink(&node);
    waiters_.fetch_sub(1, std::memory_order_relaxed);  // to see too many only costs the waker a look
}

void WaitQueue::announce(WaitNode& node) {
    core::LockGuard guard(lock_);
    announce_locked(node);
}

bool WaitNode::retract_queued() {
    do {
        WaitQueue& queue = *queue_.load(std::memory_order_relaxed);
        core::LockGuard guard(queue.lock_);
        // relaxed, all of them: under the lock of the queue that the node is on, nobody is halfway through a change of it.
        if (queue_.load(std::memory_order_relaxed) != &queue) continue;  // it was moved
        if (phase_.load(std::memory_order_relaxed) != Phase::Queued) return false;
        queue.unlink_locked(*this);
        phase_.store(Phase::Off, std::memory_order_relaxed);
        return true;
    } while (phase_.load(std::memory_order_acquire) != Phase::Off);
    return false;
}

void WaitQueue::take_off_locked(WaitNode& node) {
    unlink_locked(node);
    node.phase_.store(WaitNode::Phase::Off, std::memory_order_relaxed);
}

void WaitQueue::move_locked(WaitNode& node, WaitQueue& to) {
    take_off_locked(node);
    to.announce_locked(node);
}

WaitQueuePairGuard::WaitQueuePairGuard(WaitQueue& a, WaitQueue& b, core::Site site) NO_THREAD_SAFETY_ANALYSIS
    : first_(std::less<>()(&a, &b) ? a : b),
      second_(&first_ == &a ? b : a),
      state_(first_.lock().lock(site)) {
    if (&first_ != &second_) (void)second_.lock().lock_nested(site);
}

WaitQueuePairGuard::~WaitQueuePairGuard() NO_THREAD_SAFETY_ANALYSIS {
    if (&first_ != &second_) second_.lock().unlock(core::IrqSpinlock::State{});
    first_.lock().unlock(state_);
}

void WaitQueue::wake_locked(WaitNode& node, sched::WakeHint hint) {
    unlink_locked(node);
    sched::Entity& thread = *node.thread_;
    node.phase_.store(WaitNode::Phase::Taken);  // seq_cst: K2 of the proof
    sched::wake(thread, hint);
    // release pairs with retract(): after this the node, the thread and perhaps the queue may be gone.
    node.phase_.store(WaitNode::Phase::Off, std::memory_order_release);
}

u32 WaitQueue::wake_some(u32 count, sched::WakeHint hint, u32 events) {
    core::LockGuard guard(lock_);
    return wake_locked(count, hint, events);
}

u32 WaitQueue::wake_locked(u32 count, sched::WakeHint hint, u32 events) {
    u32 woken = 0;
    bool taken = false;  // by an exclusive standing node
    for (WaitNode *node = first_locked(), *next; node != nullptr && woken < count; node = next) {
        next = next_locked(*node);
        if (node->callback_ == nullptr) {
            wake_locked(*node, hint);
            ++woken;
        } else if (!node->exclusive || !taken) {
            const bool seen = node->callback_(*node, events);
            taken = taken || (node->exclusive && seen);
        }
    }
    return woken;
}

void WaitQueue::wake_nested(u32 count, u32 events) {
    if (!someone_waits()) return;
    const core::IrqSpinlock::State state = lock_.lock_nested();
    wake_locked(count, sched::WakeHint::None, events);
    lock_.unlock(state);
}

namespace {

// Ends a sleep at a point in time. The wake-up comes after `passed` is set, and the sleeper looks at it after
// prepare_to_sleep(): the same two-column schedule as for the node's phase.
class Timeout : public time::Timer {
public:
    explicit Timeout(sched::Entity& thread) : Timer(&expire), thread_(thread) {}
    bool passed() const { return passed_.load(); }

private:
    static void expire(Timer& timer) {
        auto& self = static_cast<Timeout&>(timer);
        self.passed_.store(true);
        sched::wake(self.thread_);
    }
    sched::Entity& thread_;
    std::atomic<bool> passed_{false};
};

}  // namespace

namespace {

inline WaitResult sleep_until_end(bool (*taken)(const void* waiter), const void* waiter, sched::SleepKind kind,
                                  const char* channel, const Timeout* timeout) {
    for (;;) {
        sched::prepare_to_sleep(kind, channel);
        std::optional<WaitResult> end;
        if (taken(waiter))
            end = WaitResult::Ready;
        else if (kind == sched::SleepKind::Interruptible && g_interrupt_pending(sched::current()))
            end = WaitResult::Interrupted;
        else if (timeout != nullptr && timeout->passed())
            end = WaitResult::TimedOut;
        if (end) {
            sched::finish_sleep();
            return *end;
        }
        if (kind == sched::SleepKind::Uninterruptible && !g_sleeps_watched.load()) [[unlikely]]
            g_watch_sleeps();  // seq_cst: sleep_watch.cpp
        sched::schedule();
    }
}

[[gnu::noinline]] WaitResult sleep_with_limit(bool (*taken)(const void* waiter), const void* waiter,
                                              sched::SleepKind kind, const char* channel, Nanoseconds deadline) {
    Timeout timeout(sched::current());
    timeout.arm(deadline);
    const WaitResult result = sleep_until_end(taken, waiter, kind, channel, &timeout);
    timeout.cancel();
    return result;
}

}  // namespace

WaitResult sleep_on(bool (*taken)(const void* waiter), const void* waiter, sched::SleepKind kind, const char* channel,
                    Nanoseconds deadline) {
    core::assert_may_sleep();
    // relaxed: the watch says why a sleep that does not see the flag is seen itself.
    if (g_watching_sleeps.load(std::memory_order_relaxed) && kind == sched::SleepKind::Interruptible) [[unlikely]]
        g_on_watched_sleep();
    if (deadline != Nanoseconds::max()) return sleep_with_limit(taken, waiter, kind, channel, deadline);
    return sleep_until_end(taken, waiter, kind, channel, nullptr);
}

}  // namespace hd::sync
