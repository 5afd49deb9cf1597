// SPDX-License-Identifier: MIT
// The kernel log: a ring of the last lines (dmesg reads it), printed as they come. Everything goes to the emulator's debug
// console when there is one; lines at least as grave as the console level go to the consoles as well. Any context but
// NMI; takes the innermost lock. Not for hot paths.
#pragma once
#include "kernel/lib/format.hpp"

namespace hd::log {

enum class Level : u8 { Error = 3, Warning = 4, Info = 6 };  // syslog(2)'s numbers

void write(Level level, std::string_view format, hd::detail::FormatArguments arguments);

template <class... A> void error(FormatString<std::type_identity_t<A>...> format, const A&... a) {
    write(Level::Error, format.text, {a...});
}
template <class... A> void warn(FormatString<std::type_identity_t<A>...> format, const A&... a) {
    write(Level::Warning, format.text, {a...});
}
template <class... A> void info(FormatString<std::type_identity_t<A>...> format, const A&... a) {
    write(Level::Info, format.text, {a...});
}

// Which levels reach the consoles; `quiet` on the command line lowers it to warnings.
void set_console_level(Level level);

// A console that wants the lines, each whole and with its newline. Called in the logger's context, by several CPUs at once:
// must not log, sleep or allocate. The serial console's takes over from the early polled output (both write the same line).
using Sink = void (*)(std::string_view text);
void set_screen_sink(Sink sink);
void set_serial_sink(Sink sink);

// Copies the newest part of the log that fits. Returns its length. For syslog(2).
usize read_tail(std::span<char> buffer);
usize size();  // bytes in the ring
// The last lines, at most so many bytes, without the lock and without a copy: for panics, when its holder may be stopped.
void write_tail(TextSink& out, usize most);

// The next character's consumer: for reports that must come out while the log's lock may be held by a stopped CPU.
class UnlockedSink final : public TextSink {
public:
    void put(std::string_view text) override;
};

}  // namespace hd::log
