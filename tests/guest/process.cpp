// SPDX-License-Identifier: MIT
// Processes: fork and what it copies, exec, waiting, orphans, groups and sessions.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

TEST_CASE("a child's exit status and signal reach the parent") {
    CHECK(child_exit([] { return 0; }) == 0);
    CHECK(child_exit([] { return 255; }) == 255);
    CHECK(child_signal([] {
              raise(SIGKILL);
              return 0;
          }) == SIGKILL);
}

TEST_CASE("fork gives the child a copy of memory, either side's writes staying its own") {
    Mapping memory(64 * kPageSize);
    for (std::size_t page = 0; page < 64; ++page) memory[page * kPageSize] = 'p';
    Pipe ready;
    const pid_t pid = start_child([&] {
        char go;
        if (read(ready.reader(), &go, 1) != 1) return 1;
        for (std::size_t page = 0; page < 64; ++page) {
            if (memory[page * kPageSize] != 'p') return 2;  // the parent has written meanwhile
            memory[page * kPageSize] = 'c';
        }
        return 0;
    });
    for (std::size_t page = 0; page < 64; page += 2) memory[page * kPageSize] = 'q';
    REQUIRE(write(ready.writer(), "g", 1) == 1);
    CHECK(WEXITSTATUS(wait_status(pid)) == 0);
    for (std::size_t page = 0; page < 64; ++page) CHECK(memory[page * kPageSize] == (page % 2 == 0 ? 'q' : 'p'));
}

TEST_CASE("copies of copies stay apart") {
    Mapping memory(kPageSize);
    memory[0] = 0;
    CHECK(child_exit([&] {
              memory[0] = 1;
              const int grandchild = child_exit([&] {
                  const int saw = memory[0];
                  memory[0] = 2;
                  return saw;
              });
              return grandchild * 10 + memory[0];
          }) == 11);
    CHECK(memory[0] == 0);
}

