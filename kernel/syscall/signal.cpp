// SPDX-License-Identifier: MIT
// System calls of signals (signal(7)).
#include "kernel/task/signal/signal.hpp"

#include "kernel/syscall/handlers.hpp"
#include "kernel/syscall/helpers.hpp"

namespace hd::syscall {

Result<u64> sys_rt_sigaction(Signo signal, In<abi::SigAction> action, Out<abi::SigAction> old_action, Size mask_size) {
    TRY(check_mask_size(mask_size));
    abi::SigAction fresh;
    if (action) fresh = TRY(action.load());
    const abi::SigAction old = TRY(task::exchange_action(signal, action ? &fresh : nullptr));
    if (old_action) TRY(old_action.store(old));
    return 0;
}

Result<u64> sys_rt_sigprocmask(Int how, In<u64> mask, Out<u64> old_mask, Size mask_size) {
    TRY(check_mask_size(mask_size));
    const u64 old = task::current_thread().blocked;
    if (mask) {
        const u64 bits = TRY(mask.load());
        switch (how) {
        case abi::kSIG_BLOCK: task::set_blocked(old | bits); break;
        case abi::kSIG_UNBLOCK: task::set_blocked(old & ~bits); break;
        case abi::kSIG_SETMASK: task::set_blocked(bits); break;
        default: return fail(Errno::kEINVAL);
        }
    }
    if (old_mask) TRY(old_mask.store(old));
    return 0;
}

// Its result is whatever the interrupted program had in the result register.
Result<u64> sys_rt_sigreturn() {
    task::Thread& self = task::current_thread();
    u64 mask;
    abi::StackT stack;
    if (!arch::pop_signal_frame(self.frame(), mask, stack)) {
        task::force_signal(abi::kSIGSEGV, abi::kSI_KERNEL, 0);
        return 0;
    }
    // The handler's own sleeps are not what the interrupted program goes on with (Linux: do_no_restart_syscall()).
    self.restart = {};
    task::set_blocked(mask);
    abi::StackT old;
    (void)task::change_alternate_stack(&stack, old);  // as Linux: what cannot be restored stays
    return self.frame().result();
}

Result<u64> sys_pause() { return task::suspend(task::current_thread().blocked); }

Result<u64> sys_rt_sigsuspend(In<u64> mask, Size mask_size) {
    TRY(check_mask_size(mask_size));
    return task::suspend(TRY(mask.load()));
}

Result<u64> sys_rt_sigpending(Out<u64> mask, Size mask_size) {
    if (mask_size > sizeof(u64)) return fail(Errno::kEINVAL);
    const u64 pending = task::pending_signals();
    return zero_or_error(mm::copy_to_user(mask.address(), &pending, mask_size));
}

Result<u64> sys_rt_sigtimedwait(In<u64> mask, Out<abi::SigInfo> info, In<abi::Timespec> timeout, Size mask_size) {
    TRY(check_mask_size(mask_size));
    const u64 wanted = TRY(mask.load());
    const Nanoseconds deadline = timeout ? deadline_after(TRY(duration_from(timeout))) : Nanoseconds::max();
    const abi::SigInfo taken = TRY(task::wait_for_signal(wanted, deadline));
    if (info) TRY(info.store(taken));
    return number(taken.signo);
}

Result<u64> sys_sigaltstack(In<abi::StackT> stack, Out<abi::StackT> old_stack) {
    abi::StackT fresh, old;
    if (stack) fresh = TRY(stack.load());
    TRY(task::change_alternate_stack(stack ? &fresh : nullptr, old));
    if (old_stack) TRY(old_stack.store(old));
    return 0;
}

// ---- sending

Result<u64> sys_kill(PidArg pid, Signo signal) { return zero_or_error(task::kill(pid, signal)); }

Result<u64> sys_tkill(PidArg thread, Signo signal) { return zero_or_error(task::kill_thread(0, thread, signal)); }

Result<u64> sys_tgkill(PidArg pid, PidArg thread, Signo signal) {
    if (pid <= 0) return fail(Errno::kEINVAL);
    return zero_or_error(task::kill_thread(pid, thread, signal));
}

static Result<abi::SigInfo> info_from(In<abi::SigInfo> from, Signo signal) {
    abi::SigInfo info = TRY(from.load());
    info.signo = signal;
    return info;
}

Result<u64> sys_rt_sigqueueinfo(PidArg pid, Signo signal, In<abi::SigInfo> info) {
    return zero_or_error(task::queue_signal(pid, TRY(info_from(info, signal))));
}

Result<u64> sys_rt_tgsigqueueinfo(PidArg pid, PidArg thread, Signo signal, In<abi::SigInfo> info) {
    return zero_or_error(task::queue_thread_signal(pid, thread, TRY(info_from(info, signal))));
}

Result<u64> sys_restart_syscall() {
    task::RestartBlock& block = task::current_thread().restart;
    if (block.resume == nullptr) return fail(Errno::kEINTR);
    return block.resume(block);
}

}  // namespace hd::syscall
