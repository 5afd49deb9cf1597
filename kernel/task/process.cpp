// SPDX-License-Identifier: MIT
// Processes: life, looking up, what they used. kernel/task/process.hpp.
#include "kernel/task/process.hpp"

#include <algorithm>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/tree.hpp"

namespace hd::task {

Process::Process() : PidLink(PidKind::Process), real_timer(on_real_timer), start_time(time::now()) {}

Process::~Process() {
    ASSERT(life == Life::Gone || !numbered(), "a process is destroyed while it is in the tree");
    ASSERT(threads.empty() && children.empty(), "a process is destroyed before its threads or children have left it");
}

Result<RefPtr<ProgramFile>> ProgramFile::create(fs::DentryRef file) {
    fs::Inode& inode = *file->inode;
    TRY(inode.begin_use(fs::FileUse::Executed));
    auto program = mm::make_ref<ProgramFile>(std::move(file));
    if (!program) inode.end_use(fs::FileUse::Executed);
    return program;
}

void Process::set_parent_locked(Process& new_parent) {
    parent = &new_parent;
    new_parent.children.push_back(*this);
    parent_pid_.store(new_parent.pid(), std::memory_order_relaxed);  // see parent_pid()
}

void set_credentials_locked(Process& process, const fs::Credentials& fresh) {
    const fs::Credentials& old = process.credentials;
    if (old.euid != fresh.euid || old.egid != fresh.egid) process.parent_death_signal = 0;
    process.credentials = fresh;
}

// ---- usage

void Usage::add(const Usage& other) {
    user += other.user;
    system += other.system;
    minor_faults += other.minor_faults;
    major_faults += other.major_faults;
    voluntary_switches += other.voluntary_switches;
    involuntary_switches += other.involuntary_switches;
    max_resident_pages = std::max(max_resident_pages, other.max_resident_pages);
}

// The sum is exact; how it splits into user and system is what the ticks sampled. A new sample may move the split either way,
// but neither part ever goes back from what was told before (Linux: cputime_adjust()).
Usage usage_of_locked(const Thread& thread) {
    const i64 total = sched::cpu_time(thread).raw;
    const i64 user = static_cast<i64>(thread.user_ticks), system = static_cast<i64>(thread.system_ticks);
    const i64 ticks = user + system;
    const i64 sampled = ticks == 0 ? 0 : total / ticks * system + total % ticks * system / ticks;
    Usage usage;
    usage.system = std::clamp(Nanoseconds{sampled}, thread.told_system, Nanoseconds{total} - thread.told_user);
    usage.user = Nanoseconds{total} - usage.system;
    thread.told_system = usage.system;
    thread.told_user = usage.user;
    usage.voluntary_switches = thread.voluntary_switches;
    usage.involuntary_switches = thread.involuntary_switches;
    return usage;
}

void note_resident_pages(Process& process, u64 pages) {
    const SignalGuard guard(process.signal_lock);
    u64& most = process.exited_usage.max_resident_pages;
    most = std::max(most, pages);
}

Usage usage_of(const Thread& thread) {
    const SignalGuard guard(thread.process().signal_lock);
    return usage_of_locked(thread);
}

Usage Process::usage() const {
    const SignalGuard guard(signal_lock);
    return usage_locked();
}

Usage Process::usage_locked() const {
    Usage sum = exited_usage;
    for (const Thread& thread : threads) sum.add(usage_of_locked(thread));
    return sum;
}

// ---- states

char state_letter(const Thread& thread) {
    if (thread.stopped) return 'T';
    switch (thread.state.load(std::memory_order_relaxed)) {  // a snapshot for display
    case sched::State::Blocking:
    case sched::State::Sleeping: break;
    case sched::State::Dead: return 'Z';
    default: return 'R';
    }
    switch (thread.sleep_kind) {
    case sched::SleepKind::Interruptible: return 'S';
    case sched::SleepKind::Uninterruptible:
    case sched::SleepKind::Killable: return 'D';
    default: return 'R';  // it was stopped, and goes on
    }
}

char state_letter(const Process& process) {
    const SignalGuard guard(process.signal_lock);
    return process.threads.empty() || process.ended_leader ? 'Z' : state_letter(process.threads.front());
}

// ---- looking up

Process* find_process_locked(i32 pid) { return static_cast<Process*>(g_pids.find(pid, PidKind::Process)); }

Process* find_process_of_locked(i32 id) {
    if (Process* const process = find_process_locked(id)) return process;
    auto* const thread = static_cast<Thread*>(g_pids.find(id, PidKind::Thread));
    return thread != nullptr ? &thread->process() : nullptr;
}

Process* next_process_locked(i32 from) { return static_cast<Process*>(g_pids.find_from(from, PidKind::Process)); }

RefPtr<Process> find_process(Pid pid) {
    const TreeGuard guard(g_tree_lock);
    return RefPtr<Process>(find_process_locked(pid.raw));
}

RefPtr<Process> next_process(Pid from) {
    const TreeGuard guard(g_tree_lock);
    return RefPtr<Process>(next_process_locked(from.raw));
}

RefPtr<Thread> find_thread(Pid tid) {
    const TreeGuard guard(g_tree_lock);
    return RefPtr<Thread>(static_cast<Thread*>(g_pids.find(tid.raw, PidKind::Thread)));
}

RefPtr<Thread> next_thread(Process& process, Pid from) {
    const SignalGuard guard(process.signal_lock);
    Thread* best = process.ended_leader && process.pid() >= from.raw ? process.ended_leader.get() : nullptr;
    for (Thread& thread : process.threads)
        if (thread.number() >= from.raw && (best == nullptr || thread.number() < best->number())) best = &thread;
    return RefPtr<Thread>(best);
}

RefPtr<Thread> thread_after(Process& process, const Thread* previous) {
    {
        const SignalGuard guard(process.signal_lock);
        if (previous == nullptr || previous->in_process()) {
            const auto at = previous == nullptr
                                ? process.threads.begin()
                                : std::next(process.threads.iterator_to(const_cast<Thread&>(*previous)));
            return at != process.threads.end() ? RefPtr<Thread>(&*at) : RefPtr<Thread>();
        }
    }
    return next_thread(process, Pid{previous->number() + 1});
}

Resources resources_of(Process& process) {
    const TreeGuard guard(g_tree_lock);
    return {process.space, process.files, process.fs, process.executable, process.credentials};
}

u32 thread_count() {
    const TreeGuard guard(g_tree_lock);
    return g_pids.count(PidKind::Thread);
}

Pid last_pid() {
    const TreeGuard guard(g_tree_lock);
    return Pid{g_pids.last()};
}

}  // namespace hd::task
