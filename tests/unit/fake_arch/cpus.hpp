// SPDX-License-Identifier: MIT
// The simulated CPUs from inside: shared by the files of the fake architecture only.
#pragma once
#include <atomic>

#include "tests/unit/fake_arch/fiber.hpp"
#include "tests/unit/fake_arch/machine.hpp"

namespace hd::fake {

struct TlbEntry {
    bool valid = false;
    u64 page = 0;
    arch::Entry entry{};
    bool writable = false;  // on every level
};

struct Cpu {
    static constexpr u32 kTlbEntries = 64;
    static constexpr u32 kReschedule = 1, kCallFunction = 2;

    arch::CpuLocal local;
    bool irqs_on = true;
    std::atomic<u32> pending{0};  // interrupts that wait: kReschedule, kCallFunction
    i64 timer_deadline = INT64_MAX;
    bool halted = false;       // in halt_until_interrupt(): the explorer lets others run
    Fiber* running = nullptr;  // the fiber of the thread that the CPU runs, under the explorer
    PhysAddr page_table{};
    TlbEntry tlb[kTlbEntries];
    u64 fpu = 0;  // stands for all vector registers
    u64 fs_base = 0, gs_base = 0;

    HD_SIMULATOR bool interrupt_waits() const;
};

extern Cpu g_cpus[kMaxSimulatedCpus];
extern u32 g_cpu_count;
HD_SIMULATOR Cpu& this_cpu();
HD_SIMULATOR void set_this_cpu(Cpu& cpu);

extern std::atomic<i64> g_clock;

// Takes the interrupts that wait, if the CPU lets them in.
void deliver_interrupts();

// Set while an explorer runs on this host thread: called at every simulation point, may let other CPUs go on.
enum class Point : u8 { Access, Spin, Halt, Ipi, Switch, Irq, Atomic };
extern void (*g_explore)(Point point);
extern bool g_on_simulated_cpu;  // the explorer has given the word to one
HD_SIMULATOR void atomic_point();
// Under an explorer a panic does not unwind: this does not return.
extern void (*g_on_panic)(std::string_view text);

}  // namespace hd::fake
