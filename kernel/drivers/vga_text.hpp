// SPDX-License-Identifier: MIT
// VGA's text mode.
#pragma once
#include "kernel/drivers/text_screen.hpp"

namespace hd::drivers {

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
