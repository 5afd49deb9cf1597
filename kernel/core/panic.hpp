// SPDX-License-Identifier: MIT
// The end: a report and a halt. ASSERT states what must hold; it stays on in the default build, so keep it cheap.
#pragma once
#include "kernel/lib/format.hpp"

namespace hd::arch {
struct TrapFrame;
}

namespace hd::core {

// Prints the report - sentence, registers if `frame` is given, backtraces of this CPU and of the others, the running
// threads, held locks, last log lines - and halts with ExitStatus::Panic. Any context, NMI included. The other CPUs stop first; one
// that panics at the same time gives its sentence in its own part of the report.
[[noreturn]] void panic_with(const arch::TrapFrame* frame, std::string_view format,
                             hd::detail::FormatArguments arguments);

template <class... Arguments>
[[noreturn]] void panic(FormatString<std::type_identity_t<Arguments>...> format, const Arguments&... arguments) {
    panic_with(nullptr, format.text, {arguments...});
}

// The same for an exception: the report shows the registers of `frame`.
template <class... Arguments>
[[noreturn]] void panic_at(const arch::TrapFrame& frame, FormatString<std::type_identity_t<Arguments>...> format,
                           const Arguments&... arguments) {
    panic_with(&frame, format.text, {arguments...});
}

[[noreturn]] void assertion_failed(const char* condition, const char* sentence, const char* file, int line);

// What the report says of the thread that a CPU runs; kernel/sched has it. Any context.
void describe_running_thread(TextSink& sink, CpuId cpu);

// An NMI during a panic: this CPU writes its part of the report and stops. Returns at once if it is about that already.
void panic_stop_this_cpu(const arch::TrapFrame& frame);

// Is a panic under way? Then whoever would wait for another CPU must not.
bool panicking();

// The end before the kernel could start in earnest: one clear sentence on every console, then a halt with
// ExitStatus::BootFailure.
[[noreturn]] void boot_failure_with(std::string_view format, hd::detail::FormatArguments arguments);
template <class... Arguments>
[[noreturn]] void boot_failure(FormatString<std::type_identity_t<Arguments>...> format, const Arguments&... arguments) {
    boot_failure_with(format.text, {arguments...});
}

}  // namespace hd::core

#define ASSERT(condition, sentence)                                                                             \
    (__builtin_expect(!(condition), 0) ? ::hd::core::assertion_failed(#condition, sentence, __FILE__, __LINE__) \
                                       : void())
