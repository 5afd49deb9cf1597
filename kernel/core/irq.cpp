// SPDX-License-Identifier: MIT
#include "kernel/core/irq.hpp"

#include <atomic>

#include "kernel/core/spinlock.hpp"

namespace hd::core {

namespace {

struct Slot {
    // Published last: a handler that is seen finds its argument. acquire in dispatch_irq() pairs with release in
    // register_irq().
    std::atomic<IrqHandler> handler{nullptr};
    void* argument = nullptr;
    const char* name = nullptr;
};

// Added to by their own CPU with interrupts off, read by any for /proc: relaxed, nothing is ordered by a count.
struct Counts {
    std::atomic<u64> of[arch::kIrqLines] = {};
};

constinit IrqSpinlock g_lock{Rank::Device};
constinit Slot g_slots[arch::kIrqLines];
HD_PERCPU PerCpu<Counts, PerCpuPolicy::kIrqsOff> g_counts;

}  // namespace

Result<> register_irq(u32 line, const char* name, IrqHandler handler, void* argument) {
    if (line >= arch::kIrqLines) return fail(Errno::kEINVAL);
    LockGuard guard(g_lock);
    Slot& slot = g_slots[line];
    if (slot.handler.load(std::memory_order_relaxed) != nullptr) return fail(Errno::kEBUSY);
    slot.argument = argument;
    slot.name = name;
    slot.handler.store(handler, std::memory_order_release);
    return arch::irq_route(line, CpuId{0});
}

void dispatch_irq(u32 line) {
    if (line >= arch::kIrqLines) return;
    std::atomic<u64>& count = g_counts->of[line];
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    const Slot& slot = g_slots[line];
    if (const IrqHandler handler = slot.handler.load(std::memory_order_acquire)) handler(slot.argument);
}

const char* irq_name(u32 line) {
    const Slot& slot = g_slots[line];
    return slot.handler.load(std::memory_order_acquire) != nullptr ? slot.name : nullptr;
}

u64 irq_count(u32 line, CpuId cpu) { return g_counts.on(cpu).of[line].load(std::memory_order_relaxed); }

}  // namespace hd::core
