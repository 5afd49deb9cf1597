// SPDX-License-Identifier: MIT
#include "kernel/trap/thread_dump.hpp"

#include <atomic>

#include "arch/cpu.hpp"
#include "arch/report.hpp"
#include "kernel/core/log.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/symbols.hpp"
#include "kernel/task/process.hpp"

namespace hd::trap {

namespace {

class DebugSink final : public TextSink {
public:
    void put(std::string_view text) override { arch::early_write(text, arch::EarlyOutput::DebugOnly); }
};

constinit std::atomic<u64> g_last_full_dump{0};  // cycles; one CPU's NMI of a salvo does the list of sleepers

const char* state_name(sched::State state) {
    constexpr const char* kNames[] = {"new", "runnable", "running", "blocking", "sleeping", "dead"};
    return kNames[static_cast<u32>(state)];
}

void dump_sleepers(TextSink& out) {
    if (!task::g_tree_lock.try_lock()) {
        out.put("the process tree is locked: no list of threads\n");
        return;
    }
    for (i32 from = 1;;) {
        const auto* link = task::g_pids.find_from(from, task::PidKind::Thread);
        if (link == nullptr) break;
        const auto& thread = static_cast<const task::Thread&>(*link);
        from = link->number() + 1;
        const sched::State state = thread.state.load(std::memory_order_relaxed);
        format_to(out, "thread {} ({}) of process {}: {} on CPU {}, waits for: {}\n", thread.id, thread.name,
                  thread.process().pid(), state_name(state), thread.cpu.load(std::memory_order_relaxed),
                  state == sched::State::Sleeping ? thread.wait_channel : "-");
        if (state == sched::State::Sleeping && !thread.on_cpu.load(std::memory_order_relaxed))
            core::describe_backtrace(out, arch::frame_pointer_of(thread.context));
    }
    task::g_tree_lock.unlock();
}

}  // namespace

void dump_threads(const arch::TrapFrame& frame) {
    DebugSink out;
    format_to(out, "\n--- CPU {} on request: ", core::this_cpu().raw);
    core::describe_running_thread(out, core::this_cpu());
    format_to(out, "\n    at {} ", frame.ip());
    core::describe_address(out, frame.ip().raw);
    out.put("\n");
    if (!frame.user_mode()) core::describe_backtrace(out, frame.frame_pointer());
    core::held_spinlocks().describe(out);

    constexpr u64 kSalvo = 1'000'000'000;  // cycles
    u64 last = g_last_full_dump.load(std::memory_order_relaxed);
    const u64 now = arch::cycles();
    if ((last == 0 || now - last > kSalvo) && g_last_full_dump.compare_exchange_strong(last, now)) dump_sleepers(out);
}

}  // namespace hd::trap
