// SPDX-License-Identifier: MIT
// A terminal device made of a text screen: what is written to it goes through the Vt interpreter, and the cells that
// have changed are drawn. The kernel log goes to the same screen.
//
// Locking: lock_ (IrqSpinlock, rank Console: the log writes here from any context) for the interpreter and for
// `shown_`. Drawing happens outside of it, row by row, by one at a time: whoever sets drawing_. Programs queue for it on
// flushing_ (sleeping, rank Terminal) and draw once each. The log can wait for nobody, since it may have interrupted
// the one who draws: it tries, and leaves word in log_waits_ for whoever is at it.
#pragma once
#include <atomic>

#include "kernel/core/spinlock.hpp"
#include "kernel/drivers/screen.hpp"
#include "kernel/sync/mutex.hpp"
#include "kernel/tty/device.hpp"

namespace hd::drivers {

class VirtualConsole final : public tty::TerminalDevice {
public:
    // `cells` and `shown` have screen.columns() * screen.rows() elements.
    VirtualConsole(TextScreen& screen, tty::Cell* cells, tty::Cell* shown);

    // tty::TerminalDevice. Output is never queued.
    usize room() override;
    void write(std::span<const u8> bytes) override;
    usize unsent() override { return 0; }
    void discard_output() override {}
    void set_stopped(bool stopped) override { stopped_.store(stopped, std::memory_order_relaxed); }
    void flush() override;

    // A line of the kernel log. Any context; once the kernel panics, without locks.
    void write_log(std::string_view text);
    abi::Winsize size() const { return {static_cast<u16>(screen_.rows()), static_cast<u16>(screen_.columns())}; }
    bool application_cursor_keys() const { return application_cursor_keys_.load(std::memory_order_relaxed); }

private:
    static constexpr usize kRun = 64;  // cells drawn at once

    void draw();
    void draw_for_log();
    usize take_run(u32 row, u32& column, tty::Cell (&run)[kRun]) REQUIRES(lock_);
    tty::Cell visible(u32 column, u32 row) const REQUIRES(lock_);

    TextScreen& screen_;
    core::IrqSpinlock lock_{core::Rank::Console};
    tty::Vt vt_ GUARDED_BY(lock_);
    tty::Cell* const shown_ PT_GUARDED_BY(lock_);  // what has been drawn, or is about to be
    sync::Mutex flushing_{core::Rank::Terminal};
    std::atomic<bool> drawing_{false}, log_waits_{false};  // sequentially consistent: see draw_for_log()
    // Flags of their own, by which nothing is ordered: relaxed.
    std::atomic<bool> stopped_{false};
    std::atomic<bool> application_cursor_keys_{false};
};

}  // namespace hd::drivers
