// SPDX-License-Identifier: MIT
// VGA's text mode as the firmware leaves it: 80 by 25 cells of two bytes at 0xb8000, a character of code page 437 and
// its colours. Source: the VGA's programming documentation (FreeVGA, "Text mode").
#include "kernel/drivers/screen.hpp"

#include <algorithm>

#include "arch/port_io.hpp"
#include "kernel/mm/slab/vmap.hpp"

namespace hd::drivers {

namespace {

// Code page 437 from 0x80 on.
constexpr char16_t kUpperHalf[] =
    u"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
    u"αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";
static_assert(std::size(kUpperHalf) == 128 + 1);
constexpr struct {
    char16_t character;
    u8 code;
} kLowerHalf[] = {{u'◆', 0x04}, {u'•', 0x07}, {u'►', 0x10}, {u'◄', 0x11}, {u'↑', 0x18},
                  {u'↓', 0x19}, {u'→', 0x1a}, {u'←', 0x1b}, {u'▲', 0x1e}, {u'▼', 0x1f}};

u8 code_of(char32_t character) {
    if (character < 0x7f) return static_cast<u8>(character);
    const auto* upper = std::ranges::find(kUpperHalf, character);
    if (upper != std::end(kUpperHalf) - 1) return static_cast<u8>(0x80 + (upper - kUpperHalf));
    for (const auto& [lower, code] : kLowerHalf)
        if (lower == character) return code;
    return '?';
}

// ANSI counts red 1, green 2, blue 4; VGA counts blue 1, green 2, red 4.
constexpr u8 attribute_of(u8 colour) {
    return static_cast<u8>((colour & 0b1010) | (colour & 1) << 2 | (colour & 4) >> 2);
}

}  // namespace

bool VgaText::find() {
    const Result<VirtAddr> mapped = mm::map_device(PhysAddr{0xb8000}, usize{kColumns} * kRows * sizeof(u16));
    if (!mapped) return false;
    cells_ = reinterpret_cast<volatile u16*>(mapped->raw);
    // Without a VGA nobody keeps what is written there.
    cells_[0] = 0x0741;
    cells_[1] = 0x0742;
    if (cells_[0] != 0x0741 || cells_[1] != 0x0742) return false;
    // The terminal draws its own cursor: switch the card's off (CRT controller, register 0xa, bit 5).
    arch::out8(0x3d4, 0x0a);
    arch::out8(0x3d5, 0x20);
    return true;
}

void VgaText::draw(u32 column, u32 row, std::span<const tty::Cell> cells) {
    volatile u16* to = cells_ + usize{row} * kColumns + column;
    for (const tty::Cell cell : cells) {
        const u32 attribute = attribute_of(cell.foreground()) | attribute_of(cell.background() & 7) << 4;
        *to = static_cast<u16>(code_of(cell.character()) | attribute << 8);
        ++to;
    }
}

}  // namespace hd::drivers
