// SPDX-License-Identifier: MIT
// Per-CPU variables: `constinit PerCpu<T> g_thing;` gives every CPU its own T. The linker gathers them in the section
// `percpu`; at boot each CPU gets a copy of that section, and CpuLocal::percpu_offset says how far it lies from it.
// The initial values are constants (the copy is a memcpy), so T needs a constexpr constructor and no pointers into itself.
//
// Policy: what must hold while a CPU uses its own copy, checked on every get():
//     kNoPreempt  the thread cannot move to another CPU meanwhile (preemption or interrupts off)
//     kIrqsOff    interrupt handlers use it as well
#pragma once
#include "arch/cpu.hpp"
#include "kernel/core/context.hpp"
#include "kernel/lib/cpu_mask.hpp"
#include "kernel/lib/result.hpp"

namespace hd::core {

enum class PerCpuPolicy : u8 { kNoPreempt, kIrqsOff };

// Offsets of all CPUs' copies, for access from elsewhere. Written once for each CPU, before it starts.
extern u64 g_percpu_offsets[kMaxCpus];

template <class T, PerCpuPolicy Policy = PerCpuPolicy::kNoPreempt> class PerCpu {
public:
    constexpr PerCpu() = default;
    PerCpu(const PerCpu&) = delete;
    PerCpu& operator=(const PerCpu&) = delete;

    T& get() {
        if constexpr (Policy == PerCpuPolicy::kIrqsOff)
            ASSERT(!arch::irqs_enabled(), "per-CPU data that interrupt handlers share, used with interrupts on");
        else
            ASSERT(!preemptible(), "per-CPU data used where the thread may move to another CPU");
        return at(arch::local_load<&arch::CpuLocal::percpu_offset>());
    }
    T* operator->() { return &get(); }

    // Another CPU's copy: what is safe to touch there is T's own business (atomics, a lock).
    T& on(CpuId cpu) { return at(g_percpu_offsets[cpu.raw]); }

    // This CPU's copy without the check, for diagnostics.
    T& unchecked() { return at(arch::local_load<&arch::CpuLocal::percpu_offset>()); }

private:
    T& at(u64 offset) { return *reinterpret_cast<T*>(reinterpret_cast<u64>(&value_) + offset); }
    T value_{};
};

#define HD_PERCPU [[gnu::section("percpu")]] constinit

// The boot CPU uses the section itself; every other CPU gets a copy of it, made before that CPU starts, as the section was
// at the first call. That one, for the boot CPU, must come before any per-CPU variable has changed. `allocate` gives the
// bytes. ENOMEM.
Result<> percpu_prepare(CpuId cpu, Result<void*> (*allocate)(usize bytes));

// CPUs that run. Their ids need not be without gaps: one may have failed to start.
u32 cpu_count();
CpuMask online_cpus();
void set_cpu_online(CpuId cpu);

}  // namespace hd::core
