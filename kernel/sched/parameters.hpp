// SPDX-License-Identifier: MIT
// A thread's policy, priority, nice value and affinity, and what follows from them.
//
// They are written under the lock of the run queue that the thread belongs to, but a waker on another CPU reads them without
// it, and a thread on its way between queues belongs to none. So every access is a relaxed atomic one. A reader may then see
// a mixture of old and new values: it queues the thread a little wrong for one turn, and never in an impossible place (any
// priority is a valid list). Where a thread *is* queued is remembered in Entity::queue_slot, not derived again.
#pragma once
#include "kernel/sched/entity.hpp"

namespace hd::sched {

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

inline bool is_realtime(Policy policy) { return policy == Policy::Fifo || policy == Policy::RoundRobin; }
// 1 to 99 for real-time threads, 0 for all others.
inline u8 realtime_slot(const Entity& thread) {
    return is_realtime(read_parameter(thread.policy)) ? read_parameter(thread.realtime_priority) : u8{0};
}

// Real time to virtual time: a thread of nice 0 ages as the clock, one of nice n about 1.25^n times as fast.
u64 weighted(const Entity& thread, Nanoseconds time);

inline constexpr Nanoseconds kSlice = milliseconds(4);              // a fair thread's turn while others wait
inline constexpr Nanoseconds kRoundRobinSlice = milliseconds(100);  // Linux's sched_rr_timeslice_ms
inline constexpr Nanoseconds kTick = milliseconds(10);              // USER_HZ = 100

}  // namespace hd::sched
