// SPDX-License-Identifier: MIT
// See livelock.hpp. The life of a suspicion, per process:
//
//     Quiet ──a thread makes many calls in vain──► Watched ──a window full of nothing else──► Told
//       ▲                                             │
//       └──────── a call that gets somewhere ◄────────┤
//       └──────── at the window's end: a thread worked, or too few tried
#include "kernel/task/livelock.hpp"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

#include "kernel/core/command_line.hpp"
#include "kernel/core/log.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/task/tree.hpp"
#include "kernel/task/user_stack.hpp"

namespace hd::task {

namespace {

using State = LivelockWatch::State;

constexpr Nanoseconds kDefaultWindow = seconds(5);
// How many windows it takes to be sure: of threads that are alone with each other and come back to the same states; where somebody
// from outside may yet come, or a thread counts.
constexpr i64 kClosed = 1, kOpen = 4;
constexpr Nanoseconds kPause = seconds(1);  // between a suspicion that was wrong and the next
constexpr Nanoseconds kHaste = microseconds(20);
constexpr usize kMostThreads = 256;  // what is judged with interrupts off
constexpr int kFewStates = 32;       // of 256 by hash, that a thread may be in
constexpr u32 kFewChanges = 32;      // of its state by anything but a counter
constexpr u64 kFewFaults = 32;       // new pages in the window: stacks grow a little

constinit std::atomic<i64> g_window{kDefaultWindow.raw};  // relaxed: a setting

constexpr const char* kKindNames[] = {"sched_yield",         "nanosleep of a moment", "futex wait for another value",
                                      "futex lock not free", "file lock not free",    "semaphore not free"};
static_assert(std::size(kKindNames) == Repetition::kKinds);

constexpr usize kind_of(Step step) { return static_cast<usize>(step) - static_cast<usize>(Step::Yield); }

void begin_locked(Process& process, Nanoseconds now) REQUIRES(process.signal_lock) {
    process.livelock.state = State::Watched;
    process.livelock.since = now;
    process.livelock.threads = process.threads.size();
    process.livelock.faults = process.space->minor_faults();
    for (Thread& thread : process.threads) {
        Repetition& record = thread.repetition;
        std::fill(std::begin(record.counts), std::end(record.counts), 0);
        std::fill(std::begin(record.states), std::end(record.states), 0);
        record.in_haste = record.hand_overs = record.other_changes = 0;
        record.where = 0;
        record.left_kernel = now;
        record.run_time = sched::cpu_time(thread);
        thread.user_work.fetch_or(kWorkWatched, std::memory_order_relaxed);
    }
}

// The threads find out for themselves, each at its next return.
void end_locked(Process& process, Nanoseconds not_before) REQUIRES(process.signal_lock) {
    process.livelock.state = State::Quiet;
    process.livelock.not_before = not_before;
}

void note_state(Repetition& record, const ProgramState& state) {
    u64 hash = 0;
    u32 changes = 0;
    usize changed = 0;
    u8 by = 0;
    for (usize i = 0; i < std::size(state); ++i) {
        hash = (hash ^ state[i]) * 0x9e37'79b9'7f4a'7c15;
        const u8 byte = static_cast<u8>(state[i]), difference = static_cast<u8>(byte - record.last_bytes[i]);
        record.last_bytes[i] = byte;
        if (difference == 0) continue;
        ++changes;
        changed = i;
        by = difference;
    }
    hash >>= 56;
    record.states[hash / 64] |= u64{1} << hash % 64;
    if (state[0] != std::exchange(record.where, state[0]))
        return;  // another call: not to be compared with the one before
    if (changes == 0 || (changes == 1 && record.counter == changed && record.counter_step == by)) return;
    ++record.other_changes;
    record.counter = static_cast<u8>(changed);
    record.counter_step = by;
}

int states_seen(const Repetition& record) {
    int count = 0;
    for (const u64 bits : record.states) count += std::popcount(bits);
    return count;
}

enum class Verdict : u8 { Innocent, TooEarly, Livelock };

// What a thread has done in the window.
enum class Conduct : u8 {
    Works,   // something else, or gets further between its calls
    Sleeps,  // nothing
    Counts,  // tries in vain, and nothing changes but one word, by as much each time: it counts its attempts, or its steps
    Repeats,  // tries in vain, and comes back to the same few states
};

Conduct conduct_of(Thread& thread, Nanoseconds window) {
    const Repetition& record = thread.repetition;
    const u32 in_vain = record.in_vain();
    if (in_vain < kSuspicious) {
        const Nanoseconds ran = sched::cpu_time(thread) - record.run_time;
        return ran.raw > window.raw / 50 ? Conduct::Works : Conduct::Sleeps;
    }
    if (record.in_haste < in_vain / 4 * 3 || record.hand_overs > in_vain / 8) return Conduct::Works;
    if (states_seen(record) <= kFewStates) return Conduct::Repeats;
    return record.other_changes <= kFewChanges ? Conduct::Counts : Conduct::Works;
}

Verdict judge_locked(Process& process, Nanoseconds now) REQUIRES(process.signal_lock) {
    const Nanoseconds window = livelock_window(), passed = now - process.livelock.since;
    if (window.raw == 0) return Verdict::Innocent;
    if (passed < window) return Verdict::TooEarly;
    if (process.threads.size() != process.livelock.threads) return Verdict::Innocent;
    if (process.space->minor_faults() - process.livelock.faults > kFewFaults) return Verdict::Innocent;
    u32 trying = 0;
    i64 windows = kClosed;
    for (Thread& thread : process.threads) {
        const u32(&counts)[Repetition::kKinds] = thread.repetition.counts;
        switch (conduct_of(thread, passed)) {
        case Conduct::Works: return Verdict::Innocent;
        case Conduct::Sleeps:
            if (std::string_view(thread.wait_channel) != "futex") windows = kOpen;
            continue;
        case Conduct::Counts: windows = kOpen; break;
        case Conduct::Repeats: break;
        }
        ++trying;
        if (counts[kind_of(Step::FileLockBusy)] != 0 || counts[kind_of(Step::SemaphoreBusy)] != 0) windows = kOpen;
    }
    if (trying < 2) return Verdict::Innocent;
    return passed.raw < window.raw * windows ? Verdict::TooEarly : Verdict::Livelock;
}

void describe_repetition(TextSink& sink, Process& process, const Repetition& record) {
    const char* separator = "";
    for (usize i = 0; i < Repetition::kKinds; ++i) {
        if (record.counts[i] == 0) continue;
        format_to(sink, "{}{} times {}", std::exchange(separator, ", "), record.counts[i], kKindNames[i]);
    }
    sink.put(", last at ");
    describe_user_address(sink, *process.space, record.where);
}

// Calls visit(thread, record) for each thread that has tried in vain. What is recorded stays as it is once that was told of.
template <class Visit> void for_each_trying(Process& process, Visit visit) {
    for (auto thread = next_thread(process, Pid{0}); thread; thread = next_thread(process, Pid{thread->number() + 1})) {
        Repetition record;
        {
            const SignalGuard guard(process.signal_lock);
            record = thread->repetition;
        }
        if (record.in_vain() != 0) visit(*thread, record);
    }
}

void report(Process& process, Nanoseconds passed) {
    log::warn("livelock in process {}: for {} s its running threads have only tried in vain", process.pid(),
              passed.raw / 1'000'000'000);
    for_each_trying(process, [&process](const Thread& thread, const Repetition& record) {
        char text[200];
        BufferSink sink(text);
        describe_repetition(sink, process, record);
        // Of which process: several may be told of at once.
        log::warn("    thread {} ({}) of process {}: {}", thread.id, thread.name, process.pid(), sink.view());
    });
}

}  // namespace

void note_failure(Errno error) {
    if (error == Errno::kEAGAIN) note_futile();
}

void suspect_livelock(Thread& self) {
    Repetition& record = self.repetition;
    record.tries = 0;
    const Nanoseconds now = time::now(), before = std::exchange(record.since, now);
    if (now - before > seconds(1) || livelock_window().raw == 0) return;
    Process& process = self.process();
    const SignalGuard guard(process.signal_lock);
    if (process.livelock.state != State::Quiet || now < process.livelock.not_before) return;
    if (process.threads.size() < 2 || process.threads.size() > kMostThreads) return;
    begin_locked(process, now);
}

void livelock_step(Step step, const ProgramState& state) {
    Thread& self = current_thread();
    Process& process = self.process();
    const Nanoseconds now = time::now(), entered = std::exchange(self.repetition.entered, Nanoseconds{0});
    Nanoseconds passed;
    {
        const SignalGuard guard(process.signal_lock);
        if (process.livelock.state != State::Watched) {
            self.user_work.fetch_and(~kWorkWatched, std::memory_order_relaxed);
            self.repetition.since = now;
            return;
        }
        Repetition& record = self.repetition;
        if (step == Step::Progress) return end_locked(process, now + kPause);
        if (step == Step::HandOver) ++record.hand_overs;
        const Nanoseconds since_last = entered - std::exchange(record.left_kernel, now);
        if (step < Step::Yield || entered == Nanoseconds{0}) return;
        ++record.counts[kind_of(step)];
        if (since_last < kHaste) ++record.in_haste;
        note_state(record, state);
        switch (judge_locked(process, now)) {
        case Verdict::TooEarly: return;
        case Verdict::Innocent: return end_locked(process, now + livelock_window());
        case Verdict::Livelock: break;
        }
        process.livelock.state = State::Telling;
        passed = now - process.livelock.since;
    }
    report(process, passed);
    const SignalGuard guard(process.signal_lock);
    process.livelock.state = State::Told;
}

Nanoseconds livelock_window() { return Nanoseconds{g_window.load(std::memory_order_relaxed)}; }
void set_livelock_window(Nanoseconds window) { g_window.store(window.raw, std::memory_order_relaxed); }

void init_livelock_watch() {
    auto option = core::command_line_option("livelock_secs").value_or("");
    const auto number = take_number(option);
    if (number && *number <= kMaxLivelockWindow) set_livelock_window(seconds(static_cast<i64>(*number)));
}

void describe_livelock(TextSink& sink, Process& process) {
    State state;
    {
        const SignalGuard guard(process.signal_lock);
        state = process.livelock.state;
    }
    sink.put(state == State::Quiet ? "quiet\n" : state == State::Told ? "told\n" : "watched\n");
    if (state == State::Quiet) return;
    for_each_trying(process, [&](const Thread& thread, const Repetition& record) {
        format_to(sink, "{} ({}): ", thread.id, thread.name);
        describe_repetition(sink, process, record);
        format_to(sink, "; {} in haste, {} handed over, {} of 256 states, {} other changes\n", record.in_haste,
                  record.hand_overs, states_seen(record), record.other_changes);
    });
}

}  // namespace hd::task
