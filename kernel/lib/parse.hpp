// SPDX-License-Identifier: MIT
// Numbers out of text. Pure; any context.
#pragma once
#include <optional>
#include <string_view>

#include "kernel/lib/types.hpp"

namespace hd {

// The digits at the beginning of `text`, which are taken off it. Empty: there are none, or the number does not fit 64 bits.
inline std::optional<u64> take_number(std::string_view& text, u32 base = 10) {
    u64 value = 0;
    usize length = 0;
    for (; length < text.size(); ++length) {
        const char c = text[length];
        const u32 digit = c >= '0' && c <= '9'   ? static_cast<u32>(c - '0')
                          : c >= 'a' && c <= 'f' ? static_cast<u32>(c - 'a' + 10)
                          : c >= 'A' && c <= 'F' ? static_cast<u32>(c - 'A' + 10)
                                                 : base;
        if (digit >= base) break;
        if (__builtin_mul_overflow(value, u64{base}, &value) || __builtin_add_overflow(value, u64{digit}, &value))
            return std::nullopt;
    }
    text.remove_prefix(length);
    if (length == 0) return std::nullopt;
    return value;
}

}  // namespace hd
