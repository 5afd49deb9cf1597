// SPDX-License-Identifier: MIT
// A kernel for model tests: the real scheduler, timers and synchronisation on simulated CPUs under the explorer.
//
//     simulate(1000, [](Simulation& sim) {
//         auto lock = std::make_shared<sync::Semaphore>(1);
//         sim.spawn([=] { lock->acquire(); … lock->release(); });
//         sim.at_end([=] { fake::expect(lock->value() == 1, "…"); });
//     });
//
// Each seed gives a number of CPUs (1 to 4), a strategy and an interleaving; the first that fails ends the test and says its
// seed. HD_SEED=n in the environment runs that one alone.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "kernel/sched/scheduler.hpp"
#include "kernel/task/process.hpp"
#include "tests/unit/fake_arch/explorer.hpp"

namespace hd::test {

class Simulation {
public:
    explicit Simulation(const fake::Exploration& options);
    ~Simulation();

    // A kernel thread that runs `body`; before run(), or from another thread of the simulation.
    sched::Entity& spawn(std::function<void()> body, CpuMask affinity = CpuMask::all());
    // A process without memory, files or relatives, and a thread of it, with a number of its own.
    std::shared_ptr<task::Process> make_process();
    task::Thread& spawn_in(std::shared_ptr<task::Process> process, std::function<void()> body);
    // The kernel's allocators work, as MmMachine has them. Makes a run a good deal longer.
    void use_memory() { with_memory_ = true; }
    // Runs on the host after all threads have ended; its expect()s count as well.
    void at_end(std::function<void()> check) { checks_.push_back(std::move(check)); }

    // Until all threads have ended. Empty, or what went wrong.
    std::string run();

    u32 cpus() const { return options_.cpus; }
    u64 seed() const { return options_.seed; }
    fake::Exploration& options() { return options_; }
    u64 random(u64 below);  // by the seed

    // Makes the thread's interruptible waits end, as a signal would.
    static void interrupt(sched::Entity& thread);

private:
    struct Thread;
    void prepare(Thread& thread, std::function<void()> body);
    static void boot(CpuId cpu);
    static bool done();

    fake::Exploration options_;
    std::vector<std::unique_ptr<Thread>> threads_;
    std::vector<std::function<void()>> checks_;
    std::unique_ptr<sched::Entity> idle_[fake::kMaxSimulatedCpus];
    u64 random_state_ = 0;
    bool with_memory_ = false;
};

// For simulated threads: needs that much time of a CPU; sleeps that long.
void work(Nanoseconds time);
void nap(Nanoseconds time);

// Counts who is inside. relaxed: the check must not order what the lock under test has to order.
class Inside {
public:
    int enter() { return count_.fetch_add(1, std::memory_order_relaxed) + 1; }
    void leave() { count_.fetch_sub(1, std::memory_order_relaxed); }
    int count() const { return count_.load(std::memory_order_relaxed); }

private:
    std::atomic<int> count_{0};
};

// `seeds` simulations that `build` sets up. Returns the first failure with its seed, empty if there is none.
std::string simulate(u32 seeds, const std::function<void(Simulation&)>& build, u32 min_cpus = 1, u32 max_cpus = 4);

}  // namespace hd::test
