// SPDX-License-Identifier: MIT
// See sleep_watch.hpp. Sleeping costs nothing: a thread of the kernel's own looks at all threads a few times within the limit, and
// takes one for asleep whose count of switches has not changed since its last look. It does so only while somebody is in such a sleep,
// so that an idle machine stays without timers:
//
//     sleeper (kernel/sync/wait_queue.cpp)              watch
//     S1  state = Blocking                              V1  watched = false
//     S2  watched? else wakes the watch                 V2  looks at every thread: somebody sleeps, so it looks again soon
//
// All four are sequentially consistent: either S2 comes after V1 and sees false, or S1 comes before V2, which sees the sleeper.
//
// Locking: a user thread's stack is read under g_tree_lock, a kernel thread's under the lock of their list. No thread ends while
// these are held, so the stack stays; it may wake, and then its stack says nothing. Nothing is printed under either lock.
#include "kernel/task/sleep_watch.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/core/command_line.hpp"
#include "kernel/core/log.hpp"
#include "kernel/core/symbols.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/task/tree.hpp"

namespace hd::task {

namespace {

constexpr Nanoseconds kDefaultLimit = milliseconds(30'000);
constexpr i64 kLooks = 4;  // within the limit: a thread is listed after 1 to 1.5 times as long

constinit std::atomic<i64> g_limit{kDefaultLimit.raw};  // relaxed: a setting
constinit std::atomic<bool> g_due{false};
constinit sync::WaitQueue g_wake;

void make_due() {
    g_due.store(true);
    g_wake.wake_one();
}

void watch_sleeps() {
    if (!sync::g_sleeps_watched.exchange(true)) make_due();
}

// What is told of a thread, copied while it cannot end.
struct Finding {
    i32 id = 0, pid = 0;
    char name[16] = {};
    const char* channel = "";
    Nanoseconds asleep{};
    usize frame_count = 0;
    u64 frames[20] = {};
    core::HeldSleepingLocks locks;
};

struct Look {
    const Nanoseconds now = time::now(), limit = sleep_limit();
    bool somebody_sleeps = false;  // who has not been told of
    bool found = false;
    Finding finding;
};

bool sleeps_without_reason(const sched::Entity& thread) {
    const sched::State state = thread.state.load();  // seq_cst: V2
    return (state == sched::State::Blocking || state == sched::State::Sleeping) &&
           thread.sleep_kind == sched::SleepKind::Uninterruptible;
}

// With the lock held that keeps the thread from ending. True: the finding is about it.
bool look_at(sched::Entity& thread, i32 pid, Look& look) {
    if (!sleeps_without_reason(thread)) return false;
    const u64 switches = thread.voluntary_switches;
    if (thread.watched_switches != switches) {
        thread.watched_switches = switches;
        thread.watched_since = look.now;
        thread.watch_told = false;
    }
    if (thread.watch_told) return false;
    look.somebody_sleeps = true;
    // acquire pairs with the release at the end of the switch: its registers are saved.
    if (look.now - thread.watched_since < look.limit || thread.on_cpu.load(std::memory_order_acquire)) return false;
    Finding& finding = look.finding;
    finding.id = thread.id;
    finding.pid = pid;
    std::memcpy(finding.name, thread.name, sizeof finding.name);
    finding.channel = thread.wait_channel;
    finding.asleep = look.now - thread.watched_since;
    finding.locks = thread.held_sleeping_locks;
    finding.frame_count =
        arch::backtrace(arch::frame_pointer_of(thread.context), finding.frames, std::size(finding.frames));
    // Unless it woke meanwhile: then what was copied may be of two minds.
    if (!sleeps_without_reason(thread) || thread.voluntary_switches != switches) return false;
    thread.watch_told = true;
    return look.found = true;
}

class LogLines final : public TextSink {
public:
    void put(std::string_view text) override {
        for (const char c : text) {
            if (c != '\n') line_.put({&c, 1});
            if (c == '\n') flush();
        }
    }

private:
    void flush() {
        log::warn("{}", line_.view());
        line_ = BufferSink(buffer_);
    }
    char buffer_[160];
    BufferSink line_{buffer_};
};

void report(const Finding& finding) {
    LogLines out;
    format_to(out, "thread {} ({}) of process {} has slept for {} s without a reason, in {}:\n", finding.id,
              finding.name, finding.pid, finding.asleep.raw / 1'000'000'000, finding.channel);
    for (usize i = 0; i < finding.frame_count; ++i) {
        out.put("    ");
        core::describe_address(out, finding.frames[i]);
        out.put("\n");
    }
    finding.locks.describe(out);
}

// Looks on until it finds somebody to be told of; false: there is nobody more.
bool find_kernel_thread(Look& look) {
    look.found = false;
    sched::for_each_kernel_thread(
        [](sched::Entity& thread, void* argument) {
            Look& seen = *static_cast<Look*>(argument);
            if (!seen.found) look_at(thread, 0, seen);
        },
        &look);
    return look.found;
}

bool find_user_thread(Look& look, i32& from) {
    const TreeGuard guard(g_tree_lock);
    look.found = false;
    while (auto* link = g_pids.find_from(from, PidKind::Thread)) {
        auto& thread = static_cast<Thread&>(*link);
        from = link->number() + 1;
        if (look_at(thread, thread.process().pid(), look)) break;
    }
    return look.found;
}

void run_watch(void*) {
    for (Nanoseconds next = Nanoseconds::max();;) {
        (void)g_wake.wait_interruptible("sleep watch", [] { return g_due.exchange(false); }, next);
        next = Nanoseconds::max();
        sync::g_sleeps_watched.store(sleep_limit() ==
                                     Nanoseconds{0});  // seq_cst: V1. Without a limit nobody has to wake this thread
        if (sleep_limit() == Nanoseconds{0}) continue;
        Look look;
        while (find_kernel_thread(look)) report(look.finding);
        for (i32 from = 1; find_user_thread(look, from);) report(look.finding);
        if (!look.somebody_sleeps) continue;
        sync::g_sleeps_watched.store(true);
        next = look.now + Nanoseconds{look.limit.raw / kLooks};
    }
}

}  // namespace

Nanoseconds sleep_limit() { return Nanoseconds{g_limit.load(std::memory_order_relaxed)}; }

void set_sleep_limit(Nanoseconds limit) {
    g_limit.store(limit.raw, std::memory_order_relaxed);
    make_due();
}

void init_sleep_watch() {
    sync::g_watch_sleeps = watch_sleeps;
    if (!sched::spawn_kernel_thread("sleep watch", run_watch, nullptr, CpuMask::all()))
        core::boot_failure("there is no memory for the watch over sleeping threads");
    auto option = core::command_line_option("hung_task_timeout_secs").value_or("");
    const auto seconds = take_number(option);
    set_sleep_limit(seconds && *seconds <= kMaxSleepLimit ? milliseconds(static_cast<i64>(*seconds) * 1000)
                                                          : kDefaultLimit);
}

}  // namespace hd::task
