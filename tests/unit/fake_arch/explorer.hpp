// SPDX-License-Identifier: MIT
// The explorer runs simulated CPUs, one at a time, and decides at every simulation point who goes on: by a seed, so that each
// run can be repeated. Simulation points are the calls of the arch contract and, in the build variant `explore`, every
// atomic access of the kernel. Memory is sequentially consistent here; weaker orders are ThreadSanitizer's business.
//
// Strategies: Random switches often and anywhere. Pct (Burckhardt and others, "A Randomized Scheduler with Probabilistic
// Guarantees of Finding Bugs", ASPLOS 2010) runs the CPU of highest priority and lowers it at a few random points: few
// switches, in bad places; a bug that needs d of them is found with a probability that does not vanish with run length.
// Bounded lets a CPU go on until it halts or spins, whoever could run meanwhile, but for up to three preemptions at random points.
#pragma once
#include <string>

#include "tests/unit/fake_arch/machine.hpp"

namespace hd::fake {

enum class Strategy : u8 { Random, Pct, Bounded };

struct Exploration {
    u64 seed = 1;
    Strategy strategy = Strategy::Random;
    u32 cpus = 2;
    u32 max_steps = 400'000;     // more of them count as a livelock
    u32 expected_steps = 3'000;  // Pct, Bounded: the points of change lie among so many first ones
    Nanoseconds step{20};        // how far the clock goes at each simulation point
};

// Runs boot(cpu) on each CPU of a machine after reset() - reset and hooks are the caller's business - until every CPU halts
// and done() is true; then this thread is CPU 0 again, in what that was halted in. Returns what went wrong: a panic, a failed expect(), a deadlock (every CPU halts and no timer is armed), a livelock;
// empty if nothing. What the CPUs were running when it failed is abandoned, not unwound.
std::string explore(const Exploration& options, void (*boot)(CpuId cpu), bool (*done)());

// How many simulation points the last exploration had.
u32 steps_taken();

// For code on simulated CPUs: ends the exploration with that text unless the condition holds.
void expect(bool condition, const char* text);
// A simulation point of the test's own.
void step();
// The same, and the CPU is busy for that long. (The clock is one for all: two busy CPUs move it by half of what each spends.)
void spend(Nanoseconds time);

}  // namespace hd::fake
