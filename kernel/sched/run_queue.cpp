// SPDX-License-Identifier: MIT
// The queue of the waiting threads, and how time passes for the thread that runs. See run_queue.hpp.
#include "kernel/sched/run_queue.hpp"

#include <algorithm>

namespace hd::sched {

namespace {

// Linux's sched_prio_to_weight (kernel/sched/core.c): nice -20 to 19, each step about 1.25 times the next, nice 0 is 1024.
constexpr u32 kWeights[40] = {88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
                              9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
                              1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
                              110,   87,    70,    56,    45,    36,    29,    23,    18,    15};
constexpr u32 kIdlePolicyWeight = 3;
constexpr i64 kPreemptionLag = 1'000'000;  // virtual nanoseconds: so far must a newcomer be behind to preempt

}  // namespace

u64 weighted_by_table(const Entity& thread, Nanoseconds time) {
    const bool idle = read_parameter(thread.policy) == Policy::Idle;
    return static_cast<u64>(time.raw) * 1024 / (idle ? kIdlePolicyWeight : kWeights[read_parameter(thread.nice) + 20]);
}

void ReadyQueue::enqueue(Entity& thread, Among place) {
    if (first_ == nullptr) {
        first_ = &thread;
    } else if (place == Among::First ? !before(*first_, thread) : before(thread, *first_)) {
        tree_.insert_before(tree_.begin(), *first_);
        first_ = &thread;
    } else {
        tree_.insert_before(place == Among::First ? tree_.lower_bound(thread) : tree_.upper_bound(thread), thread);
    }
}

void ReadyQueue::dequeue(Entity& thread) {
    if (&thread == first_)
        take_first();
    else
        tree_.erase(tree_.iterator_to(thread));
}

Entity* ReadyQueue::take_first() {
    Entity* thread = first_;
    first_ = nullptr;
    if (!tree_.empty()) {
        first_ = &*tree_.begin();
        tree_.erase(tree_.begin());
    }
    return thread;
}

const Entity* ReadyQueue::first_fair() const {
    if (first_ == nullptr || first_->queue_slot == 0) [[likely]]
        return first_;
    const auto before_the_fair = [](const Entity& thread, int) { return thread.queue_slot != 0; };
    const auto fair = tree_.lower_bound(0, before_the_fair);
    return fair == tree_.end() ? nullptr : &*fair;
}

void ReadyQueue::step_back(Entity& running) const {
    const Entity* fair = first_fair();
    if (fair != nullptr && earlier(running.virtual_runtime, fair->virtual_runtime))
        running.virtual_runtime = fair->virtual_runtime;
}

u64 ReadyQueue::virtual_runtime_when_woken(const Entity& thread) const {
    const u64 earliest = minimum() - kSleeperCredit;
    return earlier(thread.virtual_runtime, earliest) ? earliest : thread.virtual_runtime;
}

void ReadyQueue::advance(const Entity* running) {
    const Entity* least = first_fair();
    if (running != nullptr && (least == nullptr || earlier(running->virtual_runtime, least->virtual_runtime)))
        least = running;
    if (least != nullptr && earlier(minimum(), least->virtual_runtime))
        minimum_.store(least->virtual_runtime, std::memory_order_relaxed);
}

bool RunQueue::push(Entity& thread) {
    Entity* head = pending.load(std::memory_order_relaxed);
    // release pairs with drain(), acquire with the pushes before this one: see `quiet` in deliver(). seq_cst: see idle_loop().
    do thread.pending_next = head;
    while (!pending.compare_exchange_weak(head, &thread, std::memory_order_seq_cst, std::memory_order_relaxed));
    return head == nullptr;
}

void RunQueue::drain(Claims claims) {
    if (pending.load(std::memory_order_relaxed) == nullptr) return;  // who pushes now sends an interrupt
    // acquire pairs with the release in push(): the threads, and their saved registers, are seen as their wakers left them.
    Entity* newest = pending.exchange(nullptr, std::memory_order_acquire);
    Entity* oldest = nullptr;
    while (newest != nullptr) {
        Entity* next = newest->pending_next;
        newest->pending_next = oldest;
        oldest = std::exchange(newest, next);
    }
    while (oldest != nullptr) {
        Entity& thread = *std::exchange(oldest, oldest->pending_next);
        if (!affinity_of(thread).has(cpu)) [[unlikely]] {
            const CpuId target = choose_cpu(thread, WakeHint::None);
            if (target != cpu) {
                // The running thread, woken since it became Sleeping in this very section: its registers are still in this
                // CPU, so it is sent on by finish_switch(). That follows, as the thread is neither runnable nor queued.
                if (&thread == current.load(std::memory_order_relaxed))
                    previous_leaves = true;
                else
                    deliver(thread, target, WakeHint::None);
                continue;
            }
        }
        thread.virtual_runtime = ready.virtual_runtime_when_woken(thread);
        enqueue(thread);
        if (claims == Claims::Compare && has_better_claim(thread, thread.virtual_runtime)) preempt_current = true;
    }
}

Entity* RunQueue::take_only_pending() {
    Entity* thread =
        pending.load(std::memory_order_acquire);  // pairs with push(); it stays there, only this CPU drains
    if (thread == nullptr || thread->pending_next != nullptr || waiting.load(std::memory_order_relaxed) != 0)
        return nullptr;
    if (!affinity_of(*thread).has(cpu)) return nullptr;
    Entity* expected = thread;  // another one may come this moment; then drain() takes both
    if (!pending.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed)) return nullptr;
    thread->virtual_runtime = ready.virtual_runtime_when_woken(*thread);
    thread->queue_slot = realtime_slot(*thread);
    return thread;
}

