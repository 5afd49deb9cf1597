// SPDX-License-Identifier: MIT
#include "kernel/tty/terminal.hpp"

#include "kernel/abi/ioctl.hpp"
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

Result<> Terminal::must_control_caller() {
    if (task::terminal_of(task::current_process()) != this) return fail(Errno::kENOTTY);
    return {};
}

Result<> Terminal::check(int signo, const Access& access) {
    if (access.is_console) return {};
    return task::check_foreground(*this, signo);
}

Result<> Terminal::become_controlling(bool steal) {
    task::Process& self = task::current_process();
    RefPtr<task::Group> group = task::group_of(self), old_group;
    RefPtr<task::Session> session = group->session, old_session;
    RefPtr<task::ControllingTerminal> stolen;
    const TreeGuard guard(task::g_tree_lock);
    if (session->leader != &self) return fail(Errno::kEPERM);
    if (session_ == session) return {};
    if (session->terminal) return fail(Errno::kEPERM);
    if (session_ && !(steal && self.credentials.is_root())) return fail(Errno::kEPERM);
    if (session_) std::swap(stolen, session_->terminal);
    session->terminal = RefPtr<task::ControllingTerminal>(this);
    old_session = std::exchange(session_, std::move(session));
    old_group = std::exchange(foreground_, std::move(group));
    return {};
}

Result<> Terminal::set_foreground(i32 id) {
    if (id < 0) return fail(Errno::kEINVAL);
    const RefPtr<task::Session> session = task::group_of(task::current_process())->session;
    TRY(must_control_caller());
    RefPtr<task::Group> group = task::find_group(Pid{id});
    if (!group) return fail(Errno::kESRCH);
    if (group->session != session) return fail(Errno::kEPERM);
    const TreeGuard guard(task::g_tree_lock);
    if (session_ != session) return fail(Errno::kENOTTY);
    std::swap(foreground_, group);
    return {};
}

void Terminal::signal_foreground(int signal) {
    if (const RefPtr<task::Group> group = foreground_group()) task::signal_group(*group, signal);
}

void Terminal::resize(const abi::Winsize& size) {
    {
        sync::MutexGuard guard(lock_);
        if (size_ == size) return;
        size_ = size;
    }
    signal_foreground(abi::kSIGWINCH);
}

// ---- ioctl(2)

Result<> Terminal::set_settings(u32 request, u64 argument, const Access& access) {
    const abi::Termios next = TRY(UserPtr<abi::Termios>(argument).load());
    if (request != abi::kTCSETS) TRY(drain(access));
    if (request == abi::kTCSETSF) discard(true, false);
    set_termios(next);
    return {};
}

Result<> Terminal::control_flow(u64 action) {
    if (action > abi::kTCION) return fail(Errno::kEINVAL);
    {
        sync::MutexGuard guard(lock_);
        if (action == abi::kTCOOFF || action == abi::kTCOON) {
            discipline_.hold_output(action == abi::kTCOOFF);
        } else {
            const u8 character = discipline_.termios().c_cc[action == abi::kTCION ? abi::kVSTART : abi::kVSTOP];
            if (character != 0) device_.send_ahead(character);
        }
    }
    writers().wake_all();
    return {};
}

Result<u64> Terminal::ioctl(u32 request, u64 argument, const Access& access) {
    const auto give = [&]<class T>(T value) -> Result<u64> {
        TRY(UserPtr<T>(argument).store(value));
        return 0;
    };
    switch (request) {
    // ---- reading and changing the settings; only the foreground changes them
    case abi::kTCGETS: return give(termios());
    case abi::kTCSETS:
    case abi::kTCSETSW:
    case abi::kTCSETSF:
        TRY(task::check_foreground(*this, abi::kSIGTTOU));
        TRY(set_settings(request, argument, access));
        return 0;
    case abi::kTCSBRK:  // tcdrain(3). There is nobody to send a break to
    case abi::kTCSBRKP:
        TRY(task::check_foreground(*this, abi::kSIGTTOU));
        TRY(drain(access));
        return 0;
    case abi::kTCXONC:
        TRY(task::check_foreground(*this, abi::kSIGTTOU));
        TRY(control_flow(argument));
        return 0;
    case abi::kTCFLSH:
        TRY(task::check_foreground(*this, abi::kSIGTTOU));
        if (argument > abi::kTCIOFLUSH) return fail(Errno::kEINVAL);
        discard(argument != abi::kTCOFLUSH, argument != abi::kTCIFLUSH);
        return 0;
    case abi::kTIOCSWINSZ: resize(TRY(UserPtr<abi::Winsize>(argument).load())); return 0;
    case abi::kTIOCGWINSZ: {
        abi::Winsize size;
        {
            sync::MutexGuard guard(lock_);
            size = size_;
        }
        return give(size);
    }
    // ---- what there is
    case abi::kFIONREAD: return give(static_cast<i32>(available()));
    case abi::kTIOCOUTQ: return give(static_cast<i32>(device_.unsent()));
    case abi::kTIOCGETD: return give(i32{0});  // N_TTY, the only discipline there is
    case abi::kTIOCGDEV: return give(static_cast<u32>(device_number()));
    // ---- sessions and job control
    case abi::kTIOCSCTTY: TRY(become_controlling(argument == 1)); return 0;
    case abi::kTIOCNOTTY:
        TRY(must_control_caller());
        TRY(task::give_up_terminal());
        return 0;
    case abi::kTIOCGSID:
        TRY(must_control_caller());
        return give(task::group_of(task::current_process())->session->id());
    case abi::kTIOCGPGRP: {
        TRY(must_control_caller());
        const RefPtr<task::Group> group = foreground_group();
        return give(group ? group->id() : i32{0});
    }
    case abi::kTIOCSPGRP: {
        const Result<> allowed = task::check_foreground(*this, abi::kSIGTTOU);
        if (!allowed) return fail(allowed.error() == Errno::kEIO ? Errno::kENOTTY : allowed.error());
        TRY(set_foreground(TRY(UserPtr<i32>(argument).load())));
        return 0;
    }
    case abi::kTIOCVHANGUP:
        if (task::current_process().credentials.euid != 0) return fail(Errno::kEPERM);
        hang_up();
        return 0;
    default: return fail(Errno::kENOTTY);
    }
}

}  // namespace hd::tty
