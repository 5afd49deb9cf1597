// SPDX-License-Identifier: MIT
// The local APIC in xAPIC mode: a page of 32-bit registers at the same address on every CPU, each seeing its own (SDM
// 3A, chapter 11). Owner CPU with IRQs off, unless said otherwise.
#include "arch/x86_64/apic.hpp"

#include "arch/boot.hpp"
#include "arch/cpu.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/trap.hpp"
#include "kernel/core/context.hpp"

namespace hd::arch {

namespace {

// SDM 3A, table 11-1: offsets.
enum class Register : u32 {
    TaskPriority = 0x80,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    InService = 0x100,  // 8 words, 16 bytes apart
    ErrorStatus = 0x280,
    CommandLow = 0x300,
    CommandHigh = 0x310,
    LvtTimer = 0x320,
    LvtThermal = 0x330,
    LvtPerformance = 0x340,
    LvtInput0 = 0x350,
    LvtInput1 = 0x360,
    LvtError = 0x370,
    TimerInitial = 0x380,
    TimerCurrent = 0x390,
    TimerDivide = 0x3e0,
};
constexpr u32 kMasked = 1 << 16;
constexpr u32 kSoftwareEnable = 1 << 8;
constexpr u32 kDivideBy1 = 0xb;
// Interrupt command (SDM 3A, figure 11-12).
constexpr u32 kDeliverNmi = 4 << 8, kDeliverInit = 5 << 8, kDeliverStartup = 6 << 8, kPending = 1 << 12,
              kAssert = 1 << 14;

constinit volatile u32* g_registers = nullptr;

u32 read(Register at) { return g_registers[static_cast<u32>(at) / 4]; }
void write(Register at, u32 value) { g_registers[static_cast<u32>(at) / 4] = value; }

// The destination and the command are two registers, so nothing may send in between.
void send(u32 apic_id, u32 command) {
    const core::IrqGuard guard;
    while ((read(Register::CommandLow) & kPending) != 0) cpu_relax();
    write(Register::CommandHigh, apic_id << 24);
    write(Register::CommandLow, command | kAssert);
}

}  // namespace

void map_local_apic() {
    constexpr u64 kEnabled = 1 << 11, kX2Mode = 1 << 10;
    const u64 base = read_msr(Msr::ApicBase);
    if ((base & kX2Mode) != 0) refuse("the firmware left the local APIC in x2APIC mode, which is not supported");
    write_msr(Msr::ApicBase, base | kEnabled);
    g_registers = map_device(g_acpi.local_apic);
}

void init_local_apic() {
    write(Register::Spurious, kSoftwareEnable | vector::kSpurious);
    write(Register::TaskPriority, 0);  // let every vector through
    write(Register::TimerDivide, kDivideBy1);
    write(Register::LvtTimer, vector::kTimer);  // one-shot
    write(Register::TimerInitial, 0);
    write(Register::LvtThermal, kMasked);
    write(Register::LvtPerformance, kMasked);
    // LINT0 is where the masked PICs are connected; LINT1, as a rule, takes the chipset's NMI.
    const Register inputs[] = {Register::LvtInput0, Register::LvtInput1};
    for (u32 i = 0; i < 2; ++i) {
        const bool nmi = g_acpi.nmi_inputs[i] != 0 && local_load<&CpuLocal::id>() == CpuId{0};
        write(inputs[i], nmi ? g_acpi.nmi_inputs[i] : kMasked);
    }
    write(Register::LvtError, vector::kApicError);  // counted as unexpected
    write(Register::ErrorStatus, 0);
    apic_end_of_interrupt();  // of what the firmware may have left
}

void apic_end_of_interrupt() { write(Register::EndOfInterrupt, 0); }

bool apic_in_service(u32 number) {
    const u32 word = g_registers[(static_cast<u32>(Register::InService) + number / 32 * 16) / 4];
    return (word >> number % 32 & 1) != 0;
}

void apic_timer_start(u32 ticks) { write(Register::TimerInitial, ticks); }

u32 apic_timer_left() { return read(Register::TimerCurrent); }

void apic_send_init(u32 apic_id) { send(apic_id, kDeliverInit); }

void apic_send_startup(u32 apic_id, u8 page_number) { send(apic_id, kDeliverStartup | page_number); }

void send_ipi(CpuId cpu, Ipi kind) {
    const u32 number = kind == Ipi::Reschedule ? vector::kReschedule : vector::kCallFunction;
    send(g_acpi.apic_ids[cpu.raw], number);
}

void send_nmi(CpuId cpu) { send(g_acpi.apic_ids[cpu.raw], kDeliverNmi); }

void init_interrupts() {
    // First, while the local APIC still listens to them: a timer tick that waits there from the firmware's time is
    // withdrawn properly. With LINT0 masked before, QEMU 7.2 keeps a request without a vector, which comes out as #GP.
    silence_pics();
    map_local_apic();
    init_local_apic();
    init_io_apics();
    calibrate_clocks();
}

}  // namespace hd::arch
