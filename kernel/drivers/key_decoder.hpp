// SPDX-License-Identifier: MIT
// From a PC keyboard's scan codes (set 1, as the keyboard controller translates them) to the characters that a terminal
// gets: US layout, function and cursor keys as TERM=linux has them. Pure.
#pragma once
#include <string_view>

#include "kernel/lib/types.hpp"

namespace hd::drivers {

class KeyDecoder {
public:
    // What the code means: characters that stay valid until the next call, or nothing (a release, a modifier, the
    // beginning of a longer code). `application_cursor_keys`: see tty::Vt.
    std::string_view decode(u8 code, bool application_cursor_keys);

private:
    std::string_view named_key(u8 key, bool application_cursor_keys);
    std::string_view keypad(u8 key, bool application_cursor_keys);
    std::string_view character(u8 key);
    std::string_view text(std::string_view characters);
    void modifier(u8 key, bool pressed);

    bool extended_ = false;  // after 0xe0
    u8 skip_ = 0;            // codes of the Pause key still to come
    // Left and right keys are kept apart, so that releasing one of two does not end it.
    u8 shift_ = 0, control_ = 0, alt_ = 0;
    bool caps_lock_ = false, num_lock_ = false;
    char text_[8] = {};
};

}  // namespace hd::drivers
