// SPDX-License-Identifier: MIT
// Copying a process, or a thread within one: kernel/task/life.hpp. The copy is made in private and entered in the tree at the end, in
// one section, from which on others can see it; until then every failure just drops it.
#include "kernel/task/cpu_clock.hpp"
#include "kernel/task/life.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

namespace {

// A thread shares all of these with its process. On Linux it may keep root, working directory or descriptors to itself, which no C
// library asks for; here those are the process's.
constexpr u64 kThread = abi::kCLONE_THREAD | abi::kCLONE_VM | abi::kCLONE_FS | abi::kCLONE_FILES | abi::kCLONE_SIGHAND;
// CLONE_SYSVSEM: what a thread does in any case.
constexpr u64 kAnyClone = abi::kCLONE_SETTLS | abi::kCLONE_PARENT_SETTID | abi::kCLONE_CHILD_CLEARTID |
                          abi::kCLONE_CHILD_SETTID | abi::kCLONE_DETACHED | abi::kCLONE_UNTRACED;
constexpr u64 kProcessOnly =
    abi::kCLONE_VM | abi::kCLONE_FS | abi::kCLONE_FILES | abi::kCLONE_VFORK | abi::kCLONE_CLEAR_SIGHAND;
constexpr u64 kThreadOnly = kThread | abi::kCLONE_SYSVSEM;

// The child's first steps, on its own stack in its own address space. IRQs are off.
void child_entry(void*) {
    sched::begin_thread();
    Thread& self = current_thread();
    // As Linux: an address that cannot be written to is the program's affair.
    if (self.set_child_tid != 0) (void)mm::UserPtr<i32>(self.set_child_tid).store(self.number());
    arch::return_to_user(self.frame());
}

// What threads of the parent share with each other goes to the child as a copy, or shared if the flags say so.
Result<> copy_resources(Process& parent, Process& child, u64 flags) {
    child.space = (flags & abi::kCLONE_VM) != 0 ? parent.space : TRY(parent.space->fork());
    if ((flags & abi::kCLONE_FILES) != 0) {
        parent.files->mark_shared();
        child.files = parent.files;
    } else {
        child.files = TRY(parent.files->copy());
    }
    child.fs = (flags & abi::kCLONE_FS) != 0 ? parent.fs : TRY(parent.fs->copy());
    child.executable = parent.executable;
    child.credentials = parent.credentials;
    child.no_new_privileges = parent.no_new_privileges;
    child.dumpable = parent.dumpable;
    std::memcpy(child.limits, parent.limits, sizeof(child.limits));
    return {};
}

// Registers, FPU and scheduling as the current thread has them now.
void copy_thread(const Thread& self, Thread& thread, const CloneRequest& request) {
    std::memcpy(thread.name, self.name, sizeof(thread.name));
    thread.user_space = thread.process().space.get();
    if (!self.reset_on_fork) {
        thread.nice = self.nice;
        thread.policy = self.policy;
        thread.realtime_priority = self.realtime_priority;
    }
    thread.affinity = self.affinity;
    thread.timer_slack = self.timer_slack;
    thread.blocked = self.blocked;
    // Who shares the memory must not share the alternate stack, unless the parent sleeps meanwhile (sigaltstack(2)).
    if ((request.flags & (abi::kCLONE_VM | abi::kCLONE_VFORK)) != abi::kCLONE_VM)
        thread.alternate_stack = self.alternate_stack;

    arch::TrapFrame& frame = thread.frame();
    frame = self.frame();
    frame.set_result(0);
    if (request.stack != 0) frame.set_sp(VirtAddr{request.stack});
    {
        const core::PreemptGuard guard;  // the registers are this thread's as long as it is not switched out
        arch::fpu_save(thread.fpu);
    }
    {
        const core::IrqGuard guard;
        arch::save_user_state(thread.user_state);
    }
    if ((request.flags & abi::kCLONE_SETTLS) != 0) thread.user_state.fs_base = request.tls;
    if ((request.flags & abi::kCLONE_CHILD_SETTID) != 0) thread.set_child_tid = request.child_tid;
    if ((request.flags & abi::kCLONE_CHILD_CLEARTID) != 0) thread.clear_child_tid = request.child_tid;
    thread.context = arch::make_context(virt_of(&frame).align_down(16), child_entry, nullptr);
}

// Processes of a user who is not root are limited in number; zombies and each thread of a process count (getrlimit(2)).
Result<> check_process_limit_locked(const Process& parent) REQUIRES(g_tree_lock) {
    const fs::Credentials& who = parent.credentials;
    if (who.uid == 0 || who.is_root()) return {};
    u64 count = 0;
    for (Process* process = next_process_locked(1); process; process = next_process_locked(process->pid() + 1)) {
        if (process->credentials.uid != who.uid) continue;
        const SignalGuard guard(process->signal_lock);
        count += std::max<u64>(process->threads.size(), 1);
    }
    return count < parent.limit(abi::kRLIMIT_NPROC) ? Result<>() : fail(Errno::kEAGAIN);
}

Result<> enter_tree(Process& parent, Process& child, Thread& thread, const CloneRequest& request) {
    const TreeGuard guard(g_tree_lock);
    // A signal to the whole group reaches parent and child, or the parent before there is a child: then it comes first
    // (Linux: copy_process()).
    if (signal_pending(current_thread())) return fail(Errno::kERESTARTNOINTR);
    TRY(check_process_limit_locked(parent));
    thread.start_time = child.start_time;
    const i32 pid = TRY(g_pids.allocate());
    g_pids.add(child, pid);
    g_pids.add(thread, pid);
    thread.id = pid;
    child.set_parent_locked(parent);
    child.exit_signal = request.exit_signal;
    child.forked_by = current_thread().number();
    child.borrows_memory = (request.flags & abi::kCLONE_VFORK) != 0;
    child.left_terminal = parent.left_terminal;
    join_group_locked(child, parent.group);
    {
        const SignalGuard signals(parent.signal_lock);
        std::memcpy(child.actions, parent.actions, sizeof(child.actions));
    }
    const SignalGuard signals(child.signal_lock);
    if ((request.flags & abi::kCLONE_CLEAR_SIGHAND) != 0) std::ranges::fill(child.actions, abi::SigAction{});
    child.threads.push_back(thread);
    if (child.limit(abi::kRLIMIT_CPU) != abi::kRLIM_INFINITY) watch_cpu_time_locked(child);
    return {};
}

// From here on the thread is the process's, and takes part in what happens to it: an end or a stop that began before is a signal
// for the current thread as well, which then comes first.
Result<> enter_process(Process& process, Thread& thread) {
    const TreeGuard guard(g_tree_lock);
    TRY(check_process_limit_locked(process));
    const SignalGuard signals(process.signal_lock);
    if (signal_pending(current_thread())) return fail(Errno::kERESTARTNOINTR);
    const i32 tid = TRY(g_pids.allocate());
    g_pids.add(thread, tid);
    thread.id = tid;
    process.threads.push_back(thread);
    if (process.watches_cpu_time) thread.tick_work = kWorkCpuTime;
    return {};
}

Result<i32> clone_thread(Thread& self, const CloneRequest& request) {
    Process& process = self.process();
    RefPtr<Thread> thread = TRY(Thread::create(process));
    copy_thread(self, *thread, request);
    process.files->mark_shared();
    TRY(enter_process(process, *thread));
    const i32 tid = thread->number();
    if ((request.flags & abi::kCLONE_PARENT_SETTID) != 0) (void)mm::UserPtr<i32>(request.parent_tid).store(tid);
    sched::start(*thread.release());  // the thread's own, until it is reaped
    return tid;
}

// EINVAL, EPERM.
Result<> check(const CloneRequest& request) {
    const bool thread = (request.flags & abi::kCLONE_THREAD) != 0;
    const u64 allowed = kAnyClone | (thread ? kThreadOnly : kProcessOnly);
    if ((request.flags & ~allowed) != 0) return fail(Errno::kEINVAL);
    if (thread && (request.flags & kThread) != kThread) return fail(Errno::kEINVAL);
    if ((request.flags & abi::kCLONE_SETTLS) != 0 && !mm::is_user_range(request.tls, 0)) return fail(Errno::kEPERM);
    return {};
}

// The parent's side of vfork(2). It need not wait longer than it lives.
void wait_for_memory(Process& parent, Process& child) {
    parent.changed.wait_until(
        "vfork",
        [&] {
            if (dying()) return true;
            const TreeGuard guard(g_tree_lock);
            return !child.borrows_memory;
        },
        sched::SleepKind::Killable);
}

}  // namespace

