// SPDX-License-Identifier: MIT
// A sleeping read-write lock: many readers or one writer. Phase-fair (Brandenburg and Anderson, "Reader-Writer Synchronization
// for Shared-Memory Multiprocessor Real-Time Systems", ECRTS 2009): a waiting writer stops new readers, so readers cannot
// starve it; when it is done, all readers that wait by then go before the next writer, so writers cannot starve readers. A
// reader waits for at most one writer, a writer for those before it and one batch of readers between each two.
//
// Uncontended, each operation is one atomic access. Contended, the lock is handed over under the queue's lock: whoever is
// woken owns it already.
//
// Checked: rank against the sleeping locks that the thread holds, hence no recursion, not even of readers (with a writer
// between the two it would be a deadlock). Context: task, no spinlock held.
#pragma once
#include "kernel/sync/wait_queue.hpp"

namespace hd::sync {

class CAPABILITY("rwlock") RwLock {
public:
    constexpr explicit RwLock(core::Rank rank) : rank_(rank) {
        ASSERT(core::is_sleeping(rank), "a sleeping lock with a spinlock's rank");
    }

    void read_lock(core::Site site = core::Site::current()) ACQUIRE_SHARED();
    void read_unlock() RELEASE_SHARED();
    void write_lock(core::Site site = core::Site::current()) ACQUIRE();
    void write_unlock() RELEASE();
    bool write_locked() const { return (state_.load(std::memory_order_relaxed) & kWriter) != 0; }  // for assertions

private:
    class Node;

    enum class Turn : u8 { Readers, Writers };

    template <void (RwLock::*kLock)(core::Site)> [[gnu::noinline, gnu::cold]] void learn_order(core::Site site);
    void wait_for_turn(bool writer);
    [[gnu::noinline]] void wake_writer();
    void hand_over_locked(Turn turn) REQUIRES(queue_.lock());

    static constexpr u64 kWriter = 1, kWaiters = 2, kReader = 4;

    std::atomic<u64> state_{0};  // kWriter: a writer owns it; kWaiters: look at the queue; the rest counts readers
    core::Rank rank_;
    WaitQueue queue_;
};

class SCOPED_CAPABILITY [[nodiscard]] ReadGuard {
public:
    explicit ReadGuard(RwLock& lock, core::Site site = core::Site::current()) ACQUIRE_SHARED(lock) : lock_(lock) {
        lock_.read_lock(site);
    }
    ~ReadGuard() RELEASE_GENERIC() { lock_.read_unlock(); }
    ReadGuard(const ReadGuard&) = delete;

private:
    RwLock& lock_;
};

class SCOPED_CAPABILITY [[nodiscard]] WriteGuard {
public:
    explicit WriteGuard(RwLock& lock, core::Site site = core::Site::current()) ACQUIRE(lock) : lock_(lock) {
        lock_.write_lock(site);
    }
    ~WriteGuard() RELEASE() { lock_.write_unlock(); }
    WriteGuard(const WriteGuard&) = delete;

private:
    RwLock& lock_;
};

}  // namespace hd::sync
