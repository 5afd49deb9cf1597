// SPDX-License-Identifier: MIT
// A whole terminal line on simulated CPUs: programs that read and write, the worker, the serial port's driver and its
// interrupt, and a 16550 that raises its line by edges only, as QEMU's does. Every byte must arrive, once and in order,
// and nobody may sleep for ever.
#include <catch2/catch.hpp>
#include <deque>

#include "kernel/abi/signal.hpp"
#include "kernel/drivers/uart16550.hpp"
#include "kernel/tty/line.hpp"
#include "tests/unit/fake_arch/ports.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using test::simulate;
using test::Simulation;

namespace {

// What a loop that waits for another thread does in between.
void rest() {
    arch::cpu_relax();
    sched::yield();
}

class Fake16550 final : public fake::PortDevice {
public:
    u8 read(u16 port) override {
        u8 value = 0;
        switch (port & 7) {
        case 0:
            if (!received_.empty()) {
                value = received_.front();
                received_.pop_front();
            }
            break;
        case 1: value = enabled_; break;
        case 2:
            value = 0xc1;
            transmitter_interrupt_ = false;
            break;
        case 5:
            value = static_cast<u8>((received_.empty() ? 0 : 1) | std::exchange(error_, u8{0}) |
                                    (sending_.empty() ? 0x60 : 0));
            break;
        case 7: value = scratch_; break;
        default: break;
        }
        update();
        return value;
    }
    void write(u16 port, u8 value) override {
        const bool divisor_latch = (line_control_ & 0x80) != 0;
        switch (port & 7) {
        case 0:
            if (divisor_latch) break;
            fake::expect(sending_.size() < 16, "a byte written to a full FIFO is lost");
            sending_.push_back(static_cast<char>(value));
            transmitter_interrupt_ = false;
            break;
        case 1:
            if (divisor_latch) break;
            if ((value & 2) == 0)
                transmitter_interrupt_ = false;
            else if ((enabled_ & 2) == 0)
                transmitter_interrupt_ = sending_.empty();
            enabled_ = value;
            break;
        case 3: line_control_ = value; break;
        case 7: scratch_ = value; break;
        default: break;
        }
        update();
    }

    // ---- the other end of the wire
    bool can_receive() const { return received_.size() < 16; }
    void receive(char c) {
        received_.push_back(static_cast<u8>(c));
        update();
    }
    void receive_damaged(char c) {
        error_ = 0x08;
        receive(c);
    }
    void send_some() {
        if (sending_.empty()) return;
        wire += sending_;
        sending_.clear();
        transmitter_interrupt_ = true;
        update();
    }
    bool take_edge() { return std::exchange(edge_, false); }

    std::string wire;

private:
    void update() {
        const bool level = ((enabled_ & 1) != 0 && !received_.empty()) ||
                           ((enabled_ & 2) != 0 && transmitter_interrupt_) || ((enabled_ & 4) != 0 && error_ != 0);
        edge_ |= level && !level_;
        level_ = level;
    }

    std::deque<u8> received_;
    std::string sending_;
    u8 enabled_ = 0, line_control_ = 0, scratch_ = 0, error_ = 0;
    bool transmitter_interrupt_ = false, level_ = false, edge_ = false;
};

struct TestLine final : tty::Line {
    using Line::Line;
    std::vector<int> signals;
    std::function<void()> on_signal = [] {};

private:
    void signal_foreground(int signal) override {
        signals.push_back(signal);
        on_signal();
    }
};

struct Machine {
    Fake16550 hardware;
    drivers::Uart16550 uart{0x3f8};
    TestLine line{uart};
    std::string typed;        // what the other end still has to send
    int programs = 0;         // that still run
    bool wire_stuck = false;  // the other end takes nothing

    Machine() { fake::g_port_device = &hardware; }
    ~Machine() { fake::g_port_device = nullptr; }

    void change(u32 set_local, u32 clear_local) {
        abi::Termios termios = line.termios();
        termios.c_lflag = (termios.c_lflag | set_local) & ~clear_local;
        line.set_termios(termios);
    }
    Result<u64> write(std::string_view text, bool nonblocking = false) {
        auto buffer = fs::IoBuffer::kernel(const_cast<char*>(text.data()), text.size());
        return line.write(buffer, {.nonblocking = nonblocking, .hangups = line.hangups()});
    }
    Result<std::string> read(usize size, bool nonblocking = false) {
        std::string text(size, '?');
        auto buffer = fs::IoBuffer::kernel(text.data(), size);
        text.resize(TRY(line.read(buffer, {.nonblocking = nonblocking, .hangups = line.hangups()})));
        return text;
    }

