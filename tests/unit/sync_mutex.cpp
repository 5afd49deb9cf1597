// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "kernel/sync/monitor.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using sync::Mutex;
using sync::MutexGuard;
using test::simulate;
using test::Simulation;

TEST_CASE("a mutex excludes", "[sync]") {
    struct Shared {
        Mutex mutex{core::Rank::Inode};
        int counter = 0;  // not atomic: ThreadSanitizer checks what the lock orders
        test::Inside inside;
    };
    CHECK(simulate(1500, [](Simulation& sim) {
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 4; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 4; ++round) {
                          MutexGuard guard(shared->mutex);
                          fake::expect(shared->inside.enter() == 1, "two in the section");
                          ++shared->counter;
                          if (round % 2 == 0) sched::yield();  // a mutex may be held over a switch
                          shared->inside.leave();
                      }
                  });
              sim.at_end([=] { fake::expect(shared->counter == 16, "an increment was lost"); });
          }) == "");
}

TEST_CASE("try_lock and lock together exclude", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              auto mutex = std::make_shared<Mutex>(core::Rank::Inode);
              auto inside = std::make_shared<std::atomic<int>>(0);
              for (int i = 0; i < 3; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 4; ++round) {
                          if (i == 0)
                              while (!mutex->try_lock()) sched::yield();
                          else
                              mutex->lock();
                          fake::expect(++*inside == 1, "two in the section");
                          fake::expect(mutex->held_by_me(), "held, but not by me");
                          fake::step();
                          --*inside;
                          mutex->unlock();
                      }
                  });
          }) == "");
}

TEST_CASE("two mutexes of one rank are taken in one order by all", "[sync]") {
    CHECK(simulate(1000, [](Simulation& sim) {
              struct Shared {
                  Mutex a{core::Rank::Directory}, b{core::Rank::Directory};
              };
              auto shared = std::make_shared<Shared>();
              for (int i = 0; i < 4; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 3; ++round) {
                          sync::MutexPairGuard guard(i % 2 == 0 ? shared->a : shared->b,
                                                     i / 2 == 0 ? shared->a : shared->b);
                          fake::step();
                      }
                  });
          }) == "");
}

// The hand-over to a waiter that has lost a race once: a hog that takes the mutex again and again cannot starve it.
TEST_CASE("a mutex waiter is overtaken a bounded number of times", "[sync]") {
    CHECK(simulate(
              500,
              [](Simulation& sim) {
                  sim.options().strategy = fake::Strategy::Random;  // the other one lets CPUs starve
                  struct Shared {
                      Mutex mutex{core::Rank::Inode};
                      std::atomic<bool> served{false}, waiting{false};
                      std::atomic<int> overtaken{0};
                  };
                  auto shared = std::make_shared<Shared>();
                  sim.spawn([=] {
                      while (!shared->served) {
                          MutexGuard guard(shared->mutex);
                          if (shared->waiting) ++shared->overtaken;
                          for (int i = 0; i < 20; ++i) fake::step();
                      }
                  });
                  sim.spawn([=] {
                      shared->waiting = true;
                      MutexGuard guard(shared->mutex);
                      shared->served = true;
                  });
                  sim.at_end([=] { fake::expect(shared->overtaken < 2000, "a waiter was starved"); });
              },
              2, 2) == "");
}

TEST_CASE("a mutex's checks", "[sync]") {
    const auto failure_of = [](std::function<void()> body) {
        return simulate(1, [&](Simulation& sim) { sim.spawn(body); }, 1, 1);
    };
    CHECK_THAT(failure_of([] {
                   Mutex inode(core::Rank::Inode), directory(core::Rank::Directory);
                   MutexGuard first(inode);
                   MutexGuard second(directory);
               }),
               Catch::Contains("lock order: Directory wanted"));
    CHECK_THAT(failure_of([] {
                   Mutex mutex(core::Rank::Inode);
                   MutexGuard first(mutex);
                   MutexGuard second(mutex);
               }),
               Catch::Contains("lock order: Inode wanted"));
    CHECK_THAT(failure_of([] {
                   Mutex mutex(core::Rank::Inode);
                   mutex.unlock();
               }),
               Catch::Contains("does not hold it"));
    CHECK_THAT(failure_of([] {
                   Mutex mutex(core::Rank::Inode);
                   core::PreemptGuard no_preemption;
                   MutexGuard guard(mutex);
               }),
               Catch::Contains("this may sleep"));
    auto mutex = std::make_shared<Mutex>(core::Rank::Inode);
    CHECK_THAT(failure_of([=] { mutex->lock(); }), Catch::Contains("ends with a lock held"));
}

TEST_CASE("a monitor: the bounded buffer", "[sync]") {
    struct Buffer {
        Mutex mutex{core::Rank::Pipe};
        sync::Monitor not_empty, not_full;
        int content[2] = {};
        int count = 0;
    };
    CHECK(simulate(1500, [](Simulation& sim) {
              auto buffer = std::make_shared<Buffer>();
              auto sum = std::make_shared<std::atomic<int>>(0);
              for (int producer = 0; producer < 2; ++producer)
                  sim.spawn([=] {
                      for (int i = 1; i <= 5; ++i) {
                          MutexGuard guard(buffer->mutex);
                          buffer->not_full.wait(buffer->mutex, [&] { return buffer->count < 2; });
                          buffer->content[buffer->count++] = i;
                          buffer->not_empty.notify_one();
                      }
                  });
              for (int consumer = 0; consumer < 2; ++consumer)
                  sim.spawn([=] {
                      for (int i = 1; i <= 5; ++i) {
                          MutexGuard guard(buffer->mutex);
                          buffer->not_empty.wait(buffer->mutex, [&] { return buffer->count > 0; });
                          *sum += buffer->content[--buffer->count];
                          buffer->not_full.notify_one();
                      }
                  });
              sim.at_end(
                  [=] { fake::expect(*sum == 30 && buffer->count == 0, "something else came out than went in"); });
          }) == "");
}

TEST_CASE("a monitor's wait ends at a deadline with the mutex held", "[sync]") {
    CHECK(simulate(500, [](Simulation& sim) {
              struct Shared {
                  Mutex mutex{core::Rank::Pipe};
                  sync::Monitor changed;
                  bool set = false;
              };
              auto shared = std::make_shared<Shared>();
              sim.spawn([=] {
                  MutexGuard guard(shared->mutex);
                  const auto result = shared->changed.wait_interruptible(
                      shared->mutex, [&] { return shared->set; }, time::now() + microseconds(10));
                  fake::expect(shared->mutex.held_by_me(), "the mutex is not held after the wait");
                  fake::expect((result == sync::WaitResult::Ready) == shared->set,
                               "the result contradicts the condition");
              });
              sim.spawn([=] {
                  MutexGuard guard(shared->mutex);
                  shared->set = true;
                  shared->changed.notify_all();
              });
          }) == "");
}

TEST_CASE("the explorer finds a lock that is tested and set in two steps", "[sync][broken]") {
    CHECK(simulate(
              1000,
              [](Simulation& sim) {
                  struct Shared {
                      std::atomic<bool> locked{false};
                      std::atomic<int> inside{0};
                  };
                  auto shared = std::make_shared<Shared>();
                  for (int i = 0; i < 2; ++i)
                      sim.spawn([=] {
                          for (int round = 0; round < 5; ++round) {
                              while (shared->locked) sched::yield();
                              fake::step();
                              shared->locked = true;
                              fake::expect(++shared->inside == 1, "two in the section");
                              fake::step();
                              --shared->inside;
                              shared->locked = false;
                          }
                      });
              },
              2) != "");
}
