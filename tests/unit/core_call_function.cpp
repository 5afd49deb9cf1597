// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "kernel/core/call_function.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::simulate;
using test::Simulation;

namespace {
void mark(void* argument) {
    fake::expect(!arch::irqs_enabled(), "called with interrupts on");
    *static_cast<std::atomic<u64>*>(argument) |= CpuMask::of(core::this_cpu()).bits();
}
}  // namespace

TEST_CASE("call_on runs the function on every CPU of the set, and only there", "[core]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              const u64 all = (u64{1} << sim.cpus()) - 1;
              for (u32 i = 0; i < 4; ++i) {
                  const u64 mask = sim.random(all + 1);
                  sim.spawn([=] {
                      for (int round = 0; round < 3; ++round) {
                          std::atomic<u64> ran{0};
                          core::call_on(CpuMask(mask), &mark, &ran);
                          fake::expect(ran == mask, "not where it was wanted");
                      }
                  });
              }
          }) == "");
}

TEST_CASE("CPUs that call each other while a spinlock is fought over do not deadlock", "[core]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              auto lock = std::make_shared<core::Spinlock>(core::Rank::PageTable);
              for (u32 i = 0; i < 4; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 2; ++round) {
                          std::atomic<u64> ran{0};
                          core::LockGuard<core::Spinlock> guard(*lock);
                          core::call_on(CpuMask::all(), &mark, &ran);
                          fake::expect(CpuMask(ran).count() == core::cpu_count(), "somebody was left out");
                      }
                  });
          }) == "");
}

TEST_CASE("call_on with interrupts off is a panic, not a deadlock", "[core]") {
    fake::reset(2);
    std::atomic<u64> ran{0};
    core::IrqGuard irqs_off;
    CHECK_THROWS_AS(core::call_on(CpuMask(2), &mark, &ran), fake::Panic);
}
