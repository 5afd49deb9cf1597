// SPDX-License-Identifier: MIT
#include "kernel/tty/line_discipline.hpp"

#include <algorithm>
#include <utility>

#include "kernel/abi/signal.hpp"

namespace hd::tty {

using namespace abi;

namespace {

// As Linux's ctype sees the bytes above 127: Latin-1 letters, and no control characters.
constexpr bool is_control(u8 c) { return c < 32 || c == 127; }
constexpr bool is_lower(u8 c) { return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7); }
constexpr bool is_upper(u8 c) { return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7); }
constexpr bool is_word(u8 c) { return is_lower(c) || is_upper(c) || (c >= '0' && c <= '9') || c == '_'; }

constexpr usize kThrottleAt = 128;  // IXOFF: stop the sender with this much room left, start it with this much unread

}  // namespace

// ---- input

// Is there room for one more character? With PARMRK each counts for three, as in Linux. A line that is still being typed may
// overrun: its last character is replaced, so that erasing and the newline get through (n_tty_receive_buf_common).
bool LineDiscipline::make_room() {
    const usize free = kCapacity - (head_ - tail_);
    const usize room = input(kPARMRK) ? (free + 2) / 3 : free;
    if (room > 1) return true;
    if (!canonical() || line_end_ != tail_) return false;
    if (room == 0) --head_;
    return true;
}

// The doubled 0377 of PARMRK may find the ring full behind its first half: the second one replaces that.
void LineDiscipline::put(u16 entry) {
    if (head_ - tail_ == kCapacity) --head_;
    at(head_++) = entry;
}

usize LineDiscipline::receive(std::span<const u8> in) {
    usize taken = 0;
    if (!echo_pending()) sent_columns_ = columns_;
    while (taken < in.size() && make_room()) receive_one(in[taken++]);
    flush_echo();
    check_throttle();
    return taken;
}

void LineDiscipline::receive_one(u8 c) {
    if (input(kISTRIP)) c &= 0x7f;
    if (std::exchange(quote_next_, false))
        accept(c, false);
    else
        receive_character(c);
}

void LineDiscipline::receive_character(u8 c) {
    bool newline_from_return = false;
    // NUL stands for "no such key" in c_cc, so the character itself is never special.
    if (c != 0 && receive_special(c, newline_from_return)) return;
    accept(c, newline_from_return);
}

// Keys with a meaning in either mode, and the mapping of CR and NL; true if that was all.
bool LineDiscipline::receive_special(u8& c, bool& newline_from_return) {
    if (input(kIXON) && c == key(kVSTART)) {
        start();
        flush_echo();  // before a VSTOP that may follow in the same batch
        return true;
    }
    if (input(kIXON) && c == key(kVSTOP)) return stop(), true;
    if (local(kISIG)) {
        if (c == key(kVINTR)) return receive_signal(kSIGINT, c), true;
        if (c == key(kVQUIT)) return receive_signal(kSIGQUIT, c), true;
        if (c == key(kVSUSP)) return receive_signal(kSIGTSTP, c), true;
    }
    restart_by_any();
    if (c == '\r') {
        if (input(kIGNCR)) return true;
        if (input(kICRNL)) {
            c = '\n';
            newline_from_return = true;
        }
    } else if (c == '\n' && input(kINLCR)) {
        c = '\r';
    }
    return canonical() && receive_canonical(c);
}

bool LineDiscipline::receive_canonical(u8 c) {
    const bool extended = local(kIEXTEN);
    if (c == key(kVERASE) || c == key(kVKILL) || (c == key(kVWERASE) && extended)) {
        erase(c);
        return true;
    }
    if (c == key(kVLNEXT) && extended) {
        quote_next_ = true;
        if (local(kECHO) && local(kECHOCTL)) echo_text("^\b");
        return true;
    }
    if (c == key(kVREPRINT) && local(kECHO) && extended) {
        echo(c);
        echo_raw('\n');
        for (usize i = line_end_; i != head_; ++i) echo(static_cast<u8>(at(i)));
        return true;
    }
    if (c == '\n') {
        if (local(kECHO) || local(kECHONL)) echo_raw('\n');
        return end_line(c), true;
    }
    if (c == key(kVEOF)) return end_line(0), true;
    if (c == key(kVEOL) || (c == key(kVEOL2) && extended)) {
        if (local(kECHO)) {
            if (line_end_ == head_) columns_.line = columns_.cursor;
            echo(c);
        }
        if (c == 0xff && input(kPARMRK)) put(c);
        return end_line(c), true;
    }
    return false;
}

void LineDiscipline::end_line(u8 c) {
    put(c | kDelimiter);
    line_end_ = head_;
}

// An ordinary character. `raw_newline`: it was CR and is echoed as a real newline even in raw mode.
void LineDiscipline::accept(u8 c, bool raw_newline) {
    restart_by_any();
    if (local(kECHO)) {
        if (raw_newline) {
            echo_raw('\n');
        } else {
            if (line_end_ == head_) columns_.line = columns_.cursor;
            echo(c);
        }
    }
    if (c == 0xff && input(kPARMRK)) put(c);
    put(c);
}

