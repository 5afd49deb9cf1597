// SPDX-License-Identifier: MIT
// ACPI tables. Firmware's tables are data from outside: signatures, checksums and lengths are checked before use. AML,
// ACPI's programs, is not interpreted; the one value needed from it, the sleep type of "off", is found by its name.
#include "arch/x86_64/acpi.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "arch/boot.hpp"
#include "arch/cpu.hpp"
#include "arch/paging.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"

namespace hd::arch {

constinit AcpiInfo g_acpi;

namespace {

constexpr u64 kReachable = u64{4} << 30;
constexpr u32 kMaxTable = 1 << 20;

struct [[gnu::packed]] Rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;  // from revision 2 on
    u64 xsdt;
    u8 extended_checksum;
    u8 reserved[3];
};
constexpr usize kRsdp1Size = 20;

struct [[gnu::packed]] TableHeader {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[18];
    u32 creator, creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

struct [[gnu::packed]] GenericAddress {
    u8 space;  // 0: memory, 1: ports
    u8 width, offset, access;
    u64 address;
};

// What switching off and resetting need.
struct {
    u16 pm1a_control = 0, pm1b_control = 0;
    u16 smi_command = 0;
    u8 acpi_enable = 0;
    u8 sleep_type_a = 0, sleep_type_b = 0;
    bool can_sleep = false;
    GenericAddress reset{};
    u8 reset_value = 0;
    bool can_reset = false;
} constinit g_power;

using Bytes = std::span<const u8>;

u8 sum(const u8* bytes, usize size) {
    u8 total = 0;
    for (usize i = 0; i < size; ++i) total = static_cast<u8>(total + bytes[i]);
    return total;
}

// nullptr: the early page tables do not reach it.
const u8* reach(u64 address, usize size) {
    if (address == 0 || address >= kReachable || size > kReachable - address) return nullptr;
    return reinterpret_cast<const u8*>((kDirectMap + address).raw);
}

// A field of a table, whatever its alignment; 0 past the table's end, as older revisions are shorter.
template <class T> T field(Bytes table, usize offset) {
    T value{};
    if (offset + sizeof(T) <= table.size()) std::memcpy(&value, table.data() + offset, sizeof(T));
    return value;
}

// What is wrong with a table is reported; whether the machine can do without it is the caller's business.
std::optional<Bytes> table_at(u64 address) {
    const u8* const at = reach(address, sizeof(TableHeader));
    if (at == nullptr) {
        report("ACPI: a table lies at {:#x}, out of reach", address);
        return {};
    }
    TableHeader header;
    std::memcpy(&header, at, sizeof header);
    const bool sized = header.length >= sizeof header && header.length <= kMaxTable && reach(address, header.length);
    if (sized && sum(at, header.length) == 0) return Bytes(at, header.length);
    report("ACPI: table {} has a wrong {}", std::string_view(header.signature, sizeof header.signature),
           sized ? "checksum" : "length");
    return {};
}

bool is_rsdp(const u8* at) { return std::memcmp(at, "RSD PTR ", 8) == 0 && sum(at, kRsdp1Size) == 0; }

// Where a BIOS puts it (5.2.5.1): the first KiB of the extended BIOS data area, or the BIOS's read-only memory.
const u8* search_rsdp() {
    const auto search = [](u64 begin, u64 end) -> const u8* {
        for (u64 at = begin; at < end; at += 16)
            if (is_rsdp(reach(at, kRsdp1Size))) return reach(at, kRsdp1Size);
        return nullptr;
    };
    u16 segment;
    std::memcpy(&segment, reach(0x40e, sizeof segment), sizeof segment);
    const u64 ebda = u64{segment} << 4;
    if (ebda >= 0x8'0000 && ebda < 0xa'0000)
        if (const u8* found = search(ebda, ebda + 1024)) return found;
    return search(0xe'0000, 0x10'0000);
}

// The list of tables: 64-bit addresses in the XSDT, 32-bit ones in the RSDT.
struct TableList {
    Bytes entries;
    usize width;

