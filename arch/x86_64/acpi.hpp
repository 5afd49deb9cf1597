// SPDX-License-Identifier: MIT
// What the kernel needs of ACPI: which CPUs and interrupt controllers there are, where the HPET is, how to switch off
// and reset. Read once by the boot CPU, constant afterwards. Source: ACPI Specification 6.4.
#pragma once
#include <array>

#include "kernel/lib/types.hpp"

namespace hd::arch {

inline constexpr u32 kMaxIoApics = 8;

struct IoApicEntry {
    PhysAddr registers;
    u32 first_line;  // global system interrupt of its first input
};
// Where an ISA interrupt arrives, and how.
struct LineRoute {
    u32 global_interrupt;
    bool level;  // level-triggered, else edge
    bool active_low;
};
struct AcpiInfo {
    std::array<u8, kMaxCpus> apic_ids{};  // of the CPUs that may be started; [0] is the boot CPU
    u32 cpu_count = 0;
    PhysAddr local_apic{0xfee0'0000};
    std::array<IoApicEntry, kMaxIoApics> io_apics{};
    u32 io_apic_count = 0;
    std::array<LineRoute, 16> isa_routes{};
    std::array<u16, 2> nmi_inputs{};  // LVT entries for LINT0 and LINT1: 0, or "delivers NMIs" with its polarity
    PhysAddr hpet{};                  // 0: none
    u8 century_register = 0;          // of the battery-backed clock; 0: none
};
extern AcpiInfo g_acpi;

// Fills g_acpi, or ends the boot with a sentence. Early page tables: everything below 4 GiB is reachable.
void read_acpi_tables();

// Return only if the machine does not do it.
void acpi_power_off();
void acpi_reset();

}  // namespace hd::arch
