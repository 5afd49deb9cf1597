// SPDX-License-Identifier: MIT
// The battery-backed clock (Motorola MC146818 data sheet): registers behind an index port and a data port.
#include "arch/cpu.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"

namespace hd::arch {

namespace {

constexpr u8 kStatusA = 0x0a, kUpdating = 0x80, kStatusB = 0x0b, kBinary = 0x04, k24Hours = 0x02;

u8 read(u8 index) {
    out8(0x70, index);
    return in8(0x71);
}

struct Reading {
    u8 second, minute, hour, day, month, year, century;
    friend bool operator==(const Reading&, const Reading&) = default;
};

Reading read_once() {
    for (u32 tries = 100'000; (read(kStatusA) & kUpdating) != 0 && tries > 0; --tries) cpu_relax();
    const u8 century = g_acpi.century_register;
    return {read(0), read(2), read(4), read(7), read(8), read(9), century != 0 ? read(century) : u8{0}};
}

u32 from_bcd(u8 value) { return (value >> 4) * u32{10} + (value & 0xf); }

// Days since 1 January 1970 in the Gregorian calendar, counting years from March, so that the leap day comes last
// (H. Hinnant, "chrono-compatible low-level date algorithms").
i64 days_since_1970(i64 year, u32 month, u32 day) {
    if (month <= 2) --year;
    const i64 era = year / 400, year_of_era = year % 400;
    const i64 day_of_year = (153 * (month > 2 ? i64{month} - 3 : i64{month} + 9) + 2) / 5 + day - 1;
    return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

}  // namespace

i64 read_rtc() {
    // Two equal readings: no update came in between.
    Reading now = read_once(), again = read_once();
    for (int tries = 0; now != again && tries < 10; ++tries) {
        now = again;
        again = read_once();
    }
    const u8 status = read(kStatusB);
    const bool afternoon = (status & k24Hours) == 0 && (now.hour & 0x80) != 0;
    now.hour &= 0x7f;
    const auto number = [&](u8 value) { return (status & kBinary) != 0 ? u32{value} : from_bcd(value); };
    u32 hour = number(now.hour);
    if ((status & k24Hours) == 0) hour = hour % 12 + (afternoon ? 12 : 0);
    const u32 century = number(now.century);
    const i64 year = i64{century >= 19 && century <= 29 ? century : 20} * 100 + number(now.year);
    const u32 month = number(now.month), day = number(now.day);
    if (month < 1 || month > 12 || day < 1 || day > 31 || year < 1970) return 0;
    return ((days_since_1970(year, month, day) * 24 + hour) * 60 + number(now.minute)) * 60 + number(now.second);
}

}  // namespace hd::arch