void LineDiscipline::receive_signal(int signal, u8 c) {
    foreground_.signal_foreground(signal);
    if (!local(kNOFLSH)) {
        if (echo_pending()) columns_ = sent_columns_;
        echo_head_ = echo_tail_ = 0;
        device_.discard_output();
        discard_input();
    }
    if (input(kIXON)) start();
    if (local(kECHO))
        echo(c);
    else
        flush_echo();
}

void LineDiscipline::start() {
    if (!stopped_ || held_) return;
    stopped_ = false;
    device_.set_stopped(false);
}

void LineDiscipline::restart_by_any() {
    if (!stopped_ || !input(kIXON) || !input(kIXANY)) return;
    start();
    flush_echo();
}

void LineDiscipline::stop() {
    if (std::exchange(stopped_, true)) return;
    device_.set_stopped(true);
}

void LineDiscipline::hold_output(bool held) {
    if (held == held_) return;
    held_ = held;
    if (held) {
        stop();
    } else {
        start();
        flush_echo();
    }
}

void LineDiscipline::check_throttle() {
    const usize unread = head_ - tail_;
    const bool line_unfinished = canonical() && line_end_ == tail_;  // only more input can get the reader going
    if (!throttled_ && input(kIXOFF) && unread > kCapacity - kThrottleAt && !line_unfinished) {
        throttled_ = true;
        device_.send_ahead(key(kVSTOP));
    } else if (throttled_ && unread <= kThrottleAt) {
        throttled_ = false;
        if (input(kIXOFF)) device_.send_ahead(key(kVSTART));
    }
}

void LineDiscipline::discard_input() {
    head_ = tail_ = line_end_ = 0;
    check_throttle();
}

// ---- erasing

void LineDiscipline::erase(u8 c) {
    if (head_ == line_end_) return;
    const Erase what = c == key(kVERASE) ? Erase::Character : c == key(kVWERASE) ? Erase::Word : Erase::Line;
    if (what == Erase::Line && (!local(kECHO) || !local(kECHOK) || !local(kECHOKE) || !local(kECHOE))) {
        head_ = line_end_;
        if (!local(kECHO)) return;
        echo(key(kVKILL));
        if (local(kECHOK)) echo_raw('\n');
        return;
    }
    bool word_seen = false;
    while (head_ != line_end_ && erase_one(what, word_seen) && what != Erase::Character) {}
}

// Takes the last character, with all its bytes, off the line. False if it is not to go: the end of the word to erase,
// or the tail of a character whose beginning is missing.
bool LineDiscipline::erase_one(Erase what, bool& word_seen) {
    usize first = head_ - 1;
    while (is_continuation(static_cast<u8>(at(first))) && first != line_end_) --first;
    const u8 c = static_cast<u8>(at(first));
    if (is_continuation(c)) return false;
    if (what == Erase::Word) {
        if (is_word(c))
            word_seen = true;
        else if (word_seen)
            return false;
    }
    head_ = first;
    if (local(kECHO)) echo_erasure(c, what);
    return true;
}

void LineDiscipline::echo_erasure(u8 c, Erase what) {
    if (what == Erase::Character && !local(kECHOE)) {
        echo(key(kVERASE));
    } else if (c == '\t') {
        echo_tab_erasure();
    } else {
        if (is_control(c) && !local(kECHOCTL)) return;  // it was not shown
        if (is_control(c)) echo_text("\b \b");          // it was shown as ^X
        echo_text("\b \b");
    }
}

// How far back a tab goes depends on the columns used since the tab before it, or since the beginning of the line.
void LineDiscipline::echo_tab_erasure() {
    u32 columns = columns_.line;
    u32 used = 0;
    for (usize i = head_; i != line_end_; --i) {
        const u8 c = static_cast<u8>(at(i - 1));
        if (c == '\t') {
            columns = 0;
            break;
        }
        if (is_control(c))
            used += local(kECHOCTL) ? 2 : 0;
        else if (!is_continuation(c))
            ++used;
    }
    for (u32 back = 8 - ((columns + used) & 7); back > 0; --back) {
        append_echo('\b');
        if (columns_.cursor > 0) --columns_.cursor;
    }
}

// ---- echo

void LineDiscipline::echo(u8 c) {
    if (!local(kECHOCTL) || !is_control(c) || c == '\t') return echo_raw(c);
    append_echo('^');
    append_echo(c ^ 0100);
    columns_.cursor += 2;
}

void LineDiscipline::echo_raw(u8 c) {
    u8 bytes[kWidest] = {c};
    usize count = 1;
    if (c == 0xff)
        ++columns_.cursor;  // n_tty escapes this byte, and counts it even where it counts no other
    else if ((termios_.c_oflag & kOPOST) != 0)
        count = process(c, bytes);
    for (usize i = 0; i < count; ++i) append_echo(bytes[i]);
}

