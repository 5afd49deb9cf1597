// SPDX-License-Identifier: MIT
// See watch.hpp.
#include "kernel/ipc/deadlock/watch.hpp"

#include "arch/report.hpp"
#include "kernel/core/command_line.hpp"
#include "kernel/core/log.hpp"
#include "kernel/fs/vfs/file_lock.hpp"
#include "kernel/ipc/deadlock/wait.hpp"
#include "kernel/ipc/pi_futex.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/user_stack.hpp"
#include "kernel/time/timer.hpp"

namespace hd::ipc {

namespace {

constexpr Nanoseconds kInterval{1'000'000'000};

constinit sync::WaitQueue g_rest;
constinit bool g_breaks = false;  // constant after boot

// ---- the report

void tell_calls(const ThreadWait& wait) {
    const auto space = resources_of(wait.who->process()).space;
    if (!space) return;
    task::UserStackWalk calls(*wait.who, *space);
    for (int i = 0; i < 16; ++i) {
        const u64 address = calls.next();
        if (address == 0) return;
        char text[192];
        BufferSink line(text);
        task::describe_user_address(line, *space, address);
        log::warn("deadlock:     {} {}", calls.is_certain() ? " " : "?", line.view());
    }
}

// `wait`'s thread, and which of the stuck ones it holds up.
void tell(WaitGraph& graph, const ThreadWait& wait) {
    char text[160];
    BufferSink line(text);
    describe_wait(line, wait);
    log::warn("deadlock:   thread {} ({}) of process {} {}", wait.thread, wait.who->name, wait.process, line.view());
    tell_calls(wait);
    for (const GraphNode& node : graph.nodes) {
        if (!node.stuck || &graph.next(node) != &wait) continue;
        BufferSink what(text);
        describe_object(what, static_cast<const ThreadWait&>(node));
        log::warn("deadlock:     it holds up thread {}, which waits for {}", node.thread, what.view());
    }
}

void break_at(ThreadWait& wait) {
    if (wait.kind == WaitKind::PriorityMutex)
        refuse_pi_wait(*wait.who);
    else
        fs::refuse_record_lock(*wait.who);
    log::warn("deadlock:   broken: thread {} gets EDEADLK", wait.thread);
}

// Calls `visit` for the members of the circle, beginning with `first`.
template <class Visit> void for_each_member(WaitGraph& graph, ThreadWait& first, Visit visit) {
    GraphNode* at = &first;
    do {
        visit(static_cast<ThreadWait&>(*at));
        at = &graph.next(*at);
    } while (at != &first);
}

void tell_circle(WaitGraph& graph, ThreadWait& first) {
    u32 members = 0;
    bool lasts = true, told = true;
    ThreadWait* breakable = nullptr;
    for_each_member(graph, first, [&](ThreadWait& wait) {
        ++members;
        lasts = lasts && wait.lasts();
        told = told && wait.who->told_deadlock == wait.sleep;
        if (wait.kind == WaitKind::PriorityMutex || wait.kind == WaitKind::RecordLock) breakable = &wait;
    });
    if (!lasts || told) return;
    log::warn("deadlock: {} {} for {}", members, members == 1 ? "thread waits" : "threads wait",
              members == 1 ? "itself" : "each other");
    for_each_member(graph, first, [&](ThreadWait& wait) {
        wait.who->told_deadlock = wait.sleep;
        tell(graph, wait);
    });
    if (!g_breaks) return;
    if (breakable != nullptr)
        break_at(*breakable);
    else
        log::warn("deadlock:   cannot be broken: none of these calls has an EDEADLK");
}

// ---- the look

// What a look saw of all threads, to tell whether anything has changed since the last one.
struct Activity {
    u64 sleeps = 0;
    bool runs = false;  // somebody is awake
    friend bool operator==(const Activity&, const Activity&) = default;
};

Activity collect(WaitList& waits) {
    Activity activity;
    for (auto process = task::next_process(Pid{0}); process; process = task::next_process(Pid{process->pid() + 1})) {
        for (auto thread = thread_after(*process, nullptr); thread; thread = thread_after(*process, thread.get())) {
            auto wait = mm::make<ThreadWait>(*thread);
            if (!wait) return activity;  // a look at some of them says less, but nothing wrong
            activity.sleeps += (*wait)->sleep;
            activity.runs = activity.runs || (*wait)->kind == WaitKind::None;
            const bool counts = !(*wait)->may_end && (*wait)->kind != WaitKind::None;
            if (counts) waits.push_back(*wait->release());
        }
    }
    return activity;
}

// True: things have changed since the last look, or may be changing.
bool look() {
    static constinit Activity last;
    WaitList waits;
    const Activity now = collect(waits);
    find_pipe_providers(waits);
    {
        const auto graph = mm::make<WaitGraph>();
        if (!graph) return true;
        WaitList& nodes = (*graph)->nodes;
        while (!waits.empty()) {
            auto& wait = static_cast<ThreadWait&>(waits.front());
            waits.pop_front();
            if (wait.depends())
                (*graph)->add(wait);
            else
                delete &wait;
        }
        (*graph)->solve();
        for (GraphNode& node : nodes) {
            if (!node.stuck) continue;
            if (GraphNode* const member = (*graph)->circle_of(node))
                tell_circle(**graph, static_cast<ThreadWait&>(*member));
        }
        nodes.clear_and_dispose([](GraphNode* node) { delete static_cast<ThreadWait*>(node); });
    }
    return std::exchange(last, now) != now || now.runs;
}

void pause() {
    const auto never = [](const void*) { return false; };
    (void)sync::sleep_on(never, nullptr, sched::SleepKind::Interruptible, "deadlockd", time::now() + kInterval);
}

void watch(void*) {
    for (;;) {
        sync::g_watching_sleeps.store(true);
        if (!look())
            g_rest.wait_until(
                "deadlockd", [] { return !sync::g_watching_sleeps.load(); }, sched::SleepKind::Interruptible);
        sync::g_watching_sleeps.store(false);
        pause();
    }
}

void on_sleep() {
    if (sync::g_watching_sleeps.exchange(false)) g_rest.wake_one();
}

}  // namespace

void init_deadlock_watch() {
    const auto option = core::command_line_option("deadlock").value_or("report");
    g_breaks = option == "break";
    if (!g_breaks && option != "report") log::warn("deadlock={}: neither report nor break; it is report", option);
    sync::g_on_watched_sleep = on_sleep;
    if (!sched::spawn_kernel_thread("deadlockd", watch, nullptr, CpuMask::all()))
        log::warn("there is no memory for the watch for deadlocks");
}

}  // namespace hd::ipc
