// SPDX-License-Identifier: MIT
// Which locks a CPU (spinlocks) or a thread (sleeping locks) holds, innermost last, and where each was taken. The check
// of the lock order lives here: it fires on the first acquisition out of order, not on the deadlock that may follow.
//
// The check is a look into the graph of what has been seen (lock_graph.hpp). An edge gets there only when it agrees with the
// ranks, so what is known is right, and recording the edges costs nothing once they are known.
#pragma once
#include <atomic>
#include <source_location>

#include "arch/cpu.hpp"
#include "kernel/core/lock_graph.hpp"
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
// may come between the two stores of place() or pop(); it then sees an entry of rank None, which lets any lock of its own
// pass, and the entry is whole again when it returns.
class HeldLocks {
public:
    static constexpr usize kCapacity = 16;

    usize count() const { return top_ / sizeof(HeldLock); }
    // Of the lock taken last; None: nothing is held.
    Rank innermost() const { return at(top_).rank; }
    void describe(TextSink& sink) const;
    // The newest lock is being waited for, or was got at last. The mark is the lowest bit of its address, so that the way without
    // a wait stores nothing more.
    void set_awaited(const void* lock, bool awaited) {
        at(top_).lock = static_cast<const char*>(lock) + (awaited ? 1 : 0);
    }
    const HeldLock* find_owned(const void* lock) const;  // nullptr: not held here

protected:
    // May `rank` be taken inside `outside`, and is that known? Else learn() finds out.
    bool allows(Rank outside, Rank rank) const { return lock_graph::knows(outside, rank) && top_ != kFull; }
    // Panics if the order is wrong or the list is full; records the edge.
    void check_new(Rank outside, Rank rank, const std::source_location& site) const;

    void place(const void* lock, Rank rank, const std::source_location& site) {
        HeldLock& slot = at(top_ + sizeof(HeldLock));
        top_ += sizeof(HeldLock);
        std::atomic_signal_fence(std::memory_order_seq_cst);  // the slot first belongs to us, then is filled
        slot.lock = lock;
        slot.site = site;
        slot.rank = rank;
    }
    // Whatever its rank.
    void place_checked(const void* lock, Rank rank, const std::source_location& site) {
        if (top_ == kFull) [[unlikely]]
            overflow(site);
        place(lock, rank, site);
    }
    void remove(const void* lock) {
        HeldLock& slot = at(top_);
        if (slot.lock != lock) [[unlikely]]
            return remove_inner(lock);
        slot.rank = Rank::None;
        std::atomic_signal_fence(std::memory_order_seq_cst);
        top_ -= sizeof(HeldLock);
    }

private:
    [[noreturn]] void overflow(const std::source_location& site) const;
    void remove_inner(const void* lock);  // released out of order, which is allowed; panics if it is not held

    static constexpr usize kFull = kCapacity * sizeof(HeldLock);

    HeldLock& at(usize offset) const {
        return *reinterpret_cast<HeldLock*>(reinterpret_cast<char*>(const_cast<HeldLock*>(locks_)) + offset);
    }

    usize top_ = 0;  // where the innermost stands, in bytes: an index would be multiplied at each access
    HeldLock locks_[kCapacity + 1];  // the first is nobody's
};

// Both kinds' push() says false, and has done nothing, if the order is not known yet: learn() is to be called, and push() again. So
// the usual way costs its caller no saved registers.

// A CPU's. They are taken inside whatever sleeping locks the running thread holds.
class HeldSpinlocks : public HeldLocks {
public:
    [[nodiscard]] bool push(const void* lock, Rank rank, const std::source_location& site) {
        if (!allows(outside(), rank)) [[unlikely]]
            return false;
        place(lock, rank, site);
        return true;
    }
    void learn(Rank rank, const std::source_location& site) { check_new(outside(), rank, site); }
    // After a successful try_lock: trying cannot deadlock, so any order is right, and none is learnt from it.
    void push_tried(const void* lock, Rank rank, const std::source_location& site) { place_checked(lock, rank, site); }
    // The second of a pair whose order the caller has decided.
    void push_second(const void* lock, Rank rank, const std::source_location& site) {
        lock_graph::add_pair(rank);
        place_checked(lock, rank, site);
    }
    void pop(const void* lock) { remove(lock); }

private:
    Rank outside() const {
        return count() == 0 ? static_cast<Rank>(arch::local_load<&arch::CpuLocal::sleeping_rank>()) : innermost();
    }
};

// A thread's: the caller is the running thread. The rank of the innermost stands in CpuLocal as well, which a switch sets anew; one
// that comes between the two steps does so as the list says, and then the second step writes the same again.
class HeldSleepingLocks : public HeldLocks {
public:
    [[nodiscard]] bool push(const void* lock, Rank rank, const std::source_location& site) {
        if (!allows(innermost(), rank)) [[unlikely]]
            return false;
        place(lock, rank, site);
        publish(rank);
        return true;
    }
    void learn(Rank rank, const std::source_location& site) { check_new(innermost(), rank, site); }
    void push_tried(const void* lock, Rank rank, const std::source_location& site) {
        place_checked(lock, rank, site);
        publish(rank);
    }
    void push_second(const void* lock, Rank rank, const std::source_location& site) {
        lock_graph::add_pair(rank);
        push_tried(lock, rank, site);
    }
    void pop(const void* lock) {
        remove(lock);
        publish();
    }
    // This CPU switches to the thread.
    void publish() const { publish(innermost()); }

private:
    static void publish(Rank rank) { arch::local_store<&arch::CpuLocal::sleeping_rank>(static_cast<u32>(rank)); }
};

// This CPU's list. The callers have preemption off; checking would double the cost of a lock.
[[gnu::section("percpu")]] extern PerCpu<HeldSpinlocks> g_held_spinlocks;
inline HeldSpinlocks& held_spinlocks() { return g_held_spinlocks.unchecked(); }
const HeldSpinlocks& held_spinlocks_of(CpuId cpu);

// Stands on this CPU's list for as long as an interrupt handler runs: what it interrupted was held with interrupts on, and what it
// takes is taken in an interrupt. Interrupts off.
class [[nodiscard]] InterruptMark {
public:
    explicit InterruptMark(std::source_location site = std::source_location::current()) {
        while (!held_spinlocks().push(this, Rank::Interrupt, site)) [[unlikely]]
            held_spinlocks().learn(Rank::Interrupt, site);
    }
    ~InterruptMark() { held_spinlocks().pop(this); }
    InterruptMark(const InterruptMark&) = delete;
    InterruptMark& operator=(const InterruptMark&) = delete;
};

}  // namespace hd::core
