// SPDX-License-Identifier: MIT
// A linear framebuffer: cells become pixels.
#include "kernel/drivers/screen.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/core/log.hpp"
#include "kernel/drivers/font.hpp"
#include "kernel/mm/slab/vmap.hpp"

namespace hd::drivers {

namespace {

// The colours of VGA's text mode, in ANSI's order.
constexpr u8 kColours[16][3] = {{0, 0, 0},     {170, 0, 0},    {0, 170, 0},    {170, 85, 0},
                                {0, 0, 170},   {170, 0, 170},  {0, 170, 170},  {170, 170, 170},
                                {85, 85, 85},  {255, 85, 85},  {85, 255, 85},  {255, 255, 85},
                                {85, 85, 255}, {255, 85, 255}, {85, 255, 255}, {255, 255, 255}};

constexpr u32 kMaxCells = 65536 / sizeof(tty::Cell);  // as many as kmalloc gives; a larger screen is used in part

const Glyph& glyph_of(char32_t character) {
    const auto find = [](char32_t wanted) {
        return std::ranges::lower_bound(g_font, wanted, {},
                                        [](const Glyph& glyph) { return char32_t{glyph.character}; });
    };
    const auto found = find(character);
    if (found != g_font.end() && found->character == character) return *found;
    return *find('?');
}

}  // namespace

bool FramebufferText::find(const arch::Framebuffer& framebuffer) {
    if (framebuffer.bits_per_pixel == 0) return false;
    if (framebuffer.bits_per_pixel != 24 && framebuffer.bits_per_pixel != 32) {
        log::warn("framebuffer: {} bits a pixel are not supported, no text console", framebuffer.bits_per_pixel);
        return false;
    }
    // The loader's numbers are data from outside.
    const u32 last_shift = std::max({framebuffer.red_shift, framebuffer.green_shift, framebuffer.blue_shift});
    if (u64{framebuffer.width} * framebuffer.bits_per_pixel / 8 > framebuffer.pitch || last_shift >= 32) {
        log::warn("framebuffer: rows or colours do not fit, no text console");
        return false;
    }
    const auto mapped = mm::map_device(framebuffer.base, usize{framebuffer.pitch} * framebuffer.height);
    if (!mapped) return false;
    memory_ = reinterpret_cast<u8*>(mapped->raw);
    pitch_ = framebuffer.pitch;
    bytes_per_pixel_ = framebuffer.bits_per_pixel / 8;
    columns_ = std::min(framebuffer.width / kGlyphWidth, tty::Vt::kMaxColumns);
    if (columns_ == 0) return false;
    rows_ = std::min({framebuffer.height / kGlyphHeight, tty::Vt::kMaxRows, kMaxCells / columns_});
    for (u32 i = 0; i < 16; ++i)
        palette_[i] = u32{kColours[i][0]} << framebuffer.red_shift | u32{kColours[i][1]} << framebuffer.green_shift |
                      u32{kColours[i][2]} << framebuffer.blue_shift;
    for (u32 y = 0; y < framebuffer.height; ++y)
        std::memset(memory_ + usize{y} * pitch_, 0, usize{framebuffer.width} * bytes_per_pixel_);
    return rows_ != 0;
}

void FramebufferText::draw_cell(u8* to, tty::Cell cell) const {
    const Glyph& glyph = glyph_of(cell.character());
    const u32 colours[2] = {palette_[cell.background()], palette_[cell.foreground()]};
    for (const u8 bits : glyph.rows) {
        u8* pixel = to;
        for (u32 x = 0; x < kGlyphWidth; ++x, pixel += bytes_per_pixel_) {
            const u32 colour = colours[bits >> (7 - x) & 1];
            // Sizes that the compiler knows: a store each, not a call.
            if (bytes_per_pixel_ == 4)
                std::memcpy(pixel, &colour, 4);
            else
                std::memcpy(pixel, &colour, 3);
        }
        to += pitch_;
    }
}

void FramebufferText::draw(u32 column, u32 row, std::span<const tty::Cell> cells) {
    const usize step = usize{kGlyphWidth} * bytes_per_pixel_;
    u8* to = memory_ + usize{row} * kGlyphHeight * pitch_ + column * step;
    for (const tty::Cell cell : cells) {
        draw_cell(to, cell);
        to += step;
    }
}

}  // namespace hd::drivers
