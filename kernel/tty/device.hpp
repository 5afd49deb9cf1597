// SPDX-License-Identifier: MIT
// What a terminal needs from the hardware, or from whatever stands for it. A driver derives from TerminalDevice, hands
// characters to `line` as they come, and says when there is room for more output.
#pragma once
#include <span>

#include "kernel/abi/termios.hpp"

namespace hd::tty {

class Line;

// Unless they say otherwise, these run in task context with the line's mutex held, and may take IrqSpinlocks.
class TerminalDevice {
public:
    virtual usize room() = 0;                           // bytes that write() takes now
    virtual void write(std::span<const u8> bytes) = 0;  // at most room(); queues them
    virtual usize unsent() = 0;
    virtual bool idle() { return true; }            // with nothing unsent: the last bit has left, too
    virtual void discard_output() = 0;              // what is queued
    virtual void set_stopped(bool stopped) = 0;     // keeps what is queued meanwhile
    virtual void send_ahead(u8) {}                  // before all that is queued, stopped or not
    virtual void flush() {}                         // a batch of writes is over. Without the mutex
    virtual void configure(const abi::Termios&) {}  // speed and frame of the characters
    // Line::receive() had no room and has some now. Any context.
    virtual void resume_input() {}

    Line* line = nullptr;  // set once, by the line's constructor, before the device is started

protected:
    ~TerminalDevice() = default;
};

}  // namespace hd::tty
