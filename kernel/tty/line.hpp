// SPDX-License-Identifier: MIT
// Line: a device, a line discipline, and between them the threads: blocking reads and writes, the queue from the
// interrupt handler, hang-ups. Who may use it when (sessions, foreground groups) is Terminal's business.
//
//     interrupt ──receive()──► input queue ──worker thread──► line discipline ──read()──► program
//     program ──write()──► line discipline ──► device's queue ──interrupt──► wire
//
// The worker, one thread for all lines, exists so that echo and ^C do not depend on a reader, and so that nothing of
// the line discipline runs with interrupts off. It never waits for the device: echo without room stays in the line
// discipline.
//
// Locking: lock_ (sleeping, rank Terminal) for the line discipline and all settings, held for short sections only,
// never while user memory is copied or output is waited for; input_lock_ (IrqSpinlock) for the input queue. The device
// has its own lock, inside of both.
#pragma once
#include "kernel/fs/vfs/io_buffer.hpp"
#include "kernel/sync/mutex.hpp"
#include "kernel/tty/device.hpp"
#include "kernel/tty/line_discipline.hpp"

namespace hd::tty {

// By what right somebody uses the line.
struct Access {
    bool nonblocking = false;
    bool is_console = false;  // /dev/console: no hang-up and no job control reaches it
    u32 hangups = 0;          // the line's count when it was opened
};

class Line : private Foreground {
public:
    explicit Line(TerminalDevice& device) : device_(device), discipline_(device, *this) { device.line = this; }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    // ---- for the device. Any context but NMI; the device's lock must not be held.
    usize input_room();
    // As many as input_room() said fit; the rest is lost. Asked for room in vain, the device gets resume_input() later.
    void receive(std::span<const u8> input);
    void output_drained();  // much or all of the output was sent

    // ---- for programs. Task context.
    // EAGAIN; kERESTARTSYS: a signal came before anything was moved; EIO after a hang-up (reads then give 0); EFAULT.
    Result<u64> read(fs::IoBuffer& buffer, const Access& access);
    Result<u64> write(fs::IoBuffer& buffer, const Access& access);
    bool may_read(const Access& access);  // as poll(2) means it
    bool may_write(const Access& access);
    sync::WaitQueue& readers() { return readers_; }
    sync::WaitQueue& writers() { return writers_; }

    abi::Termios termios();
    void set_termios(const abi::Termios& next);
    usize available();  // FIONREAD
    void discard(bool input, bool output);
    Result<> drain(const Access& access);  // waits until all is sent. kERESTARTSYS

    u32 hangups() const { return hangups_.load(std::memory_order_relaxed); }  // a count to compare with later
    bool hung_up(const Access& access) const { return !access.is_console && access.hangups != hangups(); }
    // Whoever has it open now finds it dead; unread input is gone, settings are the initial ones again.
    void hang_up();

    // The worker's part. In tests: by whoever plays the worker.
    bool has_work() const { return work_.load(); }
    void work();

protected:
    ~Line() = default;

    TerminalDevice& device_;
    sync::Mutex lock_{core::Rank::Terminal};
    LineDiscipline discipline_ GUARDED_BY(lock_);  // calls signal_foreground() with it held

private:
    static constexpr usize kInputCapacity = 512;

    Result<> take_turn(bool& busy, const Access& access) REQUIRES(lock_);
    void end_turn(bool& busy) REQUIRES(lock_);
    Result<u64> read_in_turn(fs::IoBuffer& buffer, const Access& access) REQUIRES(lock_);
    Result<u64> write_in_turn(fs::IoBuffer& buffer, const Access& access) REQUIRES(lock_);
    Result<usize> write_piece(std::span<const u8> piece, const Access& access) REQUIRES(lock_);
    usize peek_input(std::span<u8> to);
    void drop_input(usize count);
    void call_worker();

    bool reading_ GUARDED_BY(lock_) = false;  // one read(2) and one write(2) at a time, so that lines stay whole
    bool writing_ GUARDED_BY(lock_) = false;
    std::atomic<u32> hangups_{0};  // changed under lock_

    core::IrqSpinlock input_lock_{core::Rank::TerminalInput};
    u8 input_[kInputCapacity] GUARDED_BY(input_lock_);
    usize input_head_ GUARDED_BY(input_lock_) = 0, input_tail_ GUARDED_BY(input_lock_) = 0;  // run freely
    bool input_refused_ GUARDED_BY(input_lock_) = false;

    std::atomic<bool> work_{false};  // set by anybody, then the worker is woken; cleared by the worker before it looks
    sync::WaitQueue readers_, writers_, turns_;
};

// Where the worker sleeps; woken after a line has got work.
extern sync::WaitQueue g_worker;

}  // namespace hd::tty
