// SPDX-License-Identifier: MIT
// A sleeping lock with an owner. Adaptive: while the owner runs on another CPU, a contender spins, since the section is likely
// to end sooner than a switch would; else it sleeps. Newcomers may overtake a woken waiter (a lock that is free is taken,
// which avoids convoys), but each waiter only once: having lost that race it is given the lock at the next unlock.
//
// Checked: the rank against every sleeping lock that the thread holds, release by the owner, sleeping context.
// Context: task, no spinlock held. Not recursive.
#pragma once
#include "kernel/sync/wait_queue.hpp"

namespace hd::sync {

class CAPABILITY("mutex") Mutex {
public:
    constexpr explicit Mutex(core::Rank rank) : rank_(rank) {
        ASSERT(core::is_sleeping(rank), "a sleeping lock with a spinlock's rank");
    }

    using State = core::NothingToRestore;
    // Here and unlock() below are the ways without contention: they are part of every read and write.
    State lock(core::Site site = core::Site::current()) ACQUIRE() {
        core::assert_may_sleep();
        sched::Entity& self = sched::current();
        if (!self.held_sleeping_locks.push(this, rank_, site)) [[unlikely]]
            return learn_order(site);
        take(word_of(&self));
        return {};
    }
    [[nodiscard]] bool try_lock(core::Site site = core::Site::current()) TRY_ACQUIRE(true);
    // The second of two locks of the same rank; see MutexPairGuard.
    void lock_second(core::Site site = core::Site::current()) ACQUIRE();
    void unlock(State = {}) RELEASE() {
        sched::Entity& self = sched::current();
        self.held_sleeping_locks.pop(this);
        u64 mine = word_of(&self);
        if (!owner_.compare_exchange_strong(mine, 0, std::memory_order_release, std::memory_order_relaxed)) [[unlikely]]
            unlock_slow();
    }
    bool held_by_me() const;

private:
    class Node;

    static u64 word_of(const sched::Entity* thread) { return reinterpret_cast<u64>(thread); }
    [[gnu::noinline, gnu::cold]] State learn_order(core::Site site);
    bool try_take(u64 me);
    bool spin(u64 me);
    void take(u64 me) {
        u64 free = 0;
        if (!owner_.compare_exchange_strong(free, me, std::memory_order_acquire, std::memory_order_relaxed))
            [[unlikely]]
            lock_slow(me);
        owner_cpu_.store(arch::local_load<&arch::CpuLocal::id>().raw, std::memory_order_relaxed);
    }
    [[gnu::noinline]] void lock_slow(u64 me);
    void spin_or_sleep(u64 me);
    void unlock_slow();

    static constexpr u64 kWaiters = 1;  // in owner_: somebody is on the queue, so unlock() must look at it

    std::atomic<u64> owner_{0};      // the owner's Entity*, or 0, together with kWaiters
    std::atomic<u32> owner_cpu_{0};  // where the owner ran when it took the lock: a hint for spinning
    core::Rank rank_;
    WaitQueue queue_;
};

using MutexGuard = core::LockGuard<Mutex>;

// Two mutexes of one rank (directories of a rename, inodes), lower address first; they may be the same one.
class SCOPED_CAPABILITY [[nodiscard]] MutexPairGuard {
public:
    MutexPairGuard(Mutex& a, Mutex& b, core::Site site = core::Site::current()) ACQUIRE(a, b);
    ~MutexPairGuard() RELEASE();
    MutexPairGuard(const MutexPairGuard&) = delete;

private:
    Mutex& first_;
    Mutex& second_;
};

}  // namespace hd::sync