bool RunQueue::has_better_claim(const Entity& newcomer, u64 virtual_runtime) const {
    const Entity& running = *current.load(std::memory_order_relaxed);
    const u8 slot = running.queue_slot;
    if (&running == &idle || realtime_slot(newcomer) > slot) return true;
    if (slot != 0) return false;
    const Policy policy = read_parameter(newcomer.policy);
    const bool is_late = static_cast<i64>(running.virtual_runtime - virtual_runtime) > kPreemptionLag;
    const bool runs_idle = read_parameter(running.policy) == Policy::Idle && policy != Policy::Idle;
    return runs_idle || (policy == Policy::Normal && is_late);
}

bool RunQueue::can_wait(const Entity& newcomer) const {
    return next_tick - clock <= kSlice && !has_better_claim(newcomer, ready.virtual_runtime_when_woken(newcomer));
}

void RunQueue::enqueue(Entity& thread, Among place) {
    ASSERT(thread.queued_on.load(std::memory_order_relaxed) == 0, "a thread is queued twice");
    thread.queued_on.store(cpu.raw + 1, std::memory_order_relaxed);
    thread.queue_slot = realtime_slot(thread);
    ready.enqueue(thread, place);
    count_waiting(1);
}

void RunQueue::dequeue(Entity& thread) {
    ASSERT(holds(thread), "a thread is taken off a queue that it is not on");
    thread.queued_on.store(0, std::memory_order_relaxed);
    ready.dequeue(thread);
    count_waiting(~u32{0});
}

Entity* RunQueue::take_first() {
    Entity* thread = ready.take_first();
    if (thread == nullptr) return nullptr;
    thread->queued_on.store(0, std::memory_order_relaxed);
    count_waiting(~u32{0});
    return thread;
}

void RunQueue::account(Nanoseconds now) {
    Entity& running = *current.load(std::memory_order_relaxed);
    // `clock` may have been set on another CPU, whose cycle counter may be a little ahead of this one's.
    const Nanoseconds passed = std::max(now - clock, Nanoseconds{});
    clock += passed;
    running.run_time += passed;
    running.slice_used += passed;
    if (&running == &idle) return;
    const bool is_fair = running.queue_slot == 0;
    if (is_fair) running.virtual_runtime += weighted(running, passed);
    ready.advance(is_fair ? &running : nullptr);
}

bool round_robin_is_over(const Entity& thread) {
    return read_parameter(thread.policy) == Policy::RoundRobin && thread.slice_used >= kRoundRobinSlice;
}

bool RunQueue::slice_is_over() const {
    const Entity& running = *current.load(std::memory_order_relaxed);
    const Entity* next = ready.first();
    if (next == nullptr) return false;
    if (next->queue_slot != running.queue_slot) return next->queue_slot > running.queue_slot;
    return running.queue_slot == 0 ? running.slice_used >= kSlice : round_robin_is_over(running);
}

// A tick has two reasons: somebody waits for the end of the slice; and a user thread's time is sampled for utime and stime.
void RunQueue::update_tick(Nanoseconds now) {
    const Entity& running = *current.load(std::memory_order_relaxed);
    if (&running == &idle) return;
    Nanoseconds wanted = running.fpu != nullptr ? next_sample : Nanoseconds::max();
    if (waiting.load(std::memory_order_relaxed) != 0) {
        // It may run on beyond its slice: real-time threads do.
        const Nanoseconds used = running.slice_used;
        wanted = std::min(wanted, now + (used < kSlice ? kSlice - used : kSlice));
    }
    if (wanted >= next_tick) return;
    next_tick = wanted;
    time::set_tick(wanted);
}

}  // namespace hd::sched
