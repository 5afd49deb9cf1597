// SPDX-License-Identifier: MIT
// System V semaphores on simulated CPUs: threads and processes that take units with SEM_UNDO, give them back or end without. However
// they interleave, no more are inside than there are units, and in the end every unit is back. An end of a process that tells of
// itself before it has given back must be found out.
#include <catch2/catch.hpp>

#include "kernel/ipc/sysv_sem.hpp"
#include "kernel/sync/semaphore.hpp"
#include "kernel/task/life.hpp"
#include "tests/unit/simulation.hpp"

namespace {

using namespace hd;
using namespace hd::test;

constexpr i16 kUndo = abi::kSEM_UNDO, kNoWait = abi::kIPC_NOWAIT;
constexpr Nanoseconds kNever = Nanoseconds::max();

Errno operate(i32 id, i16 change, i16 flags, Nanoseconds deadline = kNever) {
    const abi::SemBuf operation{0, change, flags};
    return ipc::sem_operate(id, {&operation, 1}, deadline);
}

// A set of the simulation: made by the first thread that comes, removed by the last.
struct Set {
    i32 id = -1;
    int users = 0;
    void open(i16 units) {
        if (id < 0) {
            id = *ipc::sem_get(abi::kIPC_PRIVATE, 1, 0600);
            fake::expect(operate(id, units, 0) == kNoError, "the units cannot be made");
        }
    }
    void close() {
        if (--users == 0) fake::expect(ipc::sem_control(id, 0, abi::kIPC_RMID, 0).has_value(), "the set is gone");
    }
    i32 value() const { return *ipc::sem_control(id, 0, abi::kGETVAL, 0); }
};

// The last thread of a process gives back; then whoever waits for the process is told (kernel/task/exit.cpp).
enum class Ending : u8 { AsItIs, TellingFirst };

struct Life {
    std::shared_ptr<task::Process> process;
    std::atomic<int> threads{0};
    std::atomic<bool> ended{false};
    sync::WaitQueue waiting;

    void leave(Ending how) {
        if (--threads != 0) return;
        if (how == Ending::AsItIs) task::g_leave_semaphores(*process);
        ended = true;
        waiting.wake_all();
        if (how == Ending::TellingFirst) task::g_leave_semaphores(*process);
    }
    void await() {
        waiting.wait_until("wait", [this] { return ended.load(); });
    }
};

// Processes with two threads each share some units; and one has to get all of them once the others have ended.
std::string run(u32 seeds, Ending how) {
    ipc::init_semaphores();
    return simulate(seeds, [how](Simulation& sim) {
        sim.use_memory();
        constexpr int kProcesses = 2, kThreads = 2;
        const i16 units = static_cast<i16>(1 + sim.random(2));
        auto set = std::make_shared<Set>();
        set->users = kProcesses * kThreads + 1;
        auto inside = std::make_shared<Inside>();
        std::vector<std::shared_ptr<Life>> lives;
        auto opened = std::make_shared<sync::Semaphore>(1);
        for (int i = 0; i < kProcesses; ++i) {
            auto& life = lives.emplace_back(std::make_shared<Life>());
            life->process = sim.make_process();
            life->threads = kThreads;
            for (int j = 0; j < kThreads; ++j) {
                const u64 kind = sim.random(4);
                const Nanoseconds limit{static_cast<i64>(sim.random(10'000))};
                sim.spawn_in(life->process, [=] {
                    opened->acquire();
                    set->open(units);
                    opened->release();
                    for (int round = 0; round < 3; ++round) {
                        const bool patient = kind != 1, last = round == 2;
                        const Errno error = operate(set->id, -1, kUndo, patient ? kNever : time::now() + limit);
                        fake::expect(error == kNoError || (!patient && error == Errno::kEAGAIN),
                                     "a unit cannot be taken");
                        if (error != kNoError) continue;
                        fake::expect(inside->enter() <= units, "more are inside than there are units");
                        fake::step();
                        inside->leave();
                        // In the end one thread keeps it, and so does its process. There must be another one for those who wait.
                        if (last && kind == 2 && units == 2 && i == 0 && j == 0) break;
                        fake::expect(operate(set->id, 1, kUndo) == kNoError, "a unit cannot be given back");
                    }
                    life->leave(how);
                    set->close();
                });
            }
        }
        auto missing = std::make_shared<bool>(false);
        sim.at_end([=] { fake::expect(!*missing, "a unit is missing after its taker's end"); });
        auto parent = sim.make_process();
        sim.spawn_in(parent, [=] {
            for (const auto& life : lives) life->await();
            // Noted, and the run goes on: one that is abandoned would leave its set behind.
            *missing = operate(set->id, static_cast<i16>(-units), kNoWait) != kNoError;
            if (*missing)
                fake::expect(operate(set->id, static_cast<i16>(-units), 0) == kNoError, "the units never come back");
            fake::expect(operate(set->id, units, 0) == kNoError && set->value() == units, "the value is wrong");
            set->close();
        });
    });
}

}  // namespace

TEST_CASE("units that processes have when they end are back before anybody hears of the end", "[ipc]") {
    CHECK(run(2000, Ending::AsItIs) == "");
}

TEST_CASE("a process that ends first and gives back after it is found out", "[ipc]") {
    CHECK(run(3000, Ending::TellingFirst) != "");
}

TEST_CASE("waiters for a set that is removed all learn it, and leave nothing behind", "[ipc]") {
    ipc::init_semaphores();
    CHECK(simulate(1500, [](Simulation& sim) {
              sim.use_memory();
              auto set = std::make_shared<Set>();
              auto ended = std::make_shared<std::atomic<int>>(0);
              auto process = sim.make_process();
              auto opened = std::make_shared<sync::Semaphore>(1);
              for (int i = 0; i < 3; ++i) {
                  const i16 flags = sim.random(2) == 0 ? kUndo : i16{0};
                  sim.spawn_in(process, [=] {
                      opened->acquire();
                      set->open(1);
                      opened->release();
                      for (int round = 0; round < 6; ++round) {
                          const Errno error = operate(set->id, -1, flags);
                          if (error != kNoError) {
                              fake::expect(error == Errno::kEIDRM || error == Errno::kEINVAL, "a strange error");
                              break;
                          }
                          const Errno back = operate(set->id, 1, flags);
                          if (back != kNoError) break;
                      }
                      if (++*ended == 3) task::g_leave_semaphores(*process);
                  });
              }
              sim.spawn_in(sim.make_process(), [=] {
                  opened->acquire();
                  set->open(1);
                  opened->release();
                  nap(microseconds(1));
                  fake::expect(ipc::sem_control(set->id, 0, abi::kIPC_RMID, 0).has_value(), "it cannot be removed");
              });
          }) == "");
}
