// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "kernel/sync/rw_lock.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using sync::ReadGuard;
using sync::RwLock;
using sync::WriteGuard;
using test::simulate;
using test::Simulation;

namespace {
struct Shared {
    RwLock lock{core::Rank::AddressSpace};
    test::Inside readers, writers;
    int value = 0;  // not atomic: ThreadSanitizer checks what the lock orders
    std::vector<int> order;
};
}  // namespace

TEST_CASE("a read-write lock: writers alone, readers together", "[sync]") {
    CHECK(simulate(2000, [](Simulation& sim) {
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 5; ++i) {
                  const bool mixed = sim.random(2) == 0;
                  sim.spawn([=] {
                      for (int round = 0; round < 4; ++round) {
                          if (i < 2 || (mixed && round % 2 == 0)) {
                              WriteGuard guard(shared->lock);
                              fake::expect(shared->writers.enter() == 1 && shared->readers.count() == 0,
                                           "a writer is not alone");
                              ++shared->value;
                              if (round % 2 == 0) sched::yield();
                              fake::expect(shared->lock.write_locked(), "not locked for writing");
                              shared->writers.leave();
                          } else {
                              ReadGuard guard(shared->lock);
                              shared->readers.enter();
                              fake::expect(shared->writers.count() == 0, "a writer among readers");
                              const int seen = shared->value;
                              fake::step();
                              fake::expect(seen == shared->value, "the value changed under a reader");
                              shared->readers.leave();
                          }
                      }
                  });
              }
              sim.at_end([=] {
                  // Free again, with nothing left over: both fast paths work.
                  fake::expect(!shared->lock.write_locked(), "still locked");
              });
          }) == "");
}

// On one CPU without preemption the order is fixed: each thread runs until it sleeps.
TEST_CASE("a read-write lock is phase-fair", "[sync]") {
    CHECK(simulate(
              1,
              [](Simulation& sim) {
                  auto shared = std::make_shared<Shared>();
                  auto start = std::make_shared<sync::WaitQueue>();
                  auto go = std::make_shared<std::atomic<int>>(0);
                  const auto in_turn = [=](int turn, auto body) {
                      start->wait_until("turn", [&] { return *go == turn; });
                      ++*go;
                      start->wake_all();
                      body();
                  };
                  sim.spawn([=] {  // reader 0 holds the lock while all others queue up
                      ReadGuard guard(shared->lock);
                      in_turn(0, [] {});
                      start->wait_until("all", [&] { return *go == 6; });
                      sync::WaitQueue nap;
                      nap.wait_interruptible("nap", [] { return false; }, time::now() + milliseconds(1));
                  });
                  const bool writer[] = {false, true, false, true, false, true};
                  for (int i = 1; i <= 5; ++i)
                      sim.spawn([=] {
                          in_turn(i, [&] {
                              if (writer[i]) {
                                  WriteGuard guard(shared->lock);
                                  shared->order.push_back(i);
                              } else {
                                  ReadGuard guard(shared->lock);
                                  shared->order.push_back(i);
                              }
                          });
                      });
                  // W1 came first; then all waiting readers (2 and 4); then W3; then W5.
                  sim.at_end([=] { fake::expect(shared->order == std::vector{1, 2, 4, 3, 5}, "not phase-fair"); });
              },
              1, 1) == "");
}

TEST_CASE("a read-write lock's checks", "[sync]") {
    const auto failure_of = [](std::function<void()> body) {
        return simulate(1, [&](Simulation& sim) { sim.spawn(body); }, 1, 1);
    };
    CHECK_THAT(failure_of([] {
                   RwLock lock(core::Rank::AddressSpace);
                   ReadGuard first(lock);
                   ReadGuard second(lock);
               }),
               Catch::Contains("lock order: AddressSpace wanted"));
    CHECK_THAT(failure_of([] {
                   RwLock lock(core::Rank::AddressSpace);
                   core::IrqGuard irqs_off;
                   WriteGuard guard(lock);
               }),
               Catch::Contains("this may sleep"));
}
