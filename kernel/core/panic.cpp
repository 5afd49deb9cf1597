// SPDX-License-Identifier: MIT
#include "kernel/core/panic.hpp"

#include <atomic>

#include "arch/cpu.hpp"
#include "arch/report.hpp"
#include "kernel/core/held_locks.hpp"
#include "kernel/core/log.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/symbols.hpp"

namespace hd::core {

namespace {

constexpr u32 kNobody = ~u32{0};
constinit std::atomic<u32> g_panicking_cpu{kNobody};
constinit AtomicCpuMask g_began;          // CPUs that report, or have: nothing must make one of them begin again
constinit std::atomic<u32> g_stopped{0};  // CPUs other than the panicking one whose part is written
constexpr u64 kTooLong = u64{10} << 30;   // cycles: some seconds, for a part that goes over a real serial line
constexpr usize kLogTail = 1024;          // bytes of the log that the report repeats

// Whose turn it is to write, so that lines do not mix: odd while a CPU writes, another number at each change. The first panic
// has the first turn from the beginning.
constinit std::atomic<u32> g_turn{1};

// Calls take(turn) until it says true, or nothing has changed for too long: a CPU may be lost in the middle of its part.
// Returns the turn that it saw last.
template <class Take> u32 watch_turns(Take take) {
    u32 turn = g_turn.load(std::memory_order_acquire);  // pairs with end_turn(): the others' output came before
    for (u64 start = arch::cycles(); !take(turn) && arch::cycles() - start < kTooLong; arch::cpu_relax())
        if (const u32 now = g_turn.load(std::memory_order_acquire); now != turn) {
            turn = now;
            start = arch::cycles();
        }
    return turn;
}

u32 take_turn() {
    for (;;) {
        u32 seen = watch_turns([](u32 turn) { return turn % 2 == 0; });
        const u32 mine = seen % 2 == 0 ? seen + 1 : seen + 2;  // free, or taken from a CPU that is lost
        if (g_turn.compare_exchange_strong(seen, mine, std::memory_order_acquire)) return mine;
    }
}

void end_turn(u32 mine) {
    g_turn.compare_exchange_strong(mine, mine + 1, std::memory_order_release);  // unless it was taken away
}

void report_this_cpu(TextSink& out, u64 frame_pointer) {
    format_to(out, "CPU {}: ", this_cpu().raw);
    describe_running_thread(out, this_cpu());
    format_to(out, "\n  held spinlocks: {}\n", held_spinlocks().count());
    held_spinlocks().describe(out);
    out.put("  backtrace:\n");
    describe_backtrace(out, frame_pointer);
}

[[noreturn]] void stop_for_good() {
    g_stopped.fetch_add(1, std::memory_order_release);
    arch::halt_forever();
}

void report_panic(TextSink& out, const arch::TrapFrame* frame, std::string_view format,
                  hd::detail::FormatArguments arguments) {
    out.put("\n\n*** Heddle panic: ");
    hd::detail::format_arguments(out, format, arguments);
    out.put(" ***\n");
    if (frame != nullptr) arch::describe_frame(out, *frame);
    report_this_cpu(out, frame != nullptr ? frame->frame_pointer() : arch::frame_pointer());
}

}  // namespace

bool panicking() { return g_panicking_cpu.load(std::memory_order_relaxed) != kNobody; }

void panic_with(const arch::TrapFrame* frame, std::string_view format, hd::detail::FormatArguments arguments) {
    arch::irq_disable();
    const CpuId self = this_cpu();
    const bool nested = g_began.load().has(self);
    g_began.add(self);  // from here on the NMI of another CPU's panic returns
    log::UnlockedSink out;
    // seq_cst: exactly one is the first.
    u32 first = kNobody;
    if (!g_panicking_cpu.compare_exchange_strong(first, self.raw)) {
        if (first == self.raw) arch::power_off(arch::ExitStatus::Panic);
        if (nested) arch::halt_forever();
        const u32 turn = take_turn();
        report_panic(out, frame, format, arguments);
        end_turn(turn);
        stop_for_good();
    }
    // First of all the others stop: from then on nobody changes what is printed, and what they have locked stays as it is. Not
    // for ever is anything waited for here: one of them may be what this panic is about. They write their parts, one at a time,
    // when this CPU's is written. (Not broadcast, which would also reset a machine where a CPU has no descriptor tables yet.)
    const CpuMask others = online_cpus().without(self);
    others.for_each(arch::send_nmi);
    watch_turns([&](u32) { return (g_began.load() & others) == others; });
    report_panic(out, frame, format, arguments);
    out.put("last lines of the log:\n");
    log::write_tail(out, kLogTail);
    end_turn(1);
    // acquire pairs with the release in stop_for_good().
    watch_turns([&](u32) { return g_stopped.load(std::memory_order_acquire) == others.count(); });
    out.put("*** end of report ***\n");
    arch::power_off(arch::ExitStatus::Panic);
}

void panic_stop_this_cpu(const arch::TrapFrame& frame) {
    if (g_began.load().has(this_cpu())) return;
    g_began.add(this_cpu());
    const u32 turn = take_turn();
    log::UnlockedSink out;
    report_this_cpu(out, frame.frame_pointer());
    end_turn(turn);
    stop_for_good();
}

void assertion_failed(const char* condition, const char* sentence, const char* file, int line) {
    panic("{} ({} at {}:{})", sentence, condition, file, line);
}

void boot_failure_with(std::string_view format, hd::detail::FormatArguments arguments) {
    arch::irq_disable();
    log::UnlockedSink out;
    out.put("\nHeddle cannot start: ");
    hd::detail::format_arguments(out, format, arguments);
    out.put("\n");
    arch::power_off(arch::ExitStatus::BootFailure);
}

}  // namespace hd::core