    std::optional<Bytes> find(std::string_view signature) const {
        for (usize at = sizeof(TableHeader); at + width <= entries.size(); at += width) {
            const u64 address = width == 8 ? field<u64>(entries, at) : field<u32>(entries, at);
            const u8* const name = reach(address, signature.size());
            if (name != nullptr && std::memcmp(name, signature.data(), signature.size()) == 0) return table_at(address);
        }
        return {};
    }
};

TableList find_tables() {
    const PhysAddr given = g_boot_info.rsdp;
    const u8* at = given != PhysAddr{} ? reach(given.raw, kRsdp1Size) : search_rsdp();
    if (at == nullptr) refuse("ACPI: no root pointer; Heddle needs ACPI's tables to find processors and interrupts");
    if (!is_rsdp(at)) refuse("ACPI: the root pointer is damaged");
    Rsdp rsdp{};
    std::memcpy(&rsdp, at, kRsdp1Size);
    if (rsdp.revision >= 2) std::memcpy(&rsdp, at, sizeof rsdp);
    const bool wide = rsdp.xsdt != 0;
    const auto list = table_at(wide ? rsdp.xsdt : rsdp.rsdt);
    if (!list) refuse("ACPI: the list of tables is damaged");
    return {*list, wide ? usize{8} : usize{4}};
}

void add_cpu(u8 apic_id, u32& left_out) {
    // The boot CPU has its place already; and starting a CPU that is listed twice would reset it while it runs.
    const auto known = std::span(g_acpi.apic_ids).first(g_acpi.cpu_count);
    if (std::ranges::find(known, apic_id) != known.end()) return;
    if (g_acpi.cpu_count < kMaxCpus)
        g_acpi.apic_ids[g_acpi.cpu_count++] = apic_id;
    else
        ++left_out;
}

// MPS interrupt flags: polarity in bits 0-1, trigger mode in bits 2-3; 3 is active low or level, 0 as the bus has it
// (ISA: active high, edge).
constexpr bool is_active_low(u16 flags) { return (flags & 3) == 3; }
constexpr bool is_level(u16 flags) { return (flags >> 2 & 3) == 3; }

// 5.2.12: the interrupt controllers.
void read_madt(Bytes madt) {
    enum Type : u8 { LocalApic = 0, IoApic = 1, Override = 2, LocalNmi = 4, LocalApicAddress = 5, X2Apic = 9 };
    u32 left_out = 0, x2apic = 0;
    g_acpi.local_apic = PhysAddr{field<u32>(madt, 36)};
    g_acpi.apic_ids[0] = static_cast<u8>(g_features.apic_id);
    g_acpi.cpu_count = 1;
    for (u32 i = 0; i < g_acpi.isa_routes.size(); ++i) g_acpi.isa_routes[i] = {i, false, false};

    for (usize at = 44; at + 2 <= madt.size();) {
        const u8 size = madt[at + 1];
        if (size < 2 || at + size > madt.size()) refuse("ACPI: table APIC is damaged");
        const Bytes entry = madt.subspan(at, size);
        at += size;
        switch (entry[0]) {
        case LocalApic:
            if ((field<u32>(entry, 4) & 1) != 0) add_cpu(field<u8>(entry, 3), left_out);
            break;
        case X2Apic:
            if ((field<u32>(entry, 8) & 1) != 0) ++x2apic;
            break;
        case IoApic:
            if (g_acpi.io_apic_count < kMaxIoApics)
                g_acpi.io_apics[g_acpi.io_apic_count++] = {PhysAddr{field<u32>(entry, 4)}, field<u32>(entry, 8)};
            break;
        case Override:
            if (const u8 isa = field<u8>(entry, 3); isa < g_acpi.isa_routes.size()) {
                const u16 flags = field<u16>(entry, 8);
                g_acpi.isa_routes[isa] = {field<u32>(entry, 4), is_level(flags), is_active_low(flags)};
            }
            break;
        case LocalNmi:
            // For all processors or for the boot CPU's number alike: it is the boot CPU that handles hardware's NMIs.
            if (const u8 input = field<u8>(entry, 5); input < g_acpi.nmi_inputs.size())
                g_acpi.nmi_inputs[input] = static_cast<u16>(0x400 | (is_active_low(field<u16>(entry, 3)) ? 0x2000 : 0));
            break;
        case LocalApicAddress: g_acpi.local_apic = PhysAddr{field<u64>(entry, 4)}; break;
        default: break;
        }
    }
    if (left_out != 0) report("{} processors left out: at most {} are supported", left_out, kMaxCpus);
    if (x2apic != 0) report("{} processors left out: they need x2APIC mode, which is not supported", x2apic);
    if (g_acpi.io_apic_count == 0) refuse("ACPI: table APIC lists no I/O APIC");
}

// The package named _S5_ holds the sleep types for "off": NameOp, name, PackageOp, length (1 to 4 bytes), count, values
// (20.2).
void find_sleep_type(Bytes dsdt) {
    constexpr u8 kPackage = 0x12, kByte = 0x0a;
    for (usize at = sizeof(TableHeader); at + 12 < dsdt.size(); ++at) {
        if (std::memcmp(dsdt.data() + at, "_S5_", 4) != 0 || dsdt[at + 4] != kPackage) continue;
        usize value = at + 5 + 1 + (dsdt[at + 5] >> 6) + 1;
        const auto next = [&]() -> u8 {
            if (value < dsdt.size() && dsdt[value] == kByte) ++value;
            return value < dsdt.size() ? dsdt[value++] : u8{0};  // ZeroOp and OneOp are their own values
        };
        g_power.sleep_type_a = next() & 7;
        g_power.sleep_type_b = next() & 7;
        g_power.can_sleep = g_power.pm1a_control != 0;
        return;
    }
}

// 5.2.9: fixed hardware.
void read_fadt(Bytes fadt) {
    constexpr u32 kResetSupported = 1 << 10;
    g_acpi.century_register = field<u8>(fadt, 108);
    g_power.smi_command = static_cast<u16>(field<u32>(fadt, 48));
    g_power.acpi_enable = field<u8>(fadt, 52);
    g_power.pm1a_control = static_cast<u16>(field<u32>(fadt, 64));
    g_power.pm1b_control = static_cast<u16>(field<u32>(fadt, 68));
    g_power.reset = field<GenericAddress>(fadt, 116);
    g_power.reset_value = field<u8>(fadt, 128);
    g_power.can_reset = (field<u32>(fadt, 112) & kResetSupported) != 0;
    const u64 wide = field<u64>(fadt, 140);
    const u64 dsdt = wide != 0 ? wide : field<u32>(fadt, 40);
    if (const auto table = dsdt != 0 ? table_at(dsdt) : std::nullopt) find_sleep_type(*table);
}

}  // namespace

void read_acpi_tables() {
    const TableList tables = find_tables();
    const auto madt = tables.find("APIC");
    if (!madt) refuse("ACPI: no sound table APIC, so no list of processors and interrupt controllers");
    read_madt(*madt);
    if (const auto fadt = tables.find("FACP")) read_fadt(*fadt);
    if (const auto hpet = tables.find("HPET")) {
        const auto registers = field<GenericAddress>(*hpet, 40);
        if (registers.space == 0) g_acpi.hpet = PhysAddr{registers.address};
    }
}

void acpi_power_off() {
    if (!g_power.can_sleep) return;
    constexpr u16 kAcpiMode = 1, kSleepEnable = 1 << 13;  // 4.8.3.2.1, PM1 control
    if ((in16(g_power.pm1a_control) & kAcpiMode) == 0 && g_power.smi_command != 0) {
        out8(g_power.smi_command, g_power.acpi_enable);
        for (u32 tries = 1'000'000; (in16(g_power.pm1a_control) & kAcpiMode) == 0 && tries > 0; --tries) cpu_relax();
    }
    out16(g_power.pm1a_control, static_cast<u16>(g_power.sleep_type_a << 10 | kSleepEnable));
    if (g_power.pm1b_control != 0)
        out16(g_power.pm1b_control, static_cast<u16>(g_power.sleep_type_b << 10 | kSleepEnable));
    for (u32 tries = 1'000'000; tries > 0; --tries) cpu_relax();  // the chipset takes a moment
}

void acpi_reset() {
    constexpr u8 kPorts = 1;  // a reset register in memory would need a mapping; PCs have a port
    if (!g_power.can_reset || g_power.reset.space != kPorts) return;
    out8(static_cast<u16>(g_power.reset.address), g_power.reset_value);
    for (u32 tries = 1'000'000; tries > 0; --tries) cpu_relax();
}

u32 listed_cpus() { return g_acpi.cpu_count; }

}  // namespace hd::arch
