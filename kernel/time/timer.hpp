// SPDX-License-Identifier: MIT
// Timers: a callback at a point of the monotonic clock, run in interrupt context on the CPU that armed it. Each CPU has a
// queue ordered by deadline (a red-black tree); the hardware timer is armed for the earliest, and for nothing when the
// queue is empty: an idle CPU sleeps without ticks. The scheduler's tick is one more deadline of the CPU, kept outside the
// tree because the scheduler sets it with its run queue locked.
//
// Locking: the queue's IrqSpinlock (rank Timer). A callback runs without it, may take locks of higher rank, must not sleep.
#pragma once
#include <atomic>
#include <boost/intrusive/rbtree.hpp>

#include "arch/timer.hpp"
#include "kernel/lib/types.hpp"

namespace hd::time {

inline Nanoseconds now() { return arch::clock_now(); }
// A point of any clock and a duration from there, both not negative; without overflow: max() is never.
constexpr Nanoseconds later(Nanoseconds from, Nanoseconds duration) {
    return duration >= Nanoseconds::max() - from ? Nanoseconds::max() : from + duration;
}
Nanoseconds wall_clock();                      // since 1970
void set_wall_clock(Nanoseconds since_epoch);  // clock_settime(2)
// The wall clock's offset from now(), in nanoseconds, lives there from now on: where programs can read it. Boot, before they do.
void move_wall_clock(std::atomic<i64>& home);

class Timer {
public:
    using Callback = void (*)(Timer&);
    explicit Timer(Callback callback) : callback_(callback) {}
    ~Timer();  // must not be armed

    // Runs the callback once at `deadline`, or at once if it is past. Replaces an earlier deadline. The callback may
    // re-arm or free its own timer. Any context but NMI; two arm() of one timer at once are the owner's to exclude.
    void arm(Nanoseconds deadline);
    // After it returns the callback neither runs nor will run; true if it was still to come. Waits for a running
    // callback on another CPU; never call it from the callback or with a lock that the callback takes.
    bool cancel();
    bool armed() const { return queued_.load(std::memory_order_relaxed); }  // a hint while others may change it
    Nanoseconds deadline() const { return deadline_; }

private:
    friend class TimerQueue;
    static constexpr u32 kNoCpu = ~u32{0};

    boost::intrusive::set_member_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> link_;
    Callback callback_;
    Nanoseconds deadline_{};
    std::atomic<u32> cpu_{kNoCpu};     // whose queue it is in or was last in; changed under that queue's lock
    std::atomic<bool> queued_{false};  // changed under that queue's lock
};

void timers_init_cpu();
// The hardware timer's interrupt: runs what is due, arms the next. Interrupt context.
void on_timer_interrupt();

// For the scheduler: asks for a timer interrupt of this CPU at `deadline` at the latest. A later one than asked for before
// is ignored. take_tick(): did the interrupt come for this? Says so once. IRQs off; no lock is taken.
void set_tick(Nanoseconds deadline);
bool take_tick();

}  // namespace hd::time
