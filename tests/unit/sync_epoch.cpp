// SPDX-License-Identifier: MIT
// Epoch reclamation on simulated CPUs: what a reader has found stays until his section ends. A remover that does not wait for the
// readers must be found out.
#include <catch2/catch.hpp>

#include "kernel/sync/epoch.hpp"
#include "tests/unit/simulation.hpp"

namespace {

using namespace hd;
using namespace hd::test;

struct Object {
    std::atomic<bool> gone{false};
};

struct Table {
    std::atomic<Object*> slot{nullptr};
    Object objects[4];
};

enum class Removing : u8 { AsItIs, WithoutWaiting };

void build(Simulation& sim, Removing how) {
    auto table = std::make_shared<Table>();
    table->slot.store(&table->objects[0]);
    for (int reader = 0; reader < 2; ++reader)
        sim.spawn([=] {
            for (int round = 0; round < 4; ++round) {
                {
                    const sync::EpochGuard section;
                    Object* const found = table->slot.load(std::memory_order_acquire);
                    for (int look = 0; look < 3; ++look) {
                        arch::cpu_relax();  // where another CPU may go on
                        fake::expect(!found->gone.load(), "an object went while a reader had it");
                    }
                }
                sched::yield();
            }
        });
    sim.spawn([=] {
        for (int next = 1; next < 4; ++next) {
            Object* const old = table->slot.exchange(&table->objects[next], std::memory_order_acq_rel);
            if (how == Removing::AsItIs) sync::wait_for_readers();
            old->gone.store(true);
        }
    });
}

}  // namespace

TEST_CASE("epoch: an object that a reader has found stays until his section ends", "[sync]") {
    CHECK(simulate(1500, [](Simulation& sim) { build(sim, Removing::AsItIs); }) == "");
}

TEST_CASE("epoch: a remover that does not wait is found out", "[sync]") {
    CHECK(simulate(1500, [](Simulation& sim) { build(sim, Removing::WithoutWaiting); }, 2) != "");
}

TEST_CASE("epoch: a remover that is moved to the CPU that it waits for", "[sync]") {
    CHECK(simulate(
              300,
              [](Simulation& sim) {
                  constexpr CpuId kReaders{1};
                  auto inside = std::make_shared<std::atomic<bool>>(false);
                  sim.spawn(
                      [=] {
                          const sync::EpochGuard section;
                          *inside = true;
                          for (int i = 0; i < 100; ++i) fake::spend(microseconds(2));
                      },
                      CpuMask::of(kReaders));
                  sched::Entity& remover = sim.spawn(
                      [=] {
                          while (!*inside) nap(microseconds(1));
                          sync::wait_for_readers();
                      },
                      CpuMask::of(CpuId{0}));
                  const Nanoseconds when{static_cast<i64>(sim.random(200'000))};
                  sim.spawn([=, &remover] {
                      nap(when);
                      (void)sched::set_affinity(remover, CpuMask::of(kReaders));
                  });
              },
              2, 2) == "");
}

TEST_CASE("epoch: to wait inside a section is a panic, not a deadlock", "[sync]") {
    fake::reset(2);
    const sync::EpochGuard section;
    CHECK_THROWS_AS(sync::wait_for_readers(), fake::Panic);
}
