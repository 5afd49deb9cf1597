// SPDX-License-Identifier: MIT
// The current thread's own dealings with signals: mask, actions, alternate stack, waiting. kernel/task/signal/signal.hpp.
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/signal/internal.hpp"

namespace hd::task {

bool signal_pending(const sched::Entity& thread) {
    // seq_cst: after the thread's state was set to Blocking, see the proof in kernel/sync/wait_queue.hpp.
    return (thread.user_work.load() & kWorkSignal) != 0;
}

bool dying() {
    const Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    return leaving_locked(current_thread(), process);
}

void set_blocked_locked(Process& process, Thread& self, u64 mask) {
    const u64 newly_blocked = mask & ~self.blocked;
    self.blocked = mask & ~kUnblockableSignals;
    if (((self.pending.set() | process.pending.set()) & ~self.blocked) != 0)
        self.user_work.fetch_or(kWorkSignal, std::memory_order_relaxed);  // the thread's own: it looks before user mode
    // What this thread was perhaps woken for is another's now.
    if ((process.pending.set() & newly_blocked) != 0)
        for (Thread& other : process.threads)
            if ((process.pending.set() & newly_blocked & ~other.blocked) != 0) notify_locked(process, other);
}

void set_blocked(u64 mask) {
    Thread& self = current_thread();
    if (mask == self.blocked) return;
    Process& process = self.process();
    const SignalGuard guard(process.signal_lock);
    set_blocked_locked(process, self, mask);
}

Result<abi::SigAction> exchange_action(int signo, const abi::SigAction* replacement) {
    constexpr u64 kKnownFlags = abi::kSA_NOCLDSTOP | abi::kSA_NOCLDWAIT | abi::kSA_SIGINFO | abi::kSA_RESTORER |
                                abi::kSA_ONSTACK | abi::kSA_RESTART | abi::kSA_NODEFER | abi::kSA_RESETHAND;
    if (signo < 1 || signo > abi::kSignalCount) return fail(Errno::kEINVAL);
    const u64 bit = abi::signal_bit(signo);
    if (replacement != nullptr && (bit & kUnblockableSignals) != 0) return fail(Errno::kEINVAL);
    Process& process = current_process();
    const SignalGuard guard(process.signal_lock);
    abi::SigAction& action = process.actions[signo - 1];
    const abi::SigAction old = action;
    if (replacement == nullptr) return old;
    action = *replacement;
    action.flags &= kKnownFlags;
    action.mask &= ~kUnblockableSignals;
    if (action.handler == abi::kSIG_IGN || (action.handler == abi::kSIG_DFL && (bit & kHarmlessSignals) != 0)) {
        process.pending.remove(bit);  // even if it is blocked (POSIX.1-2017, 2.4.3)
        for (Thread& thread : process.threads) thread.pending.remove(bit);
    }
    return old;
}

Result<> change_alternate_stack(const abi::StackT* replacement, abi::StackT& old) {
    constexpr u64 kLeastStack = 2048;  // MINSIGSTKSZ
    Thread& self = current_thread();
    abi::StackT& stack = self.alternate_stack;
    const u32 kept = static_cast<u32>(stack.ss_flags) & abi::kSS_AUTODISARM;
    const bool on_it = on_alternate_stack(stack, self.frame().sp().raw);
    old = stack;
    old.ss_flags = static_cast<i32>(kept) | (on_it ? abi::kSS_ONSTACK : stack.ss_size == 0 ? abi::kSS_DISABLE : 0);
    if (replacement == nullptr) return {};
    if (on_it) return fail(Errno::kEPERM);
    const u32 mode = static_cast<u32>(replacement->ss_flags) & ~abi::kSS_AUTODISARM;
    if (mode == abi::kSS_DISABLE) {
        stack = {};
        stack.ss_flags = replacement->ss_flags;
        return {};
    }
    if (mode != 0 && mode != abi::kSS_ONSTACK) return fail(Errno::kEINVAL);
    if (replacement->ss_size < kLeastStack) return fail(Errno::kENOMEM);
    stack = *replacement;
    return {};
}

u64 pending_signals() {
    Thread& self = current_thread();
    const SignalGuard guard(self.process().signal_lock);
    return (self.pending.set() | self.process().pending.set()) & self.blocked;
}

bool take_pending_locked(Process& process, Thread& self, u64 wanted, abi::SigInfo& info) {
    if (!self.pending.take(wanted, info) && !process.pending.take(wanted, info)) return false;
    if (info.code == abi::kSI_TIMER) note_timer_signal_locked(process, info);
    return true;
}

bool take_signal(u64 wanted, abi::SigInfo& info) {
    Thread& self = current_thread();
    const SignalGuard guard(self.process().signal_lock);
    return take_pending_locked(self.process(), self, wanted, info);
}

bool has_pending(u64 wanted) {
    Thread& self = current_thread();
    const SignalGuard guard(self.process().signal_lock);
    return ((self.pending.set() | self.process().pending.set()) & wanted) != 0;
}

Result<abi::SigInfo> wait_for_signal(u64 wanted, Nanoseconds deadline) {
    Thread& self = current_thread();
    Process& process = self.process();
    wanted &= ~kUnblockableSignals;
    abi::SigInfo info;
    // Senders treat the wanted signals as not blocked while waited_for says so, and end the sleep; this takes them.
    const auto take = [&] {
        const SignalGuard guard(process.signal_lock);
        const bool taken = take_pending_locked(process, self, wanted, info);
        self.waited_for = taken ? 0 : wanted;
        return taken;
    };
    sync::WaitQueue nobody;  // its wake-ups are the signals themselves
    const sync::WaitResult result = nobody.wait_interruptible("sigtimedwait", take, deadline);
    if (result == sync::WaitResult::Ready) return info;
    {
        const SignalGuard guard(process.signal_lock);
        self.waited_for = 0;
    }
    return fail(result == sync::WaitResult::TimedOut ? Errno::kEAGAIN : Errno::kEINTR);
}

void begin_temporary_mask(u64 mask) {
    Thread& self = current_thread();
    self.saved_mask = self.blocked;
    set_blocked(mask);
}

void finish_temporary_mask(bool interrupted) {
    Thread& self = current_thread();
    if (interrupted)
        self.restore_mask = true;
    else
        set_blocked(self.saved_mask);
}

Result<u64> suspend(u64 mask) {
    begin_temporary_mask(mask);
    sync::WaitQueue nobody;
    (void)nobody.wait_interruptible("sigsuspend", [] { return false; });
    finish_temporary_mask(true);
    return fail(Errno::kERESTARTNOHAND);
}

bool ignores_or_blocks(int signo) {
    const Thread& self = current_thread();
    const Process& process = self.process();
    const SignalGuard guard(process.signal_lock);
    return (self.blocked & abi::signal_bit(signo)) != 0 || process.actions[signo - 1].handler == abi::kSIG_IGN;
}

void reset_handlers(Process& process) {
    const SignalGuard guard(process.signal_lock);
    for (abi::SigAction& action : process.actions) {
        const u64 kept = action.handler == abi::kSIG_IGN ? abi::kSIG_IGN : abi::kSIG_DFL;
        action = {};
        action.handler = kept;
    }
}

}  // namespace hd::task
