// SPDX-License-Identifier: MIT
#include "kernel/tty/terminal.hpp"

#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/process.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::tty {

using mm::UserPtr;
using TreeGuard = core::LockGuard<core::Spinlock>;

// ---- sessions and job control. References are dropped after the tree's lock: the last one may take it again.

RefPtr<task::Group> Terminal::foreground_group() {
    const TreeGuard guard(task::g_tree_lock);
    return foreground_;
}

// The leader ends, or gives the terminal up by TIOCNOTTY. Only an end hangs the line up (Linux: disassociate_ctty), and
// only then the process has let go of its files.
void Terminal::release_session(task::Session& session) {
    {
        RefPtr<task::Session> old_session;
        RefPtr<task::Group> old_group;
        const TreeGuard guard(task::g_tree_lock);
        if (session_ != &session) return;
        std::swap(old_session, session_);
        std::swap(old_group, foreground_);
    }
    if (task::current_process().files.get() == nullptr) Line::hang_up();
}

void Terminal::hang_up() {
    RefPtr<task::Session> session;
    RefPtr<task::Group> group;
    {
        const TreeGuard guard(task::g_tree_lock);
        std::swap(session, session_);
        std::swap(group, foreground_);
    }
    Line::hang_up();
    if (session) task::hang_up(*session);
    if (group) task::signal_group(*group, abi::kSIGHUP);
}

bool Terminal::controls_caller() { return task::terminal_of(task::current_process()) == this; }

Result<> Terminal::check(int signo, const Access& access) {
    if (access.is_console) return {};
    return task::check_foreground(*this, signo);
}

Result<> Terminal::become_controlling(bool steal) {
    task::Process& self = task::current_process();
    RefPtr<task::Session> session = task::session_of(self), old_session;
    RefPtr<task::Group> group = task::group_of(self), old_group;
    RefPtr<task::ControllingTerminal> stolen;
    const TreeGuard guard(task::g_tree_lock);
    if (session->leader != &self) return fail(Errno::kEPERM);
    if (session_ == session) return {};
    if (session->terminal) return fail(Errno::kEPERM);
    if (session_ && !(steal && self.credentials.euid == 0)) return fail(Errno::kEPERM);
    if (session_) std::swap(stolen, session_->terminal);
    session->terminal = RefPtr<task::ControllingTerminal>(this);
    old_session = std::exchange(session_, std::move(session));
    old_group = std::exchange(foreground_, std::move(group));
    return {};
}

Result<u64> Terminal::set_foreground(i32 id) {
    if (id < 0) return fail(Errno::kEINVAL);
    const RefPtr<task::Session> session = task::session_of(task::current_process());
    if (!controls_caller()) return fail(Errno::kENOTTY);
    RefPtr<task::Group> group = task::find_group(Pid{id});
    if (!group) return fail(Errno::kESRCH);
    if (group->session != session) return fail(Errno::kEPERM);
    const TreeGuard guard(task::g_tree_lock);
    if (session_ != session) return fail(Errno::kENOTTY);
    std::swap(foreground_, group);
    return 0;
}

void Terminal::signal_foreground(int signal) {
    if (const RefPtr<task::Group> group = foreground_group()) task::signal_group(*group, signal);
}

void Terminal::resize(const abi::Winsize& size) {
    {
        sync::MutexGuard guard(size_lock_);
        if (size_ == size) return;
        size_ = size;
    }
    signal_foreground(abi::kSIGWINCH);
}

// ---- ioctl(2)

