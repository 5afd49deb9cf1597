// SPDX-License-Identifier: MIT
// What a thread does about its signals on its way back to user mode: kernel/task/signal/signal.hpp.
#include "kernel/task/life.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

namespace {

constexpr u64 kRestartSyscall = 219;  // its number

// A signal with a handler, taken.
struct Delivery {
    abi::SigInfo info;
    abi::SigAction action;
};

// The default action of a signal that was taken. Returns if the thread goes on.
void act_by_default(Thread& self, int signo) {
    Process& process = self.process();
    const u64 bit = abi::signal_bit(signo);
    if ((bit & kHarmlessSignals) != 0) return;
    if ((bit & kStopSignals) == 0) return begin_exit(process, signo);
    // Nobody could continue it (POSIX.1-2017, 2.4.3). SIGSTOP stops all the same.
    if (signo != abi::kSIGSTOP && is_orphaned(*group_of(process))) return;
    const SignalGuard guard(process.signal_lock);
    if (process.stop_taken) begin_stop_locked(process, signo);  // else SIGCONT has come meanwhile
}

enum class Next : u8 { Nothing, Handler, Default, Stop, Exit };

// The next thing to do, with what it needs in `out`.
Next take_next(Thread& self, Delivery& out) {
    Process& process = self.process();
    const SignalGuard guard(process.signal_lock);
    if (leaving_locked(self, process)) return Next::Exit;
    if (process.stop_signal != 0) return Next::Stop;
    while (take_pending_locked(process, self, ~self.blocked, out.info)) {
        const int signo = out.info.signo;
        abi::SigAction& action = process.actions[signo - 1];
        if (action.handler == abi::kSIG_IGN) continue;
        if (action.handler == abi::kSIG_DFL) {
            if (process.unkillable) continue;
            process.stop_taken = true;
            return Next::Default;
        }
        out.action = action;
        if ((action.flags & abi::kSA_RESETHAND) != 0) action.handler = abi::kSIG_DFL;
        return Next::Handler;
    }
    self.user_work.fetch_and(~kWorkSignal, std::memory_order_relaxed);  // set and cleared under this lock
    return Next::Nothing;
}

// An interrupted system call answers EINTR or begins again (signal(7), "Interruption of system calls and library
// functions by signal handlers"). `handler`: the action whose handler runs first, or nullptr.
void settle_system_call(arch::TrapFrame& frame, const abi::SigAction* handler) {
    if (!frame.is_system_call()) return;
    // All 64 bits: the low half alone of a large result, such as a file position, may look like one of these.
    const i64 code = -static_cast<i64>(frame.result());
    if (code < static_cast<i64>(Errno::kERESTARTSYS) || code > static_cast<i64>(Errno::kERESTART_RESTARTBLOCK)) return;
    bool restart = handler == nullptr;
    u64 number = frame.syscall_number();
    switch (static_cast<Errno>(code)) {
    case Errno::kERESTARTNOINTR: restart = true; break;
    case Errno::kERESTARTSYS: restart = restart || (handler->flags & abi::kSA_RESTART) != 0; break;
    case Errno::kERESTARTNOHAND: break;
    case Errno::kERESTART_RESTARTBLOCK: number = kRestartSyscall; break;
    default: return;
    }
    if (restart)
        frame.restart_syscall(number);
    else
        frame.set_result(static_cast<u64>(-static_cast<i64>(Errno::kEINTR)));
}

// The frame on the user's stack, and the mask for the handler. EFAULT: there is no stack to put it on.
Result<> enter_handler(Thread& self, arch::TrapFrame& frame, const Delivery& delivery) {
    const abi::SigAction& action = delivery.action;
    const abi::StackT alternate = self.alternate_stack;
    const bool nested = on_alternate_stack(alternate, frame.sp().raw);
    const bool switch_stack = (action.flags & abi::kSA_ONSTACK) != 0 && alternate.ss_size != 0 && !nested;
    const u64 old_mask = self.restore_mask ? self.saved_mask : self.blocked;
    TRY(arch::push_signal_frame(frame, delivery.info, action, old_mask, alternate,
                                {.top = switch_stack ? alternate.ss_sp + alternate.ss_size : 0,
                                 .bottom = nested || switch_stack ? alternate.ss_sp : 0}));
    self.restore_mask = false;
    if ((static_cast<u32>(alternate.ss_flags) & abi::kSS_AUTODISARM) != 0) self.alternate_stack = {};
    const u64 itself = (action.flags & abi::kSA_NODEFER) != 0 ? 0 : abi::signal_bit(delivery.info.signo);
    set_blocked(self.blocked | action.mask | itself);
    return {};
}

// No handler could be entered: SIGSEGV, which kills if it is SIGSEGV's own (Linux: force_sigsegv()).
void give_up_handler(Thread& self, int signo) {
    if (signo == abi::kSIGSEGV) {
        const SignalGuard guard(self.process().signal_lock);
        self.process().actions[abi::kSIGSEGV - 1] = {};
    }
    force_signal(abi::kSIGSEGV, abi::kSI_KERNEL, 0);
}

}  // namespace

void on_return_to_user(arch::TrapFrame& frame) {
    core::assert_may_sleep();
    Thread& self = current_thread();
    for (;;) {
        Delivery delivery;
        switch (take_next(self, delivery)) {
        case Next::Exit: exit_thread();
        case Next::Stop: take_part_in_stop(self); break;
        case Next::Default: act_by_default(self, delivery.info.signo); break;
        case Next::Handler:
            settle_system_call(frame, &delivery.action);
            if (!enter_handler(self, frame, delivery)) give_up_handler(self, delivery.info.signo);
            break;
        case Next::Nothing:
            settle_system_call(frame, nullptr);
            if (!self.restore_mask) return;
            // The temporary mask let nothing through; with the old one there may be something (then once more).
            self.restore_mask = false;
            set_blocked(self.saved_mask);
            if (!signal_pending(self)) return;
        }
    }
}

}  // namespace hd::task
