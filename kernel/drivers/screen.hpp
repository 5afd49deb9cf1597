// SPDX-License-Identifier: MIT
// Screens that show characters: a framebuffer with a font, or VGA's text mode.
#pragma once
#include "arch/boot.hpp"
#include "kernel/tty/vt.hpp"

namespace hd::drivers {

class TextScreen {
public:
    virtual u32 columns() const = 0;
    virtual u32 rows() const = 0;
    // Draws a run of cells; it fits on the row. Any context; one caller at a time.
    virtual void draw(u32 column, u32 row, std::span<const tty::Cell> cells) = 0;

protected:
    ~TextScreen() = default;
};

// A linear framebuffer: the boot loader's, with 24 or 32 bits a pixel.
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

// VGA's text mode, as the firmware leaves it.
class VgaText final : public TextScreen {
public:
    // False: there is none. Boot.
    bool find();

    u32 columns() const override { return kColumns; }
    u32 rows() const override { return kRows; }
    void draw(u32 column, u32 row, std::span<const tty::Cell> cells) override;

private:
    static constexpr u32 kColumns = 80, kRows = 25;
    volatile u16* cells_ = nullptr;
};

}  // namespace hd::drivers
