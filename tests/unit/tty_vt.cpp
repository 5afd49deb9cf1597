// SPDX-License-Identifier: MIT
// The text screen's interpreter: what stands where after a sequence of characters.
#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <vector>

#include "kernel/tty/vt.hpp"

using namespace hd;
using namespace hd::tty;

namespace {

class Screen {
public:
    Screen(u32 columns, u32 rows) : cells_(columns * rows), vt(columns, rows, cells_.data()) {}
    Screen& operator<<(std::string_view text) {
        vt.write({reinterpret_cast<const u8*>(text.data()), text.size()});
        return *this;
    }
    // The rows without trailing blanks, separated by |; characters beyond ASCII as {hex}.
    std::string text() const {
        std::string all;
        for (u32 row = 0; row < vt.rows(); ++row) {
            std::string line;
            for (u32 column = 0; column < vt.columns(); ++column) {
                const char32_t c = vt.cell(column, row).character();
                char hex[16];
                std::snprintf(hex, sizeof hex, "{%x}", static_cast<unsigned>(c));
                line += c < 128 ? std::string(1, static_cast<char>(c)) : hex;
            }
            line.erase(line.find_last_not_of(' ') + 1);
            all += (row == 0 ? "" : "|") + line;
        }
        return all;
    }
    std::string cursor() const { return std::to_string(vt.cursor_column()) + "," + std::to_string(vt.cursor_row()); }

private:
    std::vector<Cell> cells_;

public:
    Vt vt;
};

}  // namespace

TEST_CASE("sequences on a screen of 8 by 4", "[vt]") {
    struct {
        const char* written;
        const char* text;
        const char* cursor;
    } const rows[] = {
        {"hello", "hello|||", "5,0"},
        {"a\r\nb", "a|b||", "1,1"},
        {"a\nb", "a| b||", "2,1"},
        {"ab\bc", "ac|||", "2,0"},
        {"a\tb", "a      b|||", "7,0"},
        {"12345678", "12345678|||", "7,0"},  // the cursor waits in the last column
        {"123456789", "12345678|9||", "1,1"},
        {"12345678\r\n9", "12345678|9||", "1,1"},  // no empty line for a full one
        {"12345678\b9", "12345698|||", "7,0"},
        {"\033[?7l123456789", "12345679|||", "7,0"},  // no wrap
        {"1\r\n2\r\n3\r\n4\r\n5", "2|3|4|5", "1,3"},
        {"\033[3;5Hx", "||    x|", "5,2"},
        {"\033[;5Hx", "    x|||", "5,0"},
        {"\033[99;99Hx", "|||       x", "7,3"},
        {"\033[2;2H\033[Aa\033[2Bb\033[2Dc\033[Cd", " a|| cbd|", "4,2"},
        {"\033[4dx\033[3Gy", "|||x y", "3,3"},
        {"abc\033[2Ex", "abc||x|", "1,2"},
        {"abcdef\033[1;3H\033[K", "ab|||", "2,0"},
        {"abcdef\033[1;3H\033[1K", "   def|||", "2,0"},
        {"abcdef\033[2K", "|||", "6,0"},
        {"a\r\nb\r\nc\033[2;1H\033[J", "a|||", "0,1"},
        {"a\r\nb\r\nc\033[2;1H\033[1J", "||c|", "0,1"},
        {"a\r\nb\033[2J", "|||", "1,1"},
        {"abcdef\033[1;3H\033[2P", "abef|||", "2,0"},
        {"abcdef\033[1;3H\033[2@", "ab  cdef|||", "2,0"},
        {"abcdef\033[1;3H\033[2X", "ab  ef|||", "2,0"},
        {"abcdef\033[1;3H\033[99P", "ab|||", "2,0"},
        {"abc\r\033[4hx\033[4ly", "xybc|||", "2,0"},
        {"1\r\n2\r\n3\r\n4\033[2;1H\033[L", "1||2|3", "0,1"},
        {"1\r\n2\r\n3\r\n4\033[2;1H\033[2M", "1|4||", "0,1"},
        {"1\r\n2\r\n3\r\n4\033[2;3r\033[3;1H\nx", "1|3|x|4", "1,2"},  // region: the rest stays
        {"1\r\n2\r\n3\r\n4\033[2;3r\033[2;1H\033Mx", "1|x|2|4", "1,1"},
        {"1\r\n2\r\n3\r\n4\033[2;3r\033[4;1H\nx", "1|2|3|x", "1,3"},  // below the region nothing scrolls
        {"1\r\n2\r\n3\r\n4\033[2;3r\033[?6h\033[1;1Hx\033[9;1Hy", "1|x|y|4", "1,2"},
        {"\033[2;3r\033[2;1H\033[9Ax\033[9By", "|x| y|", "2,2"},
        {"1\r\n2\033[Hx\033Dy", "x|2y||", "2,1"},
        {"ab\0337\r\ncd\0338x", "abx|cd||", "3,0"},
        {"ab\033[s\r\ncd\033[ux", "abx|cd||", "3,0"},
        {"\033[3g\033[4G\033H\r\tx", "   x|||", "4,0"},
        {"a\033cb", "b|||", "1,0"},
        {"\xc3\xa4\xe2\x94\x80", "{e4}{2500}|||", "2,0"},
        {"\xc3\xe4x\x80", "{fffd}{fffd}x{fffd}|||", "4,0"},      // broken UTF-8
        {"\xc0\xafx\xed\xa0\x80y", "{fffd}x{fffd}y|||", "4,0"},  // overlong, surrogate
        {"e\xcc\x81x", "ex|||", "2,0"},                          // a combining accent
        {"\033)0\016lqk\017lqk", "{250c}{2500}{2510}lqk|||", "6,0"},
        {"\033(0x\033(Bx", "{2502}x|||", "2,0"},
        {"a\033]0;title\007b\033]2;t\033\\c", "abc|||", "3,0"},
        {"a\033]Rb\033]P0123456c", "abc|||", "3,0"},
        {"a\033[[Ab\033[?1;2cc\033[>0cd\033[!pe\033#8f\033%Gg", "abcdefg|||", "7,0"},
        {"a\033[1\030b\033[\033[2Dc", "cb|||", "1,0"},  // sequences broken off
        {"\033[1\n;3Hx", "  x|||", "3,0"},              // a control character inside a sequence
    };
    for (const auto& row : rows) {
        INFO(row.text);
        Screen screen(8, 4);
        screen << row.written;
        CHECK(screen.text() == row.text);
        CHECK(screen.cursor() == row.cursor);
    }
}

