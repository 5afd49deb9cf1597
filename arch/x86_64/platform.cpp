// SPDX-License-Identifier: MIT
// First console and last instructions. Any context, no locks: two CPUs that write at once mix their characters.
#include "arch/x86_64/platform.hpp"

#include "arch/cpu.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/registers.hpp"

namespace hd::arch {

namespace {

// 16550 registers at COM1 (PC16550D data sheet, table II).
constexpr u16 kSerial = 0x3f8;
constexpr u16 kSerialInterrupts = kSerial + 1, kSerialFifo = kSerial + 2, kSerialLine = kSerial + 3,
              kSerialModem = kSerial + 4, kSerialStatus = kSerial + 5, kSerialScratch = kSerial + 7;
constexpr u8 kTransmitterEmpty = 0x20;
constexpr u16 kDebugConsole = 0xe9;  // QEMU's isa-debugcon; reads as its own number
constexpr u16 kDebugExit = 0xf4;     // QEMU's isa-debug-exit

constinit bool g_serial = false;
constinit bool g_debug_console = false;

void write_serial(char c) {
    // A line that never drains must not stop the kernel.
    for (u32 tries = 100'000; (in8(kSerialStatus) & kTransmitterEmpty) == 0 && tries > 0; --tries) cpu_relax();
    out8(kSerial, static_cast<u8>(c));
}

}  // namespace

void init_early_console() {
    g_debug_console = in8(kDebugConsole) == kDebugConsole;
    out8(kSerialScratch, 0x5a);
    g_serial = in8(kSerialScratch) == 0x5a;
    if (!g_serial) return;
    out8(kSerialInterrupts, 0);
    out8(kSerialLine, 0x80);  // the next two are the divisor: 115200 baud
    out8(kSerial, 1);
    out8(kSerialInterrupts, 0);
    out8(kSerialLine, 0x03);   // 8 bits, no parity, 1 stop bit
    out8(kSerialFifo, 0x07);   // FIFOs on and empty
    out8(kSerialModem, 0x0b);  // DTR, RTS, interrupt line connected
}

void early_write(std::string_view text, EarlyOutput where) {
    if (g_debug_console) {
        const char* from = text.data();
        usize count = text.size();
        asm volatile("rep outsb" : "+S"(from), "+c"(count) : "d"(kDebugConsole) : "memory");
    }
    if (where != EarlyOutput::Serial || !g_serial) return;
    for (const char c : text) {
        if (c == '\n') write_serial('\r');
        write_serial(c);
    }
}

void halt_forever() {
    for (;;) asm volatile("cli; hlt");
}

void power_off(ExitStatus status) {
    irq_disable();
    if (status == ExitStatus::Success)
        acpi_power_off();
    else
        out32(kDebugExit, static_cast<u32>(status));
    halt_forever();
}

void reboot() {
    irq_disable();
    acpi_reset();
    // The keyboard controller's reset line, once it takes a command.
    for (u32 tries = 100'000; (in8(0x64) & 2) != 0 && tries > 0; --tries) cpu_relax();
    out8(0x64, 0xfe);
    for (u32 tries = 100'000; tries > 0; --tries) cpu_relax();
    // No interrupt table: the breakpoint becomes a triple fault, which resets the machine (SDM 3A, 6.15, vector 8).
    const struct [[gnu::packed]] {
        u16 limit;
        u64 base;
    } none{};
    asm volatile("lidt %0; int3" : : "m"(none));
    halt_forever();
}

}  // namespace hd::arch
