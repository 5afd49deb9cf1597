// SPDX-License-Identifier: MIT
// sched::Entity: what the scheduler knows of a thread. A task::Thread is one; kernel threads and idle threads are plain ones.
//
// States, and who changes them (the proof that no wake-up is lost is in kernel/sync/wait_queue.hpp):
//
//      make()──► New ──start()──► Runnable ◄─────────────── wake() ─────────────┐
//                                  │   ▲                                        │
//                        switch_to │   │ preempted, yield                       │
//                                  ▼   │                                        │
//      exit ◄── Dead ◄─────────── Running ──prepare_to_sleep()──► Blocking ──switch──► Sleeping
//                                  ▲                                 │
//                                  └── wake() before the switch, or ─┘
//                                      the predicate was true after all
#pragma once
#include <algorithm>
#include <atomic>
#include <boost/intrusive/set_hook.hpp>

#include "arch/context.hpp"
#include "kernel/core/held_locks.hpp"
#include "kernel/lib/cpu_mask.hpp"
#include "kernel/lib/types.hpp"

namespace hd::sched {

enum class State : u32 { New, Runnable, Running, Blocking, Sleeping, Dead };

enum class Policy : u8 { Normal = 0, Fifo = 1, RoundRobin = 2, Batch = 3, Idle = 5 };  // Linux's SCHED_*

inline bool is_realtime(Policy policy) { return policy == Policy::Fifo || policy == Policy::RoundRobin; }

// Why a thread sleeps, as Linux shows it: S (a signal ends it), D (nothing but its event), D as well, but its event may take as long as
// another program likes, and its own end is one too, T (stopped).
enum class SleepKind : u8 { Interruptible, Uninterruptible, Killable, Stopped };

// What a thread's user address space is to the scheduler; mm::AddressSpace is one. Called with IRQs off.
class UserSpace {
public:
    virtual void activate(CpuId cpu) = 0;    // this CPU's page table becomes this space's
    virtual void deactivate(CpuId cpu) = 0;  // this CPU leaves it for another user space

protected:
    ~UserSpace() = default;
};

struct Entity {
    // Not 0: something is to be done before the thread returns to user mode (signals). The entry code reads it, so it is
    // the first member. Set by anybody, followed by a kick(); cleared by the thread.
    std::atomic<u32> user_work{0};
    std::atomic<State> state{State::New};

    // Set once, before start().
    i32 id = 0;          // thread id; idle threads have 0
    char name[16] = {};  // comm; changed by the thread itself only
    VirtAddr stack_top{};
    UserSpace* user_space =
        nullptr;  // nullptr: a kernel thread, it borrows whatever is loaded. Changed by the thread itself (exec)
    void* fpu = nullptr;  // nullptr: never was in user mode
    void (*reap)(Entity&) =
        nullptr;  // called once the dead thread is off its stack, on the CPU where it died, IRQs on,
                  // preemption off: frees stack and record

    // The owner CPU's, under its run queue's lock.
    arch::Context context;
    arch::UserCpuState user_state;
    boost::intrusive::set_member_hook<boost::intrusive::link_mode<boost::intrusive::normal_link>> queue_link;
    u64 virtual_runtime = 0;   // weighted nanoseconds, on the scale of the queue of `cpu`
    Nanoseconds slice_used{};  // how much of its turn it has had
    Nanoseconds run_time{};    // sum of all its time on a CPU
    std::atomic<u32> queued_on{
        0};             // the number of the CPU on whose queue it is, plus 1; changed under that queue's lock
    u8 queue_slot = 0;  // while queued or running: realtime_slot() of it then

    // Waking: a stack of threads on their way to a CPU's queue.
    Entity* pending_next = nullptr;
    std::atomic<u32> cpu{0};          // where it runs, ran last, or is queued
    std::atomic<bool> on_cpu{false};  // its registers are in a CPU, not yet in `context`
    SleepKind sleep_kind = SleepKind::Interruptible;
    const char* wait_channel = "";  // what it sleeps for, for /proc/PID/wchan and reports

    // Set by sched::set_* under the run queue's lock; read by wakers without it: see read_parameter().
    Policy policy = Policy::Normal;
    u8 realtime_priority = 0;  // 1 to 99 for Fifo and RoundRobin
    u8 lent_priority = 0;      // of those who wait for what it owns; 0: none. Never counts for less than its own
    i8 nice = 0;
    CpuMask affinity = CpuMask::all();

    // Counters for /proc and getrusage, changed by the thread's CPU only.
    u64 user_ticks = 0, system_ticks = 0;
    u64 voluntary_switches = 0, involuntary_switches = 0, migrations = 0;
    Nanoseconds start_time{};

    u32 tick_work = 0;  // bits that each tick sets in user_work; relaxed: read_parameter()

    // What the watch saw of it last (kernel/task/sleep_watch.cpp; its thread's own).
    u64 watched_switches = ~u64{0};
    Nanoseconds watched_since{};
    bool watch_told = false;

    core::HeldSleepingLocks held_sleeping_locks;
};

// A thread's parameters are written under the lock of the run queue that the thread belongs to, but a waker on another CPU
// reads them without it, and a thread on its way between queues belongs to none. So every access is a relaxed atomic one. A
// reader may then see a mixture of old and new values: it queues the thread a little wrong for one turn. Where a thread *is*
// queued is remembered in Entity::queue_slot, not derived again.
template <class T> T read_parameter(const T& parameter) {
    return std::atomic_ref(const_cast<T&>(parameter)).load(std::memory_order_relaxed);
}
template <class T> void write_parameter(T& parameter, T value) {
    std::atomic_ref(parameter).store(value, std::memory_order_relaxed);
}

// The affinity takes part in a proof (set_affinity() in balance.cpp): sequentially consistent.
inline CpuMask affinity_of(const Entity& thread) {
    return std::atomic_ref(const_cast<CpuMask&>(thread.affinity)).load();
}

// 1 to 99 for real-time threads and those whom one has lent its priority, 0 for all others.
inline u8 realtime_slot(const Entity& thread) {
    const u8 own = is_realtime(read_parameter(thread.policy)) ? read_parameter(thread.realtime_priority) : u8{0};
    return std::max(own, read_parameter(thread.lent_priority));
}

}  // namespace hd::sched
