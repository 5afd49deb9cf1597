// SPDX-License-Identifier: MIT
#include "kernel/drivers/virtual_console.hpp"

#include <algorithm>

#include "kernel/tty/line.hpp"

namespace hd::drivers {

using tty::Cell;

VirtualConsole::VirtualConsole(TextScreen& screen, Cell* cells, Cell* shown)
    : screen_(screen), vt_(screen.columns(), screen.rows(), cells), shown_(shown) {
    std::fill_n(shown_, usize{vt_.columns()} * vt_.rows(), Cell{});  // no cell is like this: everything will be drawn
}

usize VirtualConsole::room() { return stopped_.load(std::memory_order_relaxed) ? 0 : 4096; }

void VirtualConsole::write(std::span<const u8> bytes) {
    u8 reply[32];
    usize reply_size = 0;
    while (!bytes.empty()) {
        const std::span<const u8> piece = bytes.first(std::min<usize>(bytes.size(), 64));
        bytes = bytes.subspan(piece.size());
        core::LockGuard guard(lock_);
        vt_.write(piece);
        application_cursor_keys_.store(vt_.application_cursor_keys(), std::memory_order_relaxed);
        for (const char c : vt_.reply())
            if (reply_size < std::size(reply)) reply[reply_size++] = static_cast<u8>(c);
        vt_.clear_reply();
    }
    if (reply_size > 0) line->receive({reply, reply_size});
}

void VirtualConsole::write_log(std::string_view text) NO_THREAD_SAFETY_ANALYSIS {
    const bool alone = core::panicking();  // the others have been stopped, perhaps with the lock held
    const arch::IrqState state = alone ? arch::irq_save() : lock_.lock();
    vt_.write_plain(text);
    if (alone) {
        for (u32 row = 0; row < vt_.rows(); ++row) {
            Cell run[kRun];
            for (u32 column = 0, count; (count = static_cast<u32>(take_run(row, column, run))) > 0; column += count)
                screen_.draw(column, row, {run, count});
        }
        arch::irq_restore(state);
        return;
    }
    lock_.unlock(state);
    log_waits_.store(true);
    draw_for_log();
}

// ---- drawing

Cell VirtualConsole::visible(u32 column, u32 row) const {
    const Cell cell = vt_.cell(column, row);
    const bool cursor = vt_.cursor_visible() && column == vt_.cursor_column() && row == vt_.cursor_row();
    return cursor ? cell.inverted() : cell;
}

// The next run of cells at or behind `column` that are to be drawn, and where it begins. 0: none.
usize VirtualConsole::take_run(u32 row, u32& column, Cell (&run)[kRun]) {
    Cell* const shown = shown_ + usize{row} * vt_.columns();
    while (column < vt_.columns() && shown[column] == visible(column, row)) ++column;
    usize count = 0;
    for (u32 i = column; i < vt_.columns() && count < kRun && shown[i] != visible(i, row); ++i)
        run[count++] = shown[i] = visible(i, row);
    return count;
}

void VirtualConsole::draw() {
    for (u32 row = 0; row < screen_.rows(); ++row) {
        for (u32 column = 0;;) {
            Cell run[kRun];
            usize count;
            {
                core::LockGuard guard(lock_);
                count = take_run(row, column, run);
            }
            if (count == 0) break;
            screen_.draw(column, row, {run, count});
            column += static_cast<u32>(count);
        }
    }
}

// One pass shows all that was written before the call. A program that floods the screen waits here for its own passes
// and keeps nobody else in one.
void VirtualConsole::flush() {
    sync::MutexGuard guard(flushing_);
    // The log is at it: one pass, and one for each line that comes. It can wake nobody, as it may be anywhere in the kernel; and
    // a yield would not let a thread of lower priority end its pass. Who has a signal to see to leaves word instead.
    sync::WaitQueue nobody;
    while (drawing_.exchange(true)) {
        const auto pause = nobody.wait_interruptible("console", [] { return false; }, time::now() + milliseconds(1));
        if (pause != sync::WaitResult::Interrupted) continue;
        log_waits_.store(true);
        return draw_for_log();
    }
    draw();
    drawing_.store(false);
    draw_for_log();
}

// Whoever is drawing looks at log_waits_ after it has let go of drawing_, and the log looks at drawing_ after it has
// set log_waits_: both sequentially consistent, so one of the two sees the other and no line stays undrawn.
void VirtualConsole::draw_for_log() {
    while (log_waits_.load() && !drawing_.exchange(true)) {
        log_waits_.store(false);
        draw();
        drawing_.store(false);
    }
}

}  // namespace hd::drivers
