// SPDX-License-Identifier: MIT
// The line discipline by tables: what is typed, what is echoed, what can be read. tty_pty_oracle.cpp compares random
// runs with Linux; here stands what a reader wants to see spelled out, and what a pty cannot show.
#include <catch2/catch.hpp>

#include "kernel/abi/signal.hpp"
#include "tests/unit/tty_test_host.hpp"

using namespace hd;
using namespace hd::tty;
using namespace hd::tty::test;

namespace {

struct Change {
    u32 set_input = 0, clear_input = 0;
    u32 set_output = 0, clear_output = 0;
    u32 set_local = 0, clear_local = 0;
};

void change(LineDiscipline& line, const Change& change) {
    abi::Termios termios = line.termios();
    termios.c_iflag = (termios.c_iflag | change.set_input) & ~change.clear_input;
    termios.c_oflag = (termios.c_oflag | change.set_output) & ~change.clear_output;
    termios.c_lflag = (termios.c_lflag | change.set_local) & ~change.clear_local;
    line.set_termios(termios);
}

struct Row {
    const char* what;
    Change change;
    std::string typed;
    std::string echoed;
    std::string read;  // all reads of 100 bytes, one after the other
};

const Row kRows[] = {
    {"a line", {}, "ls\n", "ls\r\n", "[ls\n]"},
    {"an unfinished line", {}, "ls", "ls", ""},
    {"two lines", {}, "a\nb\n", "a\r\nb\r\n", "[a\n][b\n]"},
    {"return is a newline", {}, "a\r", "a\r\n", "[a\n]"},
    {"without ICRNL it is not", {.clear_input = abi::kICRNL}, "a\rb\n", "a^Mb\r\n", "[a\rb\n]"},
    {"IGNCR", {.set_input = abi::kIGNCR}, "a\r\n", "a\r\n", "[a\n]"},
    {"INLCR", {.set_input = abi::kINLCR, .clear_input = abi::kICRNL}, "a\nb\x04", "a^Mb", "[a\rb]"},
    {"ISTRIP", {.set_input = abi::kISTRIP}, "\xe1\n", "a\r\n", "[a\n]"},
    {"erase", {}, "abc\177\177d\n", "abc\b \b\b \bd\r\n", "[ad\n]"},
    {"erase at the beginning", {}, "\177a\n", "a\r\n", "[a\n]"},
    {"erase a control character", {}, "\001\177\n", "^A\b \b\b \b\r\n", "[\n]"},
    {"erase a tab", {}, "ab\t\177\n", "ab\t\b\b\b\b\b\b\r\n", "[ab\n]"},
    {"erase UTF-8", {.set_input = abi::kIUTF8}, "a\xc3\xa4\177\n", "a\xc3\xa4\b \b\r\n", "[a\n]"},
    {"erase UTF-8 without IUTF8", {}, "\xc3\xa4\177\n", "\xc3\xa4\b \b\r\n", "[\xc3\n]"},
    {"erase a word", {}, "one two\027\n", "one two\b \b\b \b\b \b\r\n", "[one \n]"},
    {"kill", {}, "abc\025d\n", "abc\b \b\b \b\b \bd\r\n", "[d\n]"},
    {"kill without ECHOKE", {.clear_local = abi::kECHOKE}, "abc\025d\n", "abc^U\r\nd\r\n", "[d\n]"},
    {"quote", {}, "\026\177\026\003\n", "^\b^?^\b^C\r\n", "[\177\003\n]"},
    {"reprint", {}, "ab\022c\n", "ab^R\r\nabc\r\n", "[abc\n]"},
    {"end of file", {}, "\004", "", "[]"},
    {"end of file ends a line", {}, "ab\004c\n", "abc\r\n", "[ab][c\n]"},
    {"no echo", {.clear_local = abi::kECHO}, "secret\177\n", "", "[secre\n]"},
    {"ECHONL", {.set_local = abi::kECHONL, .clear_local = abi::kECHO}, "secret\n", "\r\n", "[secret\n]"},
    {"no ECHOCTL", {.clear_local = abi::kECHOCTL}, "a\001\177b\n", "a\001b\r\n", "[ab\n]"},
    {"raw mode", {.clear_local = abi::kICANON | abi::kECHO}, "a\177\004", "", "[a\177\004]"},
    {"raw mode echoes", {.clear_local = abi::kICANON}, "a\nb\r", "a^Jb\r\n", "[a\nb\n]"},
    {"PARMRK doubles 0377", {.set_input = abi::kPARMRK}, "\377\n", "\377\r\n", "[\377\377\n]"},
};

std::string read_all(LineDiscipline& line) {
    std::string all;
    for (std::string one; (one = read(line, 100)) != "EAGAIN" && all.size() < 10000;) all += one;
    return all;
}

}  // namespace

