// SPDX-License-Identifier: MIT
// Real-time policies, under the explorer (sched(7)).
#include <catch2/catch.hpp>

#include "kernel/sched/run_queue.hpp"
#include "kernel/sync/completion.hpp"
#include "tests/unit/fake_arch/cpus.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::nap;
using test::simulate;
using test::Simulation;
using test::work;

TEST_CASE("real-time threads come first, by priority; round robin takes turns", "[sched]") {
    CHECK(simulate(
              20,
              [](Simulation& sim) {
                  struct Shared {
                      sync::Completion go;
                      std::vector<int> order;
                      std::atomic<int> turns{0}, last{-1};
                  };
                  auto shared = std::make_shared<Shared>();
                  const auto add = [&](int number, sched::Policy policy, u8 priority) {
                      sched::Entity& thread = sim.spawn([=] {
                          shared->go.wait();
                          work(milliseconds(20));
                          shared->order.push_back(number);
                      });
                      thread.policy = policy;
                      thread.realtime_priority = priority;
                  };
                  add(0, sched::Policy::Normal, 0);
                  add(1, sched::Policy::Fifo, 10);
                  add(2, sched::Policy::Fifo, 99);
                  add(3, sched::Policy::RoundRobin, 50);
                  for (int i = 0; i < 2; ++i) {
                      sched::Entity& thread = sim.spawn([=] {
                          shared->go.wait();
                          const Nanoseconds mine = milliseconds(250);
                          while (sched::current().run_time < mine) {
                              if (shared->last.exchange(i) != i) ++shared->turns;
                              work(milliseconds(1));
                          }
                      });
                      thread.policy = sched::Policy::RoundRobin;
                      thread.realtime_priority = 5;
                  }
                  sim.spawn([=] {
                      nap(milliseconds(1));
                      shared->go.complete();
                  });
                  sim.at_end([=] {
                      fake::expect(shared->order == std::vector{2, 3, 1, 0}, "not in order of priority");
                      fake::expect(shared->turns >= 4 && shared->turns <= 8,
                                   "round robin did not take turns of 100 ms");
                  });
              },
              1, 1) == "");
}

TEST_CASE("a preempted real-time thread stays the first of its priority", "[sched]") {
    CHECK(simulate(
              20,
              [](Simulation& sim) {
                  auto order = std::make_shared<std::vector<int>>();
                  for (int i = 0; i < 2; ++i) {
                      sched::Entity& thread = sim.spawn([=] {
                          work(milliseconds(5));
                          order->push_back(i);
                      });
                      thread.policy = sched::Policy::Fifo;
                      thread.realtime_priority = 10;
                  }
                  sched::Entity& urgent = sim.spawn([=] {
                      nap(milliseconds(1));
                      order->push_back(2);
                  });
                  urgent.policy = sched::Policy::Fifo;
                  urgent.realtime_priority = 20;
                  sim.at_end([=] { fake::expect(*order == std::vector{2, 0, 1}, "its equal came first"); });
              },
              1, 1) == "");
}

TEST_CASE("a round-robin thread that is preempted has the rest of its slice, and no more", "[sched]") {
    CHECK(simulate(
              6,
              [](Simulation& sim) {
                  auto turns = std::make_shared<int>(0), last = std::make_shared<int>(-1);
                  auto stop = std::make_shared<std::atomic<int>>(0);
                  for (int i = 0; i < 2; ++i) {
                      sched::Entity& thread = sim.spawn([=] {
                          while (sched::current().run_time < milliseconds(250)) {
                              if (std::exchange(*last, i) != i) ++*turns;
                              work(milliseconds(1));
                          }
                          ++*stop;
                      });
                      thread.policy = sched::Policy::RoundRobin;
                      thread.realtime_priority = 5;
                  }
                  sched::Entity& urgent = sim.spawn([=] {
                      while (*stop != 2) nap(milliseconds(10));
                  });
                  urgent.policy = sched::Policy::Fifo;
                  urgent.realtime_priority = 20;
                  sim.at_end([=] { fake::expect(*turns >= 4 && *turns <= 8, "not turns of 100 ms"); });
              },
              1, 1) == "");
}

TEST_CASE("what a CPU runs is known to be more urgent as soon as it is", "[sched]") {
    CHECK(simulate(
              10,
              [](Simulation& sim) {
                  sim.spawn([] {
                      fake::expect(sched::set_policy(sched::current(), sched::Policy::Fifo, 50).has_value(), "refused");
                      core::PreemptGuard guard;
                      fake::expect(sched::this_run_queue().running_slot == 50, "other CPUs see the old priority");
                  });
              },
              1, 1) == "");
}
