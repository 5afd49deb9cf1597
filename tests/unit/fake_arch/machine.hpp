// SPDX-License-Identifier: MIT
// The simulated machine, as tests see it: CPUs, interrupts, a clock that only moves when told, memory, an MMU.
//
// Without an Explorer (explorer.hpp) a test's thread *is* a CPU: CPU 0 at first, another after become_cpu(). Several host
// threads may each be one (for ThreadSanitizer). Interrupts arrive at the next call of the arch contract with interrupts on.
//
// A kernel panic is a C++ exception, Panic, so that a test can expect it: REQUIRE_THROWS_AS(f(), fake::Panic).
#pragma once
#include <stdexcept>
#include <string>

#include "arch/cpu.hpp"
#include "arch/paging.hpp"
#include "arch/timer.hpp"
#include "arch/upcalls.hpp"

namespace hd::fake {

inline constexpr u32 kMaxSimulatedCpus = 8;

struct Panic : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A machine as after power-on: `cpus` online, per-CPU variables at their initial values, clock at 0, this thread is CPU 0 in
// task context with interrupts on, TLBs empty, no hooks. Memory keeps its contents. Call it first in a test that uses
// any of this; what the last test left behind is gone.
void reset(u32 cpus = 1);

// This host thread plays that CPU from now on.
void become_cpu(CpuId cpu);

void advance_clock(Nanoseconds by);
void set_clock(Nanoseconds to);
// When the CPU's timer is to go off; Nanoseconds::max(): it is stopped.
Nanoseconds timer_deadline(CpuId cpu);

// What interrupts do. Called with interrupts off, in interrupt context (irq_exit: after it).
struct Hooks {
    void (*timer)() = nullptr;
    void (*reschedule)() = nullptr;
    void (*call_function)() = nullptr;
    void (*irq_exit)() = nullptr;
    // Resolves a fault in the simulated user memory; false: it cannot.
    bool (*page_fault)(const upcall::PageFault& fault) = nullptr;
    // Where user memory is, for models that have no page tables.
    u8* (*user_memory)(u64 address) = nullptr;
};
extern Hooks g_hooks;

// Counts since reset(), to assert that something was cheap.
struct Counts {
    u64 ipis = 0, context_switches = 0, page_table_loads = 0;
};
Counts counts();

// Physical memory: all of it, zeroed, kDirectMapSize bytes at kDirectMap. reset() leaves it alone.
void clear_memory();

// The MMU of the CPU that runs: walks the page table last set, through the CPU's TLB. Gives the physical address, or the
// fault that the CPU would raise. Sets accessed and dirty bits as hardware does.
std::expected<PhysAddr, upcall::PageFault> translate(VirtAddr address, bool write, bool execute = false);
// A user program's access to one byte; throws std::runtime_error when the fault hook does not resolve the fault.
u8 user_read(VirtAddr address);
void user_write(VirtAddr address, u8 value);
// Does the CPU's TLB hold an entry for the page (of the root that is loaded)?
bool tlb_holds(CpuId cpu, VirtAddr page);
// The root that a CPU has loaded.
PhysAddr page_table_of(CpuId cpu);

// From where a file's pages were last taken out of all mappings, for it had become shorter (task.cpp).
extern u64 g_unmapped_from;
extern std::atomic<u32> g_signals_to_self;
extern std::atomic<u64> g_news_left;  // how often new (std::nothrow) still succeeds

}  // namespace hd::fake
