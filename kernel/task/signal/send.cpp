// SPDX-License-Identifier: MIT
// Sending signals: who may, what becomes of them at once, whom they wake. kernel/task/signal/signal.hpp.
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

abi::SigInfo user_signal(int signo, int code) {
    abi::SigInfo info = kernel_signal(signo, code);
    info.rt.pid = current_process().pid();
    info.rt.uid = current_process().credentials.uid;
    return info;
}

abi::SigInfo kernel_signal(int signo, int code) {
    abi::SigInfo info;
    info.signo = signo;
    info.code = code;
    return info;
}

void notify_locked(Process&, Thread& thread) {
    // seq_cst, before the look at the thread's state in wake(): see the proof in kernel/sync/wait_queue.hpp.
    thread.user_work.fetch_or(kWorkSignal);
    if (!sched::wake(thread)) sched::kick(thread);
}

void notify_any_locked(Process& process, int signo) {
    const u64 bit = abi::signal_bit(signo);
    for (Thread& thread : process.threads)
        if ((thread.blocked & ~thread.waited_for & bit) == 0) return notify_locked(process, thread);
}

void begin_exit_locked(Process& process, i32 status) {
    if (process.exiting) return;
    process.exiting = true;
    process.exit_status = status;
    // Whoever is stopped goes on, to its end; and nobody is told any more that it stopped or continued.
    process.stop_signal = 0;
    process.running_threads = 0;
    process.continue_unreported = false;
    process.stop_report = StopReport::None;
    for (Thread& thread : process.threads) {
        thread.stopped = false;
        notify_locked(process, thread);
    }
    process.changed.wake_all();  // the stopped ones as well
}

void begin_exit(Process& process, i32 status) {
    const SignalGuard guard(process.signal_lock);
    begin_exit_locked(process, status);
}