TEST_CASE("editing and echo", "[tty]") {
    for (const Row& row : kRows) {
        INFO(row.what);
        NotebookHost host;
        LineDiscipline line(host, host);
        change(line, row.change);
        REQUIRE(type(line, row.typed) == row.typed.size());
        CHECK(visible(host.take()) == visible(row.echoed));
        CHECK(visible(read_all(line)) == visible(row.read));
        CHECK(host.signals.empty());
    }
}

TEST_CASE("signals", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);
    type(line, "typed ahead");
    host.take();

    SECTION("flush what was typed") {
        type(line, "\003");
        CHECK(host.signals == std::vector<int>{abi::kSIGINT});
        CHECK(host.discards == 1);
        CHECK(host.take() == "^C");
        type(line, "x\n");
        CHECK(read_all(line) == "[x\n]");
    }
    SECTION("unless NOFLSH") {
        change(line, {.set_local = abi::kNOFLSH});
        type(line, "\034\032\n");
        CHECK(host.signals == std::vector<int>{abi::kSIGQUIT, abi::kSIGTSTP});
        CHECK(host.discards == 0);
        CHECK(read_all(line) == "[typed ahead\n]");
    }
    SECTION("are off without ISIG") {
        change(line, {.clear_local = abi::kISIG});
        type(line, "\003\n");
        CHECK(host.signals.empty());
        CHECK(read_all(line) == "[typed ahead\003\n]");
    }
    SECTION("a disabled key is an ordinary character") {
        abi::Termios termios = line.termios();
        termios.c_cc[abi::kVINTR] = 0;
        line.set_termios(termios);
        type(line, std::string_view("\003\0\n", 3));
        CHECK(host.signals.empty());
        CHECK(read_all(line) == std::string("[typed ahead\003\0\n]", 16));
    }
}

TEST_CASE("a doubled character does not overrun a full line", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);
    change(line, {.set_input = abi::kPARMRK, .clear_local = abi::kECHO});
    const std::string text(LineDiscipline::kCapacity - 1, 'x');
    CHECK(type(line, text) == text.size());
    CHECK(type(line, "\377\377\n") == 3);
    CHECK(line.available() == LineDiscipline::kCapacity);
    CHECK(read(line, 2 * LineDiscipline::kCapacity) == "[" + text + "\n]");
}

TEST_CASE("flow control of the output", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);

    SECTION("stop and start") {
        type(line, "\023");
        CHECK(host.stopped);
        CHECK(print(line, "lost?") == 0);
        CHECK_FALSE(line.writable());
        type(line, "ab");
        CHECK(host.take().empty());
        type(line, "\021");
        CHECK_FALSE(host.stopped);
        CHECK(host.take() == "ab");
        CHECK(print(line, "no") == 2);
    }
    SECTION("^C ends a stop") {
        type(line, "\023\003");
        CHECK_FALSE(host.stopped);
        CHECK(host.signals == std::vector<int>{abi::kSIGINT});
        CHECK(host.take() == "^C");
    }
    SECTION("any key with IXANY") {
        change(line, {.set_input = abi::kIXANY});
        type(line, "\023x");
        CHECK_FALSE(host.stopped);
    }
    SECTION("no key ends a hold") {
        line.hold_output(true);
        type(line, "\021");
        CHECK(host.stopped);
        line.hold_output(false);
        CHECK_FALSE(host.stopped);
    }
    SECTION("a stop ends with IXON") {
        type(line, "\023");
        change(line, {.clear_input = abi::kIXON});
        CHECK_FALSE(host.stopped);
    }
    SECTION("echo waits for room, and output for the echo") {
        host.space = 1;
        type(line, "abc");
        CHECK(host.take() == "a");
        host.space = 20;
        CHECK(line.echo_pending());
        CHECK(print(line, "later") == 5);
        CHECK(host.take() == "bclater");
    }
    SECTION("with the output stuck the newest echo survives") {
        host.space = 0;
        for (usize i = 0; i < LineDiscipline::kCapacity; ++i) type(line, "a\177");
        type(line, "end");
        host.space = ~usize{0};
        line.flush_echo();
        const std::string sent = host.take();
        CHECK(sent.size() <= LineDiscipline::kCapacity);
        CHECK(sent.ends_with("end"));
    }
}

