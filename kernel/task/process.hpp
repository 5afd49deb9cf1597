// SPDX-License-Identifier: MIT
// task::Process: a running program, with one thread or several (Linux: a thread group). It holds what its threads share.
//
// The tree - parents, children, groups, sessions, numbers, and whether a process is a zombie - changes under one lock,
// g_tree_lock: relations of many objects change together there, and the sections are short. getppid(2) reads an atomic copy.
//
// Life:   Alive ──last thread exits──► Zombie ──parent waits, or does not care──► Gone (out of the tree)
// The memory stays until the last reference: the tree holds one up to Gone, each thread one, /proc and the like others.
//
// Lock order: g_tree_lock (rank ProcessTree) before a process's signal_lock (rank Signal).
#pragma once
#include "kernel/abi/resource.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/fs/vfs/fd_table.hpp"
#include "kernel/mm/slab/object_cache.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/sync/mutex.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/fs_context.hpp"
#include "kernel/task/group.hpp"
#include "kernel/task/thread.hpp"
#include "kernel/time/timer.hpp"

namespace hd::task {

enum class Life : u8 { Alive, Zombie, Gone };

// What a process used; getrusage(2), times(2), wait4(2).
struct Usage {
    Nanoseconds user{}, system{};
    u64 minor_faults = 0, major_faults = 0;
    u64 voluntary_switches = 0, involuntary_switches = 0;
    u64 max_resident_pages = 0;
    void add(const Usage& other);
};

// The file of a running program. As long as somebody refers to it, nobody opens it for writing (ETXTBSY).
class ProgramFile final : public RefCounted<ProgramFile> {
public:
    static Result<RefPtr<ProgramFile>> create(fs::DentryRef file);  // ETXTBSY: it is open for writing; ENOMEM
    explicit ProgramFile(fs::DentryRef file) : dentry(std::move(file)) {}
    ~ProgramFile() { dentry->inode->end_use(fs::FileUse::Executed); }

