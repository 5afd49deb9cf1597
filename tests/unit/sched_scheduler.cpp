// SPDX-License-Identifier: MIT
// The scheduler as a whole, under the explorer.
#include <catch2/catch.hpp>

#include "kernel/sched/run_queue.hpp"
#include "kernel/sync/completion.hpp"
#include "kernel/sync/semaphore.hpp"
#include "tests/unit/fake_arch/cpus.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::nap;
using test::simulate;
using test::Simulation;
using test::work;

TEST_CASE("threads start, yield, sleep and end, whatever the interleaving", "[sched]") {
    CHECK(simulate(2000, [](Simulation& sim) {
              auto ran = std::make_shared<std::atomic<int>>(0);
              for (int i = 0; i < 8; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 3; ++round) {
                          if ((i + round) % 3 == 0) sched::yield();
                          if ((i + round) % 3 == 1) nap(microseconds(2));
                          fake::step();
                      }
                      ++*ran;
                  });
              sim.at_end([=] { fake::expect(*ran == 8, "a thread did not run to its end"); });
          }) == "");
}

TEST_CASE("a thread runs on CPUs of its affinity only, also when that changes", "[sched]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              const u64 all = (u64{1} << sim.cpus()) - 1;
              std::vector<sched::Entity*> victims;
              const auto check = [] {
                  core::PreemptGuard guard;
                  fake::expect(sched::affinity_of(sched::current()).has(core::this_cpu()), "on a forbidden CPU");
              };
              for (u32 i = 0; i < 3; ++i) {
                  const CpuMask mask = CpuMask::of(CpuId{static_cast<u32>(sim.random(sim.cpus()))});
                  const CpuMask next = CpuMask::of(CpuId{static_cast<u32>(sim.random(sim.cpus()))});
                  sim.spawn(
                      [=] {
                          for (int round = 0; round < 4; ++round) {
                              check();
                              if (round == 2)
                                  fake::expect(sched::set_affinity(sched::current(), next).has_value(), "refused");
                              if (round == 1) nap(microseconds(1));
                              sched::yield();
                          }
                          check();
                      },
                      mask);
              }
              // Somebody else's affinity changes while it runs, sleeps or waits.
              sched::Entity& victim = sim.spawn([] {
                  for (int round = 0; round < 6; ++round) round % 2 == 0 ? work(microseconds(2)) : nap(microseconds(1));
              });
              const u32 cpus = sim.cpus();
              sim.spawn([all, cpus, &victim] {
                  for (u32 round = 0; round < 4; ++round) {
                      const CpuMask mask((round % 2 == 0 ? u64{1} << round % cpus : all) & all);
                      fake::expect(sched::set_affinity(victim, mask).has_value(), "refused");
                      work(microseconds(1));
                  }
              });
              sim.spawn([] {
                  fake::expect(!sched::set_affinity(sched::current(), CpuMask(u64{1} << 60)).has_value(),
                               "no such CPU");
              });
          }) == "");
}

// The switch that puts it to sleep, the wake-up and the change meet on three CPUs. The simulated machine says so if a thread
// is switched in that another CPU has not yet left.
TEST_CASE("a thread whose affinity changes is woken at the same time, and runs on one CPU at a time", "[sched]") {
    CHECK(simulate(
              1500,
              [](Simulation& sim) {
                  struct Shared {
                      sync::WaitQueue queue;
                      std::atomic<int> wanted{0}, seen{0};
                      std::atomic<bool> stop{false};
                  };
                  auto shared = std::make_shared<Shared>();
                  sched::Entity& victim = sim.spawn([=] {
                      for (int round = 1; round <= 12; ++round) {
                          shared->wanted = round;
                          shared->queue.wait_until("event", [&] { return shared->seen == round; });
                      }
                      shared->stop = true;
                  });
                  for (u32 waker = 0; waker < 2; ++waker)
                      sim.spawn(
                          [=] {
                              while (!shared->stop) {
                                  shared->seen = shared->wanted.load();
                                  shared->queue.wake_one();
                                  nap(microseconds(1));
                              }
                          },
                          CpuMask::of(CpuId{1 + waker}));
                  sim.spawn(
                      [=, &victim] {
                          for (u32 round = 0; !shared->stop; ++round) {
                              fake::expect(sched::set_affinity(victim, CpuMask(round % 2 == 0 ? 1 : 8)).has_value(),
                                           "refused");
                              if (round % 8 == 7) nap(microseconds(1));
                          }
                      },
                      CpuMask::of(CpuId{2}));
              },
              4, 4) == "");
}

