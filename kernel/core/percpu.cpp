// SPDX-License-Identifier: MIT
#include "kernel/core/percpu.hpp"

#include <atomic>
#include <cstring>

extern "C" hd::u8 __start_percpu[], __stop_percpu[];  // by the linker

namespace hd::core {

constinit u64 g_percpu_offsets[kMaxCpus] = {};

namespace {
constinit std::atomic<u32> g_online{1};
constinit std::atomic<u64> g_online_mask{1};
}  // namespace

usize percpu_size() { return static_cast<usize>(__stop_percpu - __start_percpu); }

Result<> percpu_prepare(CpuId cpu, Result<void*> (*allocate)(usize bytes)) {
    // The boot CPU has been using the section itself for a while: its values are no longer the initial ones. So the first
    // call, made before any use, keeps a pristine copy to stamp the others from.
    static constinit u8* pristine = nullptr;
    if (cpu == CpuId{0}) {
        pristine = static_cast<u8*>(TRY(allocate(percpu_size())));
        std::memcpy(pristine, __start_percpu, percpu_size());
        return {};
    }
    auto* copy = static_cast<u8*>(TRY(allocate(percpu_size())));
    std::memcpy(copy, pristine, percpu_size());
    g_percpu_offsets[cpu.raw] = reinterpret_cast<u64>(copy) - reinterpret_cast<u64>(__start_percpu);
    return {};
}

u32 cpu_count() { return g_online.load(std::memory_order_relaxed); }

void set_cpu_online(CpuId cpu) {
    // Release: whoever sees the bit sees what the CPU set up before (pairs with cpu_online()).
    if ((g_online_mask.fetch_or(CpuMask::of(cpu).bits(), std::memory_order_release) & CpuMask::of(cpu).bits()) == 0)
        g_online.fetch_add(1, std::memory_order_relaxed);
}

bool cpu_online(CpuId cpu) { return CpuMask{g_online_mask.load(std::memory_order_acquire)}.has(cpu); }

CpuMask online_cpus() { return CpuMask{g_online_mask.load(std::memory_order_acquire)}; }

}  // namespace hd::core
