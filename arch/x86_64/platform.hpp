// SPDX-License-Identifier: MIT
// The PC around the processor, as far as the architecture itself needs it: first console, battery-backed clock,
// sentences.
#pragma once
#include "kernel/core/log.hpp"
#include "kernel/core/panic.hpp"

namespace hd::arch {

// Before the first early_write(). Boot CPU.
void init_early_console();

// A device's registers, mapped for good, or the end of the boot. Boot CPU, once kernel memory can be mapped.
volatile u32* map_device(PhysAddr registers);

// The battery-backed clock, in seconds since 1970, taken to be UTC. 0 if it makes no sense. Boot CPU.
i64 read_rtc();

// Formatted lines for the log, and a formatted sentence for the end of the boot.
template <class... Arguments> void report(FormatString<std::type_identity_t<Arguments>...> format,
                                          const Arguments&... a) {
    log::write(log::Level::Info, format.text, {a...});
}
template <class... Arguments>
[[noreturn]] void refuse(FormatString<std::type_identity_t<Arguments>...> format, const Arguments&... a) {
    core::boot_failure_with(format.text, {a...});
}

}  // namespace hd::arch
