// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "kernel/sync/semaphore.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using sync::Semaphore;
using sync::WaitResult;
using test::simulate;
using test::Simulation;

TEST_CASE("a semaphore lets at most its initial value in", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              struct Shared {
                  Semaphore semaphore{2};
                  std::atomic<int> inside{0};
              };
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 4; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 3; ++round) {
                          shared->semaphore.acquire();
                          fake::expect(++shared->inside <= 2, "three in a section for two");
                          fake::step();
                          --shared->inside;
                          shared->semaphore.release();
                      }
                  });
              sim.at_end([=] { fake::expect(shared->semaphore.value() == 2, "units were lost or made"); });
          }) == "");
}

TEST_CASE("a semaphore serves in order of arrival", "[sync]") {
    CHECK(simulate(500, [](Simulation& sim) {
              struct Shared {
                  Semaphore semaphore{0};
                  std::atomic<int> arrived{0};
                  std::vector<int> served;
              };
              auto shared = std::make_shared<Shared>();
              sched::Entity* before = nullptr;
              const auto in_turn = [=](int turn, sched::Entity* waits_after) {
                  while (shared->arrived != turn ||
                         (waits_after != nullptr && waits_after->state != sched::State::Sleeping))
                      sched::yield();
                  ++shared->arrived;
              };
              for (int i = 0; i < 3; ++i)
                  before = &sim.spawn([=] {
                      in_turn(i, before);
                      shared->semaphore.acquire();
                      shared->served.push_back(i);
                      shared->semaphore.release();
                  });
              sim.spawn([=] {
                  in_turn(3, before);
                  shared->semaphore.release();
              });
              sim.at_end([=] { fake::expect(shared->served == std::vector{0, 1, 2}, "served out of order"); });
          }) == "");
}

TEST_CASE("a unit given to an interrupted or late waiter is not lost", "[sync]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              struct Shared {
                  Semaphore semaphore{0};
                  std::atomic<u32> got{0};
              };
              auto shared = std::make_shared<Shared>();
              sched::Entity& victim = sim.spawn([=] {
                  if (shared->semaphore.acquire_interruptible("victim") == WaitResult::Ready) ++shared->got;
              });
              const Nanoseconds delay = microseconds(static_cast<i64>(sim.random(20)));
              sim.spawn([=] {
                  if (shared->semaphore.acquire_interruptible("late", time::now() + delay) == WaitResult::Ready)
                      ++shared->got;
              });
              sim.spawn([&victim] { Simulation::interrupt(victim); });
              sim.spawn([=] { shared->semaphore.release(2); });
              sim.at_end(
                  [=] { fake::expect(shared->got + shared->semaphore.value() == 2, "units were lost or made"); });
          }) == "");
}

TEST_CASE("try_acquire never waits and never overdraws", "[sync]") {
    CHECK(simulate(500, [](Simulation& sim) {
              auto semaphore = std::make_shared<Semaphore>(3);
              auto got = std::make_shared<std::atomic<u32>>(0);
              for (int i = 0; i < 4; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 2; ++round)
                          if (semaphore->try_acquire()) ++*got;
                  });
              sim.at_end(
                  [=] { fake::expect(*got == 3 && semaphore->value() == 0, "3 units, not more and not fewer"); });
          }) == "");
}

TEST_CASE("the explorer finds a semaphore that looks outside its lock", "[sync][broken]") {
    CHECK(simulate(
              1000,
              [](Simulation& sim) {
                  struct Shared {
                      std::atomic<int> value{1};
                      std::atomic<int> inside{0};
                  };
                  auto shared = std::make_shared<Shared>();
                  for (int i = 0; i < 2; ++i)
                      sim.spawn([=] {
                          for (int round = 0; round < 5; ++round) {
                              while (shared->value <= 0) arch::cpu_relax();
                              fake::step();
                              --shared->value;
                              fake::expect(++shared->inside <= 1, "two in a section for one");
                              fake::step();
                              --shared->inside;
                              ++shared->value;
                          }
                      });
              },
              2) != "");
}