void LineDiscipline::echo_text(const char* text) {
    for (; *text != 0; ++text) echo_raw(static_cast<u8>(*text));
}

// With the output stuck and the ring full the oldest echo is lost: what was typed last matters most.
void LineDiscipline::append_echo(u8 byte) {
    if (echo_head_ - echo_tail_ == kCapacity) flush_echo();
    if (echo_head_ - echo_tail_ == kCapacity) ++echo_tail_;
    echo_[echo_head_++ % kCapacity] = byte;
}

bool LineDiscipline::flush_echo() {
    while (echo_pending()) {
        const usize start = echo_tail_ % kCapacity;
        const usize run = std::min({room(), echo_head_ - echo_tail_, kCapacity - start});
        if (run == 0) return false;
        device_.write({echo_ + start, run});
        echo_tail_ += run;
    }
    sent_columns_ = columns_;
    return true;
}

// ---- output

// Output processing of one character (OPOST). Returns the number of bytes that it became.
usize LineDiscipline::process(u8 c, u8* to) {
    const u32 flags = termios_.c_oflag;
    to[0] = c;
    switch (c) {
    case '\n':
        if ((flags & (kONLRET | kONLCR)) != 0) columns_.cursor = 0;
        columns_.line = columns_.cursor;
        if ((flags & kONLCR) == 0) return 1;
        to[0] = '\r';
        to[1] = '\n';
        return 2;
    case '\r':
        if ((flags & kONOCR) != 0 && columns_.cursor == 0) return 0;
        if ((flags & kOCRNL) != 0) to[0] = '\n';
        if ((flags & kOCRNL) == 0 || (flags & kONLRET) != 0) columns_.cursor = columns_.line = 0;
        return 1;
    case '\t': {
        const u32 spaces = 8 - (columns_.cursor & 7);
        columns_.cursor += spaces;
        if ((flags & kTABDLY) != kXTABS) return 1;
        std::fill_n(to, spaces, u8{' '});
        return spaces;
    }
    case '\b':
        if (columns_.cursor > 0) --columns_.cursor;
        return 1;
    default:
        if (is_control(c)) return 1;
        if (!is_continuation(c)) ++columns_.cursor;
        return 1;
    }
}

usize LineDiscipline::write(std::span<const u8> text) {
    if (!flush_echo()) return 0;
    if ((termios_.c_oflag & kOPOST) == 0) {
        const usize count = std::min(text.size(), room());
        device_.write(text.first(count));
        return count;
    }
    u8 batch[128];
    usize taken = 0;
    while (taken < text.size()) {
        const usize space = std::min(room(), sizeof batch);
        if (space < kWidest) break;
        usize used = 0;
        while (taken < text.size() && space - used >= kWidest) used += process(text[taken++], batch + used);
        device_.write({batch, used});
    }
    return taken;
}

// ---- the reader's side

bool LineDiscipline::readable(bool enough) const {
    if (canonical()) return line_end_ != tail_;
    const usize wanted = enough && key(kVTIME) == 0 ? std::max<usize>(key(kVMIN), 1) : 1;
    return head_ - tail_ >= wanted;
}

LineDiscipline::Piece LineDiscipline::read(std::span<u8> to) {
    Piece piece;
    const usize end = canonical() ? line_end_ : head_;
    while (tail_ != end && piece.count < to.size()) {
        const u16 entry = at(tail_++);
        piece.line_ended = canonical() && (entry & kDelimiter) != 0;
        if (!piece.line_ended || entry != kDelimiter) to[piece.count++] = static_cast<u8>(entry);
        if (piece.line_ended) break;
    }
    check_throttle();
    return piece;
}

void LineDiscipline::skip_end_of_file() {
    if (canonical() && tail_ != line_end_ && at(tail_) == kDelimiter) ++tail_;
}

usize LineDiscipline::available() const {
    if (!canonical()) return head_ - tail_;
    usize count = 0;
    for (usize i = tail_; i != line_end_; ++i) count += at(i) != kDelimiter ? 1 : 0;
    return count;
}

// From raw to canonical mode all that is there becomes a line; from canonical to raw even an unfinished line may be
// read, and an end of file becomes a NUL (n_tty_set_termios).
void LineDiscipline::set_termios(const Termios& next) {
    const Termios old = std::exchange(termios_, next);
    if (((old.c_lflag ^ next.c_lflag) & kICANON) != 0) {
        for (usize i = tail_; i != head_; ++i) at(i) &= 0xff;
        line_end_ = tail_;
        if (canonical() && head_ != tail_) {
            at(head_ - 1) |= kDelimiter;
            line_end_ = head_;
        }
        quote_next_ = false;
    }
    // Otherwise nothing could start the output again.
    if ((old.c_iflag & kIXON) != 0 && !input(kIXON)) start();
    flush_echo();
}

void LineDiscipline::reset() {
    held_ = quote_next_ = false;
    start();
    discard_input();
    Termios initial;
    initial.c_cflag = termios_.c_cflag;
    set_termios(initial);
}

}  // namespace hd::tty