Result<u64> Terminal::ioctl(u32 request, u64 argument, const Access& access) {
    switch (request) {
    case abi::kTIOCSCTTY:
    case abi::kTIOCNOTTY:
    case abi::kTIOCGSID:
    case abi::kTIOCGPGRP:
    case abi::kTIOCSPGRP:
    case abi::kTIOCVHANGUP: return ioctl_job(request, argument);
    case abi::kTCSETS:
    case abi::kTCSETSW:
    case abi::kTCSETSF:
    case abi::kTCSBRK:
    case abi::kTCSBRKP:
    case abi::kTCXONC:
    case abi::kTCFLSH:
        TRY(task::check_foreground(*this, abi::kSIGTTOU));
        return ioctl_settings(request, argument, access);
    case abi::kTCGETS: TRY(UserPtr<abi::Termios>(argument).store(termios())); return 0;
    case abi::kFIONREAD: TRY(UserPtr<i32>(argument).store(static_cast<i32>(available()))); return 0;
    case abi::kTIOCOUTQ: TRY(UserPtr<i32>(argument).store(static_cast<i32>(unsent()))); return 0;
    case abi::kTIOCGETD: TRY(UserPtr<i32>(argument).store(0)); return 0;  // N_TTY, the only discipline there is
    case abi::kTIOCGDEV: TRY(UserPtr<u32>(argument).store(static_cast<u32>(device_number()))); return 0;
    case abi::kTIOCSWINSZ: resize(TRY(UserPtr<abi::Winsize>(argument).load())); return 0;
    case abi::kTIOCGWINSZ: {
        abi::Winsize size;
        {
            sync::MutexGuard guard(size_lock_);
            size = size_;
        }
        TRY(UserPtr<abi::Winsize>(argument).store(size));
        return 0;
    }
    default: return fail(Errno::kENOTTY);
    }
}

Result<u64> Terminal::ioctl_job(u32 request, u64 argument) {
    if (request == abi::kTIOCSCTTY) {
        TRY(become_controlling(argument == 1));
        return 0;
    }
    if (request == abi::kTIOCVHANGUP) {
        if (task::current_process().credentials.euid != 0) return fail(Errno::kEPERM);
        hang_up();
        return 0;
    }
    if (request == abi::kTIOCSPGRP) {
        const Result<> allowed = task::check_foreground(*this, abi::kSIGTTOU);
        if (!allowed) return fail(allowed.error() == Errno::kEIO ? Errno::kENOTTY : allowed.error());
        return set_foreground(TRY(UserPtr<i32>(argument).load()));
    }
    if (!controls_caller()) return fail(Errno::kENOTTY);
    if (request == abi::kTIOCNOTTY) {
        TRY(task::give_up_terminal());
        return 0;
    }
    const RefPtr<task::Group> group = foreground_group();
    const RefPtr<task::Session> session = task::session_of(task::current_process());
    const i32 foreground = group ? group->id() : 0;
    TRY(UserPtr<i32>(argument).store(request == abi::kTIOCGSID ? session->id() : foreground));
    return 0;
}

Result<u64> Terminal::set_settings(u32 request, u64 argument, const Access& access) {
    const abi::Termios next = TRY(UserPtr<abi::Termios>(argument).load());
    if (request != abi::kTCSETS) TRY(drain(access));
    if (request == abi::kTCSETSF) discard(true, false);
    set_termios(next);
    return 0;
}

Result<u64> Terminal::ioctl_settings(u32 request, u64 argument, const Access& access) {
    switch (request) {
    case abi::kTCSBRK:
    case abi::kTCSBRKP:
        TRY(drain(access));  // tcdrain(3). There is nobody to send a break to
        return 0;
    case abi::kTCXONC:
        if (argument > abi::kTCION) return fail(Errno::kEINVAL);
        if (argument == abi::kTCOOFF || argument == abi::kTCOON)
            hold_output(argument == abi::kTCOOFF);
        else
            send_flow_character(argument == abi::kTCION);
        return 0;
    case abi::kTCFLSH:
        if (argument > abi::kTCIOFLUSH) return fail(Errno::kEINVAL);
        discard(argument != abi::kTCOFLUSH, argument != abi::kTCIFLUSH);
        return 0;
    default: return set_settings(request, argument, access);
    }
}

}  // namespace hd::tty
