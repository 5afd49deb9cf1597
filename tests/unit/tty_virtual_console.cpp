// SPDX-License-Identifier: MIT
// Programs, the kernel log and interrupts write to one screen on several simulated CPUs; in the end the screen must show
// what the last of them left, only one CPU may draw at a time, and nobody draws for ever.
#include <catch2/catch.hpp>

#include "kernel/drivers/virtual_console.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::simulate;
using test::Simulation;

namespace {

constexpr u32 kColumns = 12, kRows = 5;

struct FakeScreen final : drivers::TextScreen {
    std::string rows_shown[kRows] = {};
    bool drawing = false;
    std::function<void()> while_drawing = [] {};

    FakeScreen() {
        for (std::string& row : rows_shown) row.assign(kColumns, '?');
    }
    u32 columns() const override { return kColumns; }
    u32 rows() const override { return kRows; }
    void draw(u32 column, u32 row, std::span<const tty::Cell> cells) override {
        fake::expect(!std::exchange(drawing, true), "two CPUs draw at once");
        fake::expect(row < kRows && column + cells.size() <= kColumns, "drawn beside the screen");
        for (const tty::Cell cell : cells) {
            rows_shown[row][column++] = static_cast<char>(cell.character());
            fake::step();
        }
        while_drawing();
        drawing = false;
    }
};

struct Machine {
    FakeScreen screen;
    tty::Cell cells[kColumns * kRows];
    tty::Cell shown[kColumns * kRows];
    drivers::VirtualConsole console{screen, cells, shown};

    void print(const std::string& text) {
        console.write({reinterpret_cast<const u8*>(text.data()), text.size()});
        console.flush();
    }
};

}  // namespace

TEST_CASE("the screen shows what was written last", "[tty][vt]") {
    CHECK(simulate(200, [](Simulation& sim) {
              auto machine = std::make_shared<Machine>();
              for (int row = 1; row <= 4; ++row)
                  sim.spawn([=] {
                      for (int i = 0; i <= 5; ++i) {
                          const std::string text = "\033[" + std::to_string(row) + ";1Hrow " + std::to_string(row) +
                                                   ": " + std::to_string(i);
                          if (row == 1) {
                              core::IrqGuard guard;  // as an interrupt handler logs
                              machine->console.write_log("log " + std::to_string(i) + "\n");
                          } else {
                              machine->print(text);
                          }
                          fake::step();
                      }
                  });
              sim.at_end([=] {
                  for (u32 at = 0; at < kColumns * kRows; ++at)
                      fake::expect(machine->screen.rows_shown[at / kColumns][at % kColumns] ==
                                       static_cast<char>(machine->cells[at].character()),
                                   "the screen is not up to date");
              });
          }) == "");
}

TEST_CASE("a program that floods the screen keeps nobody else at drawing", "[tty][vt]") {
    CHECK(simulate(20, [](Simulation& sim) {
              auto machine = std::make_shared<Machine>();
              auto done = std::make_shared<bool>(false);
              auto written = std::make_shared<u32>(0);
              sim.spawn([=] {
                  // Whenever this one draws, the other has written and flushed meanwhile, if it gets that far.
                  machine->screen.while_drawing = [=, me = &sched::current()] {
                      if (me != &sched::current()) return;
                      const u32 before = *written;
                      for (int i = 0; i < 100 && *written < before + 2; ++i) {
                          arch::cpu_relax();
                          sched::yield();
                      }
                  };
                  machine->print("one line");
                  *done = true;
              });
              sim.spawn([=] {
                  while (!*done) {
                      machine->print("flood ");
                      ++*written;
                      fake::step();
                  }
              });
          }) == "");
}
