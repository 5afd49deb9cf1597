// SPDX-License-Identifier: MIT
// Which locks a CPU (spinlocks) or a thread (sleeping locks) holds, innermost last, and where each was taken. The check
// of the lock order lives here: it fires on the first acquisition out of order, not on the deadlock that may follow.
#pragma once
#include <atomic>
#include <source_location>

#include "arch/cpu.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/rank.hpp"
#include "kernel/lib/format.hpp"

namespace hd::core {

struct HeldLock {
    const void* lock = nullptr;
    Rank rank{};
    std::source_location site{};
};

// Owner only: a CPU's list is touched with preemption off, and an interrupt on the same CPU leaves it as it found it. One
// may come between the two stores of push_unordered() or pop(); it then sees an entry of the lowest rank, which lets any
// lock of its own pass, and the entry is whole again when it returns.
class HeldLocks {
public:
    static constexpr usize kCapacity = 16;

    // Panics when a lock of that rank may not be taken while what is held is held.
    void push(const void* lock, Rank rank, const std::source_location& site) {
        if (newest().rank >= rank) [[unlikely]]
            order_violation(rank, site);
        push_unordered(lock, rank, site);
    }
    // Without the check: after a successful try_lock, and for the second of a pair ordered by address.
    void push_unordered(const void* lock, Rank rank, const std::source_location& site) {
        if (newest_ == kCapacity * sizeof(HeldLock)) [[unlikely]]
            overflow(site);
        HeldLock& slot = *(&newest() + 1);
        newest_ += sizeof(HeldLock);
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the slot first belongs to us, then is filled
        slot = {lock, rank, site};
    }
    void pop(const void* lock) {
        HeldLock& slot = newest();
        if (slot.lock != lock) [[unlikely]]
            return pop_inner(lock);
        slot.rank = Rank::None;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        newest_ -= sizeof(HeldLock);
    }
    usize count() const { return newest_ / sizeof(HeldLock); }
    void describe(TextSink& sink) const;
    // The newest lock is being waited for, or was got at last. The mark is the lowest bit of its address, so that the way without
    // a wait stores nothing more.
    void set_awaited(const void* lock, bool awaited) {
        newest().lock = static_cast<const char*>(lock) + (awaited ? 1 : 0);
    }
    const HeldLock* find_owned(const void* lock) const;  // nullptr: not held here

private:
    [[noreturn]] void order_violation(Rank rank, std::source_location site) const;
    [[noreturn]] static void overflow(std::source_location site);
    void pop_inner(const void* lock);  // released out of order, which is allowed; panics if it is not held
    HeldLock& newest() { return *reinterpret_cast<HeldLock*>(reinterpret_cast<char*>(locks_) + newest_); }

    // In bytes, so that finding the newest entry, which each lock and unlock does, is one addition. Entry 0 is none: its rank is
    // below all others, and no lock is at its address.
    usize newest_ = 0;
    HeldLock locks_[kCapacity + 1];
};

// This CPU's list. The callers have preemption off; checking would double the cost of a lock.
[[gnu::section("percpu")]] extern PerCpu<HeldLocks> g_held_spinlocks;
inline HeldLocks& held_spinlocks() { return g_held_spinlocks.unchecked(); }
const HeldLocks& held_spinlocks_of(CpuId cpu);

}  // namespace hd::core