    // The other end of the wire and the interrupt that it causes, on CPU 0.
    void play_hardware(Simulation& sim) {
        while (programs > 0) {
            if (!typed.empty() && hardware.can_receive() && sim.random(2) == 0) {
                hardware.receive(typed.front());
                typed.erase(0, 1);
            }
            if (!wire_stuck && sim.random(2) == 0) hardware.send_some();
            if (hardware.take_edge()) {
                core::IrqGuard guard;
                uart.on_interrupt();
            }
            rest();
        }
    }
    void play_worker() {
        while (programs > 0) {
            if (line.has_work()) line.work();
            rest();
        }
    }
};

// Spawns hardware, worker and the programs; the first two end with the last program.
std::shared_ptr<Machine> boot(Simulation& sim, std::vector<std::function<void(Machine&)>> programs) {
    auto machine = std::make_shared<Machine>();
    machine->programs = static_cast<int>(programs.size());
    sim.options().max_steps = 4'000'000;
    auto ready = std::make_shared<bool>(false);
    sim.spawn([=, &sim] {
        fake::expect(machine->uart.find(), "the serial port is not found");
        machine->uart.let_interrupts_come();
        *ready = true;
        machine->play_hardware(sim);
    });
    sim.spawn([=] { machine->play_worker(); });
    for (auto& program : programs)
        sim.spawn([=] {
            while (!*ready) rest();
            program(*machine);
            --machine->programs;
        });
    return machine;
}

std::string numbered_lines(const char* name, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += name + std::to_string(i) + "\n";
    return text;
}

std::string with_returns(std::string_view text) {
    std::string result;
    for (const char c : text) result += c == '\n' ? std::string("\r\n") : std::string(1, c);
    return result;
}

constexpr u32 kSeeds = 60;

}  // namespace

TEST_CASE("what is written reaches the wire, in order", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              const std::string text = numbered_lines("a line of text, number ", 250);
              boot(sim, {[=](Machine& m) {
                       fake::expect(m.write(text) == text.size(), "a short write");
                       fake::expect(m.line.drain({}).has_value(), "drain fails");
                       fake::expect(m.hardware.wire == with_returns(text), "drain returns too early");
                   }});
          }) == "");
}

TEST_CASE("two writers' texts do not mix, and the log's lines come between", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              const std::string one(700, '1'), two(700, '2');
              auto machine =
                  boot(sim, {[=](Machine& m) { (void)m.write(one); }, [=](Machine& m) { (void)m.write(two); },
                             [](Machine& m) {
                                 for (int i = 0; i < 5; ++i) m.uart.write_log("!");
                                 while (m.hardware.wire.size() < 1405) rest();
                             }});
              sim.at_end([=] {
                  std::string wire = machine->hardware.wire;
                  fake::expect(std::erase(wire, '!') == 5, "a line of the log is lost");
                  fake::expect(wire == one + two || wire == two + one, "writes are mixed");
              });
          }) == "");
}

TEST_CASE("what is typed is read, in order, however fast it comes", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              const std::string text = numbered_lines("typed ", 120);
              auto got = std::make_shared<std::string>();
              auto machine = boot(sim, {[=](Machine& m) {
                                      m.change(0, abi::kECHO);
                                      while (got->size() < text.size()) {
                                          const std::string line = m.read(40).value();
                                          fake::expect(line.ends_with("\n"), "half a line");
                                          *got += line;
                                      }
                                  }});
              machine->typed = text;
              sim.at_end([=] { fake::expect(*got == text, "something else was read"); });
          }) == "");
}

TEST_CASE("a paste larger than all buffers waits for its reader", "[tty][line]") {
    CHECK(simulate(6, [](Simulation& sim) {
              std::string text;
              for (int i = 0; i < 9000; ++i) text += static_cast<char>('a' + i % 26);
              auto got = std::make_shared<std::string>();
              auto machine = boot(sim, {[=](Machine& m) {
                                      abi::Termios raw;
                                      raw.c_lflag = raw.c_iflag = 0;
                                      m.line.set_termios(raw);
                                      m.typed = text;
                                      // Nobody reads until the wire has filled everything up.
                                      for (int i = 0; i < 2000 && m.typed.size() > 4300; ++i) rest();
                                      while (got->size() < text.size()) *got += m.read(500).value();
                                  }});
              sim.options().max_steps = 40'000'000;
              sim.at_end([=] { fake::expect(*got == text, "something else was read"); });
          }) == "");
}

