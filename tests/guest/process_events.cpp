// SPDX-License-Identifier: MIT
// Files that tell of events of processes: their signals (signalfd) and their ends (pidfd).
#include "tests/guest/events.hpp"

#include <linux/sched.h>

using namespace guest;

namespace {

// All zero if there is none, but for the reason in ssi_errno.
signalfd_siginfo signal_of(int fd) {
    signalfd_siginfo info{};
    if (read(fd, &info, sizeof info) == sizeof info) return info;
    const int reason = errno;
    info = {};
    info.ssi_errno = reason;
    return info;
}

long errno_of_read(int fd) {
    const signalfd_siginfo info = signal_of(fd);
    return info.ssi_signo == 0 ? info.ssi_errno : 0;
}

bool is_signal(const signalfd_siginfo& info, int signo, int code, pid_t pid = getpid()) {
    return info.ssi_signo == static_cast<std::uint32_t>(signo) && info.ssi_code == code && info.ssi_errno == 0 &&
           info.ssi_pid == static_cast<std::uint32_t>(pid) && info.ssi_uid == getuid();
}

// 0 or an errno.
int send(int process, int signo, const siginfo_t* info = nullptr, unsigned flags = 0) {
    return error(SYS_pidfd_send_signal, process, signo, info, flags);
}

siginfo_t with_value(int signo, int code, int value) {
    siginfo_t info{};
    info.si_signo = signo;
    info.si_code = code;
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_int = value;
    return info;
}

// A child that waits for a byte, which becomes its exit status.
class Child {
public:
    Child() : pid_(start_child([this] { return read_byte(hold_.reader()); })) {}
    ~Child() {
        if (kill(pid_, SIGKILL) == 0) waitpid(pid_, nullptr, 0);  // in a test that has failed
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    pid_t pid() const { return pid_; }
    void end(char status) { write_byte(hold_.writer(), status); }

private:
    Pipe hold_;
    const pid_t pid_;
};

}  // namespace

// ---- signalfd ------------------------------------------------------------------------------------------------------

TEST_CASE("signalfd: what is read of signals, and in which order") {
    constexpr int kQueued = 40;
    const Blocked blocked{SIGUSR1, SIGUSR2, kQueued, kQueued + 1};
    const Opened fd(open_signals({SIGUSR1, kQueued, kQueued + 1, SIGKILL, SIGSTOP}, SFD_NONBLOCK | SFD_CLOEXEC));
    const pid_t pid = getpid();
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
    CHECK(errno_of_read(fd) == EAGAIN);
    CHECK(polled(fd) == 0);
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    CHECK(polled(fd) == POLLIN);
    CHECK(is_signal(signal_of(fd), SIGUSR1, SI_TKILL));
    CHECK_FALSE(is_pending(SIGUSR1));
    for (int i = 0; i < 2; ++i) CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(is_signal(signal_of(fd), SIGUSR1, SI_USER));
    CHECK(errno_of_read(fd) == EAGAIN);  // such a signal does not queue
    CHECK(child_exit([&] { return kill(pid, SIGUSR1); }) == 0);
    signalfd_siginfo infos[4];
    const signalfd_siginfo from_child = signal_of(fd);
    CHECK(from_child.ssi_pid != static_cast<std::uint32_t>(pid));
    CHECK(is_signal(from_child, SIGUSR1, SI_USER, static_cast<pid_t>(from_child.ssi_pid)));

    // The lowest first, those that queue with their values, as many as there is room for.
    void* const pointer = infos;
    const pid_t child = start_child([&] {
        return first_wrong({sigqueue(pid, kQueued + 1, {.sival_ptr = pointer}) == 0,
                            sigqueue(pid, kQueued, {.sival_int = -5}) == 0,
                            sigqueue(pid, kQueued, {.sival_int = 6}) == 0, kill(pid, SIGUSR1) == 0});
    });
    CHECK(wait_status(child) == 0);
    CHECK(read(fd, infos, 3 * sizeof infos[0] + 100) == 3 * sizeof infos[0]);
    CHECK(is_signal(infos[0], SIGUSR1, SI_USER, child));
    CHECK(is_signal(infos[1], kQueued, SI_QUEUE, child));
    CHECK(infos[1].ssi_int == -5);
    CHECK(is_signal(infos[2], kQueued, SI_QUEUE, child));
    CHECK(infos[2].ssi_int == 6);
    CHECK(read(fd, infos, sizeof infos) == sizeof infos[0]);
    CHECK(is_signal(infos[0], kQueued + 1, SI_QUEUE, child));
    CHECK(infos[0].ssi_ptr == reinterpret_cast<std::uint64_t>(pointer));

    // Whoever comes first takes it; those that are not asked for stay where they are.
    CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(take(SIGUSR1, nullptr) == SIGUSR1);
    CHECK(errno_of_read(fd) == EAGAIN);
    CHECK(kill(pid, SIGUSR2) == 0);
    CHECK(polled(fd) == 0);
    CHECK(errno_of_read(fd) == EAGAIN);
    CHECK(is_pending(SIGUSR2));
    handle(SIGUSR1);
    mask(SIG_UNBLOCK, {SIGUSR1});
    CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(g_count == 1);
    CHECK(errno_of_read(fd) == EAGAIN);
    mask(SIG_BLOCK, {SIGUSR1});
    // That it is ignored is not looked at while it is blocked.
    dispose(SIGUSR1, SIG_IGN);
    CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(is_signal(signal_of(fd), SIGUSR1, SI_USER));
    CHECK(child_signal([&] { return kill(getpid(), SIGKILL); }) == SIGKILL);
}

TEST_CASE("signalfd: SIGCHLD tells of children") {
    const Blocked blocked{SIGCHLD};
    const Opened fd(open_signals({SIGCHLD}));
    const auto is_child = [&](pid_t child, int code, int status) {
        const signalfd_siginfo info = signal_of(fd);
        return is_signal(info, SIGCHLD, code, child) && info.ssi_status == status;
    };
    const pid_t exits = start_child([] { return 7; });
    CHECK(is_child(exits, CLD_EXITED, 7));
    CHECK(wait_status(exits) == W_EXITCODE(7, 0));
    CHECK(polled(fd) == 0);
    const pid_t child = start_child([] { return pause(); });
    int status = 0;
    REQUIRE(kill(child, SIGSTOP) == 0);
    CHECK(is_child(child, CLD_STOPPED, SIGSTOP));
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    REQUIRE(kill(child, SIGCONT) == 0);
    CHECK(is_child(child, CLD_CONTINUED, SIGCONT));
    CHECK(waitpid(child, &status, WCONTINUED) == child);
    REQUIRE(kill(child, SIGKILL) == 0);
    CHECK(is_child(child, CLD_KILLED, SIGKILL));
    CHECK(wait_status(child) == SIGKILL);
    CHECK(polled(fd) == 0);
}

TEST_CASE("signalfd: threads read their own signals and those of the process, children theirs") {
    const Blocked blocked{SIGUSR1, SIGUSR2};
    const Opened fd(open_signals({SIGUSR1}));
    const pid_t pid = getpid();
    Worker first, second;
    const auto own = [&] { return is_signal(signal_of(fd), SIGUSR1, SI_TKILL) ? 1 : 0; };
    const auto any = [&] { return is_signal(signal_of(fd), SIGUSR1, SI_USER) ? 1 : 0; };
    // One for a thread: only there does the file have anything.
    first.start([&] { return polled(fd, -1); });
    CHECK(blocks(first));
    CHECK(pthread_kill(first.handle(), SIGUSR1) == 0);
    CHECK(first.finish() == POLLIN);
    CHECK(polled(fd) == 0);
    CHECK(second.run([&] { return polled(fd); }) == 0);
    second.start(own);
    CHECK(blocks(second));
    CHECK(first.run(own) == 1);
    CHECK(blocks(second));
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    CHECK(blocks(second));
    CHECK(own() == 1);
    CHECK(pthread_kill(second.handle(), SIGUSR1) == 0);
    CHECK(second.finish() == 1);
    // One for the process: poll wakes all, and one gets it.
    for (Worker* const worker : {&first, &second}) {
        worker->start([&] { return polled(fd, -1); });
        CHECK(blocks(*worker));
    }
    CHECK(kill(pid, SIGUSR1) == 0);
    for (Worker* const worker : {&first, &second}) CHECK(worker->finish() == POLLIN);
    CHECK(second.run(any) == 1);
    CHECK(polled(fd) == 0);
    for (Worker* const worker : {&first, &second}) {
        worker->start(any);
        CHECK(blocks(*worker));
    }
    CHECK(kill(pid, SIGUSR1) == 0);
    await([&] { return first.is_done() || second.is_done(); });
    Worker &done = first.is_done() ? first : second, &rest = first.is_done() ? second : first;
    CHECK(done.finish() == 1);
    CHECK(blocks(rest));
    CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(rest.finish() == 1);
    // A handler ends a read.
    handle(SIGUSR2);
    CHECK(first.run([] {
        mask(SIG_UNBLOCK, {SIGUSR2});
        return 0;
    }) == 0);
    first.start([&] { return errno_of_read(fd); });
    CHECK(blocks(first));
    CHECK(pthread_kill(first.handle(), SIGUSR2) == 0);
    CHECK(first.finish() == EINTR);
    // A child reads its own signals with the file of its parent.
    CHECK(kill(pid, SIGUSR1) == 0);
    const pid_t child = start_child([&] {
        const bool none = polled(fd) == 0;
        const bool sent = kill(getpid(), SIGUSR1) == 0;
        const bool one = polled(fd) == POLLIN;
        return first_wrong({none, sent, one, is_signal(signal_of(fd), SIGUSR1, SI_USER, getpid()), polled(fd) == 0});
    });
    CHECK(wait_status(child) == 0);
    CHECK(any() == 1);
    CHECK(polled(fd) == 0);
}

TEST_CASE("signalfd: another mask for a file that exists, and every error") {
    const Blocked blocked{SIGUSR1, SIGUSR2};
    const Opened file(open_signals({SIGUSR1})), counter(eventfd(0, 0));
    const int fd = file, other = counter;
    Worker poller, reader;
    poller.start([&] { return polled(fd, -1); });
    reader.start([&] { return signal_of(fd).ssi_signo; });
    CHECK(kill(getpid(), SIGUSR2) == 0);
    CHECK(blocks(poller));
    CHECK(blocks(reader));
    CHECK(open_signals({SIGUSR2}, 0, fd) == fd);  // which is news for those who wait
    CHECK(reader.finish() == SIGUSR2);
    CHECK(kill(getpid(), SIGUSR2) == 0);
    CHECK(poller.finish() == POLLIN);
    CHECK(open_signals({SIGUSR1}, SFD_NONBLOCK, fd) == fd);
    CHECK(fcntl(fd, F_GETFL) == O_RDWR);  // flags are for new files
    CHECK(polled(fd) == 0);
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(signal_of(fd).ssi_signo == SIGUSR1);
    CHECK(take(SIGUSR2, nullptr) == SIGUSR2);
    REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    const sigset_t set = set_of({SIGUSR1});
    const std::size_t size = 8;
    char bytes[200];
    check_all({
        {error(SYS_signalfd4, -1, &set, size, 1), EINVAL},
        {error(SYS_signalfd4, -1, &set, size / 2, 0), EINVAL},
        {error(SYS_signalfd4, -1, &set, size * 2, 0), EINVAL},
        {error(SYS_signalfd4, -1, kNowhere, size, 0), EFAULT},
        {error(SYS_signalfd4, other, &set, size, 0), EINVAL},
        {error(SYS_signalfd4, -2, &set, size, 0), EBADF},
        {error(SYS_signalfd4, lowest_free(), &set, size, 0), EBADF},
        {error(SYS_read, fd, bytes, 127), EINVAL},
        {error(SYS_read, fd, bytes, 128), EAGAIN},
        {error(SYS_write, fd, bytes, 128), EINVAL},
    });
    const Opened old(static_cast<int>(syscall(SYS_signalfd, -1, &set, size)));
    CHECK(kill(getpid(), SIGUSR1) == 0);
    CHECK(signal_of(old).ssi_signo == SIGUSR1);
}

// ---- pidfd ---------------------------------------------------------------------------------------------------------

TEST_CASE("pidfd_open: of a process that runs, that has ended, that is gone") {
    Child child;
    const Opened fd(open_process(child.pid())), impatient(open_process(child.pid(), O_NONBLOCK));
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(fd, F_GETFL) == O_RDWR);
    CHECK(fcntl(impatient, F_GETFL) == (O_RDWR | O_NONBLOCK));
    const Epoll epoll;
    REQUIRE(epoll.add(fd, EPOLLIN, 1) == 0);
    siginfo_t info{};
    info.si_pid = 1;
    CHECK(polled(fd) == 0);
    CHECK(epoll.wait().empty());
    CHECK(wait_for(fd, WEXITED | WNOHANG, &info) == 0);
    CHECK(info.si_pid == 0);
    CHECK(wait_for(impatient, WEXITED) == EAGAIN);
    CHECK(wait_for(impatient, WSTOPPED) == EAGAIN);
    CHECK(wait_for(impatient, WEXITED | WNOHANG) == 0);
    CHECK(send(fd, 0) == 0);
    Worker poller, waiter, reporter;
    poller.start([&] { return polled(fd, -1); });
    waiter.start([&] { return wait_for(fd, WEXITED | WNOWAIT); });
    reporter.start([&] { return epoll.wait(-1) == Events{{1, EPOLLIN}}; });
    for (const Worker* const worker : {&poller, &waiter, &reporter}) CHECK(blocks(*worker));
    // That it stops is no end.
    CHECK(send(fd, SIGSTOP) == 0);
    CHECK(wait_for(fd, WSTOPPED, &info) == 0);
    CHECK(info.si_code == CLD_STOPPED);
    CHECK(polled(fd) == 0);
    CHECK(send(fd, SIGCONT) == 0);
    CHECK(wait_for(fd, WCONTINUED, &info) == 0);
    CHECK(info.si_code == CLD_CONTINUED);
    for (const Worker* const worker : {&poller, &waiter, &reporter}) CHECK(blocks(*worker));
    child.end(9);
    CHECK(poller.finish() == POLLIN);
    CHECK(waiter.finish() == 0);
    CHECK(reporter.finish() == 1);
    const Opened late(open_process(child.pid()));
    CHECK(polled(late) == POLLIN);
    for (int i = 0; i < 2; ++i) CHECK(send(fd, SIGTERM) == 0);  // it is still there
    CHECK(wait_for(impatient, WEXITED | WNOWAIT) == 0);
    CHECK(wait_for(late, WEXITED, &info) == 0);
    CHECK(info.si_pid == child.pid());
    CHECK(info.si_signo == SIGCHLD);
    CHECK(info.si_code == CLD_EXITED);
    CHECK(info.si_status == 9);
    CHECK((polled(fd) & POLLIN) != 0);
    CHECK(send(fd, 0) == ESRCH);
    CHECK(send(fd, SIGTERM) == ESRCH);
    CHECK(wait_for(fd, WEXITED) == ECHILD);
    CHECK(wait_for(impatient, WEXITED) == ECHILD);
    CHECK(fails(open_process(child.pid()), ESRCH));
}

