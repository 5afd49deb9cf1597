// SPDX-License-Identifier: MIT
// What the tests of the system-call interface by its man pages share (abi_*.cpp).
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/guest/guest.hpp"

namespace guest {

// ---- calls and their errors

inline constexpr uid_t kNobody = 65534;

// A user who owns nothing, and of whom no process runs: some limits are a user's.
inline uid_t stranger() {
    static const uid_t user = 200'000 + static_cast<uid_t>(getpid()) % 100'000;
    return user;
}

inline bool fails(long result, int wanted) { return result == -1 && errno == wanted; }

// The errno of a raw system call, 0 for success.
template <class... Arguments>
int error(long number, Arguments... arguments) {
    errno = 0;
    return syscall(number, arguments...) == -1 ? errno : 0;
}

// For children, which cannot CHECK: the position of the first condition that does not hold, counted from 1; 0 if all do.
inline int first_wrong(std::initializer_list<bool> conditions) {
    int position = 0;
    for (const bool holds : conditions) {
        ++position;
        if (!holds) return position;
    }
    return 0;
}

inline bool is_root() { return geteuid() == 0; }

inline bool become_user(uid_t user, std::vector<gid_t> groups = {}) {
    return setgroups(groups.size(), groups.data()) == 0 && setgid(user) == 0 && setuid(user) == 0;
}

// The exit status of a child that runs `body` as an ordinary user; 0 if this program may not become one.
template <class Body>
int exit_of_user(uid_t user, Body body, std::vector<gid_t> groups = {}) {
    if (!is_root()) return 0;
    return child_exit([&] { return become_user(user, groups) ? body() : 200; });
}

// ---- files

// An open descriptor, closed at the end.
class Opened {
public:
    explicit Opened(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
    ~Opened() { close(fd_); }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    operator int() const { return fd_; }

private:
    const int fd_;
};

// A folder of the test's own, which everybody may search, and the working directory in it; removed afterwards.
class Scratch {
public:
    Scratch() {
        REQUIRE(mkdtemp(path_) != nullptr);
        REQUIRE(chmod(path_, 0755) == 0);
        REQUIRE(chdir(path_) == 0);
        umask(022);
    }
    ~Scratch() {
        if (chdir("/") == 0 && std::system(("rm -rf " + std::string(path_)).c_str()) != 0) WARN("not removed");
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    std::string path() const { return path_; }

private:
    char path_[20] = "/tmp/abi.XXXXXX";
};

// Gives a descriptor for reading and writing, at the beginning of the file.
inline int make_file(const char* name, const std::string& text = "", mode_t mode = 0644, uid_t owner = geteuid(),
                     gid_t group = getegid()) {
    const int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    REQUIRE(fchown(fd, owner, group) == 0);
    REQUIRE(fchmod(fd, mode) == 0);
    return fd;
}

// All zero if there is no such name: also for children, which must not REQUIRE.
inline struct stat status_of(const char* name) {
    struct stat status{};
    if (lstat(name, &status) != 0) status = {};
    return status;
}

inline unsigned mode_of(const char* name) { return status_of(name).st_mode & 07777; }

inline std::string content(int fd) {
    std::string text(100'000, '\0');
    const ssize_t length = pread(fd, text.data(), text.size(), 0);
    REQUIRE(length >= 0);
    return text.substr(0, static_cast<std::size_t>(length));
}

inline int read_byte(int fd) {
    unsigned char byte;
    return read(fd, &byte, 1) == 1 ? byte : -1;
}

// The same, but not for ever.
inline int await_byte(int fd) {
    pollfd polled{fd, POLLIN, 0};
    return poll(&polled, 1, 20'000) == 1 ? read_byte(fd) : -1;
}

inline bool write_byte(int fd, char byte) { return write(fd, &byte, 1) == 1; }

// The lowest descriptor that is free.
inline int lowest_free() {
    const int fd = open("/", O_PATH);
    close(fd);
    return fd;
}

// ---- signals

inline volatile sig_atomic_t g_count;
inline siginfo_t g_info;

inline void note(int, siginfo_t* info, void*) {
    g_count = g_count + 1;
    g_info = *info;
}

inline void handle(int signo, int flags = 0) {
    struct sigaction action{};
    action.sa_sigaction = note;
    action.sa_flags = flags | SA_SIGINFO;
    g_count = 0;
    sigaction(signo, &action, nullptr);
}

inline void dispose(int signo, void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;
    sigaction(signo, &action, nullptr);
}

inline sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signo : signals) sigaddset(&set, signo);
    return set;
}

inline void mask(int how, std::initializer_list<int> signals) {
    const sigset_t set = set_of(signals);
    sigprocmask(how, &set, nullptr);
}

inline sigset_t mask_now() {
    sigset_t set;
    sigprocmask(SIG_BLOCK, nullptr, &set);
    return set;
}

inline bool is_blocked(int signo) {
    const sigset_t set = mask_now();
    return sigismember(&set, signo) == 1;
}

inline bool is_pending(int signo) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, signo) == 1;
}

// Waits for a signal that is blocked, but not for ever.
inline int take(int signo, siginfo_t* info) {
    const sigset_t wanted = set_of({signo});
    const timespec patience{20, 0};
    return sigtimedwait(&wanted, info, &patience);
}

inline sigjmp_buf g_escape;

inline void escape(int, siginfo_t* info, void*) {
    g_info = *info;
    siglongjmp(g_escape, 1);
}

// Runs `body`; what a fault in it raised, all zero if there was none.
template <class Body>
siginfo_t fault_of(Body body) {
    constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    struct sigaction action{}, old[std::size(kSignals)]{};
    action.sa_sigaction = escape;
    action.sa_flags = SA_SIGINFO;
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &old[i]);
    std::memset(&g_info, 0, sizeof g_info);
    if (sigsetjmp(g_escape, 1) == 0) body();
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &old[i], nullptr);
    return g_info;
}

