// SPDX-License-Identifier: MIT
// Futexes with priority inheritance on simulated CPUs. The locks exclude, nobody sleeps for ever, the owner at the end of a chain runs
// with the highest priority of those who wait, and who has let go of everything has no priority but its own.
#include <catch2/catch.hpp>

#include "kernel/ipc/pi_futex.hpp"
#include "kernel/sync/semaphore.hpp"
#include "tests/unit/simulation.hpp"

namespace {

using namespace hd;
using namespace hd::test;

constexpr int kLocks = 3;
constexpr Nanoseconds kNever = Nanoseconds::max();
std::atomic<u32> g_words[kLocks];
ipc::FutexWord word(int lock) { return {0x1000 + static_cast<u64>(lock) * sizeof(u32), ipc::FutexScope::Private}; }

void map_words() {  // each run begins without
    fake::g_hooks.user_memory = [](u64 address) { return reinterpret_cast<u8*>(g_words) + (address - 0x1000); };
}

u32 my_tid() { return static_cast<u32>(task::current_thread().number()); }

// As the C library does it: the kernel comes into it only where two meet.
bool lock(int which, Nanoseconds deadline = kNever) {
    u32 free = 0;
    if (g_words[which].compare_exchange_strong(free, my_tid())) return true;
    const Result<> locked = ipc::pi_lock(word(which), deadline);
    fake::expect(locked || (deadline != kNever && locked.error() == Errno::kETIMEDOUT), "pi_lock fails");
    return locked.has_value();
}
void unlock(int which) {
    u32 mine = my_tid();
    if (!g_words[which].compare_exchange_strong(mine, 0))
        fake::expect(ipc::pi_unlock(word(which)).has_value(), "pi_unlock fails");
}

task::Thread& spawn_realtime(Simulation& sim, std::shared_ptr<task::Process> process, u8 priority,
                             std::function<void()> body) {
    task::Thread& thread = sim.spawn_in(process, [=] {
        map_words();
        body();
    });
    thread.policy = sched::Policy::Fifo;
    thread.realtime_priority = priority;
    return thread;
}

bool at_rest(const task::Thread& thread) {
    return thread.lent_priority == 0 && thread.owned_pi_futexes == nullptr && thread.pi_waiter == nullptr;
}

void expect_rest_at_end(Simulation& sim, std::vector<task::Thread*> threads) {
    sim.at_end([=] {
        for (const task::Thread* thread : threads)
            fake::expect(at_rest(*thread), "a thread keeps a priority, a lock or a place");
        for (const auto& each : g_words) fake::expect(each == 0, "a lock is not free");
    });
}

void reset(Simulation& sim) {
    sim.use_memory();
    for (auto& each : g_words) each = 0;
}

}  // namespace

TEST_CASE("locks with priority inheritance: nested, with limits of time, in any interleaving", "[ipc]") {
    CHECK(simulate(1200, [](Simulation& sim) {
              reset(sim);
              auto process = sim.make_process();
              auto inside = std::make_shared<std::array<Inside, kLocks>>();
              std::vector<task::Thread*> threads;
              for (int i = 0; i < 4; ++i) {
                  struct Round {
                      int first, second;
                      Nanoseconds limit;
                  };
                  std::array<Round, 3> rounds;
                  for (Round& round : rounds) {
                      round.first = static_cast<int>(sim.random(kLocks));
                      round.second = static_cast<int>(sim.random(kLocks));
                      round.limit = Nanoseconds{static_cast<i64>(sim.random(3) == 0 ? sim.random(20'000) : 0)};
                  }
                  threads.push_back(&spawn_realtime(sim, process, static_cast<u8>(10 + sim.random(4)), [=] {
                      const auto use = [&](int which, Nanoseconds limit, const auto& then) {
                          if (!lock(which, limit.raw == 0 ? kNever : time::now() + limit)) return;
                          fake::expect((*inside)[static_cast<usize>(which)].enter() == 1, "two threads have the lock");
                          then();
                          (*inside)[static_cast<usize>(which)].leave();
                          unlock(which);
                      };
                      for (const Round& round : rounds)
                          use(round.first, Nanoseconds{0}, [&] {
                              fake::step();
                              // Always upwards, or they could wait for each other.
                              if (round.second > round.first) use(round.second, round.limit, [] { fake::step(); });
                          });
                  }));
              }
              expect_rest_at_end(sim, threads);
          }) == "");
    fake::g_hooks.user_memory = nullptr;
}

// low has 0; mid has 1 and waits for 0; high waits for 1.
TEST_CASE("a priority goes along a chain of owners, and is taken back step by step", "[ipc]") {
    CHECK(simulate(800, [](Simulation& sim) {
              reset(sim);
              auto process = sim.make_process();
              auto low_has = std::make_shared<sync::Semaphore>(0), mid_has = std::make_shared<sync::Semaphore>(0);
              const bool gives_up = sim.random(2) == 0;
              const auto lent_is = [](u8 wanted) {
                  // Asleep in between: who has given up is no more urgent, and must get to say so.
                  while (sched::read_parameter(task::current_thread().lent_priority) != wanted) nap(microseconds(2));
              };
              std::vector<task::Thread*> threads;
              threads.push_back(&spawn_realtime(sim, process, 1, [=] {
                  fake::expect(lock(0), "the first lock is not free");
                  low_has->release();
                  lent_is(30);  // of who waits for what mid has
                  if (gives_up) lent_is(20);
                  unlock(0);
                  fake::expect(sched::read_parameter(task::current_thread().lent_priority) == 0, "the priority stays");
              }));
              threads.push_back(&spawn_realtime(sim, process, 20, [=] {
                  low_has->acquire();
                  fake::expect(lock(1), "the second lock is not free");
                  mid_has->release();
                  fake::expect(lock(0), "mid does not get the first lock");
                  unlock(0);
                  unlock(1);
                  fake::expect(sched::read_parameter(task::current_thread().lent_priority) == 0,
                               "mid keeps a priority");
              }));
              threads.push_back(&spawn_realtime(sim, process, 30, [=] {
                  mid_has->acquire();
                  if (lock(1, gives_up ? time::now() + microseconds(200) : kNever)) {
                      fake::expect(!gives_up, "low has let go too early");
                      unlock(1);
                  }
              }));
              expect_rest_at_end(sim, threads);
          }) == "");
    fake::g_hooks.user_memory = nullptr;
}
