// SPDX-License-Identifier: MIT
// What /proc and sysinfo(2) ask the scheduler.
#include <algorithm>

#include "kernel/sched/run_queue.hpp"

namespace hd::sched {

namespace {

// Linux's way (include/linux/sched/loadavg.h): every 5 seconds each average moves toward the number of runnable threads, in
// fixed point with 11 fractional bits, by factors exp(-5s/1min), exp(-5s/5min), exp(-5s/15min).
constexpr u64 kFixedOne = 1 << 11;
constexpr u64 kDecay[3] = {1884, 2014, 2037};
constexpr Nanoseconds kLoadPeriod = seconds(5);

constinit std::atomic<u64> g_load[3];
constinit std::atomic<i64> g_next_load{kLoadPeriod.raw};

u32 runnable_on(RunQueue& queue) {
    const bool busy = queue.current.load(std::memory_order_relaxed) != &queue.idle;
    return queue.waiting.load(std::memory_order_relaxed) + (busy ? 1 : 0);
}

}  // namespace

void update_load_averages(Nanoseconds now) {
    i64 due = g_next_load.load(std::memory_order_relaxed);
    if (now.raw < due) return;
    // Nobody may have come by for a while, when all CPUs idled. After 1000 periods nothing is left of what was before.
    const i64 periods = std::min<i64>((now.raw - due) / kLoadPeriod.raw + 1, 1000);
    const i64 next = now.raw + kLoadPeriod.raw - (now.raw - due) % kLoadPeriod.raw;
    // relaxed: the winner alone goes on, and each average is one word.
    if (!g_next_load.compare_exchange_strong(due, next, std::memory_order_relaxed)) return;
    u64 active = 0;
    g_scheduling_cpus.load().for_each([&](CpuId cpu) { active += runnable_on(run_queue_of(cpu)); });
    for (u32 i = 0; i < 3; ++i) {
        u64 load = g_load[i].load(std::memory_order_relaxed);
        for (i64 period = 0; period < periods; ++period) {
            const u64 now_active = period == periods - 1 ? active : 0;
            load = (load * kDecay[i] + now_active * kFixedOne * (kFixedOne - kDecay[i])) / kFixedOne;
        }
        g_load[i].store(load, std::memory_order_relaxed);
    }
}

void load_averages(u64 (&averages)[3]) {
    update_load_averages(time::now());
    for (u32 i = 0; i < 3; ++i) averages[i] = g_load[i].load(std::memory_order_relaxed) << 5;
}

CpuStatistics statistics(CpuId cpu) {
    RunQueue& queue = run_queue_of(cpu);
    core::LockGuard<core::IrqSpinlock> lock(queue.lock);
    queue.account(time::now());  // of a CPU that idles the last switch may be long ago
    return {.user_ticks = queue.user_ticks.get(),
            .nice_ticks = queue.nice_ticks.get(),
            .system_ticks = queue.system_ticks.get(),
            .idle_ticks = static_cast<u64>(queue.idle.run_time.raw / kTick.raw),
            .switches = queue.switches.get(),
            .runnable = runnable_on(queue)};
}

}  // namespace hd::sched
