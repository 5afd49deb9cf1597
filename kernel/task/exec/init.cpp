// SPDX-License-Identifier: MIT
// The first process: kernel/task/life.hpp.

#include <algorithm>
#include <cstring>

#include "kernel/core/panic.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/exec/exec.hpp"
#include "kernel/task/life.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

namespace {

char g_init_path[256];

void init_entry(void*) {
    sched::begin_thread();
    Thread& self = current_thread();
    Process& process = self.process();
    const auto run = [&]() -> Result<> {
        Program program{.path = g_init_path, .arguments = {}, .environment = {}};
        TRY(program.arguments.append(program.path));
        for (const std::string_view variable : {"HOME=/", "TERM=linux"}) TRY(program.environment.append(variable));
        return exec({process.fs->root(), process.fs->root(), &process.credentials}, program);
    };
    if (const auto result = run(); !result) {
        core::boot_failure("the first program, {}, cannot be executed: error {}", std::string_view(g_init_path),
                           result.error());
    }
    arch::return_to_user(self.frame());
}

void set_limits(Process& process) {
    const auto set = [&](u32 resource, u64 soft, u64 hard) { process.limits[resource] = {soft, hard}; };
    set(abi::kRLIMIT_STACK, u64{8} << 20, abi::kRLIM_INFINITY);
    set(abi::kRLIMIT_CORE, 0, abi::kRLIM_INFINITY);
    set(abi::kRLIMIT_NPROC, PidTable::kLimit / 2, PidTable::kLimit / 2);
    set(abi::kRLIMIT_NOFILE, 1024, fs::FdTable::kHardLimit);
    set(abi::kRLIMIT_MEMLOCK, u64{8} << 20, u64{8} << 20);
    set(abi::kRLIMIT_SIGPENDING, 4096, 4096);
    set(abi::kRLIMIT_MSGQUEUE, 819200, 819200);
    set(abi::kRLIMIT_NICE, 0, 0);
    set(abi::kRLIMIT_RTPRIO, 0, 0);
}

Result<RefPtr<Thread>> make_init() {
    RefPtr<Process> process = TRY(mm::make_ref<Process>());
    process->files = TRY(fs::FdTable::create());
    process->fs = TRY(mm::make_ref<FsContext>(fs::root_dentry(), fs::root_dentry(), 022));
    set_limits(*process);
    RefPtr<Group> group = TRY(mm::make_ref<Group>(TRY(mm::make_ref<Session>())));
    RefPtr<Thread> thread = TRY(Thread::create(*process));
    std::memcpy(thread->name, "init", 5);
    thread->start_time = process->start_time;
    thread->context = arch::make_context(virt_of(&thread->frame()).align_down(16), init_entry, nullptr);

    const TreeGuard guard(g_tree_lock);
    const i32 pid = TRY(g_pids.allocate());
    g_pids.add(*process, pid);
    g_pids.add(*thread, pid);
    thread->id = pid;
    // Group and session 0, as on Linux, so that the program may begin a session of its own.
    g_pids.add(*group->session, 0);
    join_group_locked(*process, add_group_locked(group, 0));
    const SignalGuard signals(process->signal_lock);
    process->unkillable = true;
    process->threads.push_back(*thread);
    (void)process.release();
    return thread;
}

}  // namespace

void start_init(std::string_view path) {
    sync::g_interrupt_pending = [](sched::Entity& entity) { return signal_pending(entity); };
    std::memcpy(g_init_path, path.data(), std::min(path.size(), sizeof(g_init_path) - 1));
    auto thread = make_init();
    if (!thread) core::boot_failure("there is no memory for the first process");
    sched::start(*thread->release());
}

}  // namespace hd::task
