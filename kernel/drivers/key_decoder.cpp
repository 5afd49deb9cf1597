// SPDX-License-Identifier: MIT
#include "kernel/drivers/key_decoder.hpp"

#include <algorithm>

namespace hd::drivers {

namespace {

// By scan code; 0: a key without a character.
constexpr char kPlain[] = "\0\0331234567890-=\177\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
constexpr char kShifted[] = "\0\033!@#$%^&*()_+\177\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
static_assert(sizeof kPlain == 0x3a + 1 && sizeof kShifted == sizeof kPlain);

constexpr u8 kEscapeExtended = 0xe0, kEscapePause = 0xe1, kReleased = 0x80;
constexpr u8 kTab = 0x0f, kControl = 0x1d, kSlash = 0x35, kEnter = 0x1c, kLeftShift = 0x2a, kRightShift = 0x36,
             kAlt = 0x38, kCapsLock = 0x3a, kF1 = 0x3b, kF10 = 0x44, kNumLock = 0x45, kKeypadFirst = 0x47,
             kKeypadLast = 0x53, kF11 = 0x57, kF12 = 0x58;
constexpr u8 kLeft = 1, kRight = 2;  // bits of shift_, control_, alt_

constexpr std::string_view kFunctionKeys[] = {"\033[[A",  "\033[[B",  "\033[[C",  "\033[[D",  "\033[[E",  "\033[17~",
                                              "\033[18~", "\033[19~", "\033[20~", "\033[21~", "\033[23~", "\033[24~"};

// The block from 7 (Home) to . (Delete), as digits and as keys.
constexpr char kKeypadDigits[] = "789-456+1230.";
constexpr std::string_view kKeypadKeys[] = {"\033[1~", "\033[A",  "\033[5~", "-",       "\033[D",  "\033[G", "\033[C",
                                            "+",       "\033[4~", "\033[B",  "\033[6~", "\033[2~", "\033[3~"};

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What Ctrl makes of a character, 0 included.
constexpr char with_control(char c) {
    if (c == ' ' || c == '2') return 0;
    if (c == '/') return 0x1f;
    if (c == '?' || c == '8') return 0x7f;
    if (c == 0x7f) return '\b';
    if (c >= '3' && c <= '7') return static_cast<char>(c - '3' + 0x1b);  // as a VT220's
    return c >= 0x40 && c < 0x7f ? static_cast<char>(c & 0x1f) : c;
}

}  // namespace

std::string_view KeyDecoder::decode(u8 code, bool application_cursor_keys) {
    if (skip_ > 0) {
        --skip_;
        return {};
    }
    if (code == kEscapeExtended) {
        extended_ = true;
        return {};
    }
    if (code == kEscapePause) {
        skip_ = 2;
        return {};
    }
    const u8 key = code & static_cast<u8>(~kReleased);
    const bool pressed = (code & kReleased) == 0;
    std::string_view result;
    modifier(key, pressed);
    if (pressed) result = named_key(key, application_cursor_keys);
    extended_ = false;
    return result;
}

void KeyDecoder::modifier(u8 key, bool pressed) {
    const auto set = [&](u8& keys, u8 bit) { keys = static_cast<u8>(pressed ? keys | bit : keys & ~bit); };
    if (key == kControl) set(control_, extended_ ? kRight : kLeft);
    if (key == kAlt) set(alt_, extended_ ? kRight : kLeft);
    if (extended_) return;  // 0xe0 0x2a is no shift: the keyboard sends it around the cursor keys
    if (key == kLeftShift) set(shift_, kLeft);
    if (key == kRightShift) set(shift_, kRight);
    if (key == kCapsLock && pressed) caps_lock_ = !caps_lock_;
    if (key == kNumLock && pressed) num_lock_ = !num_lock_;
}

std::string_view KeyDecoder::named_key(u8 key, bool application_cursor_keys) {
    if (key >= kKeypadFirst && key <= kKeypadLast) return keypad(key, application_cursor_keys);
    if (extended_) return key == kEnter ? text("\r") : key == kSlash ? text("/") : std::string_view{};
    if (key >= kF1 && key <= kF10) return text(kFunctionKeys[key - kF1]);
    if (key == kF11 || key == kF12) return text(kFunctionKeys[10 + key - kF11]);
    if (key == kTab && shift_ != 0) return "\033\t";
    return character(key);
}

std::string_view KeyDecoder::keypad(u8 key, bool application_cursor_keys) {
    const u32 index = key - kKeypadFirst;
    if (!extended_ && num_lock_ != (shift_ != 0)) return text({kKeypadDigits + index, 1});
    const std::string_view sequence = kKeypadKeys[index];
    const bool arrow = sequence.size() == 3 && sequence[2] >= 'A' && sequence[2] <= 'D';
    if (!arrow || !application_cursor_keys) return text(sequence);
    const char in_application_mode[3] = {'\033', 'O', sequence[2]};
    return text({in_application_mode, 3});
}

std::string_view KeyDecoder::character(u8 key) {
    if (key >= sizeof kPlain - 1 || kPlain[key] == 0) return {};
    const bool shifted = (shift_ != 0) != (caps_lock_ && is_letter(kPlain[key]));
    char c = (shifted ? kShifted : kPlain)[key];
    if (control_ != 0) c = with_control(c);
    return text({&c, 1});
}

// Alt puts an ESC in front.
std::string_view KeyDecoder::text(std::string_view characters) {
    const usize escape = alt_ != 0 ? 1 : 0;
    text_[0] = '\033';
    std::ranges::copy(characters, text_ + escape);
    return {text_, characters.size() + escape};
}

}  // namespace hd::drivers