inline bool is_fault(const siginfo_t& info, int signo, int code, const void* address) {
    return info.si_signo == signo && info.si_code == code && info.si_addr == address;
}

inline void touch(volatile char* address) { *address = *address; }

// ---- memory

inline char* map(std::size_t size, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE | MAP_ANONYMOUS,
                 int fd = -1, off_t offset = 0, void* at = nullptr) {
    void* const memory = mmap(at, size, protection, flags, fd, offset);
    REQUIRE(memory != MAP_FAILED);
    return static_cast<char*>(memory);
}

// ---- this program, executed once more, in another role

inline constexpr const char* kSelf = "/proc/self/exe";

struct State {
    pid_t pid, parent, group, session;
    sigset_t blocked, pending;
    bool ignores_usr1, catches_usr2;
    int stack_flags;
    unsigned alarm;
    mode_t mask;
    ino_t directory;
    int dumpable, death_signal, no_new_privileges;
    char name[16];
    bool kept_open, closed;
};

inline bool has_handler(int signo, void (*handler)(int)) {
    struct sigaction action;
    sigaction(signo, nullptr, &action);
    return action.sa_handler == handler;
}

inline State state_now(int kept, int closed) {
    State state{};
    state.pid = getpid();
    state.parent = getppid();
    state.group = getpgrp();
    state.session = getsid(0);
    state.blocked = mask_now();
    sigpending(&state.pending);
    state.ignores_usr1 = has_handler(SIGUSR1, SIG_IGN);
    state.catches_usr2 = !has_handler(SIGUSR2, SIG_DFL);
    stack_t stack;
    sigaltstack(nullptr, &stack);
    state.stack_flags = stack.ss_flags;
    state.alarm = alarm(0);
    state.mask = umask(0);
    struct stat status;
    state.directory = stat(".", &status) == 0 ? status.st_ino : 0;
    state.dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_GET_PDEATHSIG, &state.death_signal);
    state.no_new_privileges = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    prctl(PR_GET_NAME, state.name);
    state.kept_open = fcntl(kept, F_GETFD) >= 0;
    state.closed = fcntl(closed, F_GETFD) == -1;
    return state;
}

// The roles. Their first descriptor is the one to talk to.
inline int play(const std::string& role, int argc, char** argv, const int* fds) {
    if (role == "state") {
        const State state = state_now(fds[1], fds[2]);
        return write(fds[0], &state, sizeof state) == sizeof state ? 0 : 1;
    }
    if (role == "arguments") {
        std::string text;
        for (int i = 0; i < argc; ++i) text += std::string(argv[i]) + "\n";
        return write(fds[0], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
    }
    if (role == "length") return argc == 2 && std::strlen(argv[1]) == 131'071 ? 0 : 1;
    if (role == "hold") {  // says that it runs, and ends when it hears something
        if (!write_byte(fds[0], 'r')) return 1;
        return read_byte(fds[1]) == 'e' ? 0 : 2;
    }
    return 98;
}

[[gnu::constructor, gnu::used]] inline void take_role(int argc, char** argv, char**) {
    const char* const role = std::getenv("HEDDLE_ROLE");
    if (role == nullptr) return;
    int fds[3] = {-1, -1, -1};
    if (const char* const text = std::getenv("HEDDLE_FDS")) std::sscanf(text, "%d,%d,%d", &fds[0], &fds[1], &fds[2]);
    _exit(play(role, argc, argv, fds));
}

// What execve() needs to give this program a role.
class Role {
public:
    Role(const std::string& name, std::initializer_list<int> fds, std::vector<std::string> arguments = {"abi"})
        : role_("HEDDLE_ROLE=" + name), fds_("HEDDLE_FDS="), arguments_(std::move(arguments)) {
        for (const int fd : fds) fds_ += std::to_string(fd) + ",";
        for (std::string& argument : arguments_) argv_.push_back(argument.data());
        argv_.push_back(nullptr);
        envp_[0] = role_.data();
        envp_[1] = fds_.data();
    }
    Role(const Role&) = delete;
    Role& operator=(const Role&) = delete;
    // Returns only if it cannot be done: 100 and the errno.
    int take(const char* path = kSelf) const {
        execve(path, argv_.data(), envp_);
        return 100 + errno;
    }

private:
    std::string role_, fds_;
    std::vector<std::string> arguments_;
    std::vector<char*> argv_;
    char* envp_[3] = {};
};

}  // namespace guest