TEST_CASE("a running thread whose affinity forbids its CPU moves at once", "[sched]") {
    CHECK(simulate(
              300,
              [](Simulation& sim) {
                  sim.options().strategy = fake::Strategy::Random;
                  auto seen = std::make_shared<std::atomic<u64>>(0);
                  auto stop = std::make_shared<std::atomic<bool>>(false);
                  sched::Entity& victim = sim.spawn([=] {
                      while (!*stop) {
                          core::PreemptGuard guard;
                          *seen = CpuMask::of(core::this_cpu()).bits();
                      }
                  });
                  sim.spawn(
                      [=, &victim] {
                          for (const u64 mask : {u64{1}, u64{2}, u64{1}}) {
                              const Nanoseconds start = time::now();
                              fake::expect(sched::set_affinity(victim, CpuMask(mask)).has_value(), "refused");
                              while (*seen != mask) fake::step();
                              // No tick is waited for: an interrupt and a switch are enough.
                              fake::expect(time::now() < start + milliseconds(2), "it did not move at once");
                          }
                          *stop = true;
                      },
                      CpuMask::of(CpuId{2}));
              },
              3, 4) == "");
}

TEST_CASE("two busy threads spread over two CPUs", "[sched]") {
    CHECK(simulate(
              20,
              [](Simulation& sim) {
                  sim.options().strategy = fake::Strategy::Random;  // the other one lets CPUs starve
                  for (int i = 0; i < 2; ++i) {
                      sim.spawn([=] {
                          nap(microseconds(50));
                          // Both may now be on one CPU: the other one was no better, or is kept from choosing well.
                          fake::expect(sched::set_affinity(sched::current(), CpuMask(1)).has_value(), "refused");
                          fake::expect(sched::set_affinity(sched::current(), CpuMask::all()).has_value(), "refused");
                          work(milliseconds(60));
                      });
                  }
                  sim.at_end([] { fake::expect(time::now() < milliseconds(95), "they shared a CPU for long"); });
              },
              2, 2) == "");
}

TEST_CASE("nice values share a CPU by their weights", "[sched]") {
    CHECK(simulate(
              4,
              [](Simulation& sim) {
                  auto stop = std::make_shared<std::atomic<bool>>(false);
                  std::vector<sched::Entity*> threads;
                  for (const i8 nice : {i8{0}, i8{0}, i8{5}}) {
                      threads.push_back(&sim.spawn([=] {
                          while (!*stop) fake::spend(microseconds(100));
                      }));
                      threads.back()->nice = nice;
                  }
                  sim.spawn([=] {
                      nap(seconds(3));
                      *stop = true;
                  });
                  sim.at_end([=] {
                      const double normal = static_cast<double>(threads[0]->run_time.raw);
                      const double other = static_cast<double>(threads[1]->run_time.raw);
                      const double nicer = static_cast<double>(threads[2]->run_time.raw);
                      fake::expect(normal / other > 0.95 && normal / other < 1.05, "equals got unequal shares");
                      fake::expect(normal / nicer > 2.8 && normal / nicer < 3.3, "nice 5 is not a third (1024 : 335)");
                  });
              },
              1, 1) == "");
}