TEST_CASE("echo needs no reader", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              auto machine = boot(sim, {[](Machine& m) {
                                      while (m.hardware.wire.find("you\r\n") == std::string::npos) rest();
                                  }});
              machine->typed = "me\177\177you\n";
              sim.at_end([=] { fake::expect(machine->hardware.wire == "me\b \b\b \byou\r\n", "the echo is another"); });
          }) == "");
}

TEST_CASE("^C gets through while the output is stuck", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              const bool by_key = sim.seed() % 3 == 0;  // ^S, or a wire that takes nothing
              auto machine = boot(sim, {[=](Machine& m) {
                                      sched::Entity& writer = sched::current();
                                      m.line.on_signal = [&] { Simulation::interrupt(writer); };
                                      m.wire_stuck = !by_key;
                                      m.typed = by_key ? "\023\003" : "\003";
                                      const std::string much(6000, 'x');
                                      Result<u64> written = 0;
                                      do written = m.write(much);
                                      while (written && *written == much.size());
                                      fake::expect(written || written.error() == Errno::kERESTARTSYS, "another error");
                                  }});
              sim.at_end([=] { fake::expect(machine->line.signals == std::vector<int>{abi::kSIGINT}, "no SIGINT"); });
          }) == "");
}

TEST_CASE("a hang-up ends reads and writes", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              auto machine = boot(sim, {[](Machine& m) { fake::expect(m.read(10) == "", "read: no end of file"); },
                                        [](Machine& m) {
                                            const auto written = m.write(std::string(9000, 'x'));
                                            fake::expect(!written || *written < 9000, "write: nothing noticed");
                                        },
                                        [](Machine& m) {
                                            for (int i = 0; i < 300; ++i) rest();
                                            m.line.hang_up();
                                        }});
              machine->wire_stuck = true;
          }) == "");
}

TEST_CASE("a hang-up takes along what was typed before", "[tty][line]") {
    CHECK(simulate(1, [](Simulation& sim) {
              auto machine = std::make_shared<Machine>();
              sim.spawn([=] {
                  Machine& m = *machine;
                  m.line.receive(std::array<u8, 4>{'o', 'l', 'd', '\n'});  // the worker has not come to it
                  m.line.hang_up();
                  m.line.work();
                  fake::expect(m.read(10, true).error() == Errno::kEAGAIN, "the next session reads it");
              });
          }) == "");
}

TEST_CASE("VMIN and VTIME", "[tty][line]") {
    CHECK(simulate(kSeeds, [](Simulation& sim) {
              auto machine = boot(sim, {[](Machine& m) {
                                      abi::Termios raw;
                                      raw.c_lflag = raw.c_iflag = 0;
                                      const auto set = [&](u8 least, u8 tenths) {
                                          raw.c_cc[abi::kVMIN] = least;
                                          raw.c_cc[abi::kVTIME] = tenths;
                                          m.line.set_termios(raw);
                                      };
                                      set(0, 0);
                                      fake::expect(m.read(10) == "", "MIN 0, TIME 0 waits");
                                      set(0, 1);
                                      const Nanoseconds start = time::now();
                                      fake::expect(m.read(10) == "", "MIN 0, TIME 1: from where?");
                                      fake::expect(time::now() - start >= milliseconds(100), "it did not wait");
                                      set(3, 0);
                                      m.typed = "abcde";
                                      const std::string three = m.read(10).value();
                                      fake::expect(three.size() >= 3, "MIN 3 gave fewer");
                                      set(5, 1);
                                      m.typed += "12";
                                      std::string rest;
                                      while (three.size() + rest.size() < 7) rest += m.read(10).value();
                                      fake::expect(three + rest == "abcde12", "lost");
                                      fake::expect(m.read(10, true).error() == Errno::kEAGAIN, "O_NONBLOCK waits");
                                  }});
              sim.options().step = Nanoseconds{20'000};
          }) == "");
}

TEST_CASE("a damaged character behind stalled input raises no storm of interrupts", "[tty][line]") {
    CHECK(simulate(1, [](Simulation& sim) {
              auto machine = std::make_shared<Machine>();
              sim.spawn([=] {
                  Machine& m = *machine;
                  fake::expect(m.uart.find(), "the serial port is not found");
                  m.uart.let_interrupts_come();
                  while (m.line.input_room() > 0) m.line.receive(std::array<u8, 1>{'x'});
                  m.hardware.receive_damaged('y');
                  int interrupts = 0;
                  for (; m.hardware.take_edge() && interrupts < 100; ++interrupts) {
                      core::IrqGuard guard;
                      m.uart.on_interrupt();
                  }
                  fake::expect(interrupts < 3, "interrupts without end");
              });
          }) == "");
}
