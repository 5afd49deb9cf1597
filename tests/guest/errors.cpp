// SPDX-License-Identifier: MIT
// What system calls answer when they are asked for something wrong: one line a case, the errno that the man pages name.
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

constexpr int kNotOpen = 987;

// The errno of a raw system call, 0 for success.
template <class... Arguments>
int error(long number, Arguments... arguments) {
    errno = 0;
    return syscall(number, arguments...) == -1 ? errno : 0;
}

std::string make_folder() {
    char name[] = "/tmp/errorsXXXXXX";
    REQUIRE(mkdtemp(name) != nullptr);
    return name;
}

// A folder of its own, with a few things in it, gone at the end.
struct Folder {
    std::string path = make_folder();
    std::string at(const char* name) const { return path + "/" + name; }
    Folder() {
        close(open(at("file").c_str(), O_CREAT | O_WRONLY, 0644));
        mkdir(at("folder").c_str(), 0755);
        close(open(at("folder/inside").c_str(), O_CREAT | O_WRONLY, 0644));
        REQUIRE(symlink("file", at("link").c_str()) == 0);
        REQUIRE(symlink("loop2", at("loop1").c_str()) == 0);
        REQUIRE(symlink("loop1", at("loop2").c_str()) == 0);
        REQUIRE(chdir(path.c_str()) == 0);
    }
    ~Folder() {
        for (const char* name : {"folder/inside", "file", "link", "loop1", "loop2", "script", "text"})
            unlink(at(name).c_str());
        rmdir(at("folder").c_str());
        if (chdir("/") == 0) rmdir(path.c_str());
    }
};

// An open descriptor, closed at the end.
struct Opened {
    int fd;
    explicit Opened(const char* path, int flags = O_RDONLY) : fd(open(path, flags, 0644)) { REQUIRE(fd >= 0); }
    ~Opened() { close(fd); }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
};

}  // namespace

TEST_CASE("a descriptor that is not open") {
    char byte = 0;
    struct stat status;
    iovec piece{&byte, 1};
    CHECK(error(SYS_read, kNotOpen, &byte, 1) == EBADF);
    CHECK(error(SYS_read, -1, &byte, 1) == EBADF);
    CHECK(error(SYS_write, kNotOpen, &byte, 1) == EBADF);
    CHECK(error(SYS_pread64, kNotOpen, &byte, 1, 0) == EBADF);
    CHECK(error(SYS_pwrite64, kNotOpen, &byte, 1, 0) == EBADF);
    CHECK(error(SYS_readv, kNotOpen, &piece, 1) == EBADF);
    CHECK(error(SYS_writev, kNotOpen, &piece, 1) == EBADF);
    CHECK(error(SYS_lseek, kNotOpen, 0, SEEK_SET) == EBADF);
    CHECK(error(SYS_close, kNotOpen) == EBADF);
    CHECK(error(SYS_fstat, kNotOpen, &status) == EBADF);
    CHECK(error(SYS_newfstatat, kNotOpen, "", &status, AT_EMPTY_PATH) == EBADF);
    CHECK(error(SYS_newfstatat, kNotOpen, "x", &status, 0) == EBADF);
    CHECK(error(SYS_openat, kNotOpen, "x", O_RDONLY, 0) == EBADF);
    CHECK(error(SYS_openat, kNotOpen, "/", O_RDONLY | O_PATH, 0) == 0);
    CHECK(error(SYS_ioctl, kNotOpen, 0x5401, &byte) == EBADF);
    CHECK(error(SYS_fcntl, kNotOpen, F_GETFL, 0) == EBADF);
    CHECK(error(SYS_dup, kNotOpen) == EBADF);
    CHECK(error(SYS_dup2, kNotOpen, 1) == EBADF);
    CHECK(error(SYS_dup2, kNotOpen, kNotOpen) == EBADF);
    CHECK(error(SYS_fsync, kNotOpen) == EBADF);
    CHECK(error(SYS_ftruncate, kNotOpen, 0) == EBADF);
    CHECK(error(SYS_fchdir, kNotOpen) == EBADF);
    CHECK(error(SYS_fchmod, kNotOpen, 0644) == EBADF);
    CHECK(error(SYS_getdents64, kNotOpen, &byte, 1) == EBADF);
    CHECK(error(SYS_sendfile, kNotOpen, 0, nullptr, 1) == EBADF);
    CHECK(error(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, kNotOpen, 0) == EBADF);
    fd_set set;
    FD_ZERO(&set);
    const int closed = dup(0);  // select(2) only looks at the part of a set that the table of descriptors covers
    close(closed);
    FD_SET(closed, &set);
    timeval none{};
    CHECK(error(SYS_select, closed + 1, &set, nullptr, nullptr, &none) == EBADF);
    pollfd polled{kNotOpen, POLLIN, 0};
    CHECK(poll(&polled, 1, 0) == 1);
    CHECK(polled.revents == POLLNVAL);
}

