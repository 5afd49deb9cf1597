// SPDX-License-Identifier: MIT
// A CPU's run queue: private to kernel/sched. The classes stand in a fixed order - real-time, fair, idle - and have the same
// small interface (enqueue, dequeue, take_first, find); which one a thread goes to follows from its policy.
//
// The running thread is in no class's queue. The lock is held over a context switch: the thread that is switched out may
// be queued already (preempted, yielded) while its registers are still in the CPU, and nobody can take it before the
// successor has released the lock.
#pragma once
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/rbtree.hpp>

#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/sched/parameters.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/time/timer.hpp"

namespace hd::sched {

// Where among its equals a thread comes in.
enum class Among : u8 { Last, First };

// First in, first out among equals, the highest priority first.
class RealtimeQueue {
public:
    static constexpr u32 kPriorities = 100;

    void enqueue(Entity& thread, Among place);
    void dequeue(Entity& thread);
    Entity* take_first();  // nullptr: empty
    template <class Wanted> Entity* find(Wanted wanted);
    bool empty() const { return bitmap_[0] == 0 && bitmap_[1] == 0; }
    u8 highest() const;  // priority of the first, 0 if empty

private:
    using List = boost::intrusive::list<
        Entity, boost::intrusive::member_hook<Entity, decltype(Entity::realtime_link), &Entity::realtime_link>,
        boost::intrusive::constant_time_size<false>>;
    List lists_[kPriorities];
    u64 bitmap_[2] = {};  // which lists are not empty
};

// The thread that has had the least weighted time first. The first one is kept outside the tree: with one waiting thread,
// which is the usual number, the tree is never touched.
class FairQueue {
public:
    void enqueue(Entity& thread);
    void dequeue(Entity& thread);
    Entity* take_first();
    template <class Wanted> Entity* find(Wanted wanted);
    bool empty() const { return first_ == nullptr; }
    // sched_yield: the running thread's turn comes just behind that of the first here.
    void step_back(Entity& running) const {
        if (first_ != nullptr && before(running, *first_)) running.virtual_runtime = first_->virtual_runtime;
    }

    // A thread comes back from sleep: it keeps its lag, but gains at most kSleeperCredit by having slept.
    void place_woken(Entity& thread) const;
    // The clock of this queue: the virtual runtime that a thread with no claims and no debts has. Never goes back.
    u64 minimum() const {
        return minimum_.load(std::memory_order_relaxed);
    }  // read by other CPUs for a rough conversion
    void advance(const Entity* running);

    static bool before(const Entity& a, const Entity& b) {
        return static_cast<i64>(a.virtual_runtime - b.virtual_runtime) < 0;  // right even when the numbers wrap
    }

private:
    static constexpr i64 kSleeperCredit = 3'000'000;  // virtual nanoseconds

    struct Before {
        bool operator()(const Entity& a, const Entity& b) const { return before(a, b); }
    };
    boost::intrusive::rbtree<Entity,
                             boost::intrusive::member_hook<Entity, decltype(Entity::fair_link), &Entity::fair_link>,
                             boost::intrusive::compare<Before>, boost::intrusive::constant_time_size<false>>
        tree_;
    Entity* first_ = nullptr;
    std::atomic<u64> minimum_{0};
};

// A statistic: its CPU counts, others read. relaxed: it orders nothing.
class Counter {
public:
    void add(u64 amount = 1) { value_.store(get() + amount, std::memory_order_relaxed); }
    u64 get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<u64> value_{0};
};

class RunQueue {
public:
    RunQueue(CpuId cpu_id, Entity& idle_thread, Nanoseconds now)
        : cpu(cpu_id), idle(idle_thread), current(&idle_thread), clock(now) {}

    const CpuId cpu;
    Entity& idle;
    core::IrqSpinlock lock{core::Rank::RunQueue};

    // Anybody's. `current` is written by its CPU under the lock; without the lock its value is only to be compared.
    std::atomic<Entity*> current;
    std::atomic<Entity*> pending{nullptr};    // woken threads on their way into the queue: push() and drain()
    std::atomic<bool> quiet{false};           // `pending` may have become not empty without an interrupt: deliver()
    std::atomic<u32> waiting{0};              // threads in the queues; written under the lock, a hint for others
    std::atomic<u8> running_slot{0};          // queue_slot of `current`; a hint for others
    std::atomic<UserSpace*> loaded{nullptr};  // whose page table this CPU has; written by the CPU with IRQs off

