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

    // Panics when `next` may not be taken while what is held is held.
    void push(const HeldLock& next) {
        if (count_ != 0 && locks_[count_ - 1].rank >= next.rank) [[unlikely]]
            order_violation(next);
        push_unordered(next);
    }
    // Without the check: after a successful try_lock, and for the second of a pair ordered by address.
    void push_unordered(const HeldLock& next) {
        if (count_ == kCapacity) [[unlikely]]
            overflow(next);
        const usize slot = count_;
        count_ = slot + 1;
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the slot first belongs to us, then is filled
        locks_[slot].lock = next.lock;
        locks_[slot].rank = next.rank;
        locks_[slot].site = next.site;
    }
    void pop(const void* lock) {
        if (count_ == 0 || locks_[count_ - 1].lock != lock) [[unlikely]]
            return pop_inner(lock);
        locks_[count_ - 1].rank = Rank{};
        std::atomic_signal_fence(std::memory_order_seq_cst);
        --count_;
    }
    usize count() const { return count_; }
    void describe(TextSink& sink) const;
    // The newest lock is being waited for, or was got at last. The mark is the lowest bit of its address, so that the way without
    // a wait stores nothing more.
    void set_awaited(const void* lock, bool awaited) {
        locks_[count_ - 1].lock = static_cast<const char*>(lock) + (awaited ? 1 : 0);
    }
    const HeldLock* find_owned(const void* lock) const;  // nullptr: not held here

private:
    [[noreturn]] void order_violation(const HeldLock& next) const;
    [[noreturn]] void overflow(const HeldLock& next) const;
    void pop_inner(const void* lock);  // released out of order, which is allowed; panics if it is not held

    usize count_ = 0;
    HeldLock locks_[kCapacity];
};

// This CPU's list. The callers have preemption off; checking would double the cost of a lock.
[[gnu::section("percpu")]] extern PerCpu<HeldLocks> g_held_spinlocks;
inline HeldLocks& held_spinlocks() { return g_held_spinlocks.unchecked(); }
const HeldLocks& held_spinlocks_of(CpuId cpu);

}  // namespace hd::core