TEST_CASE("IXOFF stops the sender in time", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);
    change(line, {.set_input = abi::kIXOFF, .clear_local = abi::kICANON | abi::kECHO});
    for (usize i = 0; i < 40; ++i) type(line, std::string(100, 'x'));
    CHECK(host.ahead == "\023");
    while (line.available() > 200) read(line, 100);
    CHECK(host.ahead == "\023");
    read(line, 100);
    CHECK(host.ahead == "\023\021");
}

TEST_CASE("output processing", "[tty]") {
    struct {
        Change change;
        const char* text;
        const char* sent;
    } const rows[] = {
        {{}, "a\nb", "a\r\nb"},
        {{.clear_output = abi::kOPOST}, "a\nb", "a\nb"},
        {{.set_output = abi::kXTABS}, "ab\tc\t", "ab      c       "},
        {{.set_output = abi::kOCRNL}, "a\rb", "a\nb"},
        {{.set_output = abi::kONOCR}, "\ra\r", "a\r"},
    };
    for (const auto& row : rows) {
        NotebookHost host;
        LineDiscipline line(host, host);
        change(line, row.change);
        CHECK(print(line, row.text) == std::string_view(row.text).size());
        CHECK(visible(host.take()) == visible(row.sent));
    }
}

TEST_CASE("a write takes what fits, and never half a newline", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);
    std::string text, expected;
    for (usize i = 0; i < 300; ++i) {
        text += "line\n";
        expected += "line\r\n";
    }
    usize taken = 0;
    std::string sent;
    for (usize turn = 0; taken < text.size() && turn < 10000; ++turn) {
        host.space = turn % 13;
        const usize count = print(line, std::string_view(text).substr(taken));
        CHECK(count <= host.sent.size());
        taken += count;
        sent += host.take();
    }
    CHECK(taken == text.size());
    CHECK(sent == expected);
}

TEST_CASE("changing the mode with input waiting", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);

    SECTION("to raw: the unfinished line can be read, an end of file is a NUL") {
        type(line, "a\n\004b");
        change(line, {.clear_local = abi::kICANON});
        CHECK(read(line, 10) == std::string("[a\n\0b]", 6));
    }
    SECTION("to canonical: all that is there is a line") {
        change(line, {.clear_local = abi::kICANON});
        type(line, "abc");
        change(line, {.set_local = abi::kICANON});
        CHECK(line.readable());
        type(line, "\177d\n");
        CHECK(read(line, 10) == "[abc]");
        CHECK(read(line, 10) == "[d\n]");
    }
}

TEST_CASE("reads in small pieces", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);
    type(line, "hello\004world\n");
    CHECK(line.available() == 11);
    CHECK(read(line, 3) == "[hel]");
    CHECK(read(line, 2) == "[lo]");  // the end of file behind it goes with it
    CHECK(read(line, 4) == "[worl]");
    CHECK(read(line, 4) == "[d\n]");
    CHECK(read(line, 4) == "EAGAIN");
}

TEST_CASE("poll waits for VMIN, unless there is a timer", "[tty]") {
    NotebookHost host;
    LineDiscipline line(host, host);
    abi::Termios termios = line.termios();
    termios.c_lflag &= ~abi::kICANON;
    termios.c_cc[abi::kVMIN] = 3;
    line.set_termios(termios);
    type(line, "ab");
    CHECK(line.readable());
    CHECK_FALSE(line.readable(true));
    type(line, "c");
    CHECK(line.readable(true));
    termios.c_cc[abi::kVMIN] = 5;
    termios.c_cc[abi::kVTIME] = 1;
    line.set_termios(termios);
    CHECK(line.readable(true));
}