    RealtimeQueue realtime GUARDED_BY(lock);
    FairQueue fair GUARDED_BY(lock);
    Nanoseconds clock GUARDED_BY(lock){};        // until when the running thread's time is accounted
    Nanoseconds next_sample GUARDED_BY(lock){};  // the next tick of utime and stime
    Nanoseconds next_tick GUARDED_BY(lock) =
        Nanoseconds::max();                         // what the timer was asked for and has not yet brought
    bool preempt_current GUARDED_BY(lock) = false;  // somebody in the queue has a better claim than the running thread

    // The CPU's own, IRQs off, between the two sides of a switch.
    Entity* previous = nullptr;    // who was switched out
    bool previous_leaves = false;  // ... and may not run here any more

    Counter user_ticks, nice_ticks, system_ticks, switches, wakeups, remote_wakeups, pulled;

    bool push(Entity& thread);  // onto `pending`; was it empty? Any context, no lock
    // Queues the pending threads. `Compare`: and sees whether one of them should have the CPU rather than the running thread.
    enum class Claims : u8 { Ignore, Compare };
    // The running thread may be among them: it was about to sleep, is not runnable, and a switch from it must follow.
    void drain(Claims claims) REQUIRES(lock);
    // The direct hand-over of a synchronous wake-up: if nobody waits but one pending thread, takes that one past the queue.
    Entity* take_only_pending() REQUIRES(lock);
    void enqueue(Entity& thread, Among place = Among::Last) REQUIRES(lock);  // `place`: of real-time threads
    void dequeue(Entity& thread) REQUIRES(lock);
    bool holds(const Entity& thread) const REQUIRES(lock) {
        return thread.queued_on.load(std::memory_order_relaxed) == cpu.raw + 1;  // nobody else writes this value
    }
    Entity* take_first() REQUIRES(lock);                                 // nullptr: nobody waits
    template <class Wanted> Entity* find(Wanted wanted) REQUIRES(lock);  // the first in order of class that is wanted
    void account(Nanoseconds now) REQUIRES(lock);                        // the running thread's time up to `now`
    void update_tick(Nanoseconds now) REQUIRES(lock);
    bool slice_is_over() const REQUIRES(lock);
    u64 fair_minimum() const NO_THREAD_SAFETY_ANALYSIS { return fair.minimum(); }  // atomic

private:
    void consider_preemption(const Entity& newcomer) REQUIRES(lock);
    void count_waiting(u32 change) {
        waiting.store(waiting.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
    }
};

// Has it had its turn among its equals?
bool round_robin_is_over(const Entity& thread);

// Those who ask for it have preemption off; switch_away() asserts the state of things once for all.
[[gnu::section("percpu")]] extern core::PerCpu<Late<RunQueue>> g_run_queues;
inline RunQueue& this_run_queue() { return *g_run_queues.unchecked(); }
inline RunQueue& run_queue_of(CpuId cpu) { return *g_run_queues.on(cpu); }

// CPUs that schedule, and those of them that idle and wait for work. Whoever sends an idle one work takes it out.
extern AtomicCpuMask g_scheduling_cpus, g_idle_cpus;

// Where a thread that is on no queue and on no CPU best goes. Preemption off.
CpuId choose_cpu(const Entity& thread, WakeHint hint);
// Sends it there: by the pending list, with an interrupt if needed. The caller owns the thread (state Runnable). Preemption off.
void deliver(Entity& thread, CpuId target, WakeHint hint);
void request_resched(CpuId cpu);

// Takes a thread from the CPU where most are waiting, if at least `at_least` are, and puts it on this one's pending list.
// IRQs off, no run queue's lock held. Did it find one?
bool pull(u32 at_least);
// Has an idle CPU come and pull.
void invite_idle_cpu(CpuId cpu);

void update_load_averages(Nanoseconds now);

template <class Wanted> Entity* RealtimeQueue::find(Wanted wanted) {
    for (u32 priority = kPriorities; priority-- > 0;)
        for (Entity& thread : lists_[priority])
            if (wanted(thread)) return &thread;
    return nullptr;
}

template <class Wanted> Entity* FairQueue::find(Wanted wanted) {
    if (first_ != nullptr && wanted(*first_)) return first_;
    for (Entity& thread : tree_)
        if (wanted(thread)) return &thread;
    return nullptr;
}

template <class Wanted> Entity* RunQueue::find(Wanted wanted) {
    Entity* found = realtime.find(wanted);
    return found != nullptr ? found : fair.find(wanted);
}

}  // namespace hd::sched
