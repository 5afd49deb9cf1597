// SPDX-License-Identifier: MIT
// See timer.hpp. The hardware may fire for a timer that was cancelled or moved meanwhile: such an interrupt finds nothing due
// and arms the hardware anew. That is cheaper than to arm it at every cancel().
#include "kernel/time/timer.hpp"

#include <algorithm>

#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"

namespace hd::time {

namespace bi = boost::intrusive;

class TimerQueue {
public:
    void insert_locked(Timer& timer, Nanoseconds deadline) REQUIRES(lock);
    bool remove_locked(Timer& timer) REQUIRES(lock);
    void run_due();
    void want_interrupt(Nanoseconds deadline);

    core::IrqSpinlock lock{core::Rank::Timer};
    Timer* running GUARDED_BY(lock) = nullptr;  // whose callback is under way; never dereferenced
    // The owner CPU's, IRQs off.
    Nanoseconds hardware = Nanoseconds::max();  // what the hardware timer is armed for
    Nanoseconds tick = Nanoseconds::max();
    bool tick_came = false;

    static TimerQueue& mine();
    static TimerQueue& of(u32 cpu);

private:
    struct Sooner {
        bool operator()(const Timer& a, const Timer& b) const { return a.deadline_ < b.deadline_; }
    };
    using Link = bi::member_hook<Timer, decltype(Timer::link_), &Timer::link_>;
    bi::rbtree<Timer, Link, bi::compare<Sooner>, bi::constant_time_size<false>> tree_ GUARDED_BY(lock);
};

namespace {
HD_PERCPU core::PerCpu<Late<TimerQueue>, core::PerCpuPolicy::kIrqsOff> g_queues;
constinit std::atomic<i64> g_boot_offset{0};
constinit std::atomic<i64>* g_wall_clock_offset = &g_boot_offset;  // from the monotonic clock, in nanoseconds
}  // namespace

TimerQueue& TimerQueue::mine() { return *g_queues.get(); }
TimerQueue& TimerQueue::of(u32 cpu) { return *g_queues.on(CpuId{cpu}); }

void TimerQueue::insert_locked(Timer& timer, Nanoseconds deadline) {
    timer.deadline_ = deadline;
    timer.queued_.store(true, std::memory_order_relaxed);
    tree_.insert_equal(timer);
}

bool TimerQueue::remove_locked(Timer& timer) {
    if (!timer.queued_.load(std::memory_order_relaxed)) return false;
    timer.queued_.store(false, std::memory_order_relaxed);
    tree_.erase(tree_.iterator_to(timer));
    return true;
}

void TimerQueue::want_interrupt(Nanoseconds deadline) {
    if (deadline >= hardware) return;
    hardware = deadline;
    arch::timer_arm(deadline);
}

void TimerQueue::run_due() {
    hardware = Nanoseconds::max();
    const Nanoseconds now = time::now();
    if (tick <= now) {
        tick = Nanoseconds::max();
        tick_came = true;
    }
    lock.lock_irqs_off();
    while (!tree_.empty() && tree_.begin()->deadline_ <= now) {
        Timer& timer = *tree_.begin();
        remove_locked(timer);
        running = &timer;
        lock.unlock_irqs_off();
        timer.callback_(timer);  // perhaps frees it
        lock.lock_irqs_off();
        running = nullptr;
    }
    const Nanoseconds next = tree_.empty() ? Nanoseconds::max() : tree_.begin()->deadline_;
    lock.unlock_irqs_off();
    want_interrupt(std::min(next, tick));
}

Timer::~Timer() { ASSERT(!armed(), "an armed timer is destroyed"); }

void Timer::arm(Nanoseconds deadline) {
    core::IrqGuard irqs_off;
    const u32 self = core::this_cpu().raw;
    // relaxed: only the owner and the callback, which runs on that very CPU, change it.
    const u32 home = cpu_.load(std::memory_order_relaxed);
    if (home != kNoCpu && home != self) {
        TimerQueue& queue = TimerQueue::of(home);
        core::LockGuard guard(queue.lock);
        queue.remove_locked(*this);
        // While its callback runs there it stays there, so that cancel() has one place to wait at. The interrupt that
        // is under way on that CPU arms the hardware at its end.
        if (queue.running == this) return queue.insert_locked(*this, deadline);
    }
    TimerQueue& queue = TimerQueue::mine();
    {
        core::LockGuard guard(queue.lock);
        queue.remove_locked(*this);
        cpu_.store(self, std::memory_order_relaxed);
        queue.insert_locked(*this, deadline);
    }
    queue.want_interrupt(deadline);
}

bool Timer::cancel() {
    const u32 home = cpu_.load(std::memory_order_relaxed);  // as in arm()
    if (home == kNoCpu) return false;
    TimerQueue& queue = TimerQueue::of(home);
    bool removed = false;
    for (;;) {
        {
            core::LockGuard guard(queue.lock);
            removed = queue.remove_locked(*this) || removed;
            if (queue.running != this) return removed;
        }
        arch::cpu_relax();
    }
}

void timers_init_cpu() {
    core::IrqGuard irqs_off;
    g_queues.get().construct();
    if (core::this_cpu().raw == 0) set_wall_clock(seconds(arch::boot_wall_clock()) + now());
}

void on_timer_interrupt() { TimerQueue::mine().run_due(); }

void set_tick(Nanoseconds deadline) {
    TimerQueue& queue = TimerQueue::mine();
    if (deadline >= queue.tick) return;
    queue.tick = deadline;
    queue.want_interrupt(deadline);
}

bool take_tick() { return std::exchange(TimerQueue::mine().tick_came, false); }

Nanoseconds wall_clock() {
    return now() + Nanoseconds{g_wall_clock_offset->load(std::memory_order_relaxed)};  // one word, orders nothing
}

void set_wall_clock(Nanoseconds since_epoch) {
    g_wall_clock_offset->store((since_epoch - now()).raw, std::memory_order_relaxed);
}

void move_wall_clock(std::atomic<i64>& home) {
    home.store(g_wall_clock_offset->load(std::memory_order_relaxed), std::memory_order_relaxed);
    g_wall_clock_offset = &home;
}

}  // namespace hd::time
