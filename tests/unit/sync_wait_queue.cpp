// SPDX-License-Identifier: MIT
// Wait queues under the explorer: no interleaving loses a wake-up. A lost one shows as a deadlock (every CPU halts). The
// broken copies at the end make sure that the explorer would notice.
#include <catch2/catch.hpp>

#include <algorithm>

#include "kernel/sync/wait_queue.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using sync::WaitQueue;
using sync::WaitResult;
using test::simulate;
using test::Simulation;

namespace {

struct Items {
    WaitQueue queue;
    std::atomic<int> available{0};
    std::atomic<int> taken{0};

    bool take() {
        int seen = available.load();
        while (seen != 0)
            if (available.compare_exchange_weak(seen, seen - 1)) return true;
        return false;
    }
};

// `wait(items)` sleeps until it has taken one.
template <class Wait> void produce_and_consume(Simulation& sim, Wait wait) {
    auto items = std::make_shared<Items>();
    for (int i = 0; i < 3; ++i)
        sim.spawn([=] {
            for (int round = 0; round < 4; ++round) {
                wait(*items);
                ++items->taken;
            }
        });
    for (int i = 0; i < 2; ++i)
        sim.spawn([=] {
            for (int round = 0; round < 6; ++round) {
                ++items->available;
                items->queue.wake_one(round % 2 == 0 ? sched::WakeHint::None : sched::WakeHint::Sync);
            }
        });
    sim.at_end([=] {
        fake::expect(items->taken == 12 && items->available == 0, "items were lost");
        fake::expect(!items->queue.has_waiters(), "the queue still counts waiters");
    });
}

}  // namespace

TEST_CASE("wait_until loses no wake-up", "[sync]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              produce_and_consume(sim,
                                  [](Items& items) { items.queue.wait_until("items", [&] { return items.take(); }); });
          }) == "");
}

TEST_CASE("wait_interruptible without signals behaves the same", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              produce_and_consume(sim, [](Items& items) {
                  const WaitResult result = items.queue.wait_interruptible("items", [&] { return items.take(); });
                  fake::expect(result == WaitResult::Ready, "interrupted by nobody");
              });
          }) == "");
}

TEST_CASE("a predicate may sleep itself", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              auto nap = std::make_shared<WaitQueue>();
              produce_and_consume(sim, [nap](Items& items) {
                  items.queue.wait_until("items", [&] {
                      nap->wait_interruptible("nap", [] { return false; }, time::now() + microseconds(3));
                      return items.take();
                  });
              });
          }) == "");
}

TEST_CASE("waiting with a spinlock that guards the condition", "[sync]") {
    struct Shared {
        core::Spinlock lock{core::Rank::PageTable};
        core::IrqSpinlock irq_lock{core::Rank::Signal};
        WaitQueue queue;
        int available = 0;
    };
    const bool irq = GENERATE(false, true);
    CHECK(simulate(1000, [=](Simulation& sim) {
              auto shared = std::make_shared<Shared>();
              const auto locked = [=](auto&& body) {
                  if (irq) {
                      core::LockGuard<core::IrqSpinlock> guard(shared->irq_lock);
                      body(guard);
                  } else {
                      core::LockGuard<core::Spinlock> guard(shared->lock);
                      body(guard);
                  }
              };
              for (int i = 0; i < 2; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 4; ++round)
                          locked([&](auto& guard) {
                              shared->queue.wait_until("guarded", guard, [&] { return shared->available != 0; });
                              --shared->available;
                          });
                  });
              sim.spawn([=] {
                  for (int round = 0; round < 8; ++round) {
                      locked([&](auto&) {
                          ++shared->available;
                          if (round % 2 == 0) shared->queue.wake_one();
                      });
                      if (round % 2 != 0) shared->queue.wake_one();
                  }
              });
              sim.at_end([=] { fake::expect(shared->available == 0, "items were lost"); });
          }) == "");
}

TEST_CASE("wake_all wakes all", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              struct Shared {
                  WaitQueue queue;
                  std::atomic<int> phase{0}, arrived{0};
              };
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 4; ++i)
                  sim.spawn([=] {
                      for (int phase = 1; phase <= 3; ++phase) {
                          shared->queue.wait_until("phase", [&] { return shared->phase >= phase; });
                          ++shared->arrived;
                      }
                  });
              sim.spawn([=] {
                  for (int phase = 1; phase <= 3; ++phase) {
                      ++shared->phase;
                      shared->queue.wake_all();
                      while (shared->arrived < 4 * phase) sched::yield();
                  }
              });
          }) == "");
}

TEST_CASE("an interrupted waiter does not swallow a wake-up", "[sync]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              auto items = std::make_shared<Items>();
              // Three items for two rounds of the other one and at most one of the victim: if the victim goes away with a
              // wake-up but without an item, the other one may sleep beside an item.
              sched::Entity& victim =
                  sim.spawn([=] { items->queue.wait_interruptible("items", [&] { return items->take(); }); });
              sim.spawn([=] {
                  for (int round = 0; round < 2; ++round)
                      items->queue.wait_until("items", [&] { return items->take(); });
              });
              sim.spawn([&victim] { Simulation::interrupt(victim); });
              sim.spawn([=] {
                  for (int round = 0; round < 3; ++round) {
                      ++items->available;
                      items->queue.wake_one();
                  }
              });
          }) == "");
}

