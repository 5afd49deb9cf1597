// SPDX-License-Identifier: MIT
// The out-of-memory killer: kernel/task/oom.hpp.
#include "kernel/task/oom.hpp"

#include "kernel/core/log.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::task {

bool kill_largest() {
    RefPtr<Process> largest;
    u64 most = 0;
    bool one_is_dying = false;
    for (RefPtr<Process> process = next_process(Pid{2}); process; process = next_process(Pid{process->pid() + 1})) {
        const Resources resources = resources_of(*process);
        if (!resources.space) continue;
        {
            const core::LockGuard<core::IrqSpinlock> guard(process->signal_lock);
            if (process->exiting) one_is_dying = true;
        }
        if (const u64 pages = resources.space->statistics().resident_pages; pages > most) {
            most = pages;
            largest = process;
        }
    }
    if (one_is_dying) return true;  // one at a time: its memory may be enough
    if (!largest) return false;
    log::warn("out of memory: killed process {} with {} KiB", largest->pid(), most * mm::kPageSize / 1024);
    begin_exit(*largest, abi::kSIGKILL);
    return true;
}

}  // namespace hd::task