namespace {

// Nothing would come of it, now or later. A blocked signal counts as wanted: it may get a handler before it is unblocked
// (Linux: sig_ignored()). Pid 1 ignores what it has no handler for, whoever sends it (kill(2), "Notes").
bool ignored_locked(const Process& process, const Thread* target, int signo) REQUIRES(process.signal_lock) {
    const Thread& thread = target != nullptr ? *target : process.threads.front();
    const u64 bit = abi::signal_bit(signo);
    if ((thread.blocked & bit) != 0) return false;
    const u64 handler = process.actions[signo - 1].handler;
    if (handler == abi::kSIG_IGN) return true;
    if (handler != abi::kSIG_DFL) return false;
    return process.unkillable || (bit & kHarmlessSignals) != 0;
}

// A stop and a continuation cancel what is pending of the other (POSIX.1-2017, 2.4.1), even if ignored or blocked.
void cancel_opposite_locked(Process& process, int signo) REQUIRES(process.signal_lock) {
    const u64 bit = abi::signal_bit(signo);
    const u64 opposite = (bit & kStopSignals) != 0 ? abi::signal_bit(abi::kSIGCONT) : kStopSignals;
    process.pending.remove(opposite);
    for (Thread& thread : process.threads) thread.pending.remove(opposite);
    if (signo == abi::kSIGCONT) end_stop_locked(process);
}

// Somebody is to take what is pending now.
void notify_of_locked(Process& process, Thread* target, int signo) REQUIRES(process.signal_lock) {
    process.signal_arrived.wake_all(sched::WakeHint::None, abi::kPOLLIN);
    if (target == nullptr)
        notify_any_locked(process, signo);
    else if ((target->blocked & ~target->waited_for & abi::signal_bit(signo)) == 0)
        notify_locked(process, *target);
}

Result<> send_locked(Process& process, Thread* target, const abi::SigInfo& info) REQUIRES(process.signal_lock) {
    const int signo = info.signo;
    const u64 bit = abi::signal_bit(signo);
    if (process.threads.empty()) return {};  // a zombie
    if ((bit & (kStopSignals | abi::signal_bit(abi::kSIGCONT))) != 0) cancel_opposite_locked(process, signo);
    if (ignored_locked(process, target, signo)) return {};
    if (signo == abi::kSIGKILL) {
        begin_exit_locked(process, abi::kSIGKILL);
        return {};
    }
    PendingSignals& pending = target != nullptr ? target->pending : process.pending;
    std::unique_ptr<QueuedSignal> record;
    if (pending.wants(signo)) {
        if (pending.queued() < process.limit(abi::kRLIMIT_SIGPENDING))
            record.reset(new (std::nothrow) QueuedSignal(info));
        // Only sigqueue(3) and the like hear of it; any other sender's signal goes without its information.
        if (!record && signo >= abi::kSIGRTMIN && info.code < 0) return fail(Errno::kEAGAIN);
        pending.add(signo, std::move(record));
    }
    notify_of_locked(process, target, signo);
    return {};
}

// kill(2): the same user, root, or SIGCONT within a session.
bool may_signal_locked(const Process& target, int signo) REQUIRES(g_tree_lock) {
    const Process& self = current_process();
    const fs::Credentials& mine = self.credentials;
    const fs::Credentials& theirs = target.credentials;
    return mine.is_root() || mine.euid == theirs.uid || mine.euid == theirs.suid || mine.uid == theirs.uid ||
           mine.uid == theirs.suid || (signo == abi::kSIGCONT && self.group->session == target.group->session);
}

Result<> check_locked(const Process& target, int signo) REQUIRES(g_tree_lock) {
    if (signo < 0 || signo > abi::kSignalCount) return fail(Errno::kEINVAL);
    return may_signal_locked(target, signo) ? Result<>() : fail(Errno::kEPERM);
}

Result<> send_checked_locked(Process& process, const abi::SigInfo& info) REQUIRES(g_tree_lock) {
    TRY(check_locked(process, info.signo));
    return info.signo == 0 ? Result<>() : send_signal(process, info);
}

Result<> send_to_process_locked(i32 pid, const abi::SigInfo& info) REQUIRES(g_tree_lock) {
    Process* const process = find_process_of_locked(pid);
    return process == nullptr ? fail(Errno::kESRCH) : send_checked_locked(*process, info);
}

}  // namespace

bool send_record_locked(Process& process, Thread* target, std::unique_ptr<QueuedSignal>& record) {
    const int signo = record->info.signo;
    if (process.threads.empty() || (target != nullptr && !target->in_process())) return false;
    if (ignored_locked(process, target, signo)) return false;
    if (signo == abi::kSIGKILL) {
        begin_exit_locked(process, abi::kSIGKILL);
        return true;
    }
    (target != nullptr ? target->pending : process.pending).add_record(std::move(record));
    notify_of_locked(process, target, signo);
    return true;
}

Result<> send_signal(Process& process, const abi::SigInfo& info) {
    const SignalGuard guard(process.signal_lock);
    return send_locked(process, nullptr, info);
}

Result<> send_signal(Thread& thread, const abi::SigInfo& info) {
    Process& process = thread.process();
    const SignalGuard guard(process.signal_lock);
    if (!thread.in_process()) return {};  // it has left already
    return send_locked(process, &thread, info);
}

void signal_group(Group& group, const abi::SigInfo& info) {
    const TreeGuard guard(g_tree_lock);
    for (Process& member : group.members) (void)send_signal(member, info);
}

void signal_self(int signo) { (void)send_signal(current_thread(), user_signal(signo)); }  // is not queued: no EAGAIN

