// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <deque>

#include "kernel/core/percpu.hpp"
#include "kernel/time/timer.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::simulate;
using test::Simulation;
using time::Timer;

namespace {

std::vector<int> g_fired;

struct Numbered : Timer {
    explicit Numbered(int n)
        : Timer([](Timer& timer) { g_fired.push_back(static_cast<Numbered&>(timer).number); }), number(n) {}
    int number;
};

void machine() {
    fake::reset();
    time::timers_init_cpu();
    fake::g_hooks.timer = &time::on_timer_interrupt;
    g_fired.clear();
}

void pass(Nanoseconds by) {
    fake::advance_clock(by);
    arch::irq_enable();  // lets the interrupt in
}

Nanoseconds next_deadline() { return fake::timer_deadline(CpuId{0}); }

}  // namespace

TEST_CASE("timers fire in order of their deadlines, none before", "[time]") {
    machine();
    Numbered a(1), b(2), c(3);
    b.arm(milliseconds(20));
    a.arm(milliseconds(10));
    c.arm(milliseconds(30));
    CHECK(next_deadline() == milliseconds(10));
    pass(milliseconds(9));
    CHECK(g_fired.empty());
    pass(milliseconds(1));
    CHECK(g_fired == std::vector{1});
    CHECK_FALSE(a.armed());
    CHECK(next_deadline() == milliseconds(20));
    pass(milliseconds(100));
    CHECK(g_fired == std::vector{1, 2, 3});
    CHECK(next_deadline() == Nanoseconds::max());
}

TEST_CASE("a timer can be moved and cancelled; a deadline in the past fires at once", "[time]") {
    machine();
    Numbered a(1), b(2);
    a.arm(milliseconds(10));
    a.arm(milliseconds(30));
    CHECK(a.deadline() == milliseconds(30));
    b.arm(milliseconds(20));
    CHECK(b.cancel());
    CHECK_FALSE(b.cancel());
    pass(milliseconds(25));
    CHECK(g_fired.empty());  // the hardware fired for what is no longer there
    pass(milliseconds(5));
    CHECK(g_fired == std::vector{1});
    CHECK_FALSE(a.cancel());
    b.arm(milliseconds(1));
    pass(Nanoseconds{0});
    CHECK(g_fired == std::vector{1, 2});
}

TEST_CASE("a callback re-arms its own timer", "[time]") {
    machine();
    struct Periodic : Timer {
        Periodic()
            : Timer([](Timer& timer) {
                  auto& self = static_cast<Periodic&>(timer);
                  ++self.count;
                  self.arm(self.deadline() + milliseconds(10));
              }) {}
        int count = 0;
    } timer;
    timer.arm(milliseconds(10));
    for (int i = 0; i < 5; ++i) pass(milliseconds(10));
    CHECK(timer.count == 5);
    CHECK(timer.cancel());
    pass(milliseconds(50));
    CHECK(timer.count == 5);
}

TEST_CASE("many timers", "[time]") {
    machine();
    std::deque<Numbered> timers;
    for (int i = 0; i < 500; ++i) timers.emplace_back(i * 37 % 500).arm(milliseconds(1 + i * 37 % 500));
    for (int i = 0; i < 500; i += 5) CHECK(timers[static_cast<usize>(i)].cancel());
    pass(seconds(1));
    CHECK(g_fired.size() == 400);
    CHECK(std::is_sorted(g_fired.begin(), g_fired.end()));
}

TEST_CASE("the tick is a deadline of its own", "[time]") {
    machine();
    Numbered a(1);
    a.arm(milliseconds(10));
    {
        core::IrqGuard guard;
        time::set_tick(milliseconds(4));
        time::set_tick(milliseconds(7));  // later than asked for already
        CHECK(next_deadline() == milliseconds(4));
        CHECK_FALSE(time::take_tick());
    }
    pass(milliseconds(4));
    {
        core::IrqGuard guard;
        CHECK(time::take_tick());
        CHECK_FALSE(time::take_tick());
        CHECK(next_deadline() == milliseconds(10));
    }
    CHECK(g_fired.empty());
    a.cancel();
}

TEST_CASE("wall-clock time runs with the monotonic clock and can be set", "[time]") {
    machine();
    CHECK(time::wall_clock() == seconds(1'700'000'000));
    fake::advance_clock(seconds(5));
    CHECK(time::wall_clock() == seconds(1'700'000'005));
    time::set_wall_clock(seconds(1'000));
    fake::advance_clock(seconds(1));
    CHECK(time::wall_clock() == seconds(1'001));
}

TEST_CASE("after cancel() the callback neither runs nor will run, on any CPU", "[time]") {
    struct Watched : Timer {
        Watched()
            : Timer([](Timer& timer) {
                  auto& self = static_cast<Watched&>(timer);
                  self.inside = true;
                  for (int i = 0; i < 5; ++i) fake::step();
                  fake::expect(!self.cancelled, "the callback runs after cancel()");
                  if (self.rearm) self.arm(time::now() + microseconds(20));
                  self.inside = false;
              }) {}
        std::atomic<bool> inside{false}, cancelled{false};
        bool rearm = false;
    };
    CHECK(simulate(1500, [](Simulation& sim) {
              const bool rearm = sim.random(2) == 0;
              const i64 delay = static_cast<i64>(sim.random(5));
              sim.spawn([=] {
                  auto timer = std::make_unique<Watched>();
                  timer->rearm = rearm;
                  for (int round = 0; round < 3; ++round) {
                      timer->cancelled = false;
                      timer->arm(time::now() + microseconds(delay));
                      for (int i = 0; i < 20; ++i) fake::step();
                      sched::yield();  // perhaps to another CPU
                      timer->cancel();
                      timer->cancelled = true;
                      fake::expect(!timer->inside, "the callback still runs");
                  }
              });
              for (int i = 0; i < 3; ++i)
                  sim.spawn([] {
                      for (int round = 0; round < 4; ++round) sched::yield();
                  });
          }) == "");
}