TEST_CASE("a sleeper is not made to wait for a busy thread's slice", "[sched]") {
    CHECK(simulate(
              4,
              [](Simulation& sim) {
                  auto stop = std::make_shared<std::atomic<bool>>(false);
                  for (int i = 0; i < 2; ++i)
                      sim.spawn([=] {
                          while (!*stop) fake::spend(microseconds(20));
                      });
                  sim.spawn([=] {
                      nap(milliseconds(20));
                      for (int round = 0; round < 10; ++round) {
                          const Nanoseconds alarm = time::now() + milliseconds(7);
                          nap(milliseconds(7));
                          fake::expect(time::now() < alarm + milliseconds(1), "woken late");
                      }
                      *stop = true;
                  });
              },
              1, 1) == "");
}

TEST_CASE("an idle CPU that a waiting thread may go to is invited, not just any", "[sched]") {
    CHECK(simulate(
              10,
              [](Simulation& sim) {
                  sim.options().strategy = fake::Strategy::Random;
                  for (int i = 0; i < 2; ++i) sim.spawn([] { work(milliseconds(30)); }, CpuMask(1));
                  sched::Entity& waiter = sim.spawn([] { work(milliseconds(30)); }, CpuMask(1));
                  sim.spawn(
                      [&waiter] {
                          nap(microseconds(50));
                          fake::expect(sched::set_affinity(waiter, CpuMask(0b101)).has_value(), "refused");
                          nap(milliseconds(15));  // some slices
                          fake::expect(waiter.cpu == 2, "it waits still, and a CPU idles");
                      },
                      CpuMask(2));
              },
              3, 3) == "");
}

TEST_CASE("a wake-up from another CPU does not wait behind a Sync one", "[sched]") {
    CHECK(simulate(
              50,
              [](Simulation& sim) {
                  struct Shared {
                      sync::Completion quiet, urgent;
                      Nanoseconds alarm{};
                  };
                  auto shared = std::make_shared<Shared>();
                  sim.options().strategy = fake::Strategy::Random;
                  sim.spawn([=] { shared->quiet.wait(); }, CpuMask(1));
                  sched::Entity& urgent = sim.spawn(
                      [=] {
                          shared->urgent.wait();
                          fake::expect(time::now() < shared->alarm + milliseconds(5), "woken late");
                      },
                      CpuMask(1));
                  urgent.policy = sched::Policy::Fifo;
                  urgent.realtime_priority = 1;
                  sim.spawn(
                      [=] {
                          nap(microseconds(100));
                          shared->quiet.complete(sched::WakeHint::Sync);
                          work(milliseconds(20));  // it does not sleep, against its promise
                      },
                      CpuMask(1));
                  sim.spawn(
                      [=] {
                          nap(milliseconds(5));
                          shared->alarm = time::now();
                          shared->urgent.complete();
                      },
                      CpuMask(2));
              },
              2, 2) == "");
}

TEST_CASE("set_policy and set_nice act on threads in every state", "[sched]") {
    CHECK(simulate(1500, [](Simulation& sim) {
              auto queue = std::make_shared<sync::WaitQueue>();
              auto stop = std::make_shared<std::atomic<bool>>(false);
              std::vector<sched::Entity*> victims;
              for (int i = 0; i < 3; ++i)
                  victims.push_back(&sim.spawn([=] {
                      while (!*stop) {
                          work(microseconds(2));
                          if (i == 0) nap(microseconds(10));
                          if (i == 1) sched::yield();
                          // A real-time victim would keep a single CPU from the one that stops it.
                          nap(microseconds(20));
                      }
                  }));
              sim.spawn([=] {
                  for (int round = 0; round < 6; ++round) {
                      sched::Entity& victim = *victims[static_cast<usize>(round) % 3];
                      const bool realtime = round % 2 == 0;
                      fake::expect(
                          sched::set_policy(victim, realtime ? sched::Policy::RoundRobin : sched::Policy::Batch,
                                            realtime ? u8{7} : u8{0})
                              .has_value(),
                          "refused");
                      sched::set_nice(victim, static_cast<i8>(round * 5 - 15));
                      nap(microseconds(10));
                  }
                  fake::expect(!sched::set_policy(sched::current(), sched::Policy::Fifo, 0).has_value(),
                               "0 is no priority");
                  fake::expect(!sched::set_policy(sched::current(), sched::Policy::Normal, 3).has_value(),
                               "3 is for real time");
                  *stop = true;
              });
          }) == "");
}

