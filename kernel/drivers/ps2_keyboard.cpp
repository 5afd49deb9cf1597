// SPDX-License-Identifier: MIT
// Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
//
// Locking: none. The decoder is the interrupt handler's alone, which runs on one CPU at a time.
#include "kernel/drivers/ps2_keyboard.hpp"

#include <algorithm>
#include <optional>

#include "arch/cpu.hpp"
#include "arch/port_io.hpp"
#include "kernel/core/irq.hpp"
#include "kernel/core/log.hpp"
#include "kernel/drivers/key_decoder.hpp"
#include "kernel/tty/line.hpp"

namespace hd::drivers {

namespace {

constexpr u16 kData = 0x60, kStatus = 0x64, kCommand = 0x64;
constexpr u8 kOutputFull = 1, kInputFull = 2, kFromMouse = 0x20;  // kStatus
constexpr u8 kReadConfiguration = 0x20, kWriteConfiguration = 0x60, kDisableMouse = 0xa7, kDisableKeyboard = 0xad,
             kEnableKeyboard = 0xae;                                                               // kCommand
constexpr u8 kKeyboardInterrupt = 1, kMouseInterrupt = 2, kKeyboardOff = 0x10, kTranslate = 0x40;  // configuration
constexpr u8 kEnableScanning = 0xf4;                                                               // to the keyboard
constexpr u32 kIrq = 1;

constinit KeyDecoder g_decoder;
constinit VirtualConsole* g_console = nullptr;

bool wait_for_status(u8 bit, bool set) {
    for (u32 tries = 100'000; tries > 0; --tries) {
        if (((arch::in8(kStatus) & bit) != 0) == set) return true;
        arch::cpu_relax();
    }
    return false;
}

bool write_port(u16 port, u8 value) {
    if (!wait_for_status(kInputFull, false)) return false;
    arch::out8(port, value);
    return true;
}

std::optional<u8> read_data() {
    if (!wait_for_status(kOutputFull, true)) return std::nullopt;
    return arch::in8(kData);
}

void discard_data() {
    for (u32 tries = 32; (arch::in8(kStatus) & kOutputFull) != 0 && tries > 0; --tries) arch::in8(kData);
}

// Keyboard only, with interrupts and translated to scan code set 1, whatever the firmware has left.
bool set_up() {
    if (arch::in8(kStatus) == 0xff) return false;  // nothing answers at this port
    if (!write_port(kCommand, kDisableKeyboard) || !write_port(kCommand, kDisableMouse)) return false;
    discard_data();
    if (!write_port(kCommand, kReadConfiguration)) return false;
    const std::optional<u8> old = read_data();
    if (!old) return false;
    const u8 configuration =
        static_cast<u8>((*old & ~(kMouseInterrupt | kKeyboardOff)) | kKeyboardInterrupt | kTranslate);
    if (!write_port(kCommand, kWriteConfiguration) || !write_port(kData, configuration)) return false;
    if (!write_port(kCommand, kEnableKeyboard) || !write_port(kData, kEnableScanning)) return false;
    (void)read_data();  // its acknowledgement
    discard_data();
    return true;
}

void on_interrupt(void*) {
    tty::Line& line = *g_console->line;
    for (u32 codes = 16; codes > 0; --codes) {
        const u8 status = arch::in8(kStatus);
        if ((status & kOutputFull) == 0) return;
        const u8 code = arch::in8(kData);
        if ((status & kFromMouse) != 0) continue;
        const std::string_view text = g_decoder.decode(code, g_console->application_cursor_keys());
        u8 input[8];
        if (text.empty() || line.input_room() < text.size()) continue;
        std::ranges::copy(text, input);
        line.receive({input, text.size()});
    }
}

}  // namespace

bool start_ps2_keyboard(VirtualConsole& console) {
    g_console = &console;
    if (!set_up()) return false;
    if (!core::register_irq(kIrq, "i8042", on_interrupt, nullptr)) return false;
    discard_data();  // a key pressed before the line was open would hold it up: it is edge-triggered
    return true;
}

}  // namespace hd::drivers
