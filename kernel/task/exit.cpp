// SPDX-License-Identifier: MIT
// The end of threads and processes. What may sleep - closing files, unmapping memory, giving the terminal up - comes first; then,
// in one section under g_tree_lock, the children go to their new parent and the process becomes a zombie.
#include "kernel/task/life.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernel/core/log.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

void (*g_wake_futex)(u64 address) = nullptr;
void (*g_leave_semaphores)(Process& process) = nullptr;
void (*g_leave_futexes)(Thread& self, bool for_good) = nullptr;

namespace {

// wait(2)'s form of an end by exit(2).
constexpr i32 exit_status_of(i32 code) { return (code & 0xff) << 8; }

bool has_stopped_member_locked(const Group& group) REQUIRES(g_tree_lock) {
    for (const Process& member : group.members) {
        const SignalGuard guard(member.signal_lock);
        if (member.stop_signal != 0) return true;
    }
    return false;
}

// A group that loses its last link to the rest of the session through `process`, whose parent is or was `parent`: its stopped
// members would never be continued, so they get SIGHUP and SIGCONT (POSIX.1-2017, _Exit()).
void release_orphans_locked(Process& process, const Process& parent, const Process* leaving) REQUIRES(g_tree_lock) {
    Group& group = *process.group;
    if (parent.group == &group || parent.group->session != group.session) return;
    if (!is_orphaned_locked(group, leaving) || !has_stopped_member_locked(group)) return;
    for (Process& member : group.members) {
        (void)send_signal(member, kernel_signal(abi::kSIGHUP));
        (void)send_signal(member, kernel_signal(abi::kSIGCONT));
    }
}

// Who adopts the children: the nearest ancestor that asked for it (prctl(2), PR_SET_CHILD_SUBREAPER), else pid 1.
Process& find_reaper_locked(const Process& process) REQUIRES(g_tree_lock) {
    for (Process* ancestor = process.parent; ancestor != nullptr; ancestor = ancestor->parent)
        if (ancestor->life == Life::Alive && (ancestor->subreaper || ancestor->parent == nullptr)) return *ancestor;
    return *find_process_locked(1);
}

// Tells the parent of a zombie's end; nobody to tell: the zombie goes at once.
void report_end_locked(Process& zombie) REQUIRES(g_tree_lock) {
    const i32 status = zombie.exit_status;
    const int signo = status & 0x7f;
    const bool wanted = signo != 0 ? notify_parent_locked(zombie, abi::kCLD_KILLED, signo)
                                   : notify_parent_locked(zombie, abi::kCLD_EXITED, status >> 8 & 0xff);
    if (!wanted) (void)bury_locked(zombie);
}

// The current process's, at its end.
void give_away_children_locked(Process& process) REQUIRES(g_tree_lock) {
    if (process.children.empty()) return;
    Process& reaper = find_reaper_locked(process);
    while (!process.children.empty()) {
        Process& child = process.children.front();
        process.children.pop_front();
        child.set_parent_locked(reaper);
        child.exit_signal = abi::kSIGCHLD;
        child.forked_by = reaper.pid();
        if (child.life == Life::Zombie) {
            report_end_locked(child);
            continue;
        }
        if (const int signo = child.parent_death_signal; signo != 0) (void)send_signal(child, user_signal(signo));
        release_orphans_locked(child, process, nullptr);
    }
}

// Everything that the process holds. May sleep.
void release_resources(Process& process) {
    set_real_timer(process, {});
    delete_timers(process);
    if (g_leave_semaphores != nullptr) g_leave_semaphores(process);
    bool borrowed;
    {
        const TreeGuard guard(g_tree_lock);
        borrowed = process.borrows_memory;
    }
    if (!borrowed) account_space(process, *process.space);
    // Here, where make_room() still sees the space: it then waits for what comes back instead of killing somebody else.
    if (process.space->reference_count() == 1) process.space->reap();
    Resources resources;
    bool leader;
    {
        const TreeGuard guard(g_tree_lock);
        std::swap(resources.space, process.space);
        std::swap(resources.files, process.files);
        std::swap(resources.fs, process.fs);
        std::swap(resources.executable, process.executable);
        leader = process.group->session->leader == &process;
        (void)return_memory_locked(process);
    }
    resources.space = nullptr;
    if (leader) (void)give_up_terminal(true);
    // the files are closed here, at the end of `resources`
}

void end_process(Process& process) {
    release_resources(process);
    const TreeGuard guard(g_tree_lock);
    Session& session = *process.group->session;
    if (session.leader == &process) session.leader = nullptr;
    give_away_children_locked(process);
    release_orphans_locked(process, *process.parent, &process);
    process.life = Life::Zombie;
    process.ended.wake_all(sched::WakeHint::None, abi::kPOLLIN);
    report_end_locked(process);
    // From here on the parent may take the process out of the tree; the memory stays while this thread refers to it.
}

}  // namespace

