// SPDX-License-Identifier: MIT
// Process groups, sessions and job control: kernel/task/group.hpp.
#include "kernel/task/group.hpp"

#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/signal/signal.hpp"
#include "kernel/task/tree.hpp"

namespace hd::task {

constinit core::Spinlock g_tree_lock{core::Rank::ProcessTree};
constinit PidTable g_pids;

Group::Group(RefPtr<Session> in) : PidLink(PidKind::Group), session(std::move(in)) {}
Group::~Group() = default;

Group* find_group_locked(i32 id) { return static_cast<Group*>(g_pids.find(id, PidKind::Group)); }

namespace {

// 0 is the caller.
Result<Process*> process_or_self_locked(i32 pid) REQUIRES(g_tree_lock) {
    Process* const process = pid == 0 ? &current_process() : find_process_of_locked(pid);
    if (process == nullptr) return fail(Errno::kESRCH);
    return process;
}

}  // namespace

void join_group_locked(Process& process, RefPtr<Group> group) {
    group->members.push_back(process);
    process.group = std::move(group);
}

void leave_group_locked(Process& process) {
    Group& group = *process.group;
    group.members.erase(group.members.iterator_to(process));
    if (!group.members.empty()) return;
    g_pids.remove(group);
    if (--group.session->groups == 0) g_pids.remove(*group.session);
}

RefPtr<Group> add_group_locked(RefPtr<Group> group, i32 id) {
    g_pids.add(*group, id);
    ++group->session->groups;
    return group;
}

Result<> set_process_group(i32 pid, i32 group_id) {
    if (group_id < 0) return fail(Errno::kEINVAL);
    Process& self = current_process();
    RefPtr<Group> fresh, old;  // die after the lock is gone
    const TreeGuard guard(g_tree_lock);
    Process& process = *TRY(process_or_self_locked(pid));
    if (&process != &self) {
        if (process.parent != &self) return fail(Errno::kESRCH);
        if (process.group->session != self.group->session) return fail(Errno::kEPERM);
        if (process.executed) return fail(Errno::kEACCES);
    }
    Session& session = *process.group->session;
    if (session.leader == &process) return fail(Errno::kEPERM);
    if (group_id == 0) group_id = process.pid();
    if (process.group->id() == group_id) return {};

    Group* const existing = find_group_locked(group_id);
    if (existing != nullptr) {
        if (existing->session != &session) return fail(Errno::kEPERM);
        fresh = RefPtr<Group>(existing);
    } else {
        if (group_id != process.pid()) return fail(Errno::kEPERM);
        fresh = add_group_locked(TRY(mm::make_ref<Group>(process.group->session)), group_id);
    }
    leave_group_locked(process);
    old = process.group;
    join_group_locked(process, fresh);
    return {};
}

Result<i32> new_session() {
    Process& self = current_process();
    RefPtr<Session> session = TRY(mm::make_ref<Session>());
    RefPtr<Group> group = TRY(mm::make_ref<Group>(session));
    RefPtr<Group> old;
    const TreeGuard guard(g_tree_lock);
    if (find_group_locked(self.pid()) != nullptr) return fail(Errno::kEPERM);
    session->leader = &self;
    g_pids.add(*session, self.pid());
    add_group_locked(group, self.pid());
    leave_group_locked(self);
    old = self.group;
    join_group_locked(self, std::move(group));
    self.left_terminal = false;
    return self.pid();
}

Result<i32> group_id(i32 pid) {
    const TreeGuard guard(g_tree_lock);
    return TRY(process_or_self_locked(pid))->group->id();
}

Result<i32> session_id(i32 pid) {
    const TreeGuard guard(g_tree_lock);
    return TRY(process_or_self_locked(pid))->group->session->id();
}

RefPtr<Group> find_group(Pid id) {
    const TreeGuard guard(g_tree_lock);
    return RefPtr<Group>(find_group_locked(id.raw));
}

RefPtr<Group> group_of(Process& process) {
    const TreeGuard guard(g_tree_lock);
    return process.group;
}

RefPtr<ControllingTerminal> terminal_of(Process& process) {
    const TreeGuard guard(g_tree_lock);
    if (process.left_terminal) return nullptr;
    return process.group->session->terminal;
}

Result<> give_up_terminal(bool exit) {
    Process& self = current_process();
    RefPtr<ControllingTerminal> terminal;
    RefPtr<Session> session;
    {
        const TreeGuard guard(g_tree_lock);
        session = self.group->session;
        if (!session->terminal || self.left_terminal) return fail(Errno::kENOTTY);
        if (session->leader != &self) {
            self.left_terminal = true;
            return {};
        }
        std::swap(terminal, session->terminal);
    }
    const RefPtr<Group> foreground = terminal->foreground_group();
    terminal->release_session(*session);
    if (foreground) {
        signal_group(*foreground, abi::kSIGHUP);
        if (!exit) signal_group(*foreground, abi::kSIGCONT);
    }
    return {};
}

void hang_up(Session& session) {
    RefPtr<ControllingTerminal> terminal;
    const TreeGuard guard(g_tree_lock);
    std::swap(terminal, session.terminal);  // the session lets go; the caller still holds its terminal
    if (session.leader == nullptr) return;
    (void)send_signal(*session.leader, kernel_signal(abi::kSIGHUP));
    (void)send_signal(*session.leader, kernel_signal(abi::kSIGCONT));
}

bool is_orphaned_locked(const Group& group, const Process* leaving) {
    for (const Process& member : group.members) {
        if (&member == leaving || member.life != Life::Alive || member.parent == nullptr) continue;
        const Process& parent = *member.parent;
        if (parent.parent == nullptr || parent.group == nullptr) continue;  // init takes no care of jobs
        if (parent.group != &group && parent.group->session == group.session) return false;
    }
    return true;
}

bool is_orphaned(Group& group) {
    const TreeGuard guard(g_tree_lock);
    return is_orphaned_locked(group, nullptr);
}

Result<> check_foreground(ControllingTerminal& terminal, int signo) {
    Process& self = current_process();
    if (terminal_of(self) != &terminal) return {};
    const RefPtr<Group> foreground = terminal.foreground_group();
    const RefPtr<Group> group = group_of(self);
    if (!foreground || foreground == group) return {};
    if (ignores_or_blocks(signo)) return signo == abi::kSIGTTIN ? Result<>(fail(Errno::kEIO)) : Result<>();
    if (is_orphaned(*group)) return fail(Errno::kEIO);
    signal_group(*group, signo);
    return fail(Errno::kERESTARTSYS);
}

}  // namespace hd::task
