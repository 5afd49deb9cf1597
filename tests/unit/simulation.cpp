// SPDX-License-Identifier: MIT
// See simulation.hpp.
#include "tests/unit/simulation.hpp"

#include <cstdlib>
#include <optional>

#include "kernel/core/call_function.hpp"
#include "kernel/sched/run_queue.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/time/timer.hpp"
#include "tests/unit/fake_arch/task.hpp"
#include "tests/unit/mm_machine.hpp"

namespace hd::test {

struct Simulation::Thread {
    sched::Entity* entity = nullptr;
    std::unique_ptr<sched::Entity> kernel;  // either
    std::shared_ptr<task::Thread> user;     // or
    std::function<void()> body;
    std::atomic<bool> reaped{false};
};

namespace {

Simulation* g_simulation = nullptr;

void install_interrupts() {
    sync::g_interrupt_pending = [](sched::Entity& thread) { return thread.user_work.load() != 0; };
    fake::g_hooks.timer = [] {
        time::on_timer_interrupt();
        sched::on_tick(false);
    };
    fake::g_hooks.reschedule = &sched::on_reschedule_ipi;
    fake::g_hooks.call_function = &core::run_calls;
    fake::g_hooks.irq_exit = [] { sched::preempt_if_due(sched::PreemptionPoint::Kernel); };
}

}  // namespace

Simulation::Simulation(const fake::Exploration& options) : options_(options) {}

Simulation::~Simulation() {
    for (auto& thread : threads_)  // abandoned threads may have been waiting with a lock held
        std::construct_at(&thread->entity->held_sleeping_locks);
}

sched::Entity& Simulation::spawn(std::function<void()> body, CpuMask affinity) {
    Thread& thread = *threads_.emplace_back(std::make_unique<Thread>());
    thread.kernel = std::make_unique<sched::Entity>();
    thread.entity = thread.kernel.get();
    thread.entity->affinity = affinity;
    prepare(thread, std::move(body));
    return *thread.entity;
}

task::Thread& Simulation::spawn_in(std::shared_ptr<task::Process> process, std::function<void()> body) {
    Thread& thread = *threads_.emplace_back(std::make_unique<Thread>());
    thread.user = fake::make_thread(std::move(process));
    thread.entity = thread.user.get();
    prepare(thread, std::move(body));
    return *thread.user;
}

std::shared_ptr<task::Process> Simulation::make_process() { return fake::make_process(); }

void Simulation::prepare(Thread& thread, std::function<void()> body) {
    thread.entity->id = static_cast<i32>(threads_.size());
    thread.entity->reap = [](sched::Entity& dead) {
        g_simulation->threads_[static_cast<usize>(dead.id) - 1]->reaped = true;
    };
    thread.body = std::move(body);
}

void Simulation::interrupt(sched::Entity& thread) {
    thread.user_work = 1;
    sched::wake(thread);
}

u64 Simulation::random(u64 below) {
    // SplitMix64: the first numbers of neighbouring seeds have nothing to do with each other either.
    random_state_ += 0x9e37'79b9'7f4a'7c15;
    u64 mixed = random_state_ ^ options_.seed * 0xd134'2543'de82'ef95;
    mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
    return (mixed ^ mixed >> 31) % below;
}

void Simulation::boot(CpuId cpu) {
    time::timers_init_cpu();
    sched::init_cpu(*g_simulation->idle_[cpu.raw]);
    if (cpu.raw == 0) {
        while (sched::g_scheduling_cpus.load().count() != g_simulation->cpus()) arch::cpu_relax();
        for (auto& thread : g_simulation->threads_) {
            thread->entity->context = arch::make_context(
                VirtAddr{},
                [](void* argument) {
                    auto* self = static_cast<Thread*>(argument);
                    sched::begin_thread();
                    self->body();
                    sched::exit_current();
                },
                thread.get());
            sched::start(*thread->entity);
        }
    }
    sched::idle_loop();
}

bool Simulation::done() {
    for (const auto& thread : g_simulation->threads_)
        if (!thread->reaped) return false;
    return true;
}

std::string Simulation::run() {
    std::optional<MmMachine> memory;
    if (with_memory_)
        memory.emplace(options_.cpus);
    else
        fake::reset(options_.cpus);
    install_interrupts();
    for (u32 i = 0; i < fake::kMaxSimulatedCpus; ++i) {
        sched::g_scheduling_cpus.remove(CpuId{i});
        sched::g_idle_cpus.remove(CpuId{i});
        idle_[i] = std::make_unique<sched::Entity>();
    }
    g_simulation = this;
    std::string failure = fake::explore(options_, &boot, &done);
    g_simulation = nullptr;
    // Every CPU halts now. One that is not known to idle would get no work until something else interrupts it.
    if (failure.empty() && sched::g_idle_cpus.load() != core::online_cpus()) failure = "a CPU that idles is forgotten";
    if (failure.empty()) {
        try {
            for (const auto& check : checks_) check();
        } catch (const std::exception& error) {
            failure = error.what();
        }
    }
    return failure;
}

namespace {

std::string simulate_one(u64 seed, u32 cpus, u32 expected_steps, const std::function<void(Simulation&)>& build) {
    fake::Exploration options;
    options.seed = seed;
    constexpr fake::Strategy kStrategies[] = {fake::Strategy::Random, fake::Strategy::Pct, fake::Strategy::Bounded};
    options.strategy = kStrategies[seed % 3];
    options.cpus = cpus;
    options.expected_steps = expected_steps;
    Simulation simulation(options);
    build(simulation);
    const std::string failure = simulation.run();
    return failure.empty() ? failure
                           : failure + " [HD_SEED=" + std::to_string(seed) + ", " + std::to_string(cpus) + " CPUs]";
}

}  // namespace

std::string simulate(u32 seeds, const std::function<void(Simulation&)>& build, u32 min_cpus, u32 max_cpus) {
    const char* wanted = std::getenv("HD_SEED");
    const u64 first = wanted != nullptr ? std::strtoull(wanted, nullptr, 0) : 1;
    if (wanted != nullptr) seeds = 1;
    // A rehearsal, the same for every seed, tells how long a run is about: where points of change may lie.
    std::string failure = simulate_one(0, max_cpus, 1, build);
    const u32 expected_steps = fake::steps_taken();
    for (u64 seed = first; seed < first + seeds && failure.empty(); ++seed)
        failure = simulate_one(seed, min_cpus + static_cast<u32>(seed / 3 % (max_cpus - min_cpus + 1)), expected_steps,
                               build);
    return failure;
}

void work(Nanoseconds time) {
    const Nanoseconds piece = std::min(time, std::max(microseconds(1), Nanoseconds{time.raw / 500}));
    for (Nanoseconds done{}; done < time; done += piece) fake::spend(piece);
}

void nap(Nanoseconds time) {
    sync::WaitQueue queue;
    queue.wait_interruptible("nap", [] { return false; }, time::now() + time);
}

}  // namespace hd::test
