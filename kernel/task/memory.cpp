// SPDX-License-Identifier: MIT
// See memory.hpp.
#include "kernel/task/memory.hpp"

#include "kernel/core/log.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::task {

namespace {

// The space alone: the last reference to whatever else a process holds must not end up here, as the end of an open file takes
// locks that our caller may hold.
RefPtr<mm::AddressSpace> space_of(Process& process) {
    const core::LockGuard guard(g_tree_lock);
    return process.space;
}

bool is_exiting(const Process& process) {
    const core::LockGuard guard(process.signal_lock);
    return process.exiting;
}

template <class Visitor> void for_each_space(Visitor visit) {
    for (RefPtr<Process> process = next_process(Pid{1}); process; process = next_process(Pid{process->pid() + 1}))
        if (const auto space = space_of(*process); space && !space->reaped()) visit(process, space);
}

}  // namespace

bool make_room() {
    RefPtr<Process> victim;
    RefPtr<mm::AddressSpace> memory;
    u64 most = 0;
    bool ends_anyway = false;
    for_each_space([&](const RefPtr<Process>& process, const RefPtr<mm::AddressSpace>& space) {
        const bool exiting = is_exiting(*process);
        const u64 pages = space->resident_pages();
        if (process->pid() == 1 || pages == 0 || exiting < ends_anyway || (exiting == ends_anyway && pages <= most))
            return;
        victim = process;
        memory = space;
        most = pages;
        ends_anyway = exiting;
    });
    if (!victim) return false;
    if (!ends_anyway) {
        log::warn("out of memory: killed process {} with {} KiB", victim->pid(), most * mm::kPageSize / 1024);
        begin_exit(*victim, abi::kSIGKILL);
    }
    memory->reap();
    return true;
}

void unmap_everywhere(const void* source, u64 from) {
    for_each_space(
        [&](const RefPtr<Process>&, const RefPtr<mm::AddressSpace>& space) { space->unmap_source(source, from); });
}

}  // namespace hd::task
