// SPDX-License-Identifier: MIT
// The line discipline against the host's own: the same random keystrokes, settings, reads and writes go through a pty
// of the host's Linux and through ours; every byte echoed, printed or read must be the same.
//
// Linux hands input to its line discipline in a worker thread, so after each step the pty gets time until it shows what
// ours shows, and some more for effects that cannot be seen. A difference counts only if it stays when the same steps
// are repeated with more of both.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>

#include "kernel/abi/ioctl.hpp"
#include "tests/unit/tty_test_host.hpp"

using namespace hd;
using namespace hd::tty;
using namespace hd::tty::test;

namespace {

class Pty {
public:
    explicit Pty(unsigned settle_us) : settle_us_(settle_us) {
        master_ = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
        if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) return;
        if (const char* name = ptsname(master_)) slave_ = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    }
    ~Pty() {
        if (slave_ >= 0) close(slave_);
        if (master_ >= 0) close(master_);
    }
    Pty(const Pty&) = delete;
    Pty& operator=(const Pty&) = delete;

    bool works() const { return slave_ >= 0; }
    void set_termios(const abi::Termios& termios) { REQUIRE(ioctl(slave_, abi::kTCSETS, &termios) == 0); }
    void control(unsigned long request, unsigned long argument) {
        REQUIRE(ioctl(slave_, request, argument) == 0);
        REQUIRE(::write(slave_, "", 0) == 0);  // after TCOON Linux leaves waiting echo to the next write
    }
    void type(std::string_view text) {
        REQUIRE(::write(master_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        pollfd poller{slave_, POLLIN, 0};
        ::poll(&poller, 1, 0);  // waits for the worker, if nothing can be read yet
        usleep(settle_us_);
    }
    usize print(std::string_view text) {
        const ssize_t count = ::write(slave_, text.data(), text.size());
        return count < 0 ? 0 : static_cast<usize>(count);
    }
    std::string read(usize size) {
        std::string buffer(size, 0);
        const ssize_t count = ::read(slave_, buffer.data(), size);
        if (count < 0) return errno == EAGAIN ? "EAGAIN" : std::strerror(errno);
        return "[" + buffer.substr(0, static_cast<usize>(count)) + "]";
    }
    int available() {
        int count = -1;
        ioctl(slave_, abi::kFIONREAD, &count);
        return count;
    }
    std::string take() {
        std::string out;
        char buffer[4096];
        for (ssize_t count; (count = ::read(master_, buffer, sizeof buffer)) > 0;)
            out.append(buffer, static_cast<usize>(count));
        return out;
    }

private:
    unsigned settle_us_;
    int master_ = -1, slave_ = -1;
};

// Ours, with the buffer that Linux has before the line discipline: what does not fit waits there.
class Model {
public:
    void set_termios(const abi::Termios& termios) {
        line_.set_termios(termios);
        feed();
    }
    void control(unsigned long request, unsigned long argument) {
        if (request == abi::kTCXONC) line_.hold_output(argument == abi::kTCOOFF);
        if (request == abi::kTCFLSH) line_.discard_input();
        feed();
    }
    void type(std::string_view text) {
        waiting_ += text;
        feed();
    }
    usize print(std::string_view text) { return tty::test::print(line_, text); }
    std::string read(usize size) {
        const std::string result = tty::test::read(line_, size);
        feed();
        return result;
    }
    int available() { return static_cast<int>(line_.available()); }
    std::string take() { return host_.take(); }
    bool echo_pending() const { return line_.echo_pending(); }

private:
    void feed() { waiting_.erase(0, tty::test::type(line_, waiting_)); }

    NotebookHost host_;
    LineDiscipline line_{host_, host_};
    std::string waiting_;
};

using Random = std::mt19937;

usize below(Random& random, usize limit) { return std::uniform_int_distribution<usize>(0, limit - 1)(random); }

std::string random_keys(Random& random, const abi::Termios& termios) {
    static const std::string plain = "abcAZ_09 .-\t\t\n\n\r\x01\x1b";
    static const std::string odd("\xc3\xa4\xe2\x82\xac\xff\x80\xd7\x00", 9);
    std::string keys;
    for (usize length = 1 + below(random, 12); length > 0; --length) {
        const usize kind = below(random, 10);
        if (kind < 6)
            keys += plain[below(random, plain.size())];
        else if (kind < 9)
            keys += static_cast<char>(termios.c_cc[below(random, abi::kNCCS)]);
        else
            keys += odd[below(random, odd.size())];
        if (kind == 9 && below(random, 2) != 0) keys += "\xc3\xa4";
    }
    return keys;
}

void change_termios(Random& random, abi::Termios& termios) {
    using namespace abi;
    static constexpr u32 input[] = {kISTRIP, kINLCR, kIGNCR, kICRNL, kIXON, kIXANY, kIUTF8, kPARMRK, kICRNL, kIXON};
    static constexpr u32 output[] = {kOPOST, kONLCR, kOCRNL, kONOCR, kONLRET, kXTABS, kOPOST, kONLCR};
    static constexpr u32 local[] = {kISIG,   kICANON,  kECHO,   kECHOE,  kECHOK,  kECHONL,
                                    kNOFLSH, kECHOCTL, kECHOKE, kIEXTEN, kICANON, kECHO};
    for (usize changes = 1 + below(random, 3); changes > 0; --changes) {
        switch (below(random, 5)) {
        case 0: termios.c_iflag ^= input[below(random, std::size(input))]; break;
        case 1: termios.c_oflag ^= output[below(random, std::size(output))]; break;
        case 4: {
            static const u8 values[] = {0, 'a', 'Z', '\r', '\n', 127, 'U' & 31, 'D' & 31, 'W' & 31, 'V' & 31, 0xff};
            const usize index = below(random, kNCCS);
            if (index != kVMIN && index != kVTIME) termios.c_cc[index] = values[below(random, std::size(values))];
            break;
        }
        default: termios.c_lflag ^= local[below(random, std::size(local))]; break;
        }
    }
    termios.c_cc[kVMIN] = static_cast<u8>(below(random, 2));
}

// One step done to either side; what can be observed of it.
template <class Side> std::string step(Side& side, Random random, abi::Termios termios) {
    std::string seen;
    const usize kind = below(random, 16);
    if (kind < 8) {
        const std::string keys = random_keys(random, termios);
        seen = "type " + keys;
        side.type(keys);
    } else if (kind < 11) {
        for (usize i = 0; i < 3; ++i) seen += "read " + side.read(1 + below(random, 20)) + " ";
    } else if (kind < 13) {
        side.set_termios(termios);
        char flags[64];
        std::snprintf(flags, sizeof flags, "termios i%o o%o l%o ", termios.c_iflag, termios.c_oflag, termios.c_lflag);
        seen = flags + std::string(std::begin(termios.c_cc), std::end(termios.c_cc));
    } else if (kind < 15) {
        static const std::string text[] = {"prompt> ", "a\tb\n", "x\r\n", "\b \b", "\ttab", "line\n\n", "\xc3\xa4\xff"};
        seen = "print " + std::to_string(side.print(text[below(random, std::size(text))]));
    } else {
        const usize what = below(random, 4);
        seen = "control " + std::to_string(what);
        if (what < 2)
            side.control(abi::kTCXONC, what == 0 ? abi::kTCOOFF : abi::kTCOON);
        else
            side.control(abi::kTCFLSH, abi::kTCIFLUSH);
    }
    return seen + " -> ";
}

template <class Side> std::string state(const std::string& seen, const std::string& output, Side& side) {
    return seen + output + " +" + std::to_string(side.available());
}

// The first difference in a run of `steps` steps, or nothing.
std::optional<std::string> compare(u32 seed, usize steps, unsigned settle_us) {
    Random random(seed);
    Pty pty(settle_us);
    Model model;
    abi::Termios termios;
    pty.set_termios(termios);
    model.set_termios(termios);
    std::string history;
    for (usize i = 0; i < steps; ++i) {
        abi::Termios next = termios;
        change_termios(random, next);
        Random of_this_step(random());
        Random probe = of_this_step;
        const usize kind = below(probe, 16);
        // Linux processes echo that waits for ^Q with the flags of its way out, ours went in processed: not to be
        // compared.
        if (kind >= 11 && kind < 13 && !model.echo_pending()) termios = next;
        std::string ours = step(model, of_this_step, termios);
        ours = state(ours, model.take(), model);
        const std::string seen = step(pty, of_this_step, termios);
        std::string output = pty.take();
        std::string theirs = state(seen, output, pty);
        for (unsigned waited = 0; theirs != ours && waited < 100 * settle_us; waited += 100) {
            usleep(100);
            theirs = state(seen, output += pty.take(), pty);
        }
        history += "  " + visible(theirs) + "\n";
        if (theirs != ours)
            return "seed " + std::to_string(seed) + " step " + std::to_string(i) + "\n" + history +
                   "  ours: " + visible(ours);
    }
    return std::nullopt;
}

std::optional<std::string> stable_difference(u32 seed, usize steps) {
    std::optional<std::string> difference;
    for (const unsigned settle_us : {50U, 1000U, 20000U}) {
        difference = compare(seed, steps, settle_us);
        if (!difference) break;
    }
    return difference;
}

}  // namespace

TEST_CASE("the line discipline does what Linux's does", "[tty][oracle]") {
    if (!Pty(0).works()) {
        WARN("this host gives no ptys: the line discipline is not compared with Linux's");
        return;
    }
    for (u32 seed = 1; seed <= 150; ++seed)
        if (const auto difference = stable_difference(seed, 40)) FAIL(*difference);
}

TEST_CASE("a full line discipline does what Linux's does", "[tty][oracle]") {
    if (!Pty(0).works()) return;
    Pty pty(0);
    Model model;
    abi::Termios termios;
    termios.c_lflag &= ~abi::kECHO;

    SECTION("a line that is too long loses its end, but not its newline") {}
    SECTION("raw input waits for its reader") { termios.c_lflag &= ~abi::kICANON; }
    pty.set_termios(termios);
    model.set_termios(termios);
    for (usize i = 0; i < 50; ++i) {
        const std::string text = std::string(99, static_cast<char>('a' + i % 26)) + (i == 49 ? "\n" : "!");
        pty.type(text);
        model.type(text);
    }
    for (usize waited = 0; pty.available() != model.available() && waited < 5000; ++waited) usleep(1000);
    REQUIRE(pty.available() == model.available());

    std::string ours, theirs;
    for (std::string piece; (piece = model.read(64)) != "EAGAIN";) ours += piece.substr(1, piece.size() - 2);
    for (usize waited = 0; theirs.size() < ours.size() && waited < 5000;) {
        const std::string piece = pty.read(64);
        if (piece == "EAGAIN")
            usleep(1000), ++waited;
        else
            theirs += piece.substr(1, piece.size() - 2);
    }
    CHECK(theirs == ours);
    CHECK(pty.read(64) == "EAGAIN");
}
