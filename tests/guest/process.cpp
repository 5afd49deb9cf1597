// SPDX-License-Identifier: MIT
// Processes: fork and what it copies, exec, waiting, orphans, groups and sessions.
#include <asm/prctl.h>
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstring>
#include <set>
#include <string>
#include <string_view>
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

TEST_CASE("what prctl set is inherited by children") {
    CHECK(child_exit([] {
              if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0) return 1;
              return child_exit([] {
                  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 2;
                  return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
              });
          }) == 0);
}

TEST_CASE("the signal for a parent's death outlives exec") {
    Pipe alive;
    const long long begin = now_ns();
    const pid_t middle = start_child([&] {
        int executed[2];
        if (pipe2(executed, O_CLOEXEC) != 0) return 1;
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execl("/bin/sleep", "sleep", "10", nullptr);
            _exit(1);
        }
        close(executed[1]);
        char byte;
        return read(executed[0], &byte, 1) == 0 ? 0 : 2;
    });
    CHECK(WEXITSTATUS(wait_status(middle)) == 0);
    alive.close_writer();
    char byte;
    CHECK(read(alive.reader(), &byte, 1) == 0);
    CHECK(now_ns() - begin < 8'000'000'000);
}

TEST_CASE("the signal for a parent's death does not outlive a change of rights") {
    if (getuid() != 0) return;
    CHECK(child_exit([] {
              int signo = -1;
              if (prctl(PR_SET_PDEATHSIG, SIGUSR1) != 0) return 1;
              if (prctl(PR_GET_PDEATHSIG, &signo) != 0 || signo != SIGUSR1) return 2;
              if (seteuid(65534) != 0) return 3;
              return prctl(PR_GET_PDEATHSIG, &signo) == 0 && signo == 0 ? 0 : 4;
          }) == 0);
}

TEST_CASE("the parent is told how much memory a child had") {
    constexpr std::size_t kSize = std::size_t{48} << 20;
    const pid_t child = start_child([] {
        Mapping memory(kSize);
        std::memset(memory.data(), 1, kSize);
        _exit(0);  // with the memory still there
        return 1;
    });
    int status = -1;
    rusage usage{};
    REQUIRE(wait4(child, &status, 0, &usage) == child);
    CHECK(status == 0);
    CHECK(usage.ru_maxrss >= static_cast<long>(kSize / 1024));
}

TEST_CASE("the most memory that was used is remembered") {
    constexpr std::size_t kSize = std::size_t{64} << 20;
    rusage usage{};
    {
        Mapping memory(kSize);
        std::memset(memory.data(), 1, kSize);
        REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
        CHECK(usage.ru_maxrss >= static_cast<long>(kSize / 1024));
    }
    REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0);
    CHECK(usage.ru_maxrss >= static_cast<long>(kSize / 1024));
}

