// SPDX-License-Identifier: MIT
#include "kernel/core/log.hpp"

#include <algorithm>
#include <array>

#include "arch/cpu.hpp"
#include "arch/timer.hpp"
#include "kernel/core/spinlock.hpp"

namespace hd::log {

namespace {

constexpr usize kRingSize = 65536;

constinit core::IrqSpinlock g_lock{core::Rank::Log};
constinit std::array<char, kRingSize> g_ring GUARDED_BY(g_lock) = {};
constinit u64 g_written GUARDED_BY(g_lock) = 0;  // bytes ever; the ring holds the last kRingSize of them
constinit std::atomic<Level> g_console_level{Level::Info};
constinit Sink g_serial_sink GUARDED_BY(g_lock) = nullptr;
constinit Sink g_screen_sink GUARDED_BY(g_lock) = nullptr;

void store(std::string_view text) REQUIRES(g_lock) {
    for (const char c : text) g_ring[g_written++ % kRingSize] = c;
}

}  // namespace

void write(Level level, std::string_view format, hd::detail::FormatArguments arguments) {
    char buffer[256];
    BufferSink line({buffer, sizeof buffer - 1});
    const i64 now = arch::clock_now().raw;
    format_to(line, "[{:5}.{:06}] ", now / 1'000'000'000, now / 1'000 % 1'000'000);
    hd::detail::format_arguments(line, format, arguments);
    if (line.truncated()) buffer[sizeof buffer - 2] = '~';
    buffer[line.view().size()] = '\n';
    const std::string_view text(buffer, line.view().size() + 1);
    const bool to_consoles = level <= g_console_level.load(std::memory_order_relaxed);  // a setting, orders nothing

    Sink serial_sink, screen_sink;
    {
        core::LockGuard guard(g_lock);
        serial_sink = g_serial_sink;
        screen_sink = g_screen_sink;
        store(text);
        const bool poll_serial = to_consoles && serial_sink == nullptr;
        arch::early_write(text, poll_serial ? arch::EarlyOutput::Serial : arch::EarlyOutput::DebugOnly);
    }
    if (!to_consoles) return;
    // Without the lock: a screen that scrolls takes its time.
    if (serial_sink != nullptr) serial_sink(text);
    if (screen_sink != nullptr) screen_sink(text);
}

void set_console_level(Level level) {
    g_console_level.store(level, std::memory_order_relaxed);  // a setting, orders nothing
}

void set_screen_sink(Sink sink) {
    core::LockGuard guard(g_lock);
    g_screen_sink = sink;
}

void set_serial_sink(Sink sink) {
    core::LockGuard guard(g_lock);
    g_serial_sink = sink;
}

usize size() {
    core::LockGuard guard(g_lock);
    return std::min<u64>(g_written, kRingSize);
}

usize read_tail(std::span<char> buffer) {
    core::LockGuard guard(g_lock);
    const usize length = std::min<u64>(std::min<u64>(g_written, kRingSize), buffer.size());
    for (usize i = 0; i < length; ++i) buffer[i] = g_ring[(g_written - length + i) % kRingSize];
    return length;
}

void write_tail(TextSink& out, usize most) NO_THREAD_SAFETY_ANALYSIS {
    const usize stored = std::min<u64>(g_written, kRingSize), length = std::min(stored, most);
    const usize begin = (g_written - length) % kRingSize;
    const std::string_view ring(g_ring.data(), kRingSize);
    const std::string_view first = ring.substr(begin, length);
    // From the beginning of a line on, as far as the older part of the ring has one.
    const usize cut = length < stored ? first.find('\n') + 1 : 0;
    out.put(first.substr(cut));
    out.put(ring.substr(0, length - first.size()));
}

void UnlockedSink::put(std::string_view text) NO_THREAD_SAFETY_ANALYSIS {
    arch::early_write(text, arch::EarlyOutput::Serial);
    if (g_screen_sink != nullptr) g_screen_sink(text);  // in a panic it takes no locks, either
}

}  // namespace hd::log
