// SPDX-License-Identifier: MIT
// Vt: what a text screen shows after the characters that were sent to it - cursor, colours, scrolling regions: the
// sequences of TERM=linux, a subset of ECMA-48 and the VT102 (console_codes(4)). Text is UTF-8. Every character takes
// one cell; combining ones are left out, sequences without effect here are skipped whole.
//
// Pure: no locks, no I/O. The cells are the caller's memory; who shows them remembers what it has shown.
#pragma once
#include <span>
#include <string_view>

#include "kernel/lib/types.hpp"

namespace hd::tty {

// A character and its colours, in ANSI's order: 1 red, 2 green, 4 blue, 8 bright.
struct Cell {
    u32 raw = 0;

    static constexpr Cell of(char32_t character, u8 foreground, u8 background) {
        return {static_cast<u32>(character) | u32{foreground} << 21 | u32{background} << 25};
    }
    constexpr char32_t character() const { return raw & 0x1f'ffff; }
    constexpr u8 foreground() const { return raw >> 21 & 15; }
    constexpr u8 background() const { return raw >> 25 & 15; }
    constexpr Cell inverted() const { return of(character(), background(), foreground()); }
    friend constexpr bool operator==(Cell, Cell) = default;
};

class Vt {
public:
    static constexpr u32 kMaxColumns = 256, kMaxRows = 256;

    // `cells` has columns * rows elements and outlives this.
    Vt(u32 columns, u32 rows, Cell* cells);

    void write(std::span<const u8> bytes);
    // ASCII at the cursor, whatever a program has set or begun; that stays as it is. Knows newline, no other control.
    void write_plain(std::string_view text);

    u32 columns() const { return columns_; }
    u32 rows() const { return rows_; }
    Cell cell(u32 column, u32 row) const { return cells_[usize{row} * columns_ + column]; }
    u32 cursor_column() const { return at_.column; }
    u32 cursor_row() const { return at_.row; }
    bool cursor_visible() const { return cursor_visible_; }
    // The program wants ESC O A instead of ESC [ A for a cursor key.
    bool application_cursor_keys() const { return application_cursor_keys_; }

    // Answers to the program's questions, to be put into its input.
    std::string_view reply() const { return {reply_, reply_size_}; }
    void clear_reply() { reply_size_ = 0; }

private:
    enum class State : u8 { Text, Escape, Csi, Charset, SkipOne, String, Palette };
    struct Pen {
        u8 foreground = 7, background = 0;
        bool bold = false, dim = false, underline = false, blink = false, reverse = false;
    };
    struct Position {
        u32 column = 0, row = 0;
        bool wrap_pending = false;  // a character stands in the last column; the next one begins a line
    };
    struct Cursor {  // what ESC 7 saves
        Position at;
        Pen pen;
        bool origin_mode = false;
        bool graphics[2] = {};
        u8 charset = 0;
    };
    static constexpr u32 kMaxParameters = 16;

    void accept(char32_t c);
    void control(char32_t c);
    void escape(char32_t c);
    void csi(char32_t c);
    void string(char32_t c);
    void dispatch(char32_t c);
    void dispatch_edit(char32_t c);
    void dispatch_private(char32_t c);
    void print(char32_t c);

    u32 parameter(u32 index) const { return index <= last_parameter_ ? parameters_[index] : 0; }
    u32 count() const { return parameter(0) == 0 ? 1 : parameter(0); }
    Cell blank() const;
    Cell drawn(char32_t c) const;
    Cell* row(u32 index) { return cells_ + usize{index} * columns_; }
    void fill(u32 row_index, u32 from, u32 to);
    void clear_rows(u32 from, u32 to);
    void scroll_up(u32 top, u32 lines);
    void scroll_down(u32 top, u32 lines);
    void line_feed();
    void reverse_line_feed();
    void tab();
    void move_to(u32 column, u32 row_index);
    void move_rows(i64 by);
    void move_columns(i64 by);
    void erase_display(u32 what);
    void erase_line(u32 what);
    void shift_characters(bool insert, u32 by);
    void set_margins();
    void set_rendition();
    u8 extended_colour(u32& index) const;
    void report(u32 what);
    void answer(std::string_view text);
    void reset();

    const u32 columns_, rows_;
    Cell* const cells_;

    State state_ = State::Text;
    u8 utf8_missing_ = 0;  // continuation bytes to come
    char32_t utf8_code_ = 0, utf8_least_ = 0;
    u32 parameters_[kMaxParameters] = {};
    u32 last_parameter_ = 0;
    char private_marker_ = 0;  // '?' and its like at the beginning of the parameters
    bool unknown_ = false;     // an intermediate character: nothing that is known here
    u8 selected_charset_ = 0;  // ESC ( or ESC )
    u8 palette_left_ = 0;

    Position at_;
    Pen pen_;
    bool origin_mode_ = false;
    bool graphics_[2] = {};  // is G0, G1 the line-drawing set?
    u8 charset_ = 0;
    Cursor saved_;
    u32 top_ = 0, bottom_ = 0;  // scrolling region, bottom exclusive
    bool insert_mode_ = false, auto_wrap_ = true, cursor_visible_ = true, application_cursor_keys_ = false;
    u64 tab_stops_[kMaxColumns / 64] = {};
    char reply_[32] = {};
    usize reply_size_ = 0;
};

}  // namespace hd::tty
