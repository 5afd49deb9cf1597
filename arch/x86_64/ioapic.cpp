// SPDX-License-Identifier: MIT
// Device interrupt lines: the I/O APICs, and the old PICs, which are only told to keep quiet. Source: Intel 82093AA
// data sheet; 8259A data sheet.
#include "arch/irq.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/apic.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/trap.hpp"

namespace hd::arch {

namespace {

constexpr u32 kVersion = 1, kRedirection = 0x10;  // two registers an input from here on
constexpr u32 kMasked = 1 << 16, kLevel = 1 << 15, kActiveLow = 1 << 13;

struct IoApic {
    volatile u32* registers;  // [0] selects a register, [4] is it
    u32 first, count;         // global system interrupts
};
constinit IoApic g_io_apics[kMaxIoApics] = {};

// Selecting and accessing a register are two steps: one CPU at a time, which irq_route()'s contract sees to.
u32 read(const IoApic& apic, u32 index) {
    apic.registers[0] = index;
    return apic.registers[4];
}
void write(const IoApic& apic, u32 index, u32 value) {
    apic.registers[0] = index;
    apic.registers[4] = value;
}

LineRoute route_of(u32 line) {
    if (line < g_acpi.isa_routes.size()) return g_acpi.isa_routes[line];
    return {line, true, true};  // PCI: level-triggered, active low
}

struct Input {
    const IoApic* apic;  // nullptr: there is no such input
    u32 index;           // of the redirection entry's low half
};
Input input_of(u32 line) {
    const u32 interrupt = route_of(line).global_interrupt;
    for (const IoApic& apic : g_io_apics)
        if (line < kIrqLines && interrupt >= apic.first && interrupt - apic.first < apic.count)
            return {&apic, kRedirection + 2 * (interrupt - apic.first)};
    return {nullptr, 0};
}

}  // namespace

// Their vectors are moved off the exceptions', in case one still speaks, then every input is masked.
void silence_pics() {
    constexpr u16 kMaster = 0x20, kSlave = 0xa0;
    for (const u16 pic : {kMaster, kSlave}) {
        const bool master = pic == kMaster;
        out8(pic, 0x11);  // initialise; the next three go to the data port
        out8(pic + 1, static_cast<u8>(vector::kLegacyPic + (master ? 0 : 8)));
        out8(pic + 1, master ? 4 : 2);  // the slave is at the master's input 2
        out8(pic + 1, 1);
        out8(pic + 1, 0xff);
    }
}

void init_io_apics() {
    for (u32 i = 0; i < g_acpi.io_apic_count; ++i) {
        IoApic& apic = g_io_apics[i];
        apic.registers = map_device(g_acpi.io_apics[i].registers);
        apic.first = g_acpi.io_apics[i].first_line;
        apic.count = (read(apic, kVersion) >> 16 & 0xff) + 1;
        for (u32 input = 0; input < apic.count; ++input) write(apic, kRedirection + 2 * input, kMasked);
    }
}

Result<> irq_route(u32 line, CpuId cpu) {
    const auto [apic, index] = input_of(line);
    if (apic == nullptr) return fail(Errno::kEINVAL);
    const LineRoute route = route_of(line);
    write(*apic, index, kMasked);
    write(*apic, index + 1, u32{g_acpi.apic_ids[cpu.raw]} << 24);
    write(*apic, index, (vector::kLines + line) | (route.level ? kLevel : 0) | (route.active_low ? kActiveLow : 0));
    return {};
}

}  // namespace hd::arch