TEST_CASE("vector registers and the FS base belong to their thread", "[sched]") {
    struct alignas(64) Area {
        u64 words[8] = {};
    };
    CHECK(simulate(1000, [](Simulation& sim) {
              for (u64 i = 1; i <= 4; ++i) {
                  auto area = std::make_shared<Area>();
                  const bool user = i != 4;
                  sched::Entity& thread = sim.spawn([=] {
                      if (user) {
                          arch::IrqState state = arch::irq_save();
                          fake::this_cpu().fpu = i;
                          fake::this_cpu().fs_base = i * 16;
                          arch::irq_restore(state);
                      }
                      for (int round = 0; round < 4; ++round) {
                          if (round % 2 == 0)
                              sched::yield();
                          else
                              nap(microseconds(1));
                          const fake::Cpu& cpu = fake::this_cpu();
                          if (user) fake::expect(cpu.fpu == i && cpu.fs_base == i * 16, "another thread's registers");
                      }
                  });
                  if (user) thread.fpu = area->words;
                  sim.at_end([area] {});
              }
          }) == "");
}

TEST_CASE("user spaces are loaded lazily and forgotten before they die", "[sched]") {
    struct Space final : sched::UserSpace {
        std::atomic<u64> loaded{0};
        std::atomic<int> loads{0};
        void activate(CpuId cpu) override {
            fake::expect((loaded.fetch_or(u64{1} << cpu.raw) >> cpu.raw & 1) == 0, "loaded twice");
            arch::set_page_table(PhysAddr{reinterpret_cast<u64>(this)});
            ++loads;
        }
        void deactivate(CpuId cpu) override {
            fake::expect((loaded.fetch_and(~(u64{1} << cpu.raw)) >> cpu.raw & 1) != 0, "left, but was not loaded");
        }
    };
    CHECK(simulate(1000, [](Simulation& sim) {
              for (int i = 0; i < 3; ++i)
                  sim.spawn([=] {
                      auto* space = new Space;
                      sched::switch_user_space(space);
                      for (int round = 0; round < 3; ++round) {
                          {
                              core::IrqGuard guard;
                              fake::expect(fake::this_cpu().page_table == PhysAddr{reinterpret_cast<u64>(space)},
                                           "another space is loaded");
                          }
                          nap(microseconds(1));
                      }
                      sched::switch_user_space(nullptr);
                      sched::forget_user_space(*space);
                      fake::expect(space->loaded == 0, "still loaded somewhere");
                      delete space;
                  });
              sim.spawn([] {  // a kernel thread does not make anybody load anything
                  for (int round = 0; round < 3; ++round) sched::yield();
              });
          }) == "");
}

