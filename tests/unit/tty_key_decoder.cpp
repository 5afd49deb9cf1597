// SPDX-License-Identifier: MIT
// Scan codes to characters.
#include <catch2/catch.hpp>
#include <string>

#include "kernel/drivers/key_decoder.hpp"

using namespace hd;
using namespace hd::drivers;

namespace {

std::string decode(KeyDecoder& decoder, std::initializer_list<u8> codes, bool application = false) {
    std::string text;
    for (const u8 code : codes) text += decoder.decode(code, application);
    return text;
}

std::string decode(std::initializer_list<u8> codes, bool application = false) {
    KeyDecoder decoder;
    return decode(decoder, codes, application);
}

constexpr u8 kA = 0x1e, kOne = 0x02, kShift = 0x2a, kRightShift = 0x36, kControl = 0x1d, kAlt = 0x38, kCaps = 0x3a,
             kUp = 0x80;

}  // namespace

TEST_CASE("letters and modifiers", "[keyboard]") {
    CHECK(decode({kA, kA | kUp}) == "a");
    CHECK(decode({kShift, kA, kOne, kShift | kUp, kA}) == "A!a");
    CHECK(decode({kShift, kRightShift, kShift | kUp, kA, kRightShift | kUp, kA}) == "Aa");
    CHECK(decode({kCaps, kCaps | kUp, kA, kOne, kShift, kA, kShift | kUp, kCaps, kA}) == "A1aa");
    CHECK(decode({kControl, 0x2e, kControl | kUp, 0x2e}) == "\003c");
    CHECK(decode({0xe0, kControl, kA, 0xe0, kControl | kUp, kA}) == "\001a");
    CHECK(decode({kControl, 0x39}) == std::string(1, '\0'));
    CHECK(decode({kControl, 0x2b}) == "\034");
    CHECK(decode({kAlt, kA}) == "\033a");
    CHECK(decode({0x1c, 0x0e, 0x0f, 0x01, 0x39}) == "\r\177\t\033 ");
    CHECK(decode({kShift, 0x0f}) == "\033\t");
}

TEST_CASE("function and cursor keys", "[keyboard]") {
    CHECK(decode({0x3b, 0x3f, 0x40, 0x44, 0x57, 0x58}) == "\033[[A\033[[E\033[17~\033[21~\033[23~\033[24~");
    CHECK(decode({0xe0, 0x48, 0xe0, 0xc8, 0xe0, 0x50}) == "\033[A\033[B");
    CHECK(decode({0xe0, 0x48, 0xe0, 0x47}, true) == "\033OA\033[1~");
    CHECK(decode({0xe0, 0x53, 0xe0, 0x49, 0xe0, 0x4f}) == "\033[3~\033[5~\033[4~");
    CHECK(decode({0xe0, 0x2a, 0xe0, 0x4b, kA}) == "\033[Da");  // the false shift around cursor keys
    CHECK(decode({0xe0, 0x1c, 0xe0, 0x35}) == "\r/");
}

TEST_CASE("the keypad follows Num Lock", "[keyboard]") {
    CHECK(decode({0x48}) == "\033[A");
    CHECK(decode({0x45, 0xc5, 0x48, 0x53}) == "8.");
    CHECK(decode({0x45, kShift, 0x48}) == "\033[A");
    CHECK(decode({0x4a, 0x4e, 0x37}) == "-+*");
}

TEST_CASE("codes without a character", "[keyboard]") {
    CHECK(decode({0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5, kA}) == "a");  // Pause
    CHECK(decode({0x46, 0x54, 0x59, 0x5b, 0x70, 0x7f, 0xfa, 0xff}) == "");
    KeyDecoder decoder;
    for (u32 code = 0; code < 0x10000; ++code)
        decode(decoder, {static_cast<u8>(code >> 8), static_cast<u8>(code)}, code % 3 == 0);
}
