// SPDX-License-Identifier: MIT
#include "kernel/tty/vt.hpp"

#include <algorithm>
#include <utility>

#include "kernel/lib/format.hpp"

namespace hd::tty {

namespace {

constexpr char32_t kReplacement = 0xfffd;

// The VT100's line drawing set, 0x5f to 0x7e.
constexpr char16_t kGraphics[] = {0x00a0, 0x25c6, 0x2592, 0x2409, 0x240c, 0x240d, 0x240a, 0x00b0,
                                  0x00b1, 0x2424, 0x240b, 0x2518, 0x2510, 0x250c, 0x2514, 0x253c,
                                  0x23ba, 0x23bb, 0x2500, 0x23bc, 0x23bd, 0x251c, 0x2524, 0x2534,
                                  0x252c, 0x2502, 0x2264, 0x2265, 0x03c0, 0x2260, 0x00a3, 0x00b7};

constexpr bool takes_no_cell(char32_t c) {
    return (c >= 0x300 && c <= 0x36f) || (c >= 0x200b && c <= 0x200f) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff;
}

// The nearest of the 16 colours.
constexpr u8 nearest(u32 red, u32 green, u32 blue) {
    const u32 most = std::max({red, green, blue});
    if (most < 64) return 0;
    if (most < 112) return 8;
    const u32 half = most / 2;
    return static_cast<u8>((red > half ? 1 : 0) | (green > half ? 2 : 0) | (blue > half ? 4 : 0) |
                           (most > 200 ? 8 : 0));
}

// Of xterm's palette: 16 colours, a cube of 6 * 6 * 6, 24 greys.
constexpr u8 nearest(u32 index) {
    if (index < 16) return static_cast<u8>(index);
    if (index >= 232) {
        const u32 grey = std::min<u32>(255, 8 + (index - 232) * 10);
        return nearest(grey, grey, grey);
    }
    const u32 cube = index - 16;
    return nearest(cube / 36 * 51, cube / 6 % 6 * 51, cube % 6 * 51);
}

}  // namespace

Vt::Vt(u32 columns, u32 rows, Cell* cells)
    : columns_(std::min(columns, kMaxColumns)), rows_(std::min(rows, kMaxRows)), cells_(cells) {
    reset();
}

void Vt::reset() {
    pen_ = {};
    at_ = {};
    saved_ = {};
    top_ = 0;
    bottom_ = rows_;
    origin_mode_ = insert_mode_ = application_cursor_keys_ = graphics_[0] = graphics_[1] = false;
    auto_wrap_ = cursor_visible_ = true;
    charset_ = 0;
    std::ranges::fill(tab_stops_, u64{0x0101'0101'0101'0101});
    clear_rows(0, rows_);
}

// ---- parsing

void Vt::write(std::span<const u8> bytes) {
    for (const u8 byte : bytes) {
        if (utf8_missing_ > 0) {
            if ((byte & 0xc0) == 0x80) {
                utf8_code_ = utf8_code_ << 6 | (byte & 0x3f);
                if (--utf8_missing_ > 0) continue;
                const bool valid =
                    utf8_code_ >= utf8_least_ && utf8_code_ <= 0x10'ffff && (utf8_code_ & ~0x7ffU) != 0xd800;
                accept(valid ? utf8_code_ : kReplacement);
                continue;
            }
            utf8_missing_ = 0;
            accept(kReplacement);
        }
        if (byte < 0x80) {
            accept(byte);
        } else if (byte < 0xc0 || byte >= 0xf8) {
            accept(kReplacement);
        } else {
            utf8_missing_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
            utf8_code_ = byte & (0x3f >> utf8_missing_);
            utf8_least_ = utf8_missing_ == 1 ? 0x80 : utf8_missing_ == 2 ? 0x800 : 0x1'0000;
        }
    }
}

void Vt::write_plain(std::string_view text) {
    const Pen pen = std::exchange(pen_, {});
    const bool graphics = std::exchange(graphics_[charset_], false);
    const bool insert_mode = std::exchange(insert_mode_, false), auto_wrap = std::exchange(auto_wrap_, true);
    for (const char c : text) {
        if (c == '\n') {
            move_to(0, at_.row);
            line_feed();
        } else {
            print(c >= ' ' && c <= '~' ? static_cast<char32_t>(c) : U'?');
        }
    }
    pen_ = pen;
    graphics_[charset_] = graphics;
    insert_mode_ = insert_mode;
    auto_wrap_ = auto_wrap;
}

void Vt::accept(char32_t c) {
    if (c < 32 || c == 127) return control(c);
    switch (state_) {
    case State::Text: return print(c);
    case State::Escape: return escape(c);
    case State::Csi: return csi(c);
    case State::String: return string(c);
    case State::SkipOne: state_ = State::Text; return;
    case State::Charset:
        graphics_[selected_charset_] = c == '0';
        state_ = State::Text;
        return;
    case State::Palette:
        if (--palette_left_ == 0) state_ = State::Text;
        return;
    }
}

// Control characters act in the middle of a sequence, too.
void Vt::control(char32_t c) {
    switch (c) {
    case 7:
        if (state_ == State::String) state_ = State::Text;
        return;
    case 8: return move_columns(-1);
    case 9: return tab();
    case 10:
    case 11:
    case 12: return line_feed();
    case 13: return move_to(0, at_.row);
    case 14: charset_ = 1; return;
    case 15: charset_ = 0; return;
    case 0x18:
    case 0x1a: state_ = State::Text; return;
    case 0x1b: state_ = State::Escape; return;
    default: return;
    }
}

void Vt::escape(char32_t c) {
    state_ = State::Text;
    switch (c) {
    case '[':
        state_ = State::Csi;
        std::ranges::fill(parameters_, 0);
        last_parameter_ = 0;
        private_marker_ = 0;
        unknown_ = false;
        return;
    case ']':
    case 'P':
    case '_':
    case '^':
    case 'X':
        state_ = State::String;
        palette_left_ = c == ']' ? 7 : 0;
        return;
    case '(':
    case ')':
        state_ = State::Charset;
        selected_charset_ = c == ')' ? 1 : 0;
        return;
    case '#':
    case '%':
    case ' ': state_ = State::SkipOne; return;
    case 'c': return reset();
    case 'D': return line_feed();
    case 'E': move_to(0, at_.row); return line_feed();
    case 'H': tab_stops_[at_.column / 64] |= u64{1} << at_.column % 64; return;
    case 'M': return reverse_line_feed();
    case 'Z': return answer("\033[?6c");
    case '7': saved_ = {at_, pen_, origin_mode_, {graphics_[0], graphics_[1]}, charset_}; return;
    case '8':
        at_ = saved_.at;
        pen_ = saved_.pen;
        origin_mode_ = saved_.origin_mode;
        std::ranges::copy(saved_.graphics, graphics_);
        charset_ = saved_.charset;
        return;
    default: return;
    }
}

// Operating system commands and the like end with BEL or ESC \. Linux's own two for the palette end by themselves.
void Vt::string(char32_t c) {
    if (palette_left_ == 7 && c == 'R') state_ = State::Text;
    if (palette_left_ == 7 && c == 'P')
        state_ = State::Palette;
    else
        palette_left_ = 0;
}

void Vt::csi(char32_t c) {
    if (c >= '0' && c <= '9') {
        u32& value = parameters_[last_parameter_];
        value = std::min<u32>(value * 10 + (c - '0'), 9999);
    } else if (c == ';' || c == ':') {
        last_parameter_ = std::min(last_parameter_ + 1, kMaxParameters - 1);
    } else if (c >= '<' && c <= '?') {
        private_marker_ = static_cast<char>(c);
    } else if (c < 0x40) {
        unknown_ = true;
    } else if (c == '[') {
        state_ = State::SkipOne;  // an echoed function key: ESC [ [ A
    } else {
        state_ = State::Text;
        if (unknown_) return;
        if (private_marker_ == 0)
            dispatch(c);
        else if (private_marker_ == '?')
            dispatch_private(c);
    }
}

void Vt::dispatch_private(char32_t c) {
    if (c != 'h' && c != 'l') return;
    const bool on = c == 'h';
    for (u32 i = 0; i <= last_parameter_; ++i) {
        switch (parameters_[i]) {
        case 1: application_cursor_keys_ = on; break;
        case 6:
            origin_mode_ = on;
            move_to(0, on ? top_ : 0);
            break;
        case 7: auto_wrap_ = on; break;
        case 25: cursor_visible_ = on; break;
        default: break;
        }
    }
}

void Vt::dispatch(char32_t c) {
    const u32 n = count();
    const u32 first_row = origin_mode_ ? top_ : 0;
    switch (c) {
    case 'A': return move_rows(-i64{n});
    case 'B':
    case 'e': return move_rows(n);
    case 'C':
    case 'a': return move_columns(n);
    case 'D': return move_columns(-i64{n});
    case 'E': move_rows(n); return move_to(0, at_.row);
    case 'F': move_rows(-i64{n}); return move_to(0, at_.row);
    case 'G':
    case '`': return move_to(n - 1, at_.row);
    case 'd': return move_to(at_.column, first_row + n - 1);
    case 'H':
    case 'f': return move_to(std::max<u32>(parameter(1), 1) - 1, first_row + n - 1);
    case 'c': return answer("\033[?6c");
    case 'g':
        if (parameter(0) == 0) tab_stops_[at_.column / 64] &= ~(u64{1} << at_.column % 64);
        if (parameter(0) == 3) std::ranges::fill(tab_stops_, 0);
        return;
    case 'h':
    case 'l':
        if (parameter(0) == 4) insert_mode_ = c == 'h';
        return;
    case 'm': return set_rendition();
    case 'n': return report(parameter(0));
    case 'r': return set_margins();
    case 's': return escape('7');
    case 'u': return escape('8');
    default: return dispatch_edit(c);
    }
}

void Vt::dispatch_edit(char32_t c) {
    const u32 n = count();
    const bool in_region = at_.row >= top_ && at_.row < bottom_;
    switch (c) {
    case 'J': return erase_display(parameter(0));
    case 'K': return erase_line(parameter(0));
    case 'L':
        if (in_region) scroll_down(at_.row, n);
        return;
    case 'M':
        if (in_region) scroll_up(at_.row, n);
        return;
    case 'S': return scroll_up(top_, n);
    case 'T': return scroll_down(top_, n);
    case '@': return shift_characters(true, n);
    case 'P': return shift_characters(false, n);
    case 'X': return fill(at_.row, at_.column, at_.column + n);
    default: return;
    }
}

// ---- the cells

// What erasing leaves has the pen's background (terminfo: bce).
Cell Vt::blank() const { return Cell::of(' ', pen_.foreground, pen_.background); }

// How Linux's console shows what it cannot show: underlined as cyan, dim as dark grey, blinking as a bright background.
Cell Vt::drawn(char32_t c) const {
    u8 foreground = pen_.underline ? 6 : pen_.dim ? 8 : pen_.foreground;
    u8 background = pen_.background;
    if (pen_.reverse) std::swap(foreground, background);
    if (pen_.bold) foreground |= 8;
    if (pen_.blink) background |= 8;
    return Cell::of(c, foreground, background);
}

void Vt::print(char32_t c) {
    if (takes_no_cell(c)) return;
    if (graphics_[charset_] && c >= 0x5f && c <= 0x7e) c = kGraphics[c - 0x5f];
    if (at_.wrap_pending) {
        move_to(0, at_.row);
        line_feed();
    }
    if (insert_mode_) shift_characters(true, 1);
    row(at_.row)[at_.column] = drawn(c);
    if (at_.column + 1 < columns_)
        ++at_.column;
    else
        at_.wrap_pending = auto_wrap_;
}

void Vt::fill(u32 row_index, u32 from, u32 to) {
    to = std::min(to, columns_);
    if (from < to) std::fill(row(row_index) + from, row(row_index) + to, blank());
}

void Vt::clear_rows(u32 from, u32 to) {
    for (; from < to; ++from) fill(from, 0, columns_);
}

// Between `top` and the end of the scrolling region.
void Vt::scroll_up(u32 top, u32 lines) {
    lines = std::min(lines, bottom_ - top);
    std::copy(row(top + lines), row(bottom_), row(top));
    clear_rows(bottom_ - lines, bottom_);
}

void Vt::scroll_down(u32 top, u32 lines) {
    lines = std::min(lines, bottom_ - top);
    std::copy_backward(row(top), row(bottom_ - lines), row(bottom_));
    clear_rows(top, top + lines);
}

void Vt::line_feed() {
    at_.wrap_pending = false;
    if (at_.row + 1 == bottom_)
        scroll_up(top_, 1);
    else if (at_.row + 1 < rows_)
        ++at_.row;
}

void Vt::reverse_line_feed() {
    at_.wrap_pending = false;
    if (at_.row == top_)
        scroll_down(top_, 1);
    else if (at_.row > 0)
        --at_.row;
}

void Vt::shift_characters(bool insert, u32 by) {
    Cell* const from = row(at_.row) + at_.column;
    Cell* const end = row(at_.row) + columns_;
    by = std::min(by, columns_ - at_.column);
    if (insert) {
        std::copy_backward(from, end - by, end);
        fill(at_.row, at_.column, at_.column + by);
    } else {
        std::copy(from + by, end, from);
        fill(at_.row, columns_ - by, columns_);
    }
}

void Vt::erase_display(u32 what) {
    if (what == 0) {
        erase_line(0);
        clear_rows(at_.row + 1, rows_);
    } else if (what == 1) {
        clear_rows(0, at_.row);
        erase_line(1);
    } else if (what <= 3) {
        clear_rows(0, rows_);
    }
}

void Vt::erase_line(u32 what) {
    if (what == 0) fill(at_.row, at_.column, columns_);
    if (what == 1) fill(at_.row, 0, at_.column + 1);
    if (what == 2) fill(at_.row, 0, columns_);
}

// ---- the cursor

void Vt::move_to(u32 column, u32 row_index) {
    const u32 last_row = origin_mode_ ? bottom_ - 1 : rows_ - 1;
    at_ = {std::min(column, columns_ - 1), std::min(row_index, last_row), false};
}

// Margins stop the cursor if it comes from inside.
void Vt::move_rows(i64 by) {
    const i64 first = at_.row >= top_ ? top_ : 0;
    const i64 last = at_.row < bottom_ ? bottom_ - 1 : rows_ - 1;
    at_ = {at_.column, static_cast<u32>(std::clamp(at_.row + by, first, last)), false};
}

void Vt::move_columns(i64 by) {
    at_ = {static_cast<u32>(std::clamp<i64>(at_.column + by, 0, columns_ - 1)), at_.row, false};
}

void Vt::tab() {
    while (at_.column + 1 < columns_) {
        ++at_.column;
        if ((tab_stops_[at_.column / 64] >> at_.column % 64 & 1) != 0) break;
    }
}

void Vt::set_margins() {
    const u32 top = count() - 1;
    const u32 bottom = parameter(1) == 0 ? rows_ : std::min(parameter(1), rows_);
    if (top + 1 >= bottom) return;
    top_ = top;
    bottom_ = bottom;
    move_to(0, origin_mode_ ? top_ : 0);
}

// ---- colours and reports

// 38;5;n or 38;2;r;g;b. Moves `index` to the last parameter that belongs to it.
u8 Vt::extended_colour(u32& index) const {
    const u32 kind = parameter(index + 1);
    const u32 first = index + 2;
    index += kind == 2 ? 4 : 2;
    return kind == 2 ? nearest(parameter(first), parameter(first + 1), parameter(first + 2))
                     : nearest(parameter(first));
}

void Vt::set_rendition() {
    for (u32 i = 0; i <= last_parameter_; ++i) {
        const u32 code = parameters_[i];
        switch (code) {
        case 0: pen_ = {}; break;
        case 1: pen_.bold = true; break;
        case 2: pen_.dim = true; break;
        case 4: pen_.underline = true; break;
        case 5: pen_.blink = true; break;
        case 7: pen_.reverse = true; break;
        case 21:
        case 22: pen_.bold = pen_.dim = false; break;
        case 24: pen_.underline = false; break;
        case 25: pen_.blink = false; break;
        case 27: pen_.reverse = false; break;
        case 38: pen_.foreground = extended_colour(i); break;
        case 39: pen_.foreground = 7; break;
        case 48: pen_.background = extended_colour(i); break;
        case 49: pen_.background = 0; break;
        default:
            if (code >= 30 && code <= 37) pen_.foreground = static_cast<u8>(code - 30);
            if (code >= 40 && code <= 47) pen_.background = static_cast<u8>(code - 40);
            if (code >= 90 && code <= 97) pen_.foreground = static_cast<u8>(code - 90 + 8);
            if (code >= 100 && code <= 107) pen_.background = static_cast<u8>(code - 100 + 8);
            break;
        }
    }
}

void Vt::report(u32 what) {
    if (what == 5) return answer("\033[0n");
    if (what != 6) return;
    char text[24];
    BufferSink sink(text);
    format_to(sink, "\033[{};{}R", at_.row - (origin_mode_ ? top_ : 0) + 1, at_.column + 1);
    answer(sink.view());
}

void Vt::answer(std::string_view text) {
    if (reply_size_ + text.size() > sizeof reply_) return;  // a flood of questions: the program does not read
    std::ranges::copy(text, reply_ + reply_size_);
    reply_size_ += text.size();
}

}  // namespace hd::tty
