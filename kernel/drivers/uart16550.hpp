// SPDX-License-Identifier: MIT
// The PC's serial port: a 16550A with its 16-byte FIFOs (or an older one without), driven by interrupts in both
// directions. Source: National Semiconductor PC16550D data sheet.
//
// Output waits in two queues: lines of the kernel log, which go first, and the terminal's characters. The interrupt
// handler moves one FIFO's worth at a time; nobody polls, except when log lines come faster than the wire takes them.
// A damaged character is a character: nothing here marks parity errors or breaks, so their interrupt stays off.
// Input that finds no room upstairs stays in the FIFO: the receive interrupt is switched off until there is some, and
// an emulator then stops sending. So nothing typed or pasted is lost.
//
// Locking: lock_ (IrqSpinlock, rank Console: the log writes here from any context) for the queues and the registers.
#pragma once
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/tty/device.hpp"

namespace hd::drivers {

class Uart16550 final : public tty::TerminalDevice {
public:
    constexpr explicit Uart16550(u16 port) : port_(port) {}

    // Is there one? Sets it up, but for speed and frame, which the early console and then configure() have set; no
    // interrupts yet. Boot.
    bool find();
    // Registers for the interrupt and lets it come; the line must be set. EBUSY, EINVAL: it is not to be had.
    Result<> start(u32 irq);
    void let_interrupts_come();

    // tty::TerminalDevice
    usize room() override;
    void write(std::span<const u8> bytes) override;
    usize unsent() override;
    bool idle() override;
    void discard_output() override;
    void set_stopped(bool stopped) override;
    void send_ahead(u8 character) override;
    void configure(const abi::Termios& termios) override;
    void resume_input() override;

    // A line of the kernel log. Any context; once the kernel panics, polled and without locks.
    void write_log(std::string_view text);

    void on_interrupt();

private:
    // Bytes on their way out.
    class Queue {
    public:
        static constexpr usize kCapacity = 4096;
        usize size() const { return head_ - tail_; }
        usize room() const { return kCapacity - size(); }
        void push(u8 byte) { bytes_[head_++ % kCapacity] = byte; }
        u8 pop() { return bytes_[tail_++ % kCapacity]; }
        void clear() { tail_ = head_; }

    private:
        u8 bytes_[kCapacity] = {};
        usize head_ = 0, tail_ = 0;  // run freely
    };

    u8 read_register(u16 index) const;
    void write_register(u16 index, u8 value) const;
    bool transmitter_empty() const;
    void enable_interrupts(u8 which) REQUIRES(lock_);
    bool something_to_send() const REQUIRES(lock_);
    void fill_fifo() REQUIRES(lock_);
    void call_for_more() REQUIRES(lock_);
    void transmit() REQUIRES(lock_);
    usize receive(u8* to, usize room) REQUIRES(lock_);
    void log_byte(u8 byte) REQUIRES(lock_);

    const u16 port_;
    core::IrqSpinlock lock_{core::Rank::Console};
    u8 fifo_size_ = 1;                  // set by find()
    u8 enabled_ GUARDED_BY(lock_) = 0;  // the interrupt enable register
    bool stopped_ GUARDED_BY(lock_) = false;
    bool input_stalled_ GUARDED_BY(lock_) = false;
    u8 ahead_ GUARDED_BY(lock_) = 0;  // a flow-control character to be sent at once; 0: none
    Queue log_ GUARDED_BY(lock_);
    Queue output_ GUARDED_BY(lock_);
};

}  // namespace hd::drivers