void force_signal(int signo, int code, u64 address) {
    abi::SigInfo info = kernel_signal(signo, code);
    info.fault.address = address;
    Thread& self = current_thread();
    Process& process = self.process();
    const SignalGuard guard(process.signal_lock);
    if (signo == abi::kSIGKILL) return begin_exit_locked(process, abi::kSIGKILL);
    const u64 bit = abi::signal_bit(signo);
    abi::SigAction& action = process.actions[signo - 1];
    if ((self.blocked & bit) != 0 || action.handler == abi::kSIG_IGN) {
        action = {};
        self.blocked &= ~bit;
    }
    if (action.handler == abi::kSIG_DFL) process.unkillable = false;
    self.pending.remove(bit);  // what comes from the fault is what the handler has to see
    self.pending.add(signo, std::unique_ptr<QueuedSignal>(new (std::nothrow) QueuedSignal(info)));
    notify_locked(process, self);
}

Result<> kill(i32 pid, int signo) {
    const abi::SigInfo info = user_signal(signo);
    Process& self = current_process();
    const TreeGuard guard(g_tree_lock);
    if (pid > 0) return send_to_process_locked(pid, info);
    if (pid == -1) {
        // Everybody whom it may reach: that some are out of reach is no error (Linux: kill_something_info()).
        Result<> result = fail(Errno::kESRCH);
        for (Process* process = next_process_locked(2); process; process = next_process_locked(process->pid() + 1)) {
            if (process == &self) continue;
            const Result<> sent = send_checked_locked(*process, info);
            result = !sent && sent.error() != Errno::kEPERM ? sent : Result<>();
        }
        return result;
    }
    Group* const group = pid == 0 ? self.group.get() : pid == INT32_MIN ? nullptr : find_group_locked(-pid);
    if (group == nullptr) return fail(Errno::kESRCH);
    // Success if one member could be reached, else an error of one of them.
    Result<> result = fail(Errno::kESRCH);
    bool reached = false;
    for (Process& member : group->members) {
        result = send_checked_locked(member, info);
        reached = reached || result;
    }
    return reached ? Result<>() : result;
}

// Only to itself may a program pretend to be the kernel or kill(2) (rt_sigqueueinfo(2)).
static bool may_claim(const abi::SigInfo& info, i32 pid) {
    return (info.code < 0 && info.code != abi::kSI_TKILL) || pid == current_process().pid();
}

Result<> queue_signal(i32 pid, const abi::SigInfo& info) {
    if (!may_claim(info, pid)) return fail(Errno::kEPERM);
    const TreeGuard guard(g_tree_lock);
    return send_to_process_locked(pid, info);
}

static Result<> signal_process(Process& process, const abi::SigInfo& info) {
    const TreeGuard guard(g_tree_lock);
    return process.life == Life::Gone ? fail(Errno::kESRCH) : send_checked_locked(process, info);
}

Result<> kill(Process& process, int signo) { return signal_process(process, user_signal(signo)); }

Result<> queue_signal(Process& process, const abi::SigInfo& info) {
    return may_claim(info, process.pid()) ? signal_process(process, info) : fail(Errno::kEPERM);
}

static Result<> signal_thread(i32 pid, i32 tid, const abi::SigInfo& info) {
    const TreeGuard guard(g_tree_lock);
    auto* const thread = static_cast<Thread*>(g_pids.find(tid, PidKind::Thread));
    if (thread == nullptr || (pid != 0 && thread->process().pid() != pid)) return fail(Errno::kESRCH);
    TRY(check_locked(thread->process(), info.signo));
    return info.signo == 0 ? Result<>() : send_signal(*thread, info);
}

Result<> queue_thread_signal(i32 pid, i32 tid, const abi::SigInfo& info) {
    if (tid <= 0 || pid <= 0) return fail(Errno::kEINVAL);
    if (!may_claim(info, pid)) return fail(Errno::kEPERM);
    return signal_thread(pid, tid, info);
}

Result<> kill_thread(i32 pid, i32 tid, int signo) {
    if (tid <= 0 || pid < 0) return fail(Errno::kEINVAL);
    return signal_thread(pid, tid, user_signal(signo, abi::kSI_TKILL));
}

}  // namespace hd::task
