// SPDX-License-Identifier: MIT
// Terminal: a line that a session can have for its controlling terminal - foreground group, job control, window size,
// and all the ioctls (ioctl_tty(2)). Terminals are made at boot and live for ever.
//
// Locking: session_ and foreground_ by task::g_tree_lock, with the rest of job control; size_ by the line's mutex, with
// which held signals are sent, as it ranks below the tree's lock.
//
// The device files: /dev/ttyS0, /dev/tty1 and their like; /dev/tty, the caller's own terminal; /dev/console, the one
// that the command line chose, which job control and hang-ups do not reach.
#pragma once
#include "kernel/abi/stat.hpp"
#include "kernel/task/group.hpp"
#include "kernel/tty/line.hpp"

namespace hd::tty {

class Terminal final : public task::ControllingTerminal, public Line {
public:
    Terminal(const char* device_name, u32 device_major, u32 device_minor, TerminalDevice& device, abi::Winsize size)
        : Line(device), name(device_name), major(device_major), minor(device_minor), size_(size) {}

    const char* const name;  // of the device file
    const u32 major, minor;

    // task::ControllingTerminal
    RefPtr<task::Group> foreground_group() override;
    void release_session(task::Session& session) override;
    u64 device_number() const override { return abi::makedev(major, minor); }

    // May the current process read (SIGTTIN), or write or change settings (SIGTTOU)? See task::check_foreground().
    Result<> check(int signo, const Access& access);
    // The current process's session gets it: a leader without a terminal, and the terminal without a session - unless
    // root steals it. EPERM.
    Result<> become_controlling(bool steal);
    // The line went away, or vhangup(2).
    void hang_up();

    Result<u64> ioctl(u32 request, u64 argument, const Access& access);

private:
    void signal_foreground(int signal) override;
    Result<> set_settings(u32 request, u64 argument, const Access& access);
    Result<> control_flow(u64 action);
    Result<> set_foreground(i32 group);
    void resize(const abi::Winsize& size);
    Result<> must_control_caller();  // ENOTTY

    RefPtr<task::Session> session_ GUARDED_BY(task::g_tree_lock);
    RefPtr<task::Group> foreground_ GUARDED_BY(task::g_tree_lock);
    abi::Winsize size_ GUARDED_BY(lock_);
};

// Registers the terminal's device file, named after it. It lives for ever. Boot, before devfs is mounted.
void register_terminal(Terminal& terminal);
// Says which one /dev/console is; registers /dev/console and /dev/tty. As above, once.
void register_console(Terminal& terminal);

// Starts the worker that takes the terminals' input to their line disciplines. Boot, once threads can run; input that
// came earlier has waited.
void init();

}  // namespace hd::tty
