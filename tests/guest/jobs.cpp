// SPDX-License-Identifier: MIT
// Job control and what else processes owe each other: group stops, orphaned groups, waiting for groups, waits that go on
// after a stop, subreapers.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

// A handler writes here what it was called for.
int g_told = -1;
void tell(int signo) {
    const char byte = static_cast<char>(signo);
    if (write(g_told, &byte, 1) != 1) _exit(99);
}

void handle(int signo, void (*handler)(int), int flags = 0) {
    struct sigaction action{};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(signo, &action, nullptr);
}

sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signo : signals) sigaddset(&set, signo);
    return set;
}

int read_byte(int fd) {
    unsigned char byte;
    return read(fd, &byte, 1) == 1 ? byte : -1;
}

// A child that sleeps until a signal ends it.
pid_t start_sleeper(pid_t group) {
    return start_child([=] {
        setpgid(0, group);
        for (;;) pause();
        return 0;
    });
}

int wait_change(pid_t pid, int options) {
    int status = 0;
    REQUIRE(waitpid(pid, &status, options) > 0);
    return status;
}

}  // namespace

TEST_CASE("a stop and a continuation reach a whole group") {
    std::vector<pid_t> members{start_sleeper(0)};
    setpgid(members[0], members[0]);
    for (int i = 0; i < 3; ++i) {
        members.push_back(start_sleeper(members[0]));
        REQUIRE(setpgid(members.back(), members[0]) == 0);
    }
    REQUIRE(kill(-members[0], SIGSTOP) == 0);
    for (const pid_t member : members) {
        const int status = wait_change(member, WUNTRACED);
        CHECK(WIFSTOPPED(status));
        CHECK(WSTOPSIG(status) == SIGSTOP);
    }
    CHECK(waitpid(-members[0], nullptr, WUNTRACED | WNOHANG) == 0);  // each stop is told once
    REQUIRE(kill(-members[0], SIGCONT) == 0);
    for (const pid_t member : members) CHECK(WIFCONTINUED(wait_change(member, WCONTINUED)));
    CHECK(waitpid(-members[0], nullptr, WCONTINUED | WNOHANG) == 0);
    REQUIRE(kill(-members[0], SIGTERM) == 0);
    for (std::size_t i = 0; i < members.size(); ++i) CHECK(WTERMSIG(wait_change(-members[0], 0)) == SIGTERM);
    CHECK(waitpid(-members[0], nullptr, 0) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("SIGKILL ends what is stopped") {
    const pid_t pid = start_sleeper(0);
    kill(pid, SIGSTOP);
    REQUIRE(WIFSTOPPED(wait_change(pid, WUNTRACED)));
    kill(pid, SIGTERM);  // waits until it continues
    CHECK(waitpid(pid, nullptr, WNOHANG) == 0);
    kill(pid, SIGKILL);
    CHECK(WTERMSIG(wait_status(pid)) == SIGKILL);
}

TEST_CASE("a group's member that is killed while it is stopped takes nobody with it") {
    Pipe told, go;
    const pid_t stopped = start_child([&] {
        setpgid(0, 0);
        if (fork() == 0) {
            // Its parent's end leaves the group without a link to the session; but nobody in it is stopped then.
            const char byte = 'r';
            if (write(told.writer(), &byte, 1) != 1 || read_byte(go.reader()) != 'g') _exit(1);
            if (write(told.writer(), &byte, 1) != 1) _exit(1);
            _exit(0);
        }
        for (;;) pause();
        return 0;
    });
    REQUIRE(read_byte(told.reader()) == 'r');
    told.close_writer();
    kill(stopped, SIGSTOP);
    REQUIRE(WIFSTOPPED(wait_change(stopped, WUNTRACED)));
    kill(stopped, SIGKILL);
    CHECK(WTERMSIG(wait_change(stopped, WUNTRACED)) == SIGKILL);
    REQUIRE(write(go.writer(), "g", 1) == 1);
    CHECK(read_byte(told.reader()) == 'r');
}

TEST_CASE("a stop that a handler or an ignored signal forbids does not happen") {
    CHECK(child_exit([] {
              handle(SIGTSTP, SIG_IGN);
              raise(SIGTSTP);
              Pipe pipe;
              g_told = pipe.writer();
              handle(SIGTTIN, tell);
              raise(SIGTTIN);
              return read_byte(pipe.reader()) == SIGTTIN ? 0 : 1;
          }) == 0);
}

TEST_CASE("stop and continuation cancel each other while they are pending") {
    CHECK(child_exit([] {
              const sigset_t both = set_of({SIGTSTP, SIGCONT});
              sigset_t pending;
              sigprocmask(SIG_BLOCK, &both, nullptr);
              raise(SIGTSTP);
              sigpending(&pending);
              if (!sigismember(&pending, SIGTSTP)) return 1;
              raise(SIGCONT);
              sigpending(&pending);
              if (sigismember(&pending, SIGTSTP)) return 2;
              raise(SIGTSTP);
              sigpending(&pending);
              return sigismember(&pending, SIGCONT) ? 3 : 0;
          }) == 0);
}

TEST_CASE("in an orphaned group nobody stops by the terminal's signals") {
    CHECK(child_exit([] {
              setsid();  // no member has a parent in this session
              for (const int signo : {SIGTSTP, SIGTTIN, SIGTTOU}) raise(signo);
              return 0;
          }) == 0);
}

TEST_CASE("a stopped group that becomes an orphan gets SIGHUP and SIGCONT") {
    Pipe told, pids;
    const pid_t middle = start_child([&] {
        const pid_t stopped = fork();
        if (stopped == 0) {
            setpgid(0, 0);
            g_told = told.writer();
            handle(SIGHUP, tell);
            raise(SIGSTOP);
            _exit(0);
        }
        int status;
        waitpid(stopped, &status, WUNTRACED);
        return WIFSTOPPED(status) ? 0 : 1;  // and with this one goes the group's last link to the session
    });
    REQUIRE(wait_status(middle) == 0);
    told.close_writer();
    CHECK(read_byte(told.reader()) == SIGHUP);
    CHECK(read_byte(told.reader()) == -1);  // it went on and ended
}

TEST_CASE("a sleep goes on after a stop") {
    const long long begin = now_ns();
    const pid_t pid = start_child([] {
        timespec duration{0, 200'000'000};
        return nanosleep(&duration, nullptr) == 0 ? 0 : 1;
    });
    sleep_ms(30);
    kill(pid, SIGSTOP);
    REQUIRE(WIFSTOPPED(wait_change(pid, WUNTRACED)));
    sleep_ms(30);
    kill(pid, SIGCONT);
    CHECK(wait_status(pid) == 0);
    CHECK(now_ns() - begin >= 200'000'000);
}

TEST_CASE("read, poll and wait go on after a stop") {
    Pipe data;
    const pid_t pid = start_child([&] {
        pollfd polled{data.reader(), POLLIN, 0};
        if (poll(&polled, 1, -1) != 1) return 1;
        if (read_byte(data.reader()) != 'a') return 2;
        if (read_byte(data.reader()) != 'b') return 3;
        const pid_t child = fork();
        if (child == 0) _exit(read_byte(data.reader()));
        int status;
        return waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 'c' ? 0 : 4;
    });
    for (const char byte : {'a', 'b', 'c'}) {
        sleep_ms(20);
        kill(pid, SIGSTOP);
        REQUIRE(WIFSTOPPED(wait_change(pid, WUNTRACED)));
        kill(pid, SIGCONT);
        REQUIRE(WIFCONTINUED(wait_change(pid, WCONTINUED)));
        sleep_ms(20);
        REQUIRE(write(data.writer(), &byte, 1) == 1);
    }
    CHECK(wait_status(pid) == 0);
}

TEST_CASE("poll and select of nothing only sleep, and say what is left") {
    long long begin = now_ns();
    CHECK(poll(nullptr, 0, 20) == 0);
    CHECK(now_ns() - begin >= 20'000'000);
    begin = now_ns();
    timeval limit{0, 20'000};
    CHECK(syscall(SYS_select, 0, nullptr, nullptr, nullptr, &limit) == 0);
    CHECK(now_ns() - begin >= 20'000'000);
    CHECK(limit.tv_sec == 0);
    CHECK(limit.tv_usec == 0);
    Pipe pipe;
    REQUIRE(write(pipe.writer(), "x", 1) == 1);
    fd_set readable, writable;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_SET(pipe.reader(), &readable);
    FD_SET(pipe.writer(), &writable);
    timespec rest{100, 0};
    CHECK(syscall(SYS_pselect6, 20, &readable, &writable, nullptr, &rest, nullptr) == 2);
    CHECK(FD_ISSET(pipe.reader(), &readable));
    CHECK(FD_ISSET(pipe.writer(), &writable));
    CHECK(rest.tv_sec == 99);
}

TEST_CASE("SA_NOCLDSTOP: stops do not send SIGCHLD, ends do") {
    Pipe told;
    g_told = told.writer();
    handle(SIGCHLD, tell, SA_NOCLDSTOP | SA_RESTART);
    const pid_t pid = start_sleeper(0);
    kill(pid, SIGSTOP);
    REQUIRE(WIFSTOPPED(wait_change(pid, WUNTRACED)));
    kill(pid, SIGCONT);
    REQUIRE(WIFCONTINUED(wait_change(pid, WCONTINUED)));
    pollfd polled{told.reader(), POLLIN, 0};
    CHECK(poll(&polled, 1, 0) == 0);
    kill(pid, SIGKILL);
    CHECK(WIFSIGNALED(wait_status(pid)));
    CHECK(read_byte(told.reader()) == SIGCHLD);
    handle(SIGCHLD, SIG_DFL);
}

TEST_CASE("sigtimedwait takes what is blocked, waits for what is not there, and gives up") {
    CHECK(child_exit([] {
              const sigset_t wanted = set_of({SIGUSR1, SIGRTMIN});
              sigprocmask(SIG_BLOCK, &wanted, nullptr);
              siginfo_t info;
              const timespec none{}, some{0, 30'000'000}, long_time{30, 0};
              if (sigtimedwait(&wanted, &info, &none) != -1 || errno != EAGAIN) return 1;
              const long long begin = now_ns();
              if (sigtimedwait(&wanted, &info, &some) != -1 || errno != EAGAIN) return 2;
              if (now_ns() - begin < 30'000'000) return 3;
              sigval value;
              value.sival_int = 42;
              if (sigqueue(getpid(), SIGRTMIN, value) != 0) return 4;
              raise(SIGUSR1);
              if (sigtimedwait(&wanted, &info, &none) != SIGUSR1) return 5;
              if (sigtimedwait(&wanted, &info, &none) != SIGRTMIN || info.si_value.sival_int != 42) return 6;
              const pid_t parent = getpid();
              const pid_t child = fork();
              if (child == 0) {
                  sleep_ms(20);
                  kill(parent, SIGUSR1);
                  _exit(0);
              }
              if (sigtimedwait(&wanted, &info, &long_time) != SIGUSR1 || info.si_pid != child) return 7;
              // A signal that is not wanted but has a handler ends the wait.
              handle(SIGALRM, [](int) {});
              alarm(1);
              return sigtimedwait(&wanted, &info, &long_time) == -1 && errno == EINTR ? 0 : 8;
          }) == 0);
}

TEST_CASE("a child that shares the memory tells of a failed exec through it") {
    volatile int error = 0;
    const pid_t pid = vfork();
    if (pid == 0) {
        char* const arguments[] = {const_cast<char*>("x"), nullptr};
        execve("/missing/program", arguments, nullptr);
        error = errno;
        _exit(7);
    }
    CHECK(error == ENOENT);
    CHECK(WEXITSTATUS(wait_status(pid)) == 7);
}

TEST_CASE("a subreaper adopts its descendants' orphans") {
    CHECK(child_exit([] {
              if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return 1;
              Pipe go;
              const pid_t middle = start_child([&] {
                  if (fork() == 0) _exit(read_byte(go.reader()));
                  return 0;
              });
              if (wait_status(middle) != 0) return 2;
              if (waitpid(-1, nullptr, WNOHANG) != 0) return 3;
              const char code = 33;
              if (write(go.writer(), &code, 1) != 1) return 4;
              int status;
              return waitpid(-1, &status, 0) > 0 && WEXITSTATUS(status) == 33 ? 0 : 5;
          }) == 0);
}

TEST_CASE("the signal for a parent's death") {
    Pipe told;
    const pid_t middle = start_child([&] {
        Pipe ready;
        if (fork() == 0) {
            g_told = told.writer();
            handle(SIGUSR2, [](int signo) {
                tell(signo);
                _exit(0);
            });
            prctl(PR_SET_PDEATHSIG, SIGUSR2);
            if (write(ready.writer(), "r", 1) != 1) _exit(1);
            for (;;) pause();
        }
        return read_byte(ready.reader()) == 'r' ? 0 : 1;
    });
    REQUIRE(wait_status(middle) == 0);
    told.close_writer();
    CHECK(read_byte(told.reader()) == SIGUSR2);
}

TEST_CASE("scripts: arguments, and scripts as interpreters of scripts") {
    char name[] = "/tmp/jobsXXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    const std::string folder = name;
    const auto script = [&](int level) { return folder + "/s" + std::to_string(level); };
    const auto make = [&](int level, const std::string& line) {
        const int fd = open(script(level).c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0755);
        REQUIRE(write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()));
        close(fd);
    };
    // The first one runs a shell that answers how many arguments it got and whether the script's own came first.
    make(1, "#!/bin/sh -u\nexit $(($# * 10 + ${1#x}))\n");
    const auto run = [&](int level) {
        return child_exit([&] {
            char* const arguments[] = {const_cast<char*>("ignored"), const_cast<char*>("x7"), const_cast<char*>("b"),
                                       nullptr};
            execv(script(level).c_str(), arguments);
            return 200 + errno;
        });
    };
    CHECK(run(1) == 27);
    // Each further script puts its own path in front, where the shell sees "s2" and the like; one that only counts:
    make(1, "#!/bin/sh\nexit $#\n");
    for (int level = 2; level <= 6; ++level) make(level, "#!" + script(level - 1) + "\n");
    CHECK(run(2) == 3);
    CHECK(run(5) == 6);
    CHECK(run(6) == 200 + ELOOP);
    for (int level = 1; level <= 6; ++level) unlink(script(level).c_str());
    rmdir(name);
}
