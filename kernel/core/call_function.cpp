// SPDX-License-Identifier: MIT
// See call_function.hpp.
#include "kernel/core/call_function.hpp"

#include "kernel/core/percpu.hpp"

namespace hd::core {

namespace {

struct CallSlot {
    void (*function)(void*) = nullptr;
    void* argument = nullptr;
    std::atomic<u64> unfinished{0};  // CPUs that have not yet run it
    std::atomic<u64> inbox{0};       // CPUs whose slots this CPU is to look at
};
HD_PERCPU PerCpu<CallSlot> g_calls;

}  // namespace

void call_on(CpuMask cpus, void (*function)(void*), void* argument) {
    ASSERT(arch::irqs_enabled() && !in_interrupt(), "waiting for other CPUs while deaf to them would deadlock");
    PreemptGuard guard;
    const CpuId self = this_cpu();
    CallSlot& slot = g_calls.get();
    ASSERT(slot.unfinished.load(std::memory_order_relaxed) == 0, "a call inside a call");
    const CpuMask others = cpus.without(self) & online_cpus();
    slot.function = function;
    slot.argument = argument;
    // relaxed: published with the rest of the slot by the release in each inbox.
    slot.unfinished.store(others.bits(), std::memory_order_relaxed);
    others.for_each([&](CpuId cpu) {
        // release pairs with the acquire in run_calls(). Not empty before: an interrupt is on its way already.
        if (g_calls.on(cpu).inbox.fetch_or(CpuMask::of(self).bits(), std::memory_order_release) == 0)
            arch::send_ipi(cpu, arch::Ipi::CallFunction);
    });
    if (cpus.has(self)) {
        IrqGuard irqs_off;
        function(argument);
    }
    // acquire pairs with the release in run_calls(): what the function did there is visible here.
    while (slot.unfinished.load(std::memory_order_acquire) != 0 && !panicking()) arch::cpu_relax();
}

void run_calls() {
    CallSlot& mine = g_calls.get();
    const u64 self = CpuMask::of(this_cpu()).bits();
    CpuMask(mine.inbox.exchange(0, std::memory_order_acquire)).for_each([&](CpuId caller) {
        CallSlot& slot = g_calls.on(caller);
        slot.function(slot.argument);
        slot.unfinished.fetch_and(~self, std::memory_order_release);  // from here on the slot is the caller's again
    });
}

}  // namespace hd::core