    const fs::DentryRef dentry;
};

// setitimer(2) and alarm(2) for ITIMER_REAL: a timer that sends SIGALRM.
struct IntervalTimer {
    Nanoseconds value{};     // until it next goes off; 0: not set
    Nanoseconds interval{};  // then again and again; 0: once
};

// A change that the parent has not been told of by wait(2).
enum class StopReport : u8 { None, Stopped, Continued };

// The watch for livelock over a process's threads: kernel/task/livelock.hpp.
struct LivelockWatch {
    enum class State : u8 { Quiet, Watched, Telling, Told };
    State state = State::Quiet;  // Told: once, and never again
    Nanoseconds since{};         // Watched: the beginning
    Nanoseconds not_before{};    // Quiet: when it may be suspected again
    usize threads = 0;           // at the beginning, as are the pages that were touched
    u64 faults = 0;
};

// A timer of the process's CPU time: setitimer(2).
struct CpuInterval {
    Nanoseconds deadline = Nanoseconds::max();  // max(): not set
    Nanoseconds interval{};
};

class PosixTimer;
struct OfTimers;
struct OfParent;
class Process final : public RefCounted<Process>,
                      public mm::CachedBy<Process>,
                      public PidLink,
                      public HookOf<OfParent>,
                      public HookOf<OfGroup> {
public:
    static constexpr const char* kCacheName = "process";
    Process();
    ~Process();

    i32 pid() const { return number(); }
    // relaxed: one word, nothing is ordered by it.
    i32 parent_pid() const { return parent_pid_.load(std::memory_order_relaxed); }

    // ---- the tree
    Process* parent GUARDED_BY(g_tree_lock) = nullptr;  // alive, or nullptr: pid 1, not started yet, out of the tree
    ListOf<Process, OfParent> children GUARDED_BY(g_tree_lock);  // zombies included
    RefPtr<Group> group GUARDED_BY(g_tree_lock);
    Life life GUARDED_BY(g_tree_lock) = Life::Alive;
    i32 exit_signal GUARDED_BY(g_tree_lock) = abi::kSIGCHLD;  // what the parent gets at the end; 0: nothing (clone(2))
    bool executed GUARDED_BY(g_tree_lock) = false;            // execve(2) succeeded: setpgid(2) by the parent is over
    bool left_terminal GUARDED_BY(g_tree_lock) = false;       // TIOCNOTTY by another than the session's leader
    i32 forked_by GUARDED_BY(g_tree_lock) = 0;                // the thread of the parent that made it: __WNOTHREAD
    bool borrows_memory GUARDED_BY(g_tree_lock) = false;      // vfork(2): until it executes or ends, the parent sleeps
    Usage children_usage GUARDED_BY(g_tree_lock);             // of those waited for, and theirs
    void set_parent_locked(Process& new_parent) REQUIRES(g_tree_lock);

    // Replaced by the process's own (single) thread under g_tree_lock; so that thread reads them without, others with it.
    RefPtr<mm::AddressSpace> space;
    RefPtr<fs::FdTable> files;
    RefPtr<FsContext> fs;
    RefPtr<ProgramFile> executable;
    abi::RLimit limits[abi::kRLimitCount];
    fs::Credentials credentials;

    // ---- prctl(2): set by the program itself
    std::atomic<bool> subreaper{false};       // PR_SET_CHILD_SUBREAPER
    std::atomic<int> parent_death_signal{0};  // PR_SET_PDEATHSIG
    bool no_new_privileges = false;           // PR_SET_NO_NEW_PRIVS
    bool dumpable = true;                     // PR_SET_DUMPABLE: only remembered

    // ---- signals and the coming and going of threads; interrupts off, as timers send signals
    mutable core::IrqSpinlock signal_lock{core::Rank::Signal};
    abi::SigAction actions[abi::kSignalCount] GUARDED_BY(signal_lock);
    PendingSignals pending GUARDED_BY(signal_lock);  // for whichever thread takes it first
    ListOf<Thread, OfProcess, true> threads
        GUARDED_BY(signal_lock);  // the leader first, while it lives; empty: a zombie
    // The first thread, if it has ended before others: its number stays the process's, and /proc shows it as a zombie.
    RefPtr<Thread> ended_leader GUARDED_BY(signal_lock);
    bool exiting GUARDED_BY(signal_lock) = false;              // exit_group(2), a fatal signal: every thread is to end
    const Thread* survivor GUARDED_BY(signal_lock) = nullptr;  // execve(2): every thread but this one is to end
    i32 exit_status = 0;                              // as wait(2) shows it; set together with `exiting`, then constant
    bool unkillable GUARDED_BY(signal_lock) = false;  // pid 1: ignores every signal it has no handler for
    int stop_signal GUARDED_BY(signal_lock) = 0;      // not 0: a stop is under way or complete
    bool stop_taken GUARDED_BY(signal_lock) = false;  // a thread is about to stop all; SIGCONT takes that back
    u32 stop_count GUARDED_BY(signal_lock) = 0;       // stops so far
    u32 running_threads GUARDED_BY(signal_lock) = 0;  // threads not stopped yet during a stop
    // SIGCONT has ended a stop: the first thread back tells the parent.
    bool continue_unreported GUARDED_BY(signal_lock) = false;
    StopReport stop_report GUARDED_BY(signal_lock) = StopReport::None;
    Usage exited_usage GUARDED_BY(signal_lock);  // of threads that are gone
    char name[16] GUARDED_BY(signal_lock) = {};  // a zombie's: its last thread's

    LivelockWatch livelock GUARDED_BY(signal_lock);

    // ---- queues
    sync::WaitQueue child_changed;   // wait(2) of this process
    sync::WaitQueue signal_arrived;  // any signal, blocked or not: signalfd(2)
    sync::WaitQueue ended;           // its last thread is gone: pidfd_open(2)
    // For what its threads wait for uninterruptibly but for their own end: the end of a stop, of the other threads
    // (execve), of a child's use of our memory (vfork).
    sync::WaitQueue changed;

    // ---- System V semaphores: what the process's end undoes (kernel/ipc/sysv_sem.cpp, which knows the type); null: nothing
    core::Spinlock undo_lock{core::Rank::SysvUndo};
    void* semaphore_undos GUARDED_BY(undo_lock) = nullptr;

    // ---- timers: set by the process's own threads, one at a time. Callbacks run in interrupt context
    sync::Mutex timers_lock{core::Rank::ProcessTimers};
    ListOf<PosixTimer, OfTimers> timers GUARDED_BY(signal_lock);  // timer_create(2); changed with timers_lock held, too
    time::Timer real_timer;                                       // setitimer(ITIMER_REAL)
    std::atomic<i64> real_interval{0};                            // nanoseconds; read by the callback

    // ---- what goes off by CPU time: kernel/task/cpu_clock.hpp
    CpuInterval cpu_intervals[2] GUARDED_BY(signal_lock);   // ITIMER_VIRTUAL, ITIMER_PROF
    u32 cpu_sleepers GUARDED_BY(signal_lock) = 0;           // threads in cpu_time_passed
    bool watches_cpu_time GUARDED_BY(signal_lock) = false;  // its threads have kWorkCpuTime in tick_work
    sync::WaitQueue cpu_time_passed;                        // woken at each tick

    const Nanoseconds start_time;

    // Of its threads, living and gone, but not of its children. Takes signal_lock.
    Usage usage() const;
    Usage usage_locked() const REQUIRES(signal_lock);
    bool has_ended() const {
        const core::LockGuard guard(g_tree_lock);
        return life != Life::Alive;
    }
    // For the process's own threads: if so, it stays so until this one makes another.
    bool has_one_thread() const {
        const core::LockGuard guard(signal_lock);
        return threads.size() == 1;
    }
    u64 limit(u32 resource) const { return limits[resource].rlim_cur; }

private:
    std::atomic<i32> parent_pid_{0};
};

inline Process& current_process() { return current_thread().process(); }

Usage usage_of(const Thread& thread);  // takes its process's signal_lock
Usage usage_of_locked(const Thread& thread);
// For ru_maxrss: the most that was seen, which is whenever somebody asks, at execve(2) and at the end.
void note_resident_pages(Process& process, u64 pages);

// Returns what was set before. Takes timers_lock: task context.
IntervalTimer set_real_timer(Process& process, const IntervalTimer& setting);
IntervalTimer read_real_timer(const Process& process);
void on_real_timer(time::Timer& timer);

// R, S, D, T or Z as /proc/PID/stat shows it. Takes signal_lock.
char state_letter(const Process& process);
char state_letter(const Thread& thread);

// Looking up, each with a reference of its own. Task context or preemption off. nullptr: there is none.
RefPtr<Process> find_process(Pid pid);   // zombies included
RefPtr<Process> next_process(Pid from);  // the one with the lowest pid >= from: for /proc
RefPtr<Thread> find_thread(Pid tid);
RefPtr<Thread> next_thread(Process& process, Pid from);
// The one that began after `previous`, or the first; for rounds over many threads. nullptr: there is none.
RefPtr<Thread> thread_after(Process& process, const Thread* previous);

// References that other threads may replace meanwhile; for readers outside the process. May be null: a zombie.
struct Resources {
    RefPtr<mm::AddressSpace> space;
    RefPtr<fs::FdTable> files;
    RefPtr<FsContext> fs;
    RefPtr<ProgramFile> executable;
    fs::Credentials credentials;
};
Resources resources_of(Process& process);

// Numbers for /proc/loadavg and sysinfo(2).
u32 thread_count();
Pid last_pid();

}  // namespace hd::task