TEST_CASE("colours", "[vt]") {
    struct {
        const char* written;
        u8 foreground, background;
    } const rows[] = {
        {"x", 7, 0},
        {"\033[31mx", 1, 0},
        {"\033[31;42mx", 1, 2},
        {"\033[1;31mx", 9, 0},
        {"\033[7mx", 0, 7},
        {"\033[31;7mx", 0, 1},
        {"\033[31;7;27mx", 1, 0},
        {"\033[4mx", 6, 0},
        {"\033[2mx", 8, 0},
        {"\033[5mx", 7, 8},
        {"\033[94;101mx", 12, 9},
        {"\033[31m\033[mx", 7, 0},
        {"\033[1;22mx", 7, 0},
        {"\033[38;5;9mx", 9, 0},
        {"\033[48;5;196;32mx", 2, 9},
        {"\033[38;5;244mx", 7, 0},
        {"\033[34;39mx", 7, 0},
        {"\033[38;2;0;170;0mx", 2, 0},
        {"\033[38;2;255;255;85;1mx", 11, 0},
    };
    for (const auto& row : rows) {
        INFO(row.written + 1);
        Screen screen(8, 1);
        screen << row.written;
        CHECK(u32{screen.vt.cell(0, 0).foreground()} == row.foreground);
        CHECK(u32{screen.vt.cell(0, 0).background()} == row.background);
    }
    Screen screen(4, 2);
    screen << "\033[44m\033[K";
    CHECK(u32{screen.vt.cell(3, 0).background()} == 4);  // erased with the background
    CHECK(u32{screen.vt.cell(3, 1).background()} == 0);
}

TEST_CASE("questions and modes", "[vt]") {
    Screen screen(8, 4);
    screen << "\033[3;5H\033[6n";
    CHECK(screen.vt.reply() == "\033[3;5R");
    screen.vt.clear_reply();
    screen << "\033[5n\033[c";
    CHECK(screen.vt.reply() == "\033[0n\033[?6c");
    for (int i = 0; i < 100; ++i) screen << "\033[6n";
    CHECK(screen.vt.reply().size() <= 32);

    CHECK(screen.vt.cursor_visible());
    screen << "\033[?25l\033[?1h";
    CHECK_FALSE(screen.vt.cursor_visible());
    CHECK(screen.vt.application_cursor_keys());
    screen << "\033c";
    CHECK(screen.vt.cursor_visible());
    CHECK_FALSE(screen.vt.application_cursor_keys());
}

TEST_CASE("plain text comes out whatever was set or begun, and changes none of it", "[vt]") {
    for (const char* begun : {"\033]", "\033[3", "\033P", "\033(", "\xe2\x82"}) {
        Screen screen(8, 4);
        screen << begun;
        screen.vt.write_plain("log\n");
        CHECK(screen.text() == "log|||");
        CHECK(screen.cursor() == "0,1");
    }
    Screen screen(8, 4);
    screen << "ab\b\033[4h\033[?7l\033[7;31m\033(0\033[1";  // ... and in the middle of a sequence
    screen.vt.write_plain("q\033\t\xff~\n123456789");
    CHECK(screen.text() == "aq???~|12345678|9|");
    CHECK(screen.vt.cell(1, 0) == Cell::of('q', 7, 0));
    screen << ";1H" << "qqqqqqqqqx";  // row 1, column 1; line drawing, inserted, no wrapping
    CHECK(screen.text() == "{2500}{2500}{2500}{2500}{2500}{2500}{2500}{2502}|12345678|9|");
    CHECK(screen.vt.cell(0, 0).background() == 1);
}

TEST_CASE("no input leaves the screen's memory", "[vt]") {
    // AddressSanitizer sees to it: the cells are exactly as many as the screen has.
    std::mt19937 random(7);
    const std::string pieces[] = {"\033[", "\033", ";",     "?",         "1",     "9999",  "\n",     "\r",  "\t", "\b",
                                  "x",     "\xc3", "\xa4",  "\033[2;3r", "A",     "B",     "C",      "D",   "E",  "F",
                                  "G",     "H",    "J",     "K",         "L",     "M",     "P",      "S",   "T",  "X",
                                  "@",     "d",    "e",     "f",         "g",     "h",     "l",      "m",   "n",  "r",
                                  "s",     "u",    "\0337", "\0338",     "\033M", "\033c", "\033)0", "\016"};
    for (const auto& [columns, rows] : {std::pair<u32, u32>{1, 1}, {3, 2}, {80, 25}, {256, 256}}) {
        Screen screen(columns, rows);
        for (int i = 0; i < 20000; ++i) screen << pieces[random() % std::size(pieces)];
        CHECK(screen.vt.cursor_column() < columns);
        CHECK(screen.vt.cursor_row() < rows);
    }
}
