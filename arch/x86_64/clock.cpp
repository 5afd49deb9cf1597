// SPDX-License-Identifier: MIT
// Time: the cycle counter (TSC), measured once against the HPET or the PIT, and the local APIC's one-shot timer,
// measured with it. The TSCs of all CPUs are taken to run together; smp.cpp reports it when they do not.
//
// Measuring: between two readings of the reference clock lie so many cycles. Each reading has cycles read before and
// after it, so the true frequency lies for certain in an interval that shrinks as the readings move apart. It ends when
// the interval is narrow enough - within half a millisecond when instructions are counted and reading is quick - or
// takes too long. Oscillators and emulators have round frequencies: if a whole MHz lies in the interval, that is taken.
#include <algorithm>
#include <new>

#include "arch/boot.hpp"
#include "arch/cpu.hpp"
#include "arch/timer.hpp"
#include "arch/upcalls.hpp"
#include "arch/vdso.hpp"
#include "arch/x86_64/acpi.hpp"
#include "arch/x86_64/apic.hpp"
#include "arch/x86_64/arch_cpu.hpp"
#include "arch/x86_64/features.hpp"
#include "arch/x86_64/platform.hpp"
#include "arch/x86_64/registers.hpp"
#include "arch/x86_64/vdso/data.hpp"

extern "C" const hd::u8 vdso_begin[], vdso_end[];  // vdso/image.S

namespace hd::arch {

namespace {

using u128 = unsigned __int128;

constexpr u64 kSecond = 1'000'000'000, kMegahertz = 1'000'000;
constexpr u64 kFemtosecondsPerNanosecond = 1'000'000;

constinit ClockScale g_scale{0, 0, 0};
constinit u64 g_cycles_hz = 0;
constinit u64 g_ticks_per_ns = 0;  // of the APIC timer, times 2^32
constinit i64 g_boot_wall_clock = 0;

// A clock of known frequency: a counter of at least 16 bits that counts up.
struct Reference {
    const char* name;
    u64 period_fs;
    u32 mask;
    u64 longest_ns;  // how long to measure at most
    volatile u32* hpet;