bool notify_parent_locked(Process& child, int code, i32 status) {
    Process& parent = *child.parent;
    const bool end = code != abi::kCLD_STOPPED && code != abi::kCLD_CONTINUED;
    bool wanted = true, send;
    {
        const SignalGuard guard(parent.signal_lock);
        const abi::SigAction& action = parent.actions[abi::kSIGCHLD - 1];
        send = action.handler != abi::kSIG_IGN;
        if (!end) send = send && (action.flags & abi::kSA_NOCLDSTOP) == 0;
        if (end && child.exit_signal == abi::kSIGCHLD)
            wanted = action.handler != abi::kSIG_IGN && (action.flags & abi::kSA_NOCLDWAIT) == 0;
    }
    if (end && child.exit_signal != abi::kSIGCHLD) send = child.exit_signal != 0;
    if (send) {
        constexpr i64 kClockTick = 10'000'000;
        const Usage usage = child.usage();
        abi::SigInfo info = kernel_signal(end ? child.exit_signal : abi::kSIGCHLD, code);
        info.child.pid = child.pid();
        info.child.uid = child.credentials.uid;
        info.child.status = status;
        info.child.utime = usage.user.raw / kClockTick;
        info.child.stime = usage.system.raw / kClockTick;
        (void)send_signal(parent, info);
    }
    parent.child_changed.wake_all(end ? sched::WakeHint::Sync : sched::WakeHint::None);
    return wanted;
}

void leave_program(Thread& self, bool for_good) {
    if (g_leave_futexes != nullptr) g_leave_futexes(self, for_good);
    const u64 address = std::exchange(self.clear_child_tid, 0);
    if (address == 0) return;
    Process& process = self.process();
    if (process.has_one_thread() && process.space->reference_count() == 1) return;
    if (mm::UserPtr<u32>(address).store(0) && g_wake_futex != nullptr) g_wake_futex(address);
}

RefPtr<Thread> take_ended_leader_locked(Process& process) {
    if (process.ended_leader) g_pids.remove(*process.ended_leader);
    return std::move(process.ended_leader);
}

void account_space(Process& process, mm::AddressSpace& space) {
    const mm::SpaceStatistics pages = space.statistics();
    const SignalGuard guard(process.signal_lock);
    Usage& usage = process.exited_usage;
    usage.minor_faults += pages.minor_faults;
    usage.major_faults += pages.major_faults;
    usage.max_resident_pages = std::max(usage.max_resident_pages, pages.resident_pages);
}

RefPtr<Process> bury_locked(Process& zombie) {
    zombie.parent->children.erase(zombie.parent->children.iterator_to(zombie));
    zombie.parent = nullptr;  // it may go before those who still hold the zombie
    leave_group_locked(zombie);
    g_pids.remove(zombie);
    zombie.life = Life::Gone;
    return RefPtr<Process>(kAdoptRef, &zombie);
}

void exit_thread() {
    Thread& self = current_thread();
    Process& process = self.process();
    leave_program(self, true);
    sched::switch_user_space(nullptr);
    bool last, stop_complete = false;
    RefPtr<Thread> leader;
    {
        // The number goes with the place in the list: an execve(2) that was waiting to be alone takes the leader's.
        const TreeGuard tree(g_tree_lock);
        const SignalGuard guard(process.signal_lock);
        process.exited_usage.add(usage_of_locked(self));
        process.threads.erase(process.threads.iterator_to(self));
        last = process.threads.empty();
        if (!last && self.number() == process.pid())
            process.ended_leader = RefPtr<Thread>(&self);
        else
            g_pids.remove(self);
        if (last) leader = take_ended_leader_locked(process);
        if (last) {
            std::memcpy(process.name, self.name, sizeof(process.name));
        } else {
            stop_complete = thread_stopped_locked(process);
            for (u64 left = process.pending.set() & ~self.blocked; left != 0; left &= left - 1)
                notify_any_locked(process, std::countr_zero(left) + 1);
        }
    }
    leader = nullptr;  // this function does not return
    if (stop_complete) report_stop(process);
    if (last && process.pid() == 1) core::panic("init died (exit status {:#x})", process.exit_status);
    if (last) end_process(process);
    process.changed.wake_all();
    sched::exit_current();
}

void exit_this_thread(i32 code) {
    Process& process = current_process();
    {
        const SignalGuard guard(process.signal_lock);
        if (!process.exiting && process.threads.size() == 1) begin_exit_locked(process, exit_status_of(code));
    }
    exit_thread();
}

void exit_this_process(i32 code) {
    begin_exit(current_process(), exit_status_of(code));
    exit_thread();
}

}  // namespace hd::task