bool return_memory_locked(Process& child) {
    if (!std::exchange(child.borrows_memory, false)) return false;
    child.parent->changed.wake_all();
    return true;
}

Result<i32> clone(const CloneRequest& request) {
    const u64 flags = request.flags;
    TRY(check(request));
    Thread& self = current_thread();
    Process& parent = self.process();
    if (signal_pending(self)) return fail(Errno::kERESTARTNOINTR);
    if ((flags & abi::kCLONE_THREAD) != 0) return clone_thread(self, request);

    RefPtr<Process> child = TRY(mm::make_ref<Process>());
    TRY(copy_resources(parent, *child, flags));
    RefPtr<Thread> thread = TRY(Thread::create(*child));
    copy_thread(self, *thread, request);
    if (request.pidfd_address != 0) TRY(mm::UserPtr<i32>(request.pidfd_address).store(request.pidfd));
    TRY(enter_tree(parent, *child, *thread, request));
    const i32 pid = child->pid();
    if ((flags & abi::kCLONE_PARENT_SETTID) != 0) (void)mm::UserPtr<i32>(request.parent_tid).store(pid);

    if (request.made != nullptr) *request.made = child;
    RefPtr<Process> kept = (flags & abi::kCLONE_VFORK) != 0 ? child : RefPtr<Process>();
    (void)child.release();            // the tree's, until the child is waited for
    sched::start(*thread.release());  // the thread's own, until it is reaped
    if (kept) wait_for_memory(parent, *kept);
    return pid;
}

}  // namespace hd::task
