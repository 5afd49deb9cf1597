// SPDX-License-Identifier: MIT
// The framebuffer's font: 8 by 16 pixels. The data is made at build time by tools/font_to_cpp.py from the font that
// GRUB's package brings along.
#pragma once
#include <span>

#include "kernel/lib/types.hpp"

namespace hd::drivers {

inline constexpr u32 kGlyphWidth = 8, kGlyphHeight = 16;

struct Glyph {
    u16 character;          // Unicode
    u8 rows[kGlyphHeight];  // from the top; bit 7 is the leftmost pixel
};

// In ascending order of `character`.
extern const std::span<const Glyph> g_font;

}  // namespace hd::drivers
