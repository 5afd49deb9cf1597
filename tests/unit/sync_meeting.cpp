// SPDX-License-Identifier: MIT
// Barrier, rendezvous, completion.
#include <catch2/catch.hpp>

#include "kernel/sync/barrier.hpp"
#include "kernel/sync/completion.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::simulate;
using test::Simulation;

TEST_CASE("a barrier holds everybody until the last has come, again and again", "[sync]") {
    struct Shared {
        sync::Barrier barrier{3};
        std::atomic<int> arrived[4] = {};
        std::atomic<int> last[4] = {};
    };
    CHECK(simulate(1500, [](Simulation& sim) {
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 3; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 4; ++round) {
                          ++shared->arrived[round];
                          if (shared->barrier.arrive_and_wait()) ++shared->last[round];
                          fake::expect(shared->arrived[round] == 3, "let through before all had come");
                      }
                  });
              sim.at_end([=] {
                  for (const auto& last : shared->last) fake::expect(last == 1, "exactly one is the last");
              });
          }) == "");
}

TEST_CASE("a rendezvous pairs threads, and each gets the other's value", "[sync]") {
    struct Shared {
        sync::Rendezvous meeting;
        std::atomic<int> partner[6] = {};
    };
    CHECK(simulate(1500, [](Simulation& sim) {
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 6; ++i)
                  sim.spawn([=] {
                      auto* theirs = static_cast<std::atomic<int>*>(shared->meeting.exchange(&shared->partner[i]));
                      *theirs = i + 1;
                  });
              sim.at_end([=] {
                  for (int i = 0; i < 6; ++i) {
                      const int partner = shared->partner[i] - 1;
                      fake::expect(partner >= 0 && partner != i && shared->partner[partner] == i + 1, "no pairs");
                  }
              });
          }) == "");
}

TEST_CASE("a completion may die as soon as wait() returns", "[sync]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              auto* completion = new sync::Completion;
              auto done = std::make_shared<std::atomic<int>>(0);
              sim.spawn([=] {
                  completion->wait();
                  fake::expect(*done == 1, "waited for nothing");
                  delete completion;  // AddressSanitizer watches complete()
              });
              sim.spawn([=] {
                  ++*done;
                  completion->complete();
              });
          }) == "");
}

TEST_CASE("a completion wakes all, and those who come later do not wait", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              auto completion = std::make_shared<sync::Completion>();
              for (int i = 0; i < 3; ++i) sim.spawn([=] { completion->wait(); });
              sim.spawn([=] {
                  const auto result = completion->wait_interruptible("completion", time::now() + microseconds(5));
                  fake::expect(result == sync::WaitResult::TimedOut || completion->done(), "ready, but not done");
              });
              sim.spawn([=] { completion->complete(); });
          }) == "");
}
