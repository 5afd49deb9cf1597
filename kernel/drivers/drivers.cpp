// SPDX-License-Identifier: MIT
#include "kernel/drivers/drivers.hpp"

#include "kernel/core/command_line.hpp"
#include "kernel/core/log.hpp"
#include "kernel/drivers/ps2_keyboard.hpp"
#include "kernel/drivers/uart16550.hpp"
#include "kernel/drivers/virtual_console.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/tty/terminal.hpp"

namespace hd::drivers {

namespace {

// PC: the first serial port; Linux's device numbers.
constexpr u16 kSerialPort = 0x3f8;
constexpr u32 kSerialIrq = 4, kTtyMajor = 4, kSerialMinor = 64, kScreenMinor = 1;

constinit Uart16550 g_serial{kSerialPort};
constinit bool g_has_serial = false;
constinit FramebufferText g_framebuffer;
constinit VgaText g_vga;
constinit Late<VirtualConsole> g_screen;
constinit bool g_has_screen = false;

TextScreen* find_text_screen() {
    if (g_framebuffer.find(arch::g_boot_info.framebuffer)) return &g_framebuffer;
    if (g_vga.find()) return &g_vga;
    return nullptr;
}

void init_screen() {
    TextScreen* const screen = find_text_screen();
    if (screen == nullptr) return;
    const usize bytes = usize{screen->columns()} * screen->rows() * sizeof(tty::Cell);
    auto* const cells = static_cast<tty::Cell*>(mm::kmalloc(bytes));
    auto* const shown = static_cast<tty::Cell*>(mm::kmalloc(bytes));
    if (cells == nullptr || shown == nullptr) {
        mm::kfree(cells);
        mm::kfree(shown);
        return log::warn("no memory for a text console");
    }
    g_screen.construct(*screen, cells, shown);
    g_has_screen = true;
    // What the log has said so far.
    char tail[512];
    const usize length = log::read_tail(tail);
    g_screen->write_log({tail, length});
    log::set_screen_sink([](std::string_view text) { g_screen->write_log(text); });
}

// nullptr: no memory, which is reported.
tty::Terminal* make_terminal(const char* name, u32 minor, tty::TerminalDevice& device, abi::Winsize size) {
    auto* const terminal = new (std::nothrow) tty::Terminal(name, kTtyMajor, minor, device, size);
    if (terminal != nullptr)
        tty::register_terminal(*terminal);
    else
        log::error("no memory for the terminal {}", name);
    return terminal;
}

tty::Terminal* init_serial_terminal() {
    if (!g_has_serial) return nullptr;
    tty::Terminal* const terminal = make_terminal("ttyS0", kSerialMinor, g_serial, {});
    if (terminal == nullptr) return nullptr;
    abi::Termios termios;
    termios.c_cflag = abi::kB115200 | abi::kCS8 | abi::kCREAD | abi::kHUPCL | abi::kCLOCAL;
    terminal->set_termios(termios);
    if (!g_serial.start(kSerialIrq)) log::error("ttyS0: interrupt line {} is not to be had", kSerialIrq);
    return terminal;
}

tty::Terminal* init_screen_terminal() {
    if (!g_has_screen) return nullptr;
    const auto size = g_screen->size();
    tty::Terminal* const terminal = make_terminal("tty1", kScreenMinor, *g_screen, size);
    if (terminal == nullptr) return nullptr;
    const bool keyboard = start_ps2_keyboard(*g_screen);
    log::info("tty1: {} columns, {} rows{}", size.ws_col, size.ws_row, keyboard ? "" : ", no keyboard");
    return terminal;
}

}  // namespace

void init_consoles() {
    g_has_serial = g_serial.find();
    if (g_has_serial) log::set_serial_sink([](std::string_view text) { g_serial.write_log(text); });
    init_screen();
}

// The console is the serial port where there is one; `console=tty1` or `console=ttyS0,…` chooses.
void init() {
    tty::Terminal* const serial = init_serial_terminal();
    tty::Terminal* const screen = init_screen_terminal();
    const std::string_view wanted = core::command_line_option("console").value_or("");
    tty::Terminal* const chosen =
        serial == nullptr || (screen != nullptr && wanted.starts_with("tty1")) ? screen : serial;
    if (chosen != nullptr)
        tty::register_console(*chosen);
    else
        log::warn("there is no console: no serial port, no screen");
}

}  // namespace hd::drivers
