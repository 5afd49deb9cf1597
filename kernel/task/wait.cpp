// SPDX-License-Identifier: MIT
// Waiting for children: kernel/task/life.hpp.
#include "kernel/task/life.hpp"

#include "kernel/task/tree.hpp"

namespace hd::task {

namespace {

bool fits_locked(const Process& child, const WaitRequest& request) REQUIRES(g_tree_lock) {
    if ((request.options & abi::k__WALL) == 0 &&
        (child.exit_signal != abi::kSIGCHLD) != ((request.options & abi::k__WCLONE) != 0))
        return false;
    if ((request.options & abi::k__WNOTHREAD) != 0 && child.forked_by != current_thread().number()) return false;
    switch (request.kind) {
    case abi::kP_PID: return child.pid() == request.id;
    case abi::kP_PGID: return child.group->id() == request.id;
    default: return true;
    }
}

void take_zombie_locked(Process& zombie, bool leave, WaitAnswer& answer) REQUIRES(g_tree_lock) {
    const int signo = zombie.exit_status & 0x7f;
    answer.code = signo == 0 ? abi::kCLD_EXITED : abi::kCLD_KILLED;
    answer.status = zombie.exit_status;
    answer.usage = zombie.usage();
    answer.usage.add(zombie.children_usage);
    if (leave) return;
    zombie.parent->children_usage.add(answer.usage);
    (void)bury_locked(zombie);
}

// A stop or continuation that the parent has not seen yet.
bool take_stop_locked(Process& child, u32 options, WaitAnswer& answer) REQUIRES(g_tree_lock) {
    const SignalGuard guard(child.signal_lock);
    if (child.stop_report == StopReport::Stopped && (options & abi::kWSTOPPED) != 0) {
        answer.code = abi::kCLD_STOPPED;
        answer.status = child.stop_signal << 8 | 0x7f;
    } else if (child.stop_report == StopReport::Continued && (options & abi::kWCONTINUED) != 0) {
        answer.code = abi::kCLD_CONTINUED;
        answer.status = 0xffff;
    } else {
        return false;
    }
    if ((options & abi::kWNOWAIT) == 0) child.stop_report = StopReport::None;
    return true;
}

// One look at all children: an answer, or whether there is anybody to wait for.
bool look(const WaitRequest& request, WaitAnswer& answer, bool& anybody) {
    const TreeGuard guard(g_tree_lock);
    anybody = false;
    for (Process& child : current_process().children) {
        if (!fits_locked(child, request)) continue;
        anybody = true;
        answer.pid = child.pid();
        answer.uid = child.credentials.uid;
        if (child.life == Life::Zombie) {
            if ((request.options & abi::kWEXITED) == 0) continue;
            take_zombie_locked(child, (request.options & abi::kWNOWAIT) != 0, answer);
            return true;
        }
        if ((request.options & (abi::kWSTOPPED | abi::kWCONTINUED)) != 0 &&
            take_stop_locked(child, request.options, answer)) {
            answer.usage = child.usage();
            return true;
        }
    }
    answer.pid = 0;
    return false;
}

}  // namespace

i32 WaitAnswer::signal_status() const {
    switch (code) {
    case abi::kCLD_EXITED:
    case abi::kCLD_STOPPED: return status >> 8 & 0xff;
    case abi::kCLD_CONTINUED: return abi::kSIGCONT;
    default: return status & 0x7f;
    }
}

Result<WaitAnswer> wait_for_child(const WaitRequest& request) {
    WaitAnswer answer;
    bool anybody;
    const bool stay = (request.options & abi::kWNOHANG) == 0;
    const sync::WaitResult result = current_process().child_changed.wait_interruptible(
        "wait", [&] { return look(request, answer, anybody) || !anybody || !stay; });
    if (result == sync::WaitResult::Interrupted) return fail(Errno::kERESTARTSYS);
    if (answer.pid == 0 && !anybody) return fail(Errno::kECHILD);
    return answer;
}

}  // namespace hd::task
