// SPDX-License-Identifier: MIT
#include "kernel/drivers/uart16550.hpp"

#include <algorithm>

#include "arch/port_io.hpp"
#include "kernel/core/irq.hpp"
#include "kernel/tty/line.hpp"

namespace hd::drivers {

namespace {

// Registers, by their offset from the port. Two have a second meaning while kDivisorLatch is set.
constexpr u16 kData = 0, kInterruptEnable = 1, kInterruptId = 2, kFifoControl = 2, kLineControl = 3, kModemControl = 4,
              kLineStatus = 5, kScratch = 7, kDivisorLow = 0, kDivisorHigh = 1;
constexpr u8 kReceiveInterrupt = 1, kTransmitInterrupt = 2;              // kInterruptEnable
constexpr u8 kFifoOn = 0x01, kFifoReset = 0x06, kFifoTriggerAt8 = 0x80;  // kFifoControl
constexpr u8 kFifoWorks = 0xc0;                                          // kInterruptId
constexpr u8 kTwoStopBits = 4, kParity = 8, kEvenParity = 0x10, kDivisorLatch = 0x80;
constexpr u8 kReady = 0x0b;  // kModemControl: DTR, RTS, and OUT2, which on a PC lets the interrupt through
constexpr u8 kHasData = 0x01, kTransmitterEmpty = 0x20, kIdle = 0x40;  // kLineStatus

constexpr u32 kBaseSpeed = 115200;
constexpr usize kLowWater = 1024;  // writers are woken when the queue falls to this

// CBAUD's values (asm-generic/termbits-common.h); 0: not known here.
constexpr u32 speed_of(u32 cflag) {
    constexpr u32 kSpeeds[16] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
    const u32 code = cflag & abi::kCBAUD;
    if (code < 16) return kSpeeds[code];
    return code == abi::kB115200 ? 115200 : code == abi::kB115200 - 1 ? 57600 : 0;
}

}  // namespace

u8 Uart16550::read_register(u16 index) const { return arch::in8(static_cast<u16>(port_ + index)); }

void Uart16550::write_register(u16 index, u8 value) const { arch::out8(static_cast<u16>(port_ + index), value); }

bool Uart16550::find() {
    for (const u8 pattern : {u8{0x5a}, u8{0xa5}}) {
        write_register(kScratch, pattern);
        if (read_register(kScratch) != pattern) return false;
    }
    core::LockGuard guard(lock_);
    write_register(kInterruptEnable, 0);
    write_register(kFifoControl, kFifoOn | kFifoReset | kFifoTriggerAt8);
    fifo_size_ = (read_register(kInterruptId) & kFifoWorks) == kFifoWorks ? 16 : 1;
    write_register(kModemControl, kReady);
    return true;
}

Result<> Uart16550::start(u32 irq) {
    TRY(core::register_irq(irq, "ttyS0", [](void* self) { static_cast<Uart16550*>(self)->on_interrupt(); }, this));
    let_interrupts_come();
    return {};
}

void Uart16550::let_interrupts_come() {
    core::LockGuard guard(lock_);
    enable_interrupts(kReceiveInterrupt);
    transmit();
}

void Uart16550::enable_interrupts(u8 which) {
    if (which == enabled_) return;
    enabled_ = which;
    write_register(kInterruptEnable, which);
}

// ---- sending

bool Uart16550::transmitter_empty() const { return (read_register(kLineStatus) & kTransmitterEmpty) != 0; }

bool Uart16550::something_to_send() const {
    return ahead_ != 0 || log_.size() > 0 || (output_.size() > 0 && !stopped_);
}

// The transmitter is empty: as much as its FIFO takes.
void Uart16550::fill_fifo() {
    for (usize left = fifo_size_; left > 0 && something_to_send(); --left) {
        if (ahead_ != 0)
            write_register(kData, std::exchange(ahead_, 0));
        else
            write_register(kData, log_.size() > 0 ? log_.pop() : output_.pop());
    }
}

// An interrupt when the transmitter is empty, if there is a use for it; none before start().
void Uart16550::call_for_more() {
    const u8 others = static_cast<u8>(enabled_ & ~kTransmitInterrupt);
    if (others != 0) enable_interrupts(something_to_send() ? others | kTransmitInterrupt : others);
}

// Something was queued. While interrupts see to the queue it is theirs alone, so that they notice when it runs low.
void Uart16550::transmit() {
    const bool under_way = (enabled_ & kTransmitInterrupt) != 0;
    if (!under_way && something_to_send() && transmitter_empty()) fill_fifo();
    call_for_more();
}

usize Uart16550::room() {
    core::LockGuard guard(lock_);
    return output_.room();
}

usize Uart16550::unsent() {
    core::LockGuard guard(lock_);
    return output_.size();
}

bool Uart16550::idle() { return (read_register(kLineStatus) & kIdle) != 0; }

void Uart16550::write(std::span<const u8> bytes) {
    core::LockGuard guard(lock_);
    for (const u8 byte : bytes.first(std::min(bytes.size(), output_.room()))) output_.push(byte);
    transmit();
}

void Uart16550::discard_output() {
    core::LockGuard guard(lock_);
    output_.clear();
    transmit();
}

void Uart16550::set_stopped(bool stopped) {
    core::LockGuard guard(lock_);
    stopped_ = stopped;
    transmit();
}

void Uart16550::send_ahead(u8 character) {
    core::LockGuard guard(lock_);
    ahead_ = character;
    transmit();
}

void Uart16550::configure(const abi::Termios& termios) {
    const u32 flags = termios.c_cflag;
    const u32 speed = speed_of(flags);
    core::LockGuard guard(lock_);
    u8 control = static_cast<u8>((flags & abi::kCSIZE) >> 4);  // both count from five bits on
    if ((flags & abi::kCSTOPB) != 0) control |= kTwoStopBits;
    if ((flags & abi::kPARENB) != 0) control |= (flags & abi::kPARODD) != 0 ? kParity : kParity | kEvenParity;
    if (speed != 0) {
        const u32 divisor = kBaseSpeed / speed;
        write_register(kLineControl, control | kDivisorLatch);
        write_register(kDivisorLow, static_cast<u8>(divisor));
        write_register(kDivisorHigh, static_cast<u8>(divisor >> 8));
    }
    write_register(kLineControl, control);
}

// ---- the log

// With the queue full the transmitter is polled, for a while only: a port that is held up must not stop the kernel.
void Uart16550::log_byte(u8 byte) {
    if (log_.room() == 0) {
        for (u32 tries = 100'000; !transmitter_empty() && tries > 0; --tries) arch::cpu_relax();
        write_register(kData, log_.pop());
    }
    log_.push(byte);
}

// An emulator's transmitter is empty again at once, so there a line is out when this returns.
void Uart16550::write_log(std::string_view text) {
    if (core::panicking()) return arch::early_write(text, arch::EarlyOutput::Serial);
    core::LockGuard guard(lock_);
    for (const char c : text) {
        if (c == '\n') log_byte('\r');
        log_byte(static_cast<u8>(c));
    }
    while (log_.size() > 0 && transmitter_empty())
        for (usize left = fifo_size_; left > 0 && log_.size() > 0; --left) write_register(kData, log_.pop());
    call_for_more();
}

// ---- receiving

void Uart16550::resume_input() {
    core::LockGuard guard(lock_);
    if (!input_stalled_) return;
    input_stalled_ = false;
    enable_interrupts(enabled_ | kReceiveInterrupt);
}

usize Uart16550::receive(u8* to, usize room) {
    usize count = 0;
    while (count < room && (read_register(kLineStatus) & kHasData) != 0) to[count++] = read_register(kData);
    if (room == 0) {
        input_stalled_ = true;
        enable_interrupts(static_cast<u8>(enabled_ & ~kReceiveInterrupt));
    }
    return count;
}

// A bounded amount of work: what is left raises the line again. As the line is edge-triggered, it must have been low
// for that, which switching all the port's interrupts off for the time of the handler brings about.
void Uart16550::on_interrupt() {
    u8 received[16];
    usize count;
    bool drained;
    const usize room = std::min(line->input_room(), std::size(received));
    {
        core::LockGuard guard(lock_);
        write_register(kInterruptEnable, 0);
        read_register(kInterruptId);
        count = receive(received, room);
        const usize before = output_.size();
        if (something_to_send() && transmitter_empty()) fill_fifo();
        const usize after = output_.size();
        drained = before != after && (after == 0 || (before > kLowWater && after <= kLowWater));
        call_for_more();
        write_register(kInterruptEnable, enabled_);
    }
    if (count > 0) line->receive({received, count});
    if (drained) line->output_drained();
    // Room may have come up between the question and the stall, when nobody knew yet that it was waited for.
    if (room == 0 && line->input_room() > 0) resume_input();
}

}  // namespace hd::drivers