TEST_CASE("an idle machine has no ticks, and idle CPUs are known as such", "[sched]") {
    CHECK(simulate(100, [](Simulation& sim) {
              sim.spawn([] {
                  const Nanoseconds start = time::now();
                  nap(seconds(100));  // nothing but this timer: the clock jumps there
                  fake::expect(time::now() >= start + seconds(100), "too early");
                  u64 switches = 0;
                  for (u32 cpu = 0; cpu < core::cpu_count(); ++cpu) switches += sched::statistics(CpuId{cpu}).switches;
                  fake::expect(switches < 40, "the idle machine was busy");
                  u64 idle = 0;
                  for (u32 cpu = 0; cpu < core::cpu_count(); ++cpu) idle += sched::statistics(CpuId{cpu}).idle_ticks;
                  fake::expect(idle >= 9'990 * core::cpu_count(), "idle time was not counted");
              });
          }) == "");
}

TEST_CASE("load averages rise under load", "[sched]") {
    CHECK(simulate(
              1,
              [](Simulation& sim) {
                  sim.options().max_steps = 5'000'000;
                  for (int i = 0; i < 3; ++i)
                      sim.spawn([=] {
                          while (time::now() < seconds(100)) fake::spend(milliseconds(1));
                      });
                  sim.at_end([] {
                      u64 averages[3];
                      sched::load_averages(averages);
                      fake::expect(averages[0] > 2 * 65536 && averages[0] < 3 * 65536 + 6554, "1 minute: near 3");
                      fake::expect(averages[1] > 49152 && averages[1] < averages[0], "5 minutes: on the way");
                      fake::expect(averages[2] < averages[1], "15 minutes: behind");
                  });
              },
              1, 1) == "");
}

TEST_CASE("ticks of a user thread are counted where they fall", "[sched]") {
    CHECK(simulate(
              1,
              [](Simulation& sim) {
                  static u64 area[8];
                  sched::Entity& thread = sim.spawn([] {
                      while (time::now() < milliseconds(1005)) fake::spend(microseconds(100));
                  });
                  thread.fpu = area;
                  sim.at_end([&thread] {
                      // The simulation's timer interrupt always says "from kernel mode".
                      fake::expect(thread.system_ticks >= 98 && thread.system_ticks <= 101, "about 100 ticks a second");
                      fake::expect(thread.user_ticks == 0, "none in user mode");
                  });
              },
              1, 1) == "");
}

TEST_CASE("a Sync wake-up hands over without an interrupt", "[sched]") {
    CHECK(simulate(50, [](Simulation& sim) {
              struct Shared {
                  sync::WaitQueue queue;
                  std::atomic<int> turn{0};
              };
              auto shared = std::make_shared<Shared>();
              for (int me = 0; me < 2; ++me)
                  sim.spawn(
                      [=] {
                          for (int round = 0; round < 50; ++round) {
                              shared->queue.wait_until("turn", [&] { return shared->turn % 2 == me; });
                              ++shared->turn;
                              shared->queue.wake_one(sched::WakeHint::Sync);
                          }
                      },
                      CpuMask::of(CpuId{0}));
              sim.at_end([] { fake::expect(fake::counts().ipis < 5, "hand-over on one CPU took interrupts"); });
          }) == "");
}

TEST_CASE("preemption points: nothing is switched with preemption off", "[sched]") {
    CHECK(simulate(500, [](Simulation& sim) {
              auto inside = std::make_shared<std::atomic<int>>(0);
              for (int i = 0; i < 3; ++i)
                  sim.spawn(
                      [=] {
                          for (int round = 0; round < 3; ++round) {
                              core::PreemptGuard guard;
                              fake::expect(++*inside == 1, "switched in the middle");
                              work(microseconds(2));
                              --*inside;
                          }
                      },
                      CpuMask::of(CpuId{0}));
          }) == "");
}

TEST_CASE("sleeping with a spinlock held is a panic", "[sched]") {
    CHECK_THAT(simulate(
                   1,
                   [](Simulation& sim) {
                       sim.spawn([] {
                           core::Spinlock lock(core::Rank::PageTable);
                           core::LockGuard<core::Spinlock> guard(lock);
                           sched::schedule();
                       });
                   },
                   1, 1),
               Catch::Contains("gives up its CPU with a spinlock held"));
}

// Each is woken while its CPU is idle for a moment only: it polls, is about to halt, or halts.
TEST_CASE("no wake-up is lost by a CPU that polls before it halts", "[sched]") {
    CHECK(simulate(
              1000,
              [](Simulation& sim) {
                  auto ping = std::make_shared<sync::Semaphore>(0), pong = std::make_shared<sync::Semaphore>(0);
                  const Nanoseconds longest{static_cast<i64>(sim.random(1500))};
                  sim.spawn(
                      [=] {
                          for (int i = 0; i < 20; ++i) {
                              ping->release();
                              pong->acquire();
                          }
                      },
                      CpuMask::of(CpuId{0}));
                  sim.spawn(
                      [=] {
                          for (int i = 0; i < 20; ++i) {
                              ping->acquire();
                              fake::spend(Nanoseconds{longest.raw * i / 20});  // until the other one's polling ends
                              pong->release();
                          }
                      },
                      CpuMask::of(CpuId{1}));
              },
              2, 2) == "");
}
