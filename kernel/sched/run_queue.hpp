// SPDX-License-Identifier: MIT
// A CPU's run queue: private to kernel/sched. One tree holds the waiting threads of all policies.
//
// The running thread is not in it. The lock is held over a context switch: the thread that is switched out may
// be queued already (preempted, yielded) while its registers are still in the CPU, and nobody can take it before the
// successor has released the lock.
#pragma once
#include <boost/intrusive/rbtree.hpp>

#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/time/timer.hpp"

namespace hd::sched {

inline constexpr Nanoseconds kSlice = milliseconds(4);  // a fair thread's turn while others wait
inline constexpr Nanoseconds kTick = milliseconds(10);  // USER_HZ = 100

// Real time to virtual time: a thread of nice 0 ages as the clock, one of nice n about 1.25^n times as fast.
u64 weighted_by_table(const Entity& thread, Nanoseconds time);
inline u64 weighted(const Entity& thread, Nanoseconds time) {
    if (read_parameter(thread.nice) == 0 && read_parameter(thread.policy) != Policy::Idle) [[likely]]
        return static_cast<u64>(time.raw);
    return weighted_by_table(thread, time);
}

// Where among its equals a thread comes in.
enum class Among : u8 { Last, First };

// Threads in the order of their claims: real-time threads by priority, then the fair ones (slot 0) by virtual runtime, the one
// that has had the least weighted time first. Equals stand in the order of their arrival. The first one is kept outside the
// tree: with one waiting thread, which is the usual number, the tree is never touched.
class ReadyQueue {
public:
    void enqueue(Entity& thread, Among place = Among::Last);
    void dequeue(Entity& thread);
    Entity* take_first();                                 // nullptr: empty
    template <class Wanted> Entity* find(Wanted wanted);  // the first that is wanted
    const Entity* first() const { return first_; }        // nullptr: empty
    const Entity* first_fair() const;                     // nullptr: there is none
    static bool before(const Entity& a, const Entity& b) {
        if (a.queue_slot != b.queue_slot) return a.queue_slot > b.queue_slot;
        return a.queue_slot == 0 && earlier(a.virtual_runtime, b.virtual_runtime);
    }

    // sched_yield: the running thread's turn comes just behind that of the first fair one here.
    void step_back(Entity& running) const;
    // A thread comes back from sleep: it keeps its lag, but gains at most kSleeperCredit by having slept.
    u64 virtual_runtime_when_woken(const Entity& thread) const;
    // The clock of this queue: the virtual runtime that a thread with no claims and no debts has. Never goes back. Read by other
    // CPUs for a rough conversion.
    u64 minimum() const { return minimum_.load(std::memory_order_relaxed); }
    void advance(const Entity* running);  // nullptr: the running thread is not a fair one

private:
    static constexpr u64 kSleeperCredit = 3'000'000;  // virtual nanoseconds

    static bool earlier(u64 a, u64 b) { return static_cast<i64>(a - b) < 0; }  // right even when the numbers wrap
    struct Before {
        bool operator()(const Entity& a, const Entity& b) const { return before(a, b); }
    };
    boost::intrusive::rbtree<Entity,
                             boost::intrusive::member_hook<Entity, decltype(Entity::queue_link), &Entity::queue_link>,
                             boost::intrusive::compare<Before>, boost::intrusive::constant_time_size<false>>
        tree_;
    Entity* first_ = nullptr;
    std::atomic<u64> minimum_{0};
};

// A statistic: its CPU counts, others read. relaxed: it orders nothing.
class Counter {
public:
    void add() { value_.store(get() + 1, std::memory_order_relaxed); }
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
    std::atomic<bool> polling{false};         // it idles, and looks at `pending` all the time: idle_loop()
    std::atomic<u32> waiting{0};              // threads in the queues; written under the lock, a hint for others
    std::atomic<u8> running_slot{0};          // queue_slot of `current`; a hint for others
    std::atomic<UserSpace*> loaded{nullptr};  // whose page table this CPU has; written by the CPU with IRQs off

    ReadyQueue ready GUARDED_BY(lock);
    Nanoseconds clock GUARDED_BY(lock){};        // until when the running thread's time is accounted
    Nanoseconds next_sample GUARDED_BY(lock){};  // the next tick of utime and stime
    Nanoseconds next_tick GUARDED_BY(lock) =
        Nanoseconds::max();                         // what the timer was asked for and has not yet brought
    bool preempt_current GUARDED_BY(lock) = false;  // somebody in the queue has a better claim than the running thread

    // The CPU's own, IRQs off, between the two sides of a switch.
    Entity* previous = nullptr;    // who was switched out
    bool previous_leaves = false;  // ... and may not run here any more

    Counter user_ticks, nice_ticks, system_ticks, switches;

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
    Entity* take_first() REQUIRES(lock);           // nullptr: nobody waits
    void account(Nanoseconds now) REQUIRES(lock);  // the running thread's time up to `now`
    void update_tick(Nanoseconds now) REQUIRES(lock);
    // Would a pass through switch_away() leave this newcomer waiting, and does a tick come within a slice? Then it may stay on
    // `pending`: that tick or the running thread's next sleep finds it there. This CPU's queue, IRQs off, so nothing of
    // what is read changes but for the newcomer's parameters.
    bool can_wait(const Entity& newcomer) const NO_THREAD_SAFETY_ANALYSIS;
    bool slice_is_over() const REQUIRES(lock);
    u64 minimum() const NO_THREAD_SAFETY_ANALYSIS { return ready.minimum(); }  // atomic

private:
    bool has_better_claim(const Entity& newcomer, u64 virtual_runtime) const;  // than the running thread
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

template <class Wanted> Entity* ReadyQueue::find(Wanted wanted) {
    if (first_ != nullptr && wanted(*first_)) return first_;
    for (Entity& thread : tree_)
        if (wanted(thread)) return &thread;
    return nullptr;
}

}  // namespace hd::sched