namespace {

// A program file of its own, gone with the object.
class ProgramFile {
public:
    explicit ProgramFile(std::string_view content) {
        const int fd = mkstemp(path_);
        REQUIRE(fd >= 0);
        REQUIRE(fchmod(fd, 0755) == 0);
        REQUIRE(write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
        REQUIRE(close(fd) == 0);
    }
    ~ProgramFile() { unlink(path_); }
    const char* path() const { return path_; }
    // The errno of its execve(2) in a child, or its exit status.
    int run() const {
        return child_exit([this] {
            execl(path_, path_, nullptr);
            return errno;
        });
    }

private:
    char path_[24] = "/tmp/program.XXXXXX";
};

}  // namespace

TEST_CASE("exec of a program whose dynamic linker is missing") {
    struct {
        Elf64_Ehdr header{};
        Elf64_Phdr programs[2]{};
        char interpreter[16] = "/missing/ld.so";
    } image;
    std::memcpy(image.header.e_ident, ELFMAG, SELFMAG);
    image.header.e_ident[EI_CLASS] = ELFCLASS64;
    image.header.e_ident[EI_DATA] = ELFDATA2LSB;
    image.header.e_ident[EI_VERSION] = EV_CURRENT;
    image.header.e_type = ET_EXEC;
    image.header.e_machine = EM_X86_64;
    image.header.e_version = EV_CURRENT;
    image.header.e_entry = 0x400000;
    image.header.e_phoff = offsetof(decltype(image), programs);
    image.header.e_ehsize = sizeof image.header;
    image.header.e_phentsize = sizeof image.programs[0];
    image.header.e_phnum = 2;
    constexpr Elf64_Addr kBase = 0x400000;
    image.programs[0] = {PT_INTERP, PF_R, offsetof(decltype(image), interpreter), kBase, kBase, 15, 15, 1};
    image.programs[1] = {PT_LOAD, PF_R | PF_X, 0, kBase, kBase, sizeof image, sizeof image, kPageSize};
    const std::string_view bytes(reinterpret_cast<const char*>(&image), sizeof image);
    CHECK(ProgramFile(bytes).run() == ENOENT);
    image.programs[0].p_filesz = 14;  // without its NUL
    CHECK(ProgramFile(bytes).run() == ENOEXEC);
}

TEST_CASE("what runs cannot be written, and what is written cannot be run") {
    CHECK(open("/proc/self/exe", O_WRONLY) == -1);
    CHECK(errno == ETXTBSY);
    CHECK(open("/proc/self/exe", O_RDONLY | O_TRUNC) == -1);
    CHECK(errno == ETXTBSY);
    CHECK(truncate("/proc/self/exe", 0) == -1);
    CHECK(errno == ETXTBSY);

    const ProgramFile script("#!/bin/sh\nexit 42\n");
    CHECK(script.run() == 42);
    const int first = open(script.path(), O_WRONLY), second = dup(first);
    CHECK(script.run() == ETXTBSY);
    close(first);
    CHECK(script.run() == ETXTBSY);
    close(second);
    CHECK(script.run() == 42);
    const int reader = open(script.path(), O_RDONLY);
    CHECK(script.run() == 42);
    close(reader);

    // A program of its own, so that nobody else runs it: the end of the last process that does makes it free again.
    std::string content;
    char piece[65536];
    const int self = open("/proc/self/exe", O_RDONLY);
    for (ssize_t size; (size = read(self, piece, sizeof piece)) > 0;)
        content.append(piece, static_cast<std::size_t>(size));
    close(self);
    const ProgramFile program(content);
    Pipe hold;
    const auto can_write = [&] {
        const int fd = open(program.path(), O_WRONLY | O_APPEND);
        if (fd >= 0) close(fd);
        return fd >= 0;
    };
    CHECK(can_write());
    const pid_t pid = start_child([&] {
        dup2(hold.reader(), 0);
        close(hold.writer());
        const int nowhere = open("/dev/null", O_WRONLY);
        dup2(nowhere, 1);
        dup2(nowhere, 2);
        // ETXTBSY: the parent was just asking whether it can write.
        do execl(program.path(), program.path(), "[helper]", nullptr);
        while (errno == ETXTBSY);
        return 1;
    });
    while (can_write()) sleep_ms(1);
    CHECK(errno == ETXTBSY);
    hold.close_reader();
    hold.close_writer();
    CHECK(wait_status(pid) == 0);
    CHECK(can_write());
}

// Not a test: what the one above runs. It, and a child of it, wait for the end of the standard input.
TEST_CASE("a program that waits", "[.helper]") {
    const pid_t child = fork();
    char byte;
    CHECK(read(0, &byte, 1) == 0);
    if (child == 0) _exit(0);
    CHECK(wait_status(child) == 0);
}

TEST_CASE("a zombie keeps its name") {
    char name[16] = {};
    REQUIRE(prctl(PR_GET_NAME, name) == 0);
    const pid_t pid = start_child([] { return 0; });
    siginfo_t info{};
    REQUIRE(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
    const int fd = open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY);
    char text[256] = {};
    CHECK(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    const std::string begin = std::to_string(pid) + " (" + name + ") Z " + std::to_string(getpid());
    CHECK(std::string(text).substr(0, begin.size()) == begin);
    wait_status(pid);
}

TEST_CASE("a child of vfork does not answer for its parent's page faults") {
    Mapping memory(4096 * kPageSize);
    for (std::size_t page = 0; page < 4096; ++page) memory[page * kPageSize] = 1;
    const pid_t pid = vfork();
    if (pid == 0) _exit(0);
    int status;
    rusage usage{};
    REQUIRE(wait4(pid, &status, 0, &usage) == pid);
    CHECK(usage.ru_minflt < 1000);
}

TEST_CASE("arch_prctl reads and sets the base of FS") {
    unsigned long base = 0, self;
    __asm__("movq %%fs:0, %0" : "=r"(self));
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, &base) == 0);
    CHECK(base == self);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x1234) == 0);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0);
    CHECK(base == 0x1234);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0) == 0);
    CHECK(syscall(SYS_arch_prctl, ARCH_GET_FS, 8) == -1);
    CHECK(errno == EFAULT);
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, ~0UL) == -1);
    CHECK(errno == EPERM);
    CHECK(syscall(SYS_arch_prctl, 0x999, &base) == -1);
    CHECK(errno == EINVAL);
}
