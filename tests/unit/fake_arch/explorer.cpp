// SPDX-License-Identifier: MIT
// See explorer.hpp. The explorer's own data is no part of what ThreadSanitizer is to check.
#include "tests/unit/fake_arch/explorer.hpp"

#include <cstdlib>
#include <memory>

#include "tests/unit/fake_arch/cpus.hpp"

namespace hd::fake {

namespace {

struct Boot {
    void (*function)(CpuId);
    CpuId cpu;
};

struct State {
    Exploration options;
    u64 random = 0;
    u32 steps = 0;
    u32 order[kMaxSimulatedCpus] = {};  // Pct, Bounded: priorities, higher runs first
    u32 streak = 0;                     // Pct, Bounded: points since another CPU had its turn
    u32 change_points[3] = {};
    Fiber host;
    std::string failure;
    bool failed = false;
    bool booted[kMaxSimulatedCpus] = {};
    Boot boots[kMaxSimulatedCpus];
};
State* g_state = nullptr;
u32 g_steps_taken = 0;

HD_SIMULATOR u64 next_random(State& state) {  // splitmix64
    u64 z = state.random += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

HD_SIMULATOR bool can_run(const Cpu& cpu) { return !cpu.halted || cpu.interrupt_waits(); }

// The CPU to go on with; none if all halt.
HD_SIMULATOR i32 choose(State& state) {
    i32 chosen = -1;
    u32 candidates = 0;
    for (u32 i = 0; i < g_cpu_count; ++i) {
        if (!can_run(g_cpus[i])) continue;
        ++candidates;
        const bool better = state.options.strategy == Strategy::Random
                                ? next_random(state) % candidates == 0
                                : chosen < 0 || state.order[i] > state.order[chosen];
        if (better) chosen = static_cast<i32>(i);
    }
    return chosen;
}

HD_SIMULATOR void pass(Nanoseconds time) {
    i64 busy = 0;
    for (u32 i = 0; i < g_cpu_count; ++i) busy += can_run(g_cpus[i]) ? 1 : 0;
    g_clock.fetch_add(time.raw / (busy == 0 ? 1 : busy), std::memory_order_relaxed);
}

HD_SIMULATOR void leave() {
    Cpu& self = this_cpu();
    g_state->host.switch_from(*self.running, true);  // the host sees all that CPUs did, not the other way round
}

HD_SIMULATOR void at_point(Point kind) {
    State& state = *g_state;
    ++state.steps;
    pass(state.options.step);
    if (kind == Point::Halt || state.steps > state.options.max_steps) return leave();
    if (state.options.strategy == Strategy::Random) {
        if (kind == Point::Spin || next_random(state) % 4 == 0) leave();
        return;
    }
    Cpu& self = this_cpu();
    bool lowered = kind == Point::Spin || ++state.streak > 5'000;  // a loop that waits need not look like one
    for (const u32 point : state.change_points) lowered = lowered || point == state.steps;
    if (lowered) {
        // 0 is never reached: the others are raised instead.
        for (u32 i = 0; i < g_cpu_count; ++i) ++state.order[i];
        state.order[self.local.id.raw] = 0;
        state.streak = 0;
    }
    if (state.options.strategy == Strategy::Bounded && !lowered) return;
    if (choose(state) != static_cast<i32>(self.local.id.raw)) leave();
}

// The caller's stack is abandoned: nothing on it may own memory.
HD_SIMULATOR void fail(std::string_view text) {
    if (!g_state->failed) g_state->failure = text;
    g_state->failed = true;
    for (;;) leave();
}

void boot_cpu(void* argument) {
    const Boot& boot = *static_cast<Boot*>(argument);
    boot.function(boot.cpu);
    fail("a CPU's boot function returned");
}

HD_SIMULATOR std::string run(State& state, bool (*done)()) {
    for (;;) {
        i32 chosen = choose(state);
        if (chosen < 0 && done()) return {};
        if (chosen < 0) {
            i64 soonest = INT64_MAX;
            for (u32 i = 0; i < g_cpu_count; ++i)
                if (g_cpus[i].timer_deadline < soonest) soonest = g_cpus[i].timer_deadline;
            if (soonest == INT64_MAX) return "deadlock: every CPU halts, and no timer is armed";
            if (soonest > g_clock.load()) g_clock = soonest;
            chosen = choose(state);
        }
        Cpu& cpu = g_cpus[chosen];
        set_this_cpu(cpu);
        g_on_simulated_cpu = true;
        cpu.running->switch_from(state.host, !state.booted[chosen]);
        state.booted[chosen] = true;
        g_on_simulated_cpu = false;
        if (state.failed) return state.failure;
        if (state.steps > state.options.max_steps) return "livelock: no end in sight";
    }
}

}  // namespace

std::string explore(const Exploration& options, void (*boot)(CpuId cpu), bool (*done)()) {
    State state;
    state.options = options;
    state.random = options.seed * 0x2545f4914f6cdd1d + 1;
    for (u32& point : state.change_points) point = static_cast<u32>(next_random(state) % options.expected_steps);
    for (u32 i = 0; i < g_cpu_count; ++i) state.order[i] = static_cast<u32>(next_random(state) % 1000);
    std::unique_ptr<Fiber> fibers[kMaxSimulatedCpus];
    for (u32 i = 0; i < g_cpu_count; ++i) {
        state.boots[i] = {boot, CpuId{i}};
        fibers[i] = std::make_unique<Fiber>(&boot_cpu, &state.boots[i]);
        g_cpus[i].running = fibers[i].get();
        g_cpus[i].irqs_on = false;
    }
    g_state = &state;
    g_explore = &at_point;
    g_on_panic = &fail;
    std::string failure = run(state, done);
    g_steps_taken = state.steps;
    g_on_panic = nullptr;
    g_explore = nullptr;
    g_state = nullptr;
    become_cpu(CpuId{0});
    return failure;
}

u32 steps_taken() { return g_steps_taken; }

void expect(bool condition, const char* text) {
    if (condition) return;
    if (g_state != nullptr) fail(text);
    throw std::runtime_error(text);
}

void spend(Nanoseconds time) {
    pass(time);
    step();
}

void step() { arch::detail::simulation_point(); }

}  // namespace hd::fake
