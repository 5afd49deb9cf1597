// SPDX-License-Identifier: MIT
// A line discipline with a notebook for a terminal: what the device would get is a string, signals are a list. Shared
// by the tests of kernel/tty.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "kernel/tty/line_discipline.hpp"

namespace hd::tty::test {

struct NotebookHost final : TerminalDevice, Foreground {
    usize space = ~usize{0};
    std::string sent;   // taken by take()
    std::string ahead;  // flow-control characters
    std::vector<int> signals;
    bool stopped = false;
    usize discards = 0;

    usize room() override { return space; }
    usize unsent() override { return 0; }
    void write(std::span<const u8> bytes) override {
        sent.append(bytes.begin(), bytes.end());
        space -= bytes.size();
    }
    void discard_output() override {
        ++discards;
        sent.clear();
    }
    void set_stopped(bool value) override { stopped = value; }
    void send_ahead(u8 character) override { ahead.push_back(static_cast<char>(character)); }
    void signal_foreground(int signal) override { signals.push_back(signal); }

    std::string take() { return std::exchange(sent, {}); }
};

inline usize type(LineDiscipline& line, std::string_view text) {
    return line.receive({reinterpret_cast<const u8*>(text.data()), text.size()});
}

inline usize print(LineDiscipline& line, std::string_view text) {
    return line.write({reinterpret_cast<const u8*>(text.data()), text.size()});
}

// What read(2) with O_NONBLOCK and VMIN at most 1 gives for a buffer of `size` bytes: "EAGAIN", or the bytes between
// brackets.
inline std::string read(LineDiscipline& line, usize size) {
    const auto& keys = line.termios().c_cc;
    const bool returns_at_once = !line.canonical() && keys[abi::kVMIN] == 0 && keys[abi::kVTIME] == 0;
    if (!line.readable()) return returns_at_once ? "[]" : "EAGAIN";
    std::vector<u8> buffer(size);
    const LineDiscipline::Piece piece = line.read(buffer);
    if (piece.count == size && !piece.line_ended) line.skip_end_of_file();
    return "[" + std::string(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(piece.count)) + "]";
}

// Control characters as \xNN, so that a failed comparison can be read.
inline std::string visible(std::string_view text) {
    std::string out;
    for (const char c : text) {
        char escaped[8];
        if (c >= ' ' && c < 127 && c != '\\')
            out.push_back(c);
        else
            out.append(escaped,
                       static_cast<usize>(std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<u8>(c))));
    }
    return out;
}

}  // namespace hd::tty::test
