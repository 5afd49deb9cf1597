// SPDX-License-Identifier: MIT
// The line discipline: what a terminal does to characters between the keyboard and read(2), and between write(2) and
// the screen - editing, echo, signals, flow control, newline translation (termios(3)). Linux's n_tty is the model, down
// to what happens to pending input when the mode changes; tests/unit/tty_pty_oracle.cpp compares the two.
//
// Input lies in a ring. In canonical mode it is [lines that may be read][the line being typed]; a delimiter is marked,
// as the same character can stand in a line when it was quoted. In raw mode all of it may be read.
//
// No locks, no clock; effects are the device's and the foreground's. The owner serialises all calls.
#pragma once
#include "kernel/tty/device.hpp"

namespace hd::tty {

// Whoever uses the terminal now: ^C and relatives go there.
class Foreground {
public:
    virtual void signal_foreground(int signal) = 0;

protected:
    ~Foreground() = default;
};

class LineDiscipline {
public:
    static constexpr usize kCapacity = 4096;

    LineDiscipline(TerminalDevice& device, Foreground& foreground) : device_(device), foreground_(foreground) {}

    const abi::Termios& termios() const { return termios_; }
    void set_termios(const abi::Termios& next);
    bool canonical() const { return local(abi::kICANON); }

    // ---- from the device
    // Returns how many were taken: fewer when the ring is full of characters that somebody may read.
    usize receive(std::span<const u8> input);
    // Sends echo that found no room before; true if none is left. When the device has room again.
    bool flush_echo();

    // ---- to the device
    // Returns how many were taken; 0 when there is no room or the output is stopped.
    usize write(std::span<const u8> text);
    bool writable() { return echo_head_ == echo_tail_ && room() >= kWidest; }
    bool echo_pending() const { return echo_head_ != echo_tail_; }
    void hold_output(bool held);  // TCXONC: unlike a stop by ^S, no key ends it

    // ---- to the program
    // May read() give something, be it an end of file? `enough`: at least VMIN characters, which poll(2) waits for.
    bool readable(bool enough = false) const;
    struct Piece {
        usize count = 0;
        bool line_ended = false;  // canonical mode: the line was read to its end; with count 0 an end of file
    };
    // From at most one line.
    Piece read(std::span<u8> to);
    // After a read() that filled the reader's buffer in the middle of a line: an end-of-file character right behind it
    // belongs to that read.
    void skip_end_of_file();
    usize available() const;  // FIONREAD
    void discard_input();
    // Hang-up: as at the beginning, but for what belongs to the wire (c_cflag) and output that is on its way.
    void reset();

private:
    static constexpr u16 kDelimiter = 0x100;  // in the ring beside the character; NUL with it is an end of file
    static constexpr usize kWidest = 8;       // bytes that one character may become: an expanded tab

    bool input(u32 flag) const { return (termios_.c_iflag & flag) != 0; }
    bool local(u32 flag) const { return (termios_.c_lflag & flag) != 0; }
    u8 key(usize index) const { return termios_.c_cc[index]; }
    bool is_continuation(u8 c) const { return input(abi::kIUTF8) && (c & 0xc0) == 0x80; }
    u16& at(usize index) { return ring_[index % kCapacity]; }
    u16 at(usize index) const { return ring_[index % kCapacity]; }
    void put(u16 entry);

    bool make_room();
    void receive_one(u8 c);
    void receive_character(u8 c);
    bool receive_special(u8& c, bool& newline_from_return);
    bool receive_canonical(u8 c);
    void receive_signal(int signal, u8 c);
    void accept(u8 c, bool raw_newline);
    void end_line(u8 c);
    void start();
    void restart_by_any();
    void stop();
    void check_throttle();

    enum class Erase : u8 { Character, Word, Line };
    void erase(u8 c);
    bool erase_one(Erase what, bool& word_seen);
    void echo_erasure(u8 c, Erase what);
    void echo_tab_erasure();

    void echo(u8 c);
    void echo_raw(u8 c);
    void echo_text(const char* text);
    void append_echo(u8 byte);
    usize process(u8 c, u8* to);
    usize room() { return stopped_ ? 0 : device_.room(); }

    TerminalDevice& device_;
    Foreground& foreground_;
    abi::Termios termios_;
    // Indices run freely; at() wraps them. tail_ <= line_end_ <= head_ in canonical mode.
    usize head_ = 0;      // where the next character goes
    usize tail_ = 0;      // what read() gives next
    usize line_end_ = 0;  // behind the last complete line
    usize echo_head_ = 0, echo_tail_ = 0;
    // As far as one can know without seeing the screen.
    struct Columns {
        u32 cursor = 0;
        u32 line = 0;  // where the line being typed begins
    };
    Columns columns_;          // once the pending echo is out
    Columns sent_columns_;     // before it
    bool quote_next_ = false;  // after LNEXT
    bool stopped_ = false;
    bool held_ = false;       // stopped by hold_output()
    bool throttled_ = false;  // IXOFF: the other side was told to stop
    u16 ring_[kCapacity];
    u8 echo_[kCapacity];
};

}  // namespace hd::tty