    u32 read() const {
        if (hpet != nullptr) return hpet[0xf0 / 4];
        out8(0x43, 0x80);  // latch channel 2
        const u32 low = in8(0x42);
        return ~(low | u32{in8(0x42)} << 8) & mask;  // it counts down
    }
};

Reference find_reference() {
    // HPET specification 1.0a, 2.3: period in femtoseconds, at most 100 ns; bit 0 of the configuration lets it run.
    if (g_acpi.hpet != PhysAddr{}) {
        volatile u32* const hpet = map_device(g_acpi.hpet);
        const u32 period = hpet[1];
        if (period != 0 && period <= 100'000'000) {
            hpet[0x10 / 4] = hpet[0x10 / 4] | 1;
            return {"HPET", period, ~u32{0}, 20'000'000, hpet};
        }
    }
    // 8254 data sheet. Channel 2, the speaker's: gate on, speaker off; mode 0 counts down from 65535 once.
    out8(0x61, static_cast<u8>((in8(0x61) & ~2) | 1));
    out8(0x43, 0xb0);
    out8(0x42, 0xff);
    out8(0x42, 0xff);
    return {"PIT", 838'095'345, 0xffff, 5'000'000, nullptr};
}

struct Sample {
    u64 cycles_before, cycles_after;
    u32 reference, apic_left;
    u64 width() const { return cycles_after - cycles_before; }
};

// The tightest of a few: an emulator's CPU may lose the processor in the middle of one.
Sample take_sample(const Reference& clock) {
    Sample best{};
    for (int i = 0; i < 5; ++i) {
        Sample next{};
        next.cycles_before = cycles();
        next.reference = clock.read();
        next.apic_left = apic_timer_left();
        next.cycles_after = cycles();
        if (i == 0 || next.width() < best.width()) best = next;
    }
    return best;
}

// Where a frequency surely lies, in Hz.
struct Interval {
    u64 low, high;
    bool narrower_than_ppm(u64 ppm) const { return high - low < low / (1'000'000 / ppm); }
    u64 roundest() const {
        const u64 middle = low + (high - low) / 2;
        const u64 round = (middle + kMegahertz / 2) / kMegahertz * kMegahertz;
        return low <= round && round <= high ? round : middle;
    }
};

Interval frequency(u64 fewest, u64 most, u64 shortest_ns, u64 longest_ns) {
    return {static_cast<u64>(u128{fewest} * kSecond / longest_ns),
            static_cast<u64>(u128{most} * kSecond / shortest_ns)};
}

struct Calibration {
    u64 cycles_hz, apic_hz, elapsed_ns;
};

Calibration calibrate(const Reference& clock) {
    constexpr u64 kGiveUp = 4'000'000'000, kPause = 50'000;  // cycles
    const u64 tick_ns = clock.period_fs / kFemtosecondsPerNanosecond + 1;
    apic_timer_start(~u32{0});
    const Sample first = take_sample(clock);
    for (u64 pause_end = first.cycles_after + kPause;;) {
        while (cycles() < pause_end) cpu_relax();
        const Sample last = take_sample(clock);
        pause_end = last.cycles_after + kPause;
        const u64 ticks = (last.reference - first.reference) & clock.mask;
        const u64 ns = ticks * clock.period_fs / kFemtosecondsPerNanosecond;
        if (last.cycles_after - first.cycles_before > kGiveUp)
            refuse("the {} does not count: no clock to measure with", clock.name);
        if (ns <= 10 * tick_ns) continue;

        const Interval tsc = frequency(last.cycles_before - first.cycles_after, last.cycles_after - first.cycles_before,
                                       ns - tick_ns, ns + tick_ns);
        if (!tsc.narrower_than_ppm(100) && ns < clock.longest_ns) continue;
        const u64 hz = tsc.roundest();
        // The APIC's timer was read somewhere within the samples.
        const u64 slack_ns = tick_ns + (first.width() + last.width()) * kSecond / hz;
        const u64 apic_ticks = first.apic_left - last.apic_left;
        if (apic_ticks == 0) refuse("the local APIC's timer does not count");
        const Interval apic = frequency(apic_ticks - 1, apic_ticks + 1, ns - std::min(slack_ns, ns / 2), ns + slack_ns);
        return {hz, apic.roundest(), ns};
    }
}

}  // namespace

void calibrate_clocks() {
    const Reference clock = find_reference();
    const Calibration found = calibrate(clock);
    apic_timer_start(0);
    g_cycles_hz = found.cycles_hz;
    g_ticks_per_ns = (found.apic_hz << 32) / kSecond;
    if (found.apic_hz == 0 || found.apic_hz >> 32 != 0) refuse("the local APIC's timer makes no sense");
    ClockScale scale{cycles(), 0, 32};
    while ((kSecond << scale.shift) / found.cycles_hz >> 32 != 0) --scale.shift;
    scale.multiplier = static_cast<u32>(((kSecond << scale.shift) + found.cycles_hz / 2) / found.cycles_hz);
    g_scale = scale;
    g_boot_wall_clock = read_rtc();
    report("clock: TSC {} kHz, APIC timer {} kHz, by the {} in {} us", found.cycles_hz / 1000, found.apic_hz / 1000,
           clock.name, found.elapsed_ns / 1000);
}

Nanoseconds clock_at(u64 cycles) { return Nanoseconds{scaled(g_scale, cycles)}; }

Nanoseconds clock_now() { return clock_at(cycles()); }

std::span<const u8> vdso_image() { return {vdso_begin, vdso_end}; }

std::atomic<i64>& vdso_init_data(void* page) {
    return (new (page) VdsoData{g_scale, 0, g_features.rdtscp})->wall_clock_offset;
}

i64 boot_wall_clock() { return g_boot_wall_clock; }

u64 cycles_khz() { return g_cycles_hz / 1000; }

void timer_arm(Nanoseconds deadline) {
    arch_cpu().timer_deadline = deadline.raw;
    const i64 left = deadline.raw - clock_now().raw;
    // Rounded up. What does not fit in 32 bits comes too early; timer_interrupt() then goes on waiting.
    const u128 ticks = left > 0 ? (u128{static_cast<u64>(left)} * g_ticks_per_ns >> 32) + 1 : 1;
    apic_timer_start(static_cast<u32>(std::min<u128>(ticks, ~u32{0})));
}

void timer_interrupt(bool from_user) {
    ArchCpu& cpu = arch_cpu();
    // An interrupt that was on its way when the timer was set anew.
    if (cpu.timer_deadline == kNoDeadline) return;
    if (clock_now().raw < cpu.timer_deadline) return timer_arm(Nanoseconds{cpu.timer_deadline});
    cpu.timer_deadline = kNoDeadline;
    upcall::on_timer(from_user);
}

}  // namespace hd::arch
