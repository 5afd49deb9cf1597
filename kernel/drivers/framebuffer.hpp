// SPDX-License-Identifier: MIT
// A linear framebuffer as a text screen: the boot loader's, with 24 or 32 bits a pixel.
#pragma once
#include "arch/boot.hpp"
#include "kernel/drivers/text_screen.hpp"

namespace hd::drivers {

class FramebufferText final : public TextScreen {
public:
    // False: none, or of a kind that is not supported (the log says so). Boot.
    bool find(const arch::Framebuffer& framebuffer);

    u32 columns() const override { return columns_; }
    u32 rows() const override { return rows_; }
    void draw(u32 column, u32 row, std::span<const tty::Cell> cells) override;

private:
    void draw_cell(u8* to, tty::Cell cell) const;

    u8* memory_ = nullptr;
    u32 pitch_ = 0, bytes_per_pixel_ = 0;
    u32 columns_ = 0, rows_ = 0;
    u32 palette_[16] = {};  // pixels of the 16 colours
};

}  // namespace hd::drivers
