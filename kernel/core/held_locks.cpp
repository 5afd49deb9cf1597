// SPDX-License-Identifier: MIT
#include "kernel/core/held_locks.hpp"

#include "kernel/core/panic.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"

namespace hd::core {

HD_PERCPU PerCpu<HeldSpinlocks> g_held_spinlocks;

namespace {

constexpr const char* kRankNames[] = {
    "None",           "ProcessTimers", "EpollGraph", "Epoll",         "FilePosition",  "FileSystemRename",
    "Directory",      "Inode",         "Pipe",       "SocketReceive", "Terminal",      "AddressSpace",
    "ProcessTree",    "FileTable",     "FsContext",  "SysvUndo",      "SysvTable",     "SysvObject",
    "Mounts",         "Dentry",        "PageCache",  "PageTable",     "Watchers",      "SocketNames",
    "Socket",         "SocketChannel", "FileLocks",  "FileLockWaits", "OpenFile",      "Futex",
    "KernelThreads",  "VmapArea",      "Interrupt",  "Signal",        "TerminalInput", "Device",
    "Expiry",         "WaitQueue",     "Timer",      "RunQueue",      "CallFunction",  "SlabDepot",
    "FrameAllocator", "Log",           "Console"};
static_assert(std::size(kRankNames) == static_cast<usize>(Rank::kCount));
}  // namespace

const char* rank_name(Rank rank) { return rank < Rank::kCount ? kRankNames[static_cast<usize>(rank)] : "?"; }

const HeldSpinlocks& held_spinlocks_of(CpuId cpu) { return g_held_spinlocks.on(cpu); }

void HeldLocks::describe(TextSink& sink) const {
    for (usize i = 1; i <= count(); ++i) {
        const bool awaited = reinterpret_cast<u64>(locks_[i].lock) % 2 != 0;
        format_to(sink, "    {} {} {} at {}:{}\n", rank_name(locks_[i].rank), locks_[i].lock,
                  awaited ? "waited for" : "taken", locks_[i].site.file_name(), locks_[i].site.line());
    }
}

const HeldLock* HeldLocks::find_owned(const void* lock) const {
    for (usize i = 1; i <= count(); ++i)
        if (locks_[i].lock == lock) return &locks_[i];
    return nullptr;
}

void HeldLocks::remove_inner(const void* lock) {
    for (usize i = count(); i > 0; --i) {
        if (locks_[i].lock != lock) continue;
        for (; i < count(); ++i) locks_[i] = locks_[i + 1];
        locks_[i].rank = Rank::None;
        top_ -= sizeof(HeldLock);
        return;
    }
    panic("lock {} released by somebody who does not hold it", lock);
}

void HeldLocks::check_new(Rank outside, Rank rank, const std::source_location& site) const {
    if (top_ == kFull) overflow(site);
    if (outside < rank) return lock_graph::add_edge(outside, rank, site);
    const HeldLock& held = at(top_);
    panic("lock order: {} wanted at {}:{} while {} is held since {}:{}", rank_name(rank), site.file_name(), site.line(),
          rank_name(outside), held.site.file_name(), held.site.line());
}

void HeldLocks::overflow(const std::source_location& site) const {
    panic("more than {} locks held at once, at {}:{}", kCapacity, site.file_name(), site.line());
}

void SpinlockBase::acquire_new(const Site& site) {
    held_spinlocks().learn(rank_, site);
    acquire(site);
}

// A waiter that has waited this long waits for ever: no section is longer than a few milliseconds, and even an emulated
// CPU that its host keeps off the processor comes back sooner.
void SpinlockBase::wait(const Site& site) {
    constexpr u64 kTooLong = u64{60} << 30;  // cycles: about 20 seconds and more
    const u64 start = arch::cycles();
    held_spinlocks().set_awaited(this, true);
    for (;;) {
        while (locked_.load(std::memory_order_relaxed)) {
            arch::cpu_relax();
            if (arch::cycles() - start < kTooLong) continue;
            if (panicking()) arch::halt_forever();
            const HeldLock* holder = nullptr;
            online_cpus().for_each([&](CpuId cpu) {
                if (const HeldLock* found = held_spinlocks_of(cpu).find_owned(this)) holder = found;
            });
            panic("spinlock {} ({}) waited for too long at {}:{}, held since {}:{}", static_cast<const void*>(this),
                  rank_name(rank_), site.file_name(), site.line(), holder != nullptr ? holder->site.file_name() : "?",
                  holder != nullptr ? holder->site.line() : 0);
        }
        // acquire: pairs with the release in release().
        if (!locked_.exchange(true, std::memory_order_acquire)) return held_spinlocks().set_awaited(this, false);
    }
}

}  // namespace hd::core
