// SPDX-License-Identifier: MIT
// System calls of signals (signal(7)).
#include "kernel/task/signal/signal.hpp"

#include "kernel/syscall/helpers.hpp"

namespace hd::syscall {

Answer sys_rt_sigaction(Signo signal, In<abi::SigAction> action, Out<abi::SigAction> old_action, Size mask_size) {
    TRY(check_mask_size(mask_size));
    abi::SigAction fresh;
    if (action) fresh = TRY(action.load());
    const abi::SigAction old = TRY(task::exchange_action(signal, action ? &fresh : nullptr));
    return store_if_wanted(old_action, old);
}

Answer sys_rt_sigprocmask(Int how, In<u64> mask, Out<u64> old_mask, Size mask_size) {
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
    return store_if_wanted(old_mask, old);
}

// Its result is whatever the interrupted program had in the result register.
Answer sys_rt_sigreturn() {
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

Answer sys_pause() { return task::suspend(task::current_thread().blocked); }

Answer sys_rt_sigsuspend(In<u64> mask, Size mask_size) {
    TRY(check_mask_size(mask_size));
    return task::suspend(TRY(mask.load()));
}

Answer sys_rt_sigpending(Out<u64> mask, Size mask_size) {
    if (mask_size > sizeof(u64)) return fail(Errno::kEINVAL);
    const u64 pending = task::pending_signals();
    return mm::copy_to_user(mask.address(), &pending, mask_size);
}

Answer sys_rt_sigtimedwait(In<u64> mask, Out<abi::SigInfo> info, In<abi::Timespec> timeout, Size mask_size) {
    TRY(check_mask_size(mask_size));
    const u64 wanted = TRY(mask.load());
    const Nanoseconds deadline = timeout ? deadline_after(TRY(duration_from(timeout))) : Nanoseconds::max();
    const abi::SigInfo taken = TRY(task::wait_for_signal(wanted, deadline));
    TRY(store_if_wanted(info, taken));
    return taken.signo;
}

Answer sys_sigaltstack(In<abi::StackT> stack, Out<abi::StackT> old_stack) {
    abi::StackT fresh, old;
    if (stack) fresh = TRY(stack.load());
    TRY(task::change_alternate_stack(stack ? &fresh : nullptr, old));
    return store_if_wanted(old_stack, old);
}

// ---- sending

Answer sys_kill(PidArg pid, Signo signal) { return task::kill(pid, signal); }

Answer sys_tkill(PidArg thread, Signo signal) { return task::kill_thread(0, thread, signal); }

Answer sys_tgkill(PidArg pid, PidArg thread, Signo signal) {
    if (pid <= 0) return fail(Errno::kEINVAL);
    return task::kill_thread(pid, thread, signal);
}

static Result<abi::SigInfo> info_from(In<abi::SigInfo> from, Signo signal) {
    abi::SigInfo info = TRY(from.load());
    info.signo = signal;
    return info;
}

Answer sys_rt_sigqueueinfo(PidArg pid, Signo signal, In<abi::SigInfo> info) {
    return task::queue_signal(pid, TRY(info_from(info, signal)));
}

Answer sys_rt_tgsigqueueinfo(PidArg pid, PidArg thread, Signo signal, In<abi::SigInfo> info) {
    return task::queue_thread_signal(pid, thread, TRY(info_from(info, signal)));
}

Answer sys_restart_syscall() {
    task::RestartBlock& block = task::current_thread().restart;
    if (block.resume == nullptr) return fail(Errno::kEINTR);
    return block.resume(block);
}

}  // namespace hd::syscall