TEST_CASE("a descriptor of the wrong kind or mode") {
    const Folder folder;
    Pipe pipe;
    char byte = 0;
    const Opened reader("file"), writer("file", O_WRONLY), directory("folder"), place("file", O_PATH);
    CHECK(error(SYS_read, writer.fd, &byte, 1) == EBADF);
    CHECK(error(SYS_write, reader.fd, &byte, 1) == EBADF);
    CHECK(error(SYS_read, place.fd, &byte, 1) == EBADF);
    CHECK(error(SYS_fchmod, place.fd, 0644) == EBADF);
    CHECK(error(SYS_read, directory.fd, &byte, 1) == EISDIR);
    CHECK(error(SYS_pread64, directory.fd, &byte, 1, 0) == EISDIR);
    CHECK(error(SYS_read, pipe.writer(), &byte, 1) == EBADF);
    CHECK(error(SYS_lseek, pipe.reader(), 0, SEEK_CUR) == ESPIPE);
    CHECK(error(SYS_pread64, pipe.reader(), &byte, 1, 0) == ESPIPE);
    CHECK(error(SYS_fsync, pipe.reader()) == EINVAL);
    CHECK(error(SYS_ftruncate, pipe.writer(), 0) == EINVAL);
    CHECK(error(SYS_ftruncate, reader.fd, 0) == EINVAL);
    CHECK(error(SYS_getdents64, reader.fd, &byte, 1) == ENOTDIR);
    CHECK(error(SYS_getdents64, directory.fd, &byte, 1) == EINVAL);
    CHECK(error(SYS_fchdir, reader.fd) == ENOTDIR);
    CHECK(error(SYS_openat, reader.fd, "x", O_RDONLY, 0) == ENOTDIR);
    CHECK(error(SYS_openat, pipe.reader(), "x", O_RDONLY, 0) == ENOTDIR);
    for (const int fd : {reader.fd, directory.fd, pipe.reader()}) {
        CHECK(error(SYS_ioctl, fd, 0x5401, &byte) == ENOTTY);
        CHECK(error(SYS_ioctl, fd, 0xdead, 0) == ENOTTY);
    }
    CHECK(error(SYS_ioctl, reader.fd, 0x5451, 0) == 0);
    CHECK(fcntl(reader.fd, F_GETFD) == FD_CLOEXEC);
    CHECK(error(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, writer.fd, 0) == EACCES);
    CHECK(error(SYS_mmap, nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader.fd, 0) == EACCES);
    CHECK(error(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, pipe.reader(), 0) == ENODEV);
    CHECK(error(SYS_mmap, nullptr, 4096, PROT_READ, MAP_PRIVATE, directory.fd, 0) == ENODEV);
    CHECK(error(SYS_sendfile, writer.fd, pipe.reader(), nullptr, 1) == EINVAL);
}

