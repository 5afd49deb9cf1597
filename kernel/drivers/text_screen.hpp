// SPDX-License-Identifier: MIT
// A screen that shows characters: VGA's text mode, or a framebuffer with a font.
#pragma once
#include <span>

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

}  // namespace hd::drivers