TEST_CASE("pidfds: every error of the man pages") {
    Child child;
    const Worker worker;
    const Opened process(open_process(child.pid())), self(open_process(getpid())), counter(eventfd(0, 0));
    const int fd = process, me = self, other = counter, closed = lowest_free();
    char bytes[8] = {};
    // Linux has changed its mind on which error that is.
    CHECK(open_process(worker.tid()) == -1);
    CHECK((errno == EINVAL || errno == ENOENT));
    const siginfo_t wrong = with_value(SIGUSR1, SI_QUEUE, 1), of_kernel = with_value(SIGCONT, SI_KERNEL, 1),
                    of_kill = with_value(SIGCONT, SI_USER, 1), of_tkill = with_value(SIGCONT, SI_TKILL, 1),
                    queued = with_value(SIGCONT, SI_QUEUE, 1);
    check_all({
        {error(SYS_pidfd_open, 0, 0), EINVAL},
        {error(SYS_pidfd_open, -1, 0), EINVAL},
        {error(SYS_pidfd_open, INT_MAX, 0), ESRCH},
        {error(SYS_pidfd_open, child.pid(), 1), EINVAL},
        {error(SYS_pidfd_open, child.pid(), O_CLOEXEC), EINVAL},
        {send(fd, 65), EINVAL},
        {send(fd, -1), EINVAL},
        {send(fd, SIGCONT, nullptr, 0x8000'0000), EINVAL},
        {send(other, 0), EBADF},
        {send(closed, 0), EBADF},
        {send(fd, SIGCONT, &wrong), EINVAL},  // the two numbers differ
        {send(fd, SIGCONT, &of_kernel), EPERM},
        {send(fd, SIGCONT, &of_kill), EPERM},
        {send(fd, SIGCONT, &of_tkill), EPERM},
        {send(fd, SIGCONT, &queued), 0},
        {send(fd, SIGCONT, static_cast<siginfo_t*>(kNowhere)), EFAULT},
        {exit_of_user(kNobody, [&] { return first_wrong({send(fd, 0) == EPERM, send(fd, SIGKILL) == EPERM}); }), 0},
        {wait_for(-1, WEXITED), EINVAL},
        {wait_for(closed, WEXITED), EBADF},
        {wait_for(other, WEXITED), EBADF},
        {wait_for(fd, 0), EINVAL},
        {wait_for(me, WEXITED), ECHILD},
        {child_exit([&] { return wait_for(fd, WEXITED); }), ECHILD},  // whose sibling it is
        {error(SYS_read, fd, bytes, 8), EINVAL},
        {error(SYS_write, fd, bytes, 8), EINVAL},
    });
    CHECK(polled(fd) == 0);
    CHECK(polled(me) == 0);
    CHECK(send(me, 0) == 0);
    child.end(0);
    CHECK(child_exit([&] { return polled(fd, -1) == POLLIN ? 0 : 1; }) == 0);
    CHECK(wait_for(fd, WEXITED) == 0);
}

TEST_CASE("pidfd_send_signal: with the sender, or with what the sender says") {
    const Blocked blocked{SIGUSR1, SIGUSR2};
    const pid_t parent = getpid();
    const pid_t child = start_child([&] {
        siginfo_t first{}, second{};
        const bool both = take(SIGUSR1, &first) == SIGUSR1 && take(SIGUSR2, &second) == SIGUSR2;
        return first_wrong({both, first.si_code == SI_USER, first.si_pid == parent, first.si_uid == getuid(),
                            second.si_code == SI_QUEUE, second.si_value.sival_int == 42, second.si_pid == parent});
    });
    const Opened fd(open_process(child)), self(open_process(parent));
    const siginfo_t info = with_value(SIGUSR2, SI_QUEUE, 42);
    CHECK(send(fd, SIGUSR1) == 0);
    CHECK(send(fd, SIGUSR2, &info) == 0);
    CHECK(wait_status(child) == 0);
    siginfo_t seen{};
    const siginfo_t own = with_value(SIGUSR1, SI_KERNEL, 43);  // nobody else may be told so
    CHECK(send(self, SIGUSR1, &own) == 0);
    CHECK(take(SIGUSR1, &seen) == SIGUSR1);
    CHECK(seen.si_code == SI_KERNEL);
    Child killed;
    const Opened victim(open_process(killed.pid()));
    CHECK(send(victim, SIGKILL) == 0);
    CHECK(polled(victim, -1) == POLLIN);
    CHECK(wait_for(victim, WEXITED, &seen) == 0);
    CHECK(seen.si_code == CLD_KILLED);
    CHECK(seen.si_status == SIGKILL);
}

TEST_CASE("a process has ended when its last thread has, and goes on when one of them executes a program") {
    Pipe ready, hold;
    const pid_t child = start_child([&] {
        static Thread last([&] {
            const int status = read_byte(hold.reader());
            return syscall(SYS_exit_group, status);
        });
        return static_cast<int>(syscall(SYS_exit, 3));
    });
    const Opened fd(open_process(child));
    await([&] { return state_of(child, child) == 'Z'; });
    CHECK(polled(fd) == 0);
    siginfo_t info{};
    CHECK(wait_for(fd, WEXITED | WNOHANG, &info) == 0);
    CHECK(info.si_pid == 0);
    CHECK(send(fd, 0) == 0);
    Worker poller;
    poller.start([&] { return polled(fd, -1); });
    CHECK(blocks(poller));
    CHECK(write_byte(hold.writer(), 5));
    CHECK(poller.finish() == POLLIN);
    CHECK(wait_for(fd, WEXITED, &info) == 0);
    CHECK(info.si_status == 5);

    const pid_t executes = start_child([&] {
        Thread other([&] { return Role("hold", {ready.writer(), hold.reader()}).take(); });
        return static_cast<int>(other.join());
    });
    const Opened changed(open_process(executes));
    poller.start([&] { return polled(changed, -1); });
    CHECK(await_byte(ready.reader()) == 'r');
    CHECK(blocks(poller));  // though its first thread is gone
    CHECK(polled(changed) == 0);
    CHECK(send(changed, 0) == 0);
    CHECK(write_byte(hold.writer(), 'e'));
    CHECK(poller.finish() == POLLIN);
    CHECK(wait_for(changed, WEXITED, &info) == 0);
    CHECK(info.si_pid == executes);
    CHECK(info.si_status == 0);

    dispose(SIGCHLD, SIG_IGN);  // nobody has to wait for it
    {
        Child forgotten;
        const Opened gone(open_process(forgotten.pid()));
        CHECK(polled(gone) == 0);
        forgotten.end(1);
        CHECK((polled(gone, -1) & POLLIN) != 0);
        CHECK(wait_for(gone, WEXITED) == ECHILD);
        await([&] { return send(gone, 0) == ESRCH; });
    }
    dispose(SIGCHLD, SIG_DFL);
}

TEST_CASE("clone3 gives a descriptor of the child") {
    Pipe hold;
    int fd = -1;
    clone_args arguments{};
    arguments.flags = CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uint64_t>(&fd);
    for (const int signo : {SIGCHLD, 0}) {  // one that tells its parent nothing is waited for with __WALL
        CAPTURE(signo);
        arguments.exit_signal = static_cast<std::uint64_t>(signo);
        const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
        if (pid == 0) _exit(fd == -1 ? read_byte(hold.reader()) : 100);
        REQUIRE(pid > 0);
        REQUIRE(fd >= 0);
        const Opened process(fd);
        CHECK(fcntl(process, F_GETFD) == FD_CLOEXEC);
        CHECK(polled(process) == 0);
        CHECK(send(process, 0) == 0);
        CHECK(write_byte(hold.writer(), 8));
        CHECK(polled(process, -1) == POLLIN);
        siginfo_t info{};
        if (signo == 0) CHECK(wait_for(process, WEXITED) == ECHILD);
        CHECK(wait_for(process, WEXITED | __WALL, &info) == 0);
        CHECK(info.si_pid == pid);
        CHECK(info.si_status == 8);
        fd = -1;
    }
    arguments.pidfd = reinterpret_cast<std::uint64_t>(kNowhere);
    CHECK(error(SYS_clone3, &arguments, sizeof arguments) == EFAULT);
    CHECK(error(SYS_waitid, P_ALL, 0, nullptr, WEXITED | __WALL, nullptr) == ECHILD);  // it has made none
}

TEST_CASE("no file without a free descriptor") {
    CHECK(child_exit([] {
              rlimit none;
              if (getrlimit(RLIMIT_NOFILE, &none) != 0) return 100;
              none.rlim_cur = static_cast<rlim_t>(lowest_free());
              const sigset_t set = set_of({SIGUSR1});
              int fd = -1;
              clone_args arguments{};
              arguments.flags = CLONE_PIDFD;
              arguments.pidfd = reinterpret_cast<std::uint64_t>(&fd);
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 101;
              return first_wrong({error(SYS_eventfd2, 0, 0) == EMFILE,
                                  error(SYS_timerfd_create, CLOCK_MONOTONIC, 0) == EMFILE,
                                  error(SYS_signalfd4, -1, &set, 8, 0) == EMFILE,
                                  error(SYS_pidfd_open, getpid(), 0) == EMFILE, error(SYS_epoll_create1, 0) == EMFILE,
                                  error(SYS_clone3, &arguments, sizeof arguments) == EMFILE, fd == -1});
          }) == 0);
}

TEST_CASE("pidfd_getfd: another process's file, with its position, and the errors") {
    char path[] = "/tmp/getfd.XXXXXX";
    const Opened own(mkstemp(path));
    unlink(path);
    REQUIRE(write(own, "abcdef", 6) == 6);
    const Child child;
    const Opened process(open_process(child.pid()));
    const auto get = [&](int fd, unsigned flags = 0) {
        return syscall(SYS_pidfd_getfd, static_cast<int>(process), fd, flags);
    };
    const Opened got(static_cast<int>(get(own)));
    REQUIRE(got >= 0);
    CHECK(got != own);
    CHECK(fcntl(got, F_GETFD) == FD_CLOEXEC);
    REQUIRE(lseek(got, 2, SEEK_SET) == 2);
    CHECK(lseek(own, 0, SEEK_CUR) == 2);  // one open file
    CHECK((get(own, 1) == -1 && errno == EINVAL));
    CHECK((get(999) == -1 && errno == EBADF));
    CHECK((syscall(SYS_pidfd_getfd, static_cast<int>(own), 0, 0) == -1 && errno == EBADF));
    kill(child.pid(), SIGKILL);
    siginfo_t info{};
    REQUIRE(wait_for(process, WEXITED, &info) == 0);
    CHECK((get(own) == -1 && errno == ESRCH));
}
