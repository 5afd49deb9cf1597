// SPDX-License-Identifier: MIT
// Process groups, sessions and the controlling terminal (credentials(7); POSIX.1-2017, 11.1). A group keeps its number while it
// has members, a session while it has groups; references may outlive both (a terminal's foreground group).
//
// Locking: g_tree_lock, for everything that says so and for what job control asks here. No function here sleeps but
// give_up_terminal().
#pragma once
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/task/pid.hpp"

namespace hd::task {

class Process;
class Group;
class Session;
class Thread;

extern core::Spinlock g_tree_lock;
extern PidTable g_pids GUARDED_BY(g_tree_lock);

// What this layer knows of a terminal; kernel/tty implements it. Called in task context, without locks.
class ControllingTerminal : public RefCounted<ControllingTerminal> {
public:
    virtual ~ControllingTerminal() = default;
    // The group that may read, and that ^C reaches; may be null.
    virtual RefPtr<Group> foreground_group() = 0;
    // The session's leader has exited: the terminal forgets the session and its foreground group. The signals that follow
    // from it are sent by the caller.
    virtual void release_session(Session& session) = 0;
    // makedev(major, minor), for /proc/PID/stat.
    virtual u64 device_number() const = 0;
};

class Session final : public RefCounted<Session>, public PidLink {
public:
    Session() : PidLink(PidKind::Session) {}
    i32 id() const { return number(); }

    Process* leader GUARDED_BY(g_tree_lock) = nullptr;  // nullptr: it has exited
    u32 groups GUARDED_BY(g_tree_lock) = 0;
    RefPtr<ControllingTerminal> terminal GUARDED_BY(g_tree_lock);
};

struct OfGroup;

class Group final : public RefCounted<Group>, public PidLink {
public:
    explicit Group(RefPtr<Session> in);
    ~Group();
    i32 id() const { return number(); }

    const RefPtr<Session> session;
    ListOf<Process, OfGroup> members GUARDED_BY(g_tree_lock);  // zombies included
};

// ---- the system calls' bodies; errors as their man pages say
Result<> set_process_group(i32 pid, i32 group);  // setpgid(2)
Result<i32> new_session();                       // setsid(2)
Result<i32> group_id(i32 pid);                   // getpgid(2)
Result<i32> session_id(i32 pid);                 // getsid(2)

// ---- for terminals
RefPtr<Group> find_group(Pid id);  // nullptr: no such group
RefPtr<Group> group_of(Process& process);
// The controlling terminal of the process's session; may be null.
RefPtr<ControllingTerminal> terminal_of(Process& process);
// TIOCNOTTY and a leader's exit. A leader's session loses its terminal, whose foreground group gets SIGHUP and, unless it is
// for an exit, SIGCONT (tty_ioctl(4)); any other process just no longer has one itself. ENOTTY: it had none. May sleep.
Result<> give_up_terminal(bool exit = false);
// The line went away: the session has no terminal any more, and its leader gets SIGHUP and SIGCONT.
void hang_up(Session& session);

// No member has a parent in the same session but another group: nobody could continue it (POSIX 3.264).
bool is_orphaned(Group& group);
// May the current process use the terminal in a way that only the foreground may? `signo`: SIGTTIN or SIGTTOU. Success: go on.
// EIO: it must not and cannot be stopped for it; kERESTARTSYS: the signal was sent to its group (termios(3)).
Result<> check_foreground(ControllingTerminal& terminal, int signo);

}  // namespace hd::task
