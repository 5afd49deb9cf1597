// SPDX-License-Identifier: MIT
// wait4(2), waitid(2): a parent hears of its children's ends, stops and continuations.
#pragma once
#include "kernel/task/process.hpp"

namespace hd::task {

struct WaitRequest {
    i32 kind = abi::kP_ALL;  // kP_ALL, kP_PID, kP_PGID
    i32 id = 0;
    u32 options = 0;  // kWEXITED, kWSTOPPED, kWCONTINUED, kWNOHANG, kWNOWAIT, k__WALL, k__WCLONE
};

struct WaitAnswer {
    i32 pid = 0;  // 0: kWNOHANG, and nobody has changed
    u32 uid = 0;
    i32 code = 0;    // CLD_*
    i32 status = 0;  // in wait4's form; see signal_status() for waitid's
    Usage usage;
    // What si_status shows: the exit code, or the signal.
    i32 signal_status() const;
};

// Sleeps until a child fits; a zombie is taken out of the tree unless kWNOWAIT. ECHILD: there is none to wait for; kERESTARTSYS.
// Task context.
Result<WaitAnswer> wait_for_child(const WaitRequest& request);

}  // namespace hd::task
