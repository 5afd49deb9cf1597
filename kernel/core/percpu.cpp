// SPDX-License-Identifier: MIT
#include "kernel/core/percpu.hpp"

#include <cstring>

extern "C" hd::u8 __start_percpu[], __stop_percpu[];  // by the linker

namespace hd::core {

constinit u64 g_percpu_offsets[kMaxCpus] = {};

namespace {
constinit AtomicCpuMask g_online{CpuMask::of(CpuId{0})};
}  // namespace

Result<> percpu_prepare(CpuId cpu, Result<void*> (*allocate)(usize bytes)) {
    // The boot CPU has been using the section itself for a while: its values are no longer the initial ones. So the first
    // call, made before any use, keeps a pristine copy to stamp the others from.
    static constinit const u8* pristine = nullptr;
    const auto size = static_cast<usize>(__stop_percpu - __start_percpu);
    auto* copy = static_cast<u8*>(TRY(allocate(size)));
    std::memcpy(copy, pristine != nullptr ? pristine : __start_percpu, size);
    if (pristine == nullptr)
        pristine = copy;
    else
        g_percpu_offsets[cpu.raw] = reinterpret_cast<u64>(copy) - reinterpret_cast<u64>(__start_percpu);
    return {};
}

u32 cpu_count() { return online_cpus().count(); }

// Whoever sees the bit sees what the CPU set up before.
void set_cpu_online(CpuId cpu) { g_online.add(cpu); }
CpuMask online_cpus() { return g_online.load(); }

}  // namespace hd::core
