// SPDX-License-Identifier: MIT
#include "kernel/core/panic.hpp"

#include <atomic>

#include "arch/cpu.hpp"
#include "arch/report.hpp"
#include "kernel/core/held_locks.hpp"
#include "kernel/core/log.hpp"
#include "kernel/core/panic_hooks.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/symbols.hpp"

namespace hd::core {

namespace {

constexpr u32 kNobody = ~u32{0};
constinit std::atomic<u32> g_panicking_cpu{kNobody};
constinit std::atomic<u32> g_reporting{0};  // one report at a time: the panicking CPU's, then each stopped CPU's

void report_this_cpu(TextSink& out, u64 frame_pointer) {
    format_to(out, "CPU {}: ", this_cpu().raw);
    describe_running_thread(out, this_cpu());
    format_to(out, "\n  held spinlocks: {}\n", held_spinlocks().count());
    held_spinlocks().describe(out);
    out.put("  backtrace:\n");
    describe_backtrace(out, frame_pointer);
}

// Waits for the other CPUs' answers to the NMI, but not for ever: one of them may be what this panic is about.
void let_others_report() {
    arch::send_nmi_to_others();
    const u64 start = arch::cycles();
    const u32 others = cpu_count() - 1;
    while (g_reporting.load(std::memory_order_acquire) < others && arch::cycles() - start < u64{2'000'000'000})
        arch::cpu_relax();
}

}  // namespace

bool panicking() { return g_panicking_cpu.load(std::memory_order_relaxed) != kNobody; }

void panic_with(const arch::TrapFrame* frame, std::string_view format,
                std::span<const hd::detail::FormatArgument> arguments) {
    arch::irq_disable();
    u32 nobody = kNobody;
    // seq_cst: the first to come reports; a second CPU's panic waits for the first one's NMI, a nested one on this CPU stops.
    if (!g_panicking_cpu.compare_exchange_strong(nobody, this_cpu().raw)) {
        if (nobody == this_cpu().raw) arch::power_off(arch::ExitStatus::Panic);
        arch::halt_forever();
    }
    log::UnlockedSink out;
    out.put("\n\n*** Heddle panic: ");
    hd::detail::format_arguments(out, format, arguments);
    out.put(" ***\n");
    if (frame != nullptr) arch::describe_frame(out, *frame);
    report_this_cpu(out, frame != nullptr ? frame->frame_pointer() : arch::frame_pointer());
    let_others_report();
    out.put("*** end of report ***\n");
    arch::power_off(arch::ExitStatus::Panic);
}

void panic_stop_this_cpu(const arch::TrapFrame& frame) {
    // The CPUs take turns by number, so that their lines do not mix.
    u32 before = 0;
    online_cpus().for_each([&](CpuId cpu) {
        if (cpu < this_cpu() && cpu.raw != g_panicking_cpu.load(std::memory_order_relaxed)) ++before;
    });
    const u64 start = arch::cycles();
    while (g_reporting.load(std::memory_order_acquire) < before && arch::cycles() - start < u64{1'000'000'000})
        arch::cpu_relax();
    log::UnlockedSink out;
    report_this_cpu(out, frame.frame_pointer());
    g_reporting.fetch_add(1,
                          std::memory_order_release);  // pairs with the acquire loads above and in let_others_report()
    arch::halt_forever();
}

void assertion_failed(const char* condition, const char* sentence, const char* file, int line) {
    panic("{} ({} at {}:{})", sentence, condition, file, line);
}

void boot_failure(std::string_view sentence) {
    arch::irq_disable();
    log::UnlockedSink out;
    format_to(out, "\nHeddle cannot start: {}\n", sentence);
    arch::power_off(arch::ExitStatus::BootFailure);
}

}  // namespace hd::core