TEST_CASE("names") {
    const Folder folder;
    struct stat status;
    const auto open_error = [](const char* path, int flags) { return error(SYS_openat, AT_FDCWD, path, flags, 0644); };
    CHECK(open_error("", O_RDONLY) == ENOENT);
    CHECK(open_error("missing", O_RDONLY) == ENOENT);
    CHECK(open_error("missing/x", O_RDONLY | O_CREAT) == ENOENT);
    CHECK(open_error("file/x", O_RDONLY) == ENOTDIR);
    CHECK(open_error("file/", O_RDONLY) == ENOTDIR);
    CHECK(open_error("file", O_RDONLY | O_DIRECTORY) == ENOTDIR);
    CHECK(open_error("file", O_CREAT | O_EXCL) == EEXIST);
    CHECK(open_error("link", O_CREAT | O_EXCL) == EEXIST);
    CHECK(open_error("link", O_RDONLY | O_NOFOLLOW) == ELOOP);
    CHECK(open_error("loop1", O_RDONLY) == ELOOP);
    CHECK(open_error("folder", O_WRONLY) == EISDIR);
    CHECK(open_error("folder", O_RDONLY | O_CREAT) == EISDIR);
    CHECK(open_error("new/", O_CREAT | O_WRONLY) == EISDIR);
    CHECK(open_error(std::string(256, 'x').c_str(), O_RDONLY) == ENAMETOOLONG);
    CHECK(open_error(std::string(255, 'x').c_str(), O_RDONLY) == ENOENT);
    CHECK(open_error(("/" + std::string(5000, '/')).c_str(), O_RDONLY) == ENAMETOOLONG);
    CHECK(error(SYS_mkdir, "folder", 0755) == EEXIST);
    CHECK(error(SYS_mkdir, "/", 0755) == EEXIST);
    CHECK(error(SYS_mkdir, "missing/x", 0755) == ENOENT);
    CHECK(error(SYS_rmdir, "folder") == ENOTEMPTY);
    CHECK(error(SYS_rmdir, "file") == ENOTDIR);
    CHECK(error(SYS_rmdir, "folder/.") == EINVAL);
    CHECK(error(SYS_rmdir, "folder/..") == ENOTEMPTY);
    CHECK(error(SYS_unlink, "folder") == EISDIR);
    CHECK(error(SYS_unlink, "missing") == ENOENT);
    CHECK(error(SYS_unlink, "file/") == ENOTDIR);
    CHECK(error(SYS_unlinkat, AT_FDCWD, "file", 0x1) == EINVAL);
    CHECK(error(SYS_link, "folder", "x") == EPERM);
    CHECK(error(SYS_link, "file", "link") == EEXIST);
    CHECK(error(SYS_symlink, "", "x") == ENOENT);
    CHECK(error(SYS_symlink, "x", "file") == EEXIST);
    CHECK(error(SYS_rename, "missing", "x") == ENOENT);
    CHECK(error(SYS_rename, "folder", "file") == ENOTDIR);
    CHECK(error(SYS_rename, "file", "folder") == EISDIR);
    CHECK(error(SYS_rename, "folder", "folder/x") == EINVAL);
    CHECK(error(SYS_rename, ".", "x") == EBUSY);
    CHECK(error(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "link", 1) == EEXIST);
    CHECK(error(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "x", 0x80) == EINVAL);
    char text[PATH_MAX];
    CHECK(error(SYS_readlink, "file", text, sizeof text) == EINVAL);
    CHECK(error(SYS_readlink, "link", text, 0) == EINVAL);
    CHECK(error(SYS_readlink, "missing", text, sizeof text) == ENOENT);
    CHECK(error(SYS_chdir, "file") == ENOTDIR);
    CHECK(error(SYS_chdir, "missing") == ENOENT);
    CHECK(error(SYS_getcwd, text, 2) == ERANGE);
    CHECK(error(SYS_truncate, "folder", 0) == EISDIR);
    CHECK(error(SYS_truncate, "file", -1L) == EINVAL);
    CHECK(error(SYS_access, "missing", F_OK) == ENOENT);
    CHECK(error(SYS_access, "file", X_OK) == EACCES);  // for root as well: no x bit at all
    CHECK(error(SYS_access, "file", 8) == EINVAL);
    CHECK(error(SYS_newfstatat, AT_FDCWD, "", &status, 0) == ENOENT);
    CHECK(error(SYS_newfstatat, AT_FDCWD, "file", &status, 0x1) == EINVAL);
    CHECK(error(SYS_lstat, "loop1", &status) == 0);
    CHECK(error(SYS_stat, "loop1", &status) == ELOOP);
    CHECK(error(SYS_mknod, "x", S_IFLNK | 0644, 0) == EINVAL);
    CHECK(error(SYS_mknod, "file", S_IFREG | 0644, 0) == EEXIST);
    CHECK(error(SYS_mknod, "x", S_IFDIR | 0755, 0) == EPERM);
    timespec times[2] = {{0, 1'000'000'000}, {0, 0}};
    CHECK(error(SYS_utimensat, AT_FDCWD, "file", times, 0) == EINVAL);
    CHECK(error(SYS_utimensat, AT_FDCWD, "missing", nullptr, 0) == ENOENT);
    CHECK(error(SYS_chmod, "missing", 0644) == ENOENT);
    CHECK(error(SYS_statfs, "missing", text) == ENOENT);
}

TEST_CASE("numbers that make no sense: files") {
    const Folder folder;
    const Opened file("file", O_RDWR);
    char byte = 0;
    iovec piece{&byte, 1};
    iovec negative{&byte, static_cast<size_t>(-1)};
    int ends[2];
    CHECK(error(SYS_lseek, file.fd, 0, 99) == EINVAL);
    CHECK(error(SYS_lseek, file.fd, -1L, SEEK_SET) == EINVAL);
    CHECK(error(SYS_lseek, file.fd, -1L, SEEK_END) == EINVAL);
    CHECK(error(SYS_pread64, file.fd, &byte, 1, -1L) == EINVAL);
    CHECK(error(SYS_pwrite64, file.fd, &byte, 1, -1L) == EINVAL);
    CHECK(error(SYS_readv, file.fd, &piece, -1) == EINVAL);
    CHECK(error(SYS_writev, file.fd, &piece, 1025) == EINVAL);
    CHECK(error(SYS_writev, file.fd, &negative, 1) == EINVAL);
    CHECK(error(SYS_ftruncate, file.fd, -1L) == EINVAL);
    CHECK(error(SYS_dup2, file.fd, -1) == EBADF);
    CHECK(error(SYS_dup2, file.fd, 1 << 20) == EBADF);
    CHECK(error(SYS_dup2, file.fd, file.fd) == 0);
    CHECK(error(SYS_dup3, file.fd, file.fd, 0) == EINVAL);
    CHECK(error(SYS_dup3, file.fd, 100, 1) == EINVAL);
    CHECK(error(SYS_fcntl, file.fd, 9999, 0) == EINVAL);
    CHECK(error(SYS_fcntl, file.fd, F_DUPFD, -1) == EINVAL);
    CHECK(error(SYS_fcntl, file.fd, F_DUPFD, 1 << 20) == EINVAL);
    CHECK(error(SYS_pipe2, ends, 1) == EINVAL);
    CHECK(error(SYS_close_range, 5, 4, 0) == EINVAL);
    CHECK(error(SYS_close_range, 5, 6, 0x80) == EINVAL);
    CHECK(error(SYS_fadvise64, file.fd, 0, 0, 99) == EINVAL);
    CHECK(error(SYS_select, -1, nullptr, nullptr, nullptr, nullptr) == EINVAL);
    timeval before{-1, 0};
    CHECK(error(SYS_select, 0, nullptr, nullptr, nullptr, &before) == EINVAL);
    timespec crooked{0, 1'000'000'000};
    CHECK(error(SYS_ppoll, nullptr, 0, &crooked, nullptr, 0) == EINVAL);
    pollfd polled{};
    CHECK(error(SYS_poll, &polled, 1 << 20, 0) == EINVAL);
    sigset_t mask;
    sigemptyset(&mask);
    CHECK(error(SYS_ppoll, nullptr, 0, nullptr, &mask, 4) == EINVAL);
}

TEST_CASE("numbers that make no sense: memory") {
    Mapping memory(4 * kPageSize);
    char* const base = memory.data();
    const auto map_error = [](void* at, size_t size, int flags, long offset) {
        return error(SYS_mmap, at, size, PROT_READ, flags, -1, offset);
    };
    CHECK(map_error(nullptr, 0, MAP_PRIVATE | MAP_ANONYMOUS, 0) == EINVAL);
    CHECK(map_error(nullptr, kPageSize, MAP_ANONYMOUS, 0) == EINVAL);
    CHECK(map_error(nullptr, kPageSize, MAP_PRIVATE | MAP_ANONYMOUS, 1) == EINVAL);
    CHECK(map_error(base + 1, kPageSize, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0) == EINVAL);
    CHECK(map_error(nullptr, ~size_t{0} - 8191, MAP_PRIVATE | MAP_ANONYMOUS, 0) == ENOMEM);
    CHECK(map_error(base, kPageSize, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, 0) == EEXIST);
    CHECK(error(SYS_munmap, base + 1, kPageSize) == EINVAL);
    CHECK(error(SYS_munmap, base, 0) == EINVAL);
    CHECK(error(SYS_mprotect, base + 1, kPageSize, PROT_READ) == EINVAL);
    CHECK(error(SYS_mprotect, base, kPageSize, 0x80) == EINVAL);
    CHECK(error(SYS_mprotect, base, 0, PROT_READ) == 0);
    CHECK(error(SYS_madvise, base + 1, kPageSize, MADV_DONTNEED) == EINVAL);
    CHECK(error(SYS_madvise, base, kPageSize, 9999) == EINVAL);
    CHECK(error(SYS_mremap, base + 1, kPageSize, kPageSize, 0) == EINVAL);
    CHECK(error(SYS_mremap, base, kPageSize, 0, 0) == EINVAL);
    CHECK(error(SYS_mremap, base, kPageSize, 2 * kPageSize, 0) == ENOMEM);  // the next page is there already
    CHECK(error(SYS_mremap, base, kPageSize, kPageSize, 0x80) == EINVAL);
    CHECK(error(SYS_msync, base + 1, kPageSize, MS_SYNC) == EINVAL);
    CHECK(error(SYS_msync, base, kPageSize, MS_SYNC | MS_ASYNC) == EINVAL);
    REQUIRE(munmap(base + 2 * kPageSize, kPageSize) == 0);
    CHECK(error(SYS_mprotect, base, 4 * kPageSize, PROT_READ) == ENOMEM);
    CHECK(error(SYS_madvise, base + 2 * kPageSize, kPageSize, MADV_DONTNEED) == ENOMEM);
    CHECK(error(SYS_msync, base + 2 * kPageSize, kPageSize, MS_SYNC) == ENOMEM);
    CHECK(error(SYS_mremap, base + 2 * kPageSize, kPageSize, 2 * kPageSize, MREMAP_MAYMOVE) == EFAULT);
    CHECK(error(SYS_munmap, base + 2 * kPageSize, kPageSize) == 0);
}

TEST_CASE("numbers that make no sense: processes and signals") {
    int status;
    rusage usage;
    siginfo_t info;
    CHECK(error(SYS_wait4, -1, &status, 0, nullptr) == ECHILD);
    CHECK(error(SYS_wait4, 1 << 22, &status, 0, nullptr) == ECHILD);
    CHECK(error(SYS_wait4, -1, &status, 0x100, nullptr) == EINVAL);
    CHECK(error(SYS_waitid, P_ALL, 0, &info, 0, nullptr) == EINVAL);
    CHECK(error(SYS_waitid, 77, 0, &info, WEXITED, nullptr) == EINVAL);
    CHECK(error(SYS_waitid, P_PID, 0, &info, WEXITED, nullptr) == EINVAL);
    CHECK(error(SYS_waitid, P_ALL, 0, &info, WEXITED, nullptr) == ECHILD);
    CHECK(error(SYS_setpgid, 0, -1) == EINVAL);
    CHECK(error(SYS_setpgid, 1 << 22, 0) == ESRCH);
    CHECK(error(SYS_setpgid, getppid(), 0) == ESRCH);  // not a child
    CHECK(error(SYS_getpgid, 1 << 22) == ESRCH);
    CHECK(error(SYS_getsid, 1 << 22) == ESRCH);
    CHECK(child_exit([] { return setsid() > 0 && error(SYS_setsid) == EPERM ? 0 : 1; }) == 0);
    CHECK(error(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0) == EINVAL);
    CHECK(error(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0) == EINVAL);
    CHECK(error(SYS_clone, CLONE_FS | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0) == EINVAL);
    CHECK(error(SYS_prctl, 9999, 0, 0, 0, 0) == EINVAL);
    CHECK(error(SYS_prctl, PR_SET_PDEATHSIG, 99, 0, 0, 0) == EINVAL);
    CHECK(error(SYS_getrusage, 7, &usage) == EINVAL);
    CHECK(error(SYS_set_robust_list, &usage, 23) == EINVAL);

    CHECK(error(SYS_kill, 1 << 22, 0) == ESRCH);
    CHECK(error(SYS_kill, getpid(), 65) == EINVAL);
    CHECK(error(SYS_kill, getpid(), -1) == EINVAL);
    CHECK(error(SYS_kill, -(1 << 22), SIGTERM) == ESRCH);
    CHECK(error(SYS_kill, INT_MIN, SIGTERM) == ESRCH);
    CHECK(error(SYS_tgkill, getpid(), 0, 0) == EINVAL);
    CHECK(error(SYS_tgkill, 1 << 22, getpid(), 0) == ESRCH);
    CHECK(error(SYS_tkill, -1, 0) == EINVAL);
    CHECK(error(SYS_tgkill, getpid(), getpid(), 0) == 0);
    std::memset(&info, 0, sizeof info);
    CHECK(error(SYS_rt_sigqueueinfo, 1 << 22, SIGUSR1, &info) == EPERM);  // si_code 0 is kill(2)'s
    info.si_code = SI_QUEUE;
    CHECK(error(SYS_rt_sigqueueinfo, 1 << 22, SIGUSR1, &info) == ESRCH);

    struct {
        void* handler;
        unsigned long flags;
        void* restorer;
        unsigned long mask;
    } action{};
    for (const int signo : {0, 65, -1, SIGKILL, SIGSTOP})
        CHECK(error(SYS_rt_sigaction, signo, &action, nullptr, 8) == EINVAL);
    CHECK(error(SYS_rt_sigaction, SIGKILL, nullptr, &action, 8) == 0);
    CHECK(error(SYS_rt_sigaction, SIGUSR1, nullptr, &action, 16) == EINVAL);
    unsigned long mask = 0;
    CHECK(error(SYS_rt_sigprocmask, 7, &mask, nullptr, 8) == EINVAL);
    CHECK(error(SYS_rt_sigprocmask, 7, nullptr, &mask, 8) == 0);  // the first argument does not matter then
    CHECK(error(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &mask, 4) == EINVAL);
    CHECK(error(SYS_rt_sigsuspend, &mask, 4) == EINVAL);
    CHECK(error(SYS_rt_sigpending, &mask, 16) == EINVAL);
    timespec none{}, crooked{0, -1};
    CHECK(error(SYS_rt_sigtimedwait, &mask, nullptr, &none, 8) == EAGAIN);
    CHECK(error(SYS_rt_sigtimedwait, &mask, nullptr, &crooked, 8) == EINVAL);
    char tiny[1024];
    stack_t stack{tiny, 0, sizeof tiny};
    CHECK(error(SYS_sigaltstack, &stack, nullptr) == ENOMEM);
    stack.ss_flags = 0x40;
    CHECK(error(SYS_sigaltstack, &stack, nullptr) == EINVAL);
}

TEST_CASE("numbers that make no sense: time, scheduling, limits") {
    timespec time{}, crooked{0, 1'000'000'000}, before{-1, 0};
    CHECK(error(SYS_clock_gettime, 99, &time) == EINVAL);
    CHECK(error(SYS_clock_getres, 99, &time) == EINVAL);
    CHECK(error(SYS_nanosleep, &crooked, nullptr) == EINVAL);
    CHECK(error(SYS_nanosleep, &before, nullptr) == EINVAL);
    CHECK(error(SYS_clock_nanosleep, 99, 0, &time, nullptr) == EINVAL);
    CHECK(error(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &time, nullptr) == EOPNOTSUPP);
    CHECK(error(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &crooked, nullptr) == EINVAL);
    CHECK(error(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr) == 0);  // long past
    itimerval timer{};
    CHECK(error(SYS_getitimer, 7, &timer) == EINVAL);
    timer.it_value.tv_usec = 1'000'000;
    CHECK(error(SYS_setitimer, ITIMER_REAL, &timer, nullptr) == EINVAL);
    timer.it_value = {-1, 0};
    CHECK(error(SYS_setitimer, ITIMER_REAL, &timer, nullptr) == EINVAL);

    sched_param parameters{0};
    unsigned long cpus = 0;
    CHECK(error(SYS_getpriority, 9, 0) == EINVAL);
    CHECK(error(SYS_getpriority, PRIO_PROCESS, 1 << 22) == ESRCH);
    CHECK(error(SYS_getpriority, PRIO_PGRP, 1 << 22) == ESRCH);
    CHECK(error(SYS_getpriority, PRIO_PROCESS, -1) == ESRCH);
    CHECK(error(SYS_sched_getparam, 0, nullptr) == EINVAL);
    CHECK(error(SYS_sched_setparam, 0, nullptr) == EINVAL);
    CHECK(error(SYS_sched_setscheduler, 0, SCHED_OTHER, nullptr) == EINVAL);
    const timespec far{9'000'000'000, 0};
    CHECK(error(SYS_clock_settime, CLOCK_REALTIME, &far) == EINVAL);
    CHECK(error(SYS_setpriority, 9, 0, 0) == EINVAL);
    CHECK(error(SYS_sched_getparam, 1 << 22, &parameters) == ESRCH);
    CHECK(error(SYS_sched_getparam, -1, &parameters) == EINVAL);
    CHECK(error(SYS_sched_getscheduler, 1 << 22) == ESRCH);
    CHECK(error(SYS_sched_setscheduler, 0, 99, &parameters) == EINVAL);
    parameters.sched_priority = 5;
    CHECK(error(SYS_sched_setscheduler, 0, SCHED_OTHER, &parameters) == EINVAL);
    parameters.sched_priority = 0;
    CHECK(error(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameters) == EINVAL);
    CHECK(error(SYS_sched_get_priority_max, 99) == EINVAL);
    CHECK(error(SYS_sched_setaffinity, 0, sizeof cpus, &cpus) == EINVAL);
    CHECK(error(SYS_sched_getaffinity, 0, 1, &cpus) == EINVAL);
    CHECK(error(SYS_sched_getaffinity, 1 << 22, 128, &cpus) == ESRCH);

    rlimit limit{};
    CHECK(error(SYS_getrlimit, 99, &limit) == EINVAL);
    CHECK(error(SYS_prlimit64, 0, 99, nullptr, &limit) == EINVAL);
    CHECK(error(SYS_prlimit64, 1 << 22, RLIMIT_CORE, nullptr, &limit) == ESRCH);
    limit = {2, 1};
    CHECK(error(SYS_prlimit64, 0, RLIMIT_CORE, &limit, nullptr) == EINVAL);
    char bytes[8];
    CHECK(error(SYS_getrandom, bytes, sizeof bytes, 0x80) == EINVAL);
    CHECK(error(SYS_getgroups, -1, nullptr) == EINVAL);
}

TEST_CASE("exec of what cannot be executed") {
    const Folder folder;
    char* const arguments[] = {const_cast<char*>("x"), nullptr};
    const auto exec_error = [&](const char* path) { return error(SYS_execve, path, arguments, nullptr); };
    CHECK(exec_error("missing") == ENOENT);
    CHECK(exec_error("") == ENOENT);
    CHECK(exec_error("file/x") == ENOTDIR);
    CHECK(exec_error("file") == EACCES);  // no x bit, whoever asks
    CHECK(exec_error("folder") == EACCES);
    CHECK(exec_error("loop1") == ELOOP);
    const auto make = [](const char* name, const std::string& content) {
        const Opened file(name, O_CREAT | O_TRUNC | O_WRONLY);
        REQUIRE(fchmod(file.fd, 0755) == 0);
        REQUIRE(write(file.fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    };
    make("text", "no program\n");
    CHECK(exec_error("text") == ENOEXEC);
    make("text", "");
    CHECK(exec_error("text") == ENOEXEC);
    make("text", "#!\n");
    CHECK(exec_error("text") == ENOEXEC);
    make("text", "#!/missing/interpreter\n");
    CHECK(exec_error("text") == ENOENT);
    make("text", "#!" + folder.at("text") + "\n");
    CHECK(exec_error("text") == ELOOP);  // its own interpreter
    make("text", std::string("\x7f"
                             "ELF\2\1\1",
                             7) +
                     std::string(9, '\0') + std::string("\2\0\x3e\0\1\0\0\0", 8));
    CHECK(exec_error("text") == ENOEXEC);  // the header is cut off

    const std::string long_text(200'000, 'x');
    char* const one_too_long[] = {const_cast<char*>("x"), const_cast<char*>(long_text.c_str()), nullptr};
    CHECK(error(SYS_execve, "/proc/self/exe", one_too_long, nullptr) == E2BIG);
    std::string piece(100'000, 'y');
    std::vector<char*> too_much(100, piece.data());
    too_much.push_back(nullptr);
    CHECK(error(SYS_execve, "/proc/self/exe", too_much.data(), nullptr) == E2BIG);
    CHECK(error(SYS_execve, "/proc/self/exe", 1L, nullptr) == EFAULT);
    char* const wild[] = {reinterpret_cast<char*>(8), nullptr};
    CHECK(error(SYS_execve, "/proc/self/exe", wild, nullptr) == EFAULT);
}

TEST_CASE("what an ordinary user may not do") {
    if (getuid() != 0) return;
    const Folder folder;
    REQUIRE(chmod(folder.path.c_str(), 0755) == 0);
    const pid_t parent = getpid();
    CHECK(child_exit([&] {
              if (setgid(65534) != 0 || setuid(65534) != 0) return 100;
              rlimit limit{};
              getrlimit(RLIMIT_CORE, &limit);
              const rlimit more{RLIM_INFINITY, RLIM_INFINITY};
              const rlimit one{1, 1};
              const sched_param realtime{10};
              timespec time{};
              int step = 0;
              for (const bool right : {
                       error(SYS_setuid, 0) == EPERM,
                       error(SYS_setresuid, -1, 0, -1) == EPERM,
                       error(SYS_setgid, 0) == EPERM,
                       error(SYS_setgroups, 0, nullptr) == EPERM,
                       error(SYS_kill, parent, SIGTERM) == EPERM,
                       error(SYS_kill, parent, 0) == EPERM,
                       error(SYS_kill, -1, 0) == 0,  // whomever it may reach: nobody
                       error(SYS_chmod, "file", 0777) == EPERM,
                       error(SYS_chown, "file", 0, 0) == EPERM,
                       error(SYS_unlink, "file") == EACCES,
                       error(SYS_openat, AT_FDCWD, "file", O_WRONLY, 0) == EACCES,
                       error(SYS_openat, AT_FDCWD, "new", O_CREAT | O_WRONLY, 0644) == EACCES,
                       error(SYS_mkdir, "new", 0755) == EACCES,
                       error(SYS_access, "file", W_OK) == EACCES,
                       error(SYS_chroot, "/") == EPERM,
                       error(SYS_sethostname, "x", 1) == EPERM,
                       error(SYS_mknod, "/tmp/heddle_node", S_IFCHR | 0644, 0x103) == EPERM,
                       error(SYS_reboot, 0xfee1dead, 672274793, 0, 0) == EPERM,
                       error(SYS_clock_settime, CLOCK_REALTIME, &time) == EPERM,
                       error(SYS_setpriority, PRIO_PROCESS, 0, -5) == EACCES,
                       error(SYS_sched_setscheduler, 0, SCHED_FIFO, &realtime) == EPERM,
                       limit.rlim_max == RLIM_INFINITY || error(SYS_prlimit64, 0, RLIMIT_CORE, &more, nullptr) == EPERM,
                       error(SYS_prlimit64, 0, RLIMIT_NPROC, &one, nullptr) == 0 && fork() == -1 && errno == EAGAIN,
                   }) {
                  ++step;
                  if (!right) return step;
              }
              return 0;
          }) == 0);
}
