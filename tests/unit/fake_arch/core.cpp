// SPDX-License-Identifier: MIT
// kernel/core's parts that the host does in its own way: a panic is an exception, CPUs come and go between tests.
#include "kernel/core/panic.hpp"
#include "kernel/core/percpu.hpp"
#include "tests/unit/fake_arch/cpus.hpp"

extern "C" hd::u8 __start_percpu[], __stop_percpu[];

namespace hd::fake {

namespace {

std::atomic<u64> g_online{1};

}  // namespace

void (*g_on_panic)(std::string_view text) = nullptr;

void set_online_cpus(u32 count);
void set_online_cpus(u32 count) { g_online = (u64{1} << count) - 1; }

}  // namespace hd::fake

namespace hd::core {

constinit u64 g_percpu_offsets[kMaxCpus] = {};

Result<> percpu_prepare(CpuId, Result<void*> (*)(usize)) { return {}; }  // fake::reset() does it
u32 cpu_count() { return online_cpus().count(); }
CpuMask online_cpus() { return CpuMask{fake::g_online.load()}; }
void set_cpu_online(CpuId cpu) { fake::g_online |= CpuMask::of(cpu).bits(); }

bool panicking() { return false; }

void panic_with(const arch::TrapFrame*, std::string_view format, hd::detail::FormatArguments arguments) {
    char text[512];
    BufferSink sink(text);
    hd::detail::format_arguments(sink, format, arguments);
    if (fake::g_on_panic != nullptr) fake::g_on_panic(sink.view());
    throw fake::Panic(std::string(sink.view()));
}

void assertion_failed(const char* condition, const char* sentence, const char* file, int line) {
    panic("{} ({} at {}:{})", sentence, condition, file, line);
}

void boot_failure_with(std::string_view format, hd::detail::FormatArguments arguments) {
    panic_with(nullptr, format, arguments);
}

}  // namespace hd::core