TEST_CASE("a wait ends at its deadline, not before and not never", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              auto queue = std::make_shared<WaitQueue>();
              auto ready = std::make_shared<std::atomic<bool>>(false);
              for (int i = 0; i < 3; ++i) {
                  const Nanoseconds delay = microseconds(static_cast<i64>(sim.random(60)));
                  sim.spawn([=] {
                      const Nanoseconds deadline = time::now() + delay;
                      const WaitResult result =
                          queue->wait_interruptible("clock", [&] { return ready->load(); }, deadline);
                      if (result == WaitResult::TimedOut)
                          fake::expect(time::now() >= deadline, "timed out too early");
                      else
                          fake::expect(result == WaitResult::Ready && *ready, "ready without reason");
                  });
              }
              const Nanoseconds delay = microseconds(static_cast<i64>(sim.random(60)));
              sim.spawn([=] {
                  WaitQueue own;
                  own.wait_interruptible("nap", [] { return false; }, time::now() + delay);
                  *ready = true;
                  queue->wake_all();
              });
          }) == "");
}

TEST_CASE("an interrupt handler wakes a thread", "[sync]") {
    struct Alarm : time::Timer {
        Alarm()
            : Timer([](Timer& timer) {
                  auto& self = static_cast<Alarm&>(timer);
                  ++self.rung;
                  self.queue.wake_one();
              }) {}
        WaitQueue queue;
        std::atomic<int> rung{0};
    };
    CHECK(simulate(1000, [](Simulation& sim) {
              auto alarm = std::make_shared<Alarm>();
              sim.spawn([=] {
                  for (int round = 1; round <= 3; ++round) {
                      alarm->arm(time::now() + microseconds(round * 2));
                      alarm->queue.wait_until("alarm", [&] { return alarm->rung == round; });
                  }
              });
          }) == "");
}

TEST_CASE("one thread waits on several queues", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              auto items = std::make_shared<std::array<Items, 3>>();
              sim.spawn([=] {
                  for (int got = 0; got < 6;) {
                      sync::WaitNode nodes[3];
                      for (usize i = 0; i < 3; ++i) (*items)[i].queue.announce(nodes[i]);
                      int now = 0;
                      for (Items& source : *items) now += source.take() ? 1 : 0;
                      const auto taken = [](const void* all) {
                          const auto& three = *static_cast<const sync::WaitNode(*)[3]>(all);
                          return !std::ranges::all_of(three, &sync::WaitNode::queued);
                      };
                      if (now == 0)
                          sync::sleep_on(taken, &nodes, sched::SleepKind::Interruptible, "poll", Nanoseconds::max());
                      for (usize i = 0; i < 3; ++i) nodes[i].retract();
                      got += now;
                  }
              });
              for (usize i = 0; i < 3; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 2; ++round) {
                          ++(*items)[i].available;
                          (*items)[i].queue.wake_one();
                      }
                  });
          }) == "");
}

// ---- What must not pass --------------------------------------------------------------------------------------------

TEST_CASE("the explorer finds a wait that looks before it announces itself", "[sync][broken]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              produce_and_consume(sim, [](Items& items) {
                  while (!items.take()) {
                      sync::WaitNode node;
                      items.queue.announce(node);
                      sync::sleep_on(node, sched::SleepKind::Uninterruptible, "broken");
                      node.retract();
                  }
              });
          }) != "");
}

TEST_CASE("the explorer finds a sleep that looks at the node before it is Blocking", "[sync][broken]") {
    CHECK(simulate(3000, [](Simulation& sim) {
              produce_and_consume(sim, [](Items& items) {
                  sync::WaitNode node;
                  for (;;) {
                      items.queue.announce(node);
                      if (items.take()) break;
                      if (node.queued()) {
                          sched::prepare_to_sleep(sched::SleepKind::Uninterruptible, "broken");
                          sched::schedule();
                          sched::finish_sleep();
                      }
                      node.retract();
                      if (items.take()) return;
                  }
                  if (!node.retract()) items.queue.wake_one();
              });
          }) != "");
}

TEST_CASE("the explorer finds a waiter that keeps a wake-up it does not need", "[sync][broken]") {
    // The first waiter takes the first item without sleeping, the second one sleeps, the wake-up for the second item hits
    // the first waiter's node, which is still on the queue.
    CHECK(simulate(
              20'000,
              [](Simulation& sim) {
                  auto items = std::make_shared<Items>();
                  for (int i = 0; i < 2; ++i)
                      sim.spawn([=] {
                          sync::WaitNode node;
                          for (;;) {
                              items->queue.announce(node);
                              if (items->take()) break;
                              sync::sleep_on(node, sched::SleepKind::Uninterruptible, "broken");
                              node.retract();
                              if (items->take()) return;
                          }
                          for (int j = 0; j < 20; ++j) fake::step();  // the window is small; this makes it wider
                          node.retract();
                      });
                  sim.spawn([=] {
                      for (int round = 0; round < 2; ++round) {
                          ++items->available;
                          items->queue.wake_one();
                          for (int j = 0; j < 20; ++j) fake::step();
                      }
                  });
              },
              3) != "");
}