TEST_CASE("shared memory is shared across fork") {
    Mapping memory(2 * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(child_exit([&] {
              memory[kPageSize] = 'x';
              return 0;
          }) == 0);
    CHECK(memory[kPageSize] == 'x');
}

TEST_CASE("descriptors are copied, the position of an open file is shared") {
    char path[] = "/tmp/process.XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    REQUIRE(unlink(path) == 0);
    REQUIRE(write(fd, "abcdef", 6) == 6);
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(child_exit([&] {
              char bytes[2];
              if (read(fd, bytes, 2) != 2) return 1;
              return close(fd);
          }) == 0);
    char byte = 0;
    REQUIRE(read(fd, &byte, 1) == 1);
    CHECK(byte == 'c');
    close(fd);
}

TEST_CASE("wait: WNOHANG, no children, a certain child, usage") {
    CHECK(waitpid(-1, nullptr, 0) == -1);
    CHECK(errno == ECHILD);
    Pipe hold;
    const pid_t first = start_child([&] {
        char byte;
        return static_cast<int>(read(hold.reader(), &byte, 1));
    });
    int status;
    CHECK(waitpid(first, &status, WNOHANG) == 0);
    const pid_t second = start_child([] { return 7; });
    CHECK(WEXITSTATUS(wait_status(second)) == 7);
    REQUIRE(write(hold.writer(), "x", 1) == 1);
    rusage usage{};
    REQUIRE(wait4(first, &status, 0, &usage) == first);
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(waitpid(first, &status, 0) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("waitid tells how, and can leave the child waitable") {
    const pid_t pid = start_child([] { return 3; });
    siginfo_t info{};
    REQUIRE(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
    CHECK(info.si_pid == pid);
    CHECK(info.si_code == CLD_EXITED);
    CHECK(info.si_status == 3);
    CHECK(WEXITSTATUS(wait_status(pid)) == 3);
}

TEST_CASE("stop and continue are reported") {
    const pid_t pid = start_child([] {
        for (;;) pause();
        return 0;
    });
    int status;
    REQUIRE(kill(pid, SIGSTOP) == 0);
    REQUIRE(waitpid(pid, &status, WUNTRACED) == pid);
    CHECK(WIFSTOPPED(status));
    CHECK(WSTOPSIG(status) == SIGSTOP);
    REQUIRE(kill(pid, SIGCONT) == 0);
    REQUIRE(waitpid(pid, &status, WCONTINUED) == pid);
    CHECK(WIFCONTINUED(status));
    REQUIRE(kill(pid, SIGKILL) == 0);
    CHECK(WTERMSIG(wait_status(pid)) == SIGKILL);
}

TEST_CASE("an orphan gets another parent") {
    Pipe answer;
    const pid_t middle = start_child([&] {
        const pid_t me = getpid();
        start_child([&] {
            while (getppid() == me) sleep_ms(1);
            const pid_t parent = getppid();
            return write(answer.writer(), &parent, sizeof parent) == sizeof parent ? 0 : 1;
        });
        return 0;
    });
    wait_status(middle);
    pid_t parent = 0;
    REQUIRE(read(answer.reader(), &parent, sizeof parent) == sizeof parent);
    CHECK(parent != middle);
    CHECK(parent > 0);
}

TEST_CASE("many children at once, each with a pid of its own") {
    std::vector<pid_t> children;
    for (int i = 0; i < 100; ++i) children.push_back(start_child([i] { return i; }));
    CHECK(std::set<pid_t>(children.begin(), children.end()).size() == 100);
    for (std::size_t i = 0; i < children.size(); ++i)
        CHECK(WEXITSTATUS(wait_status(children[i])) == static_cast<int>(i));
}

TEST_CASE("vfork: the parent waits until the child is done with its memory") {
    volatile int written = 0;
    const pid_t pid = vfork();
    if (pid == 0) {
        written = 1;
        _exit(5);
    }
    REQUIRE(pid > 0);
    CHECK(written == 1);
    CHECK(WEXITSTATUS(wait_status(pid)) == 5);
}

TEST_CASE("exec: arguments, environment, close-on-exec, pid kept") {
    Pipe output;
    const pid_t pid = start_child([&] {
        dup2(output.writer(), 1);
        const int closing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        const std::string script =
            "echo $$ $0 $1 $V; [ -e /proc/self/fd/" + std::to_string(closing) + " ] && echo open";
        char const* const argv[] = {"sh", "-c", script.c_str(), "zero", "one", nullptr};
        char const* const envp[] = {"V=value", "PATH=/bin:/usr/bin", nullptr};
        execve("/bin/sh", const_cast<char* const*>(argv), const_cast<char* const*>(envp));
        return 127;
    });
    output.close_writer();
    wait_status(pid);
    char text[200] = {};
    REQUIRE(read(output.reader(), text, sizeof text - 1) > 0);
    CHECK(std::string(text) == std::to_string(pid) + " zero one value\n");
}

TEST_CASE("exec refuses what is no program") {
    char path[] = "/tmp/exec.XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    char* const argv[] = {path, nullptr};
    const auto try_exec = [&](const char* program) {
        return child_exit([&] {
            execve(program, argv, argv + 1);
            return errno;
        });
    };
    CHECK(try_exec("/nothing/here") == ENOENT);
    CHECK(try_exec("/tmp") == EACCES);
    CHECK(try_exec(path) == EACCES);  // mode 0600
    REQUIRE(fchmod(fd, 0755) == 0);
    REQUIRE(write(fd, "\177ELF\2\1\1 and then nothing of the kind", 30) == 30);
    REQUIRE(close(fd) == 0);
    CHECK(try_exec(path) == ENOEXEC);
    REQUIRE(unlink(path) == 0);
}

TEST_CASE("process groups and sessions") {
    CHECK(child_exit([] {
              if (setpgid(0, 0) != 0 || getpgrp() != getpid()) return 1;
              if (setsid() != -1 || errno != EPERM) return 2;  // a group's leader may not
              return child_exit([] {
                  if (setsid() != getpid() || getsid(0) != getpid() || getpgrp() != getpid()) return 3;
                  const int terminal = open("/dev/tty", O_RDWR);  // a new session has no terminal
                  return terminal < 0 && errno == ENXIO ? 0 : 4;
              });
          }) == 0);
    const pid_t leader = start_child([] {
        setpgid(0, 0);
        for (;;) pause();
        return 0;
    });
    while (getpgid(leader) != leader) sleep_ms(1);
    const pid_t member = start_child([&] {
        if (setpgid(0, leader) != 0) return 1;
        for (;;) pause();
        return 0;
    });
    while (getpgid(member) != leader) sleep_ms(1);
    REQUIRE(kill(-leader, SIGTERM) == 0);
    CHECK(WTERMSIG(wait_status(leader)) == SIGTERM);
    CHECK(WTERMSIG(wait_status(member)) == SIGTERM);
    CHECK(kill(-leader, 0) == -1);
    CHECK(errno == ESRCH);
}

TEST_CASE("resource limits are kept and inherited") {
    CHECK(child_exit([] {
              rlimit limit{20, 20};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
              return child_exit([] {
                  rlimit seen{};
                  if (getrlimit(RLIMIT_NOFILE, &seen) != 0 || seen.rlim_cur != 20) return 2;
                  int last = 0;
                  while (last >= 0 && last < 100) last = open("/dev/null", O_RDONLY);
                  return last == -1 && errno == EMFILE ? 0 : 3;
              });
          }) == 0);
}

TEST_CASE("unknown system calls answer ENOSYS") {
    CHECK(syscall(1000) == -1);
    CHECK(errno == ENOSYS);
    CHECK(syscall(-1) == -1);
    CHECK(errno == ENOSYS);
}
