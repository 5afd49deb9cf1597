// SPDX-License-Identifier: MIT
// Group stops: SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU stop all threads of a process, SIGCONT continues them (signal(7)).
//
//     one thread takes the signal       begin_stop_locked: stop_signal set, everybody notified
//     each thread, on its way to user   take_part_in_stop: sleeps until stop_signal is 0 again; the last one to come reports it
//     SIGCONT is sent                   end_stop_locked: stop_signal = 0, sleepers woken
//     the first thread back             reports the continuation, in its own task context, where g_tree_lock may be taken
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

void begin_stop_locked(Process& process, int signo) {
    if (process.exiting || process.stop_signal != 0) return;
    process.stop_signal = signo;
    ++process.stop_count;
    process.running_threads = static_cast<u32>(process.threads.size());
    process.continue_unreported = false;
    for (Thread& thread : process.threads) notify_locked(process, thread);
}

void end_stop_locked(Process& process) {
    process.stop_taken = false;
    if (process.stop_signal == 0) return;
    process.stop_signal = 0;
    for (Thread& thread : process.threads) thread.stopped = false;
    const bool complete = process.running_threads == 0;
    process.continue_unreported = complete;
    process.stop_report = complete ? StopReport::Continued : StopReport::None;
    process.changed.wake_all();
}

bool thread_stopped_locked(Process& process) {
    if (process.stop_signal == 0 || process.running_threads == 0) return false;
    if (--process.running_threads != 0) return false;
    process.stop_report = StopReport::Stopped;
    return true;
}

// SIGCONT or the end may have come since the stop was complete; then that is what there is to tell, and its sender's doing.
void report_stop(Process& process) {
    const TreeGuard guard(g_tree_lock);
    int signo;
    {
        const SignalGuard signals(process.signal_lock);
        signo = process.running_threads == 0 ? process.stop_signal : 0;
    }
    if (signo != 0) notify_parent_locked(process, abi::kCLD_STOPPED, signo);
}

void take_part_in_stop(Thread& self) {
    Process& process = self.process();
    bool last;
    u32 stop;  // another stop may begin before this thread has woken from the last one: it takes part in each
    {
        const SignalGuard guard(process.signal_lock);
        last = thread_stopped_locked(process);
        stop = process.stop_count;
        self.stopped = process.stop_signal != 0;
    }
    if (last) report_stop(process);
    process.changed.wait_until(
        "stopped",
        [&] {
            const SignalGuard guard(process.signal_lock);
            return process.stop_signal == 0 || process.stop_count != stop || leaving_locked(self, process);
        },
        sched::SleepKind::Stopped);
    bool report;
    {
        const SignalGuard guard(process.signal_lock);
        report = std::exchange(process.continue_unreported, false);
    }
    if (!report) return;
    const TreeGuard guard(g_tree_lock);
    notify_parent_locked(process, abi::kCLD_CONTINUED, abi::kSIGCONT);
}

}  // namespace hd::task
