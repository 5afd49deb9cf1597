#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes C++ source of a GRUB font (PF2): the glyphs that the kernel's text console can show.

Usage: font_to_cpp.py FONT.pf2 >font.cpp

PF2 (grub-core/font/font.c): sections of a 4-byte name, a big-endian 32-bit length and data. CHIX is the index: code
point, flags, offset of the glyph in the file. A glyph: width, height, x and y offset of the lower left corner from the
origin, advance (16 bits each), then its bits, row by row without padding.
"""

import struct
import sys

WIDTH, HEIGHT = 8, 16

# What a text console shows: Latin, Greek, Cyrillic, punctuation, arrows, mathematics, line drawing, geometric shapes.
RANGES = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x370, 0x3FF), (0x400, 0x45F), (0x2010, 0x2027), (0x2030, 0x203A), (0x20AC, 0x20AC),
    (0x2122, 0x2122), (0x2190, 0x2195), (0x21D0, 0x21D4), (0x2200, 0x222B), (0x2248, 0x2248), (0x2260, 0x2265),
    (0x23BA, 0x23BD), (0x2409, 0x240D), (0x2424, 0x2424), (0x2500, 0x25FF), (0x2713, 0x2718), (0xFFFD, 0xFFFD),
]


def sections(data):
    """The font's sections by name; DATA stands last and has no length."""
    found, position = {}, 0
    while position + 8 <= len(data):
        name, length = struct.unpack_from(">4sI", data, position)
        if name == b"DATA":
            break
        found[name] = data[position + 8:position + 8 + length]
        position += 8 + length
    return found


def glyph_rows(data, offset, ascent):
    """The glyph's rows as bytes, or None if it is wider than a cell."""
    width, height, x, y, advance = struct.unpack_from(">HHhhh", data, offset)
    if advance > WIDTH or x < 0 or x + width > WIDTH:
        return None
    rows = [0] * HEIGHT
    for row in range(height):
        line = ascent - y - height + row
        if not 0 <= line < HEIGHT:
            return None
        for column in range(width):
            bit = row * width + column
            if data[offset + 10 + bit // 8] >> (7 - bit % 8) & 1:
                rows[line] |= 0x80 >> (x + column)
    return rows


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    parts = sections(data)
    if parts.get(b"FILE") != b"PFF2":
        sys.exit(f"{sys.argv[1]}: not a PF2 font")
    ascent = struct.unpack(">H", parts[b"ASCE"])[0]
    offsets = {}
    for position in range(0, len(parts[b"CHIX"]) - 8, 9):
        code, _, offset = struct.unpack_from(">IBI", parts[b"CHIX"], position)
        offsets[code] = offset

    print('// Made by tools/font_to_cpp.py.\n#include "kernel/drivers/font.hpp"\n')
    print("namespace hd::drivers {\n\nnamespace {\n\nconstexpr Glyph kGlyphs[] = {")
    count = 0
    for first, last in RANGES:
        for code in range(first, last + 1):
            rows = glyph_rows(data, offsets[code], ascent) if code in offsets else None
            if rows is not None:
                print(f"    {{{code:#06x}, {{{', '.join(f'{row:#04x}' for row in rows)}}}}},")
                count += 1
    if count < 95:
        sys.exit(f"{sys.argv[1]}: only {count} of the needed glyphs are {WIDTH} by {HEIGHT} pixels")
    print("};\n\n}  // namespace\n\nconstinit const std::span<const Glyph> g_font{kGlyphs};\n")
    print("}  // namespace hd::drivers")


if __name__ == "__main__":
    main()
