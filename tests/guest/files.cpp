// SPDX-License-Identifier: MIT
// Files: open flags, positions, folders, links, renames, pipes, poll, and the errors of each.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

// A folder of the test's own and the working directory in it; removed afterwards.
class Scratch {
public:
    Scratch() {
        REQUIRE(mkdtemp(path_) != nullptr);
        REQUIRE(chdir(path_) == 0);
    }
    ~Scratch() {
        if (chdir("/") == 0 && std::system(("rm -rf " + std::string(path_)).c_str()) != 0) WARN("not removed");
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

private:
    char path_[22] = "/tmp/files.XXXXXX";
};

int make_file(const char* name, const char* text = "") {
    const int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    REQUIRE(fd >= 0);
    REQUIRE(write(fd, text, std::strlen(text)) == static_cast<ssize_t>(std::strlen(text)));
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    return fd;
}

std::string content(int fd) {
    char text[256];
    const ssize_t length = pread(fd, text, sizeof text, 0);
    REQUIRE(length >= 0);
    return {text, static_cast<std::size_t>(length)};
}

bool fails(long result, int error) { return result == -1 && errno == error; }

}  // namespace

TEST_CASE("open: creation, exclusion, truncation, kinds") {
    const Scratch scratch;
    close(make_file("f", "text"));
    CHECK(fails(open("f", O_CREAT | O_EXCL, 0644), EEXIST));
    CHECK(fails(open("nothing", O_RDONLY), ENOENT));
    CHECK(fails(open("f/below", O_RDONLY), ENOTDIR));
    CHECK(fails(open(".", O_WRONLY), EISDIR));
    CHECK(fails(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR));
    CHECK(fails(open(std::string(300, 'n').c_str(), O_CREAT | O_WRONLY, 0644), ENAMETOOLONG));
    CHECK(fails(open("", O_RDONLY), ENOENT));
    const int fd = open("f", O_RDWR | O_TRUNC);
    CHECK(content(fd).empty());
    close(fd);
    CHECK(fails(read(fd, nullptr, 0), EBADF));
    const int read_only = open("f", O_RDONLY);
    CHECK(fails(write(read_only, "x", 1), EBADF));
    close(read_only);
    umask(027);
    close(open("masked", O_CREAT | O_WRONLY, 0666));
    umask(022);
    struct stat status{};
    REQUIRE(stat("masked", &status) == 0);
    CHECK((status.st_mode & 07777) == 0640);
}

TEST_CASE("positions, holes, appending, truncation") {
    const Scratch scratch;
    const int fd = make_file("f", "0123456789");
    CHECK(lseek(fd, -3, SEEK_END) == 7);
    CHECK(lseek(fd, 1, SEEK_CUR) == 8);
    CHECK(fails(lseek(fd, -9, SEEK_CUR), EINVAL));
    CHECK(pwrite(fd, "X", 1, 2) == 1);
    CHECK(lseek(fd, 0, SEEK_CUR) == 8);
    const int append = open("f", O_WRONLY | O_APPEND);
    CHECK(write(append, "+", 1) == 1);
    CHECK(content(fd) == "01X3456789+");
    REQUIRE(ftruncate(fd, 3) == 0);
    REQUIRE(ftruncate(fd, 6) == 0);
    CHECK(content(fd) == std::string("01X\0\0\0", 6));
    CHECK(pwrite(fd, "end", 3, 10000) == 3);
    struct stat status{};
    REQUIRE(fstat(fd, &status) == 0);
    CHECK(status.st_size == 10003);
    char byte = 'x';
    CHECK(pread(fd, &byte, 1, 5000) == 1);
    CHECK(byte == 0);
    CHECK(pread(fd, &byte, 1, 20000) == 0);
    close(append);
    close(fd);
}

TEST_CASE("vectors") {
    const Scratch scratch;
    const int fd = make_file("f");
    char a[] = "one", b[] = "two", c[8] = {};
    const iovec out[] = {{a, 3}, {nullptr, 0}, {b, 3}};
    CHECK(writev(fd, out, 3) == 6);
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    const iovec in[] = {{c, 2}, {c + 2, 6}};
    CHECK(readv(fd, in, 2) == 6);
    CHECK(std::string(c) == "onetwo");
    volatile int negative = -1;
    CHECK(fails(writev(fd, out, negative), EINVAL));
    close(fd);
}

TEST_CASE("links, unlinking what is open, renames") {
    const Scratch scratch;
    const int fd = make_file("f", "text");
    REQUIRE(link("f", "g") == 0);
    struct stat status{};
    REQUIRE(fstat(fd, &status) == 0);
    CHECK(status.st_nlink == 2);
    REQUIRE(unlink("f") == 0);
    REQUIRE(unlink("g") == 0);
    CHECK(content(fd) == "text");
    REQUIRE(fstat(fd, &status) == 0);
    CHECK(status.st_nlink == 0);
    close(fd);

    close(make_file("a", "A"));
    close(make_file("b", "B"));
    REQUIRE(rename("a", "b") == 0);
    CHECK(fails(access("a", F_OK), ENOENT));
    REQUIRE(mkdir("d", 0755) == 0);
    REQUIRE(mkdir("d/e", 0755) == 0);
    CHECK(fails(rename("d", "d/e/f"), EINVAL));
    CHECK(fails(rename("b", "d"), EISDIR));
    CHECK(fails(rename("d", "b"), ENOTDIR));
    CHECK(fails(rmdir("d"), ENOTEMPTY));
    CHECK(fails(unlink("d"), EISDIR));
    CHECK(fails(rmdir("b"), ENOTDIR));
    REQUIRE(rename("d/e", "e") == 0);
    REQUIRE(rmdir("d") == 0);
    CHECK(fails(link("e", "h"), EPERM));

    REQUIRE(symlink("b", "s") == 0);
    char target[16];
    CHECK(readlink("s", target, sizeof target) == 1);
    REQUIRE(lstat("s", &status) == 0);
    CHECK(S_ISLNK(status.st_mode));
    CHECK(fails(open("s", O_RDONLY | O_NOFOLLOW), ELOOP));
    REQUIRE(symlink("loop", "loop") == 0);
    CHECK(fails(open("loop", O_RDONLY), ELOOP));
}

TEST_CASE("folders list what is in them, also while it changes") {
    const Scratch scratch;
    for (int i = 0; i < 500; ++i) close(make_file(("n" + std::to_string(i)).c_str()));
    DIR* folder = opendir(".");
    REQUIRE(folder != nullptr);
    std::set<std::string> names;
    while (const dirent* entry = readdir(folder)) {
        CHECK(names.insert(entry->d_name).second);
        if (names.size() == 100) REQUIRE(unlink("n499") == 0);
    }
    closedir(folder);
    CHECK(names.size() >= 501);
    CHECK(names.count(".") == 1);
    CHECK(names.count("..") == 1);
    CHECK(names.count("n250") == 1);
}

TEST_CASE("the working directory survives its own removal") {
    const Scratch scratch;
    REQUIRE(mkdir("d", 0755) == 0);
    REQUIRE(chdir("d") == 0);
    REQUIRE(rmdir("../d") == 0);
    char path[4096];
    CHECK(getcwd(path, sizeof path) == nullptr);
    CHECK(errno == ENOENT);
    CHECK(fails(open("f", O_CREAT | O_WRONLY, 0644), ENOENT));
    CHECK(chdir("/tmp") == 0);
}

TEST_CASE("calls relative to an open folder") {
    const Scratch scratch;
    REQUIRE(mkdir("d", 0755) == 0);
    const int folder = open("d", O_RDONLY | O_DIRECTORY);
    const int fd = openat(folder, "f", O_CREAT | O_WRONLY, 0644);
    CHECK(fd >= 0);
    CHECK(access("d/f", F_OK) == 0);
    CHECK(mkdirat(folder, "e", 0755) == 0);
    CHECK(unlinkat(folder, "e", AT_REMOVEDIR) == 0);
    CHECK(unlinkat(folder, "f", 0) == 0);
    CHECK(fails(openat(fd, "x", O_RDONLY), ENOTDIR));
    close(fd);
    close(folder);
}

TEST_CASE("descriptors: lowest free, dup, flags") {
    const int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int second = dup(first);
    CHECK(second == first + 1);
    CHECK(fcntl(first, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(second, F_GETFD) == 0);
    CHECK(fcntl(first, F_DUPFD, 50) == 50);
    CHECK(dup2(first, 60) == 60);
    CHECK(dup2(first, first) == first);
    CHECK(fails(dup2(first, -1), EBADF));
    CHECK(fails(dup2(999, 61), EBADF));
    close(first);
    CHECK(open("/dev/null", O_RDONLY) == first);
    for (const int fd : {first, second, 50, 60}) CHECK(close(fd) == 0);
    CHECK(fails(close(60), EBADF));
}

TEST_CASE("a pipe: capacity, atomicity, ends, non-blocking") {
    Pipe pipe;
    REQUIRE(fcntl(pipe.writer(), F_SETFL, O_NONBLOCK) == 0);
    const std::string page(4096, 'p');
    std::size_t total = 0;
    for (ssize_t written; (written = write(pipe.writer(), page.data(), page.size())) > 0;) total += 4096;
    CHECK(errno == EAGAIN);
    CHECK(total == 65536);
    int available = 0;
    REQUIRE(ioctl(pipe.reader(), FIONREAD, &available) == 0);
    CHECK(available == 65536);
    char buffer[4096];
    REQUIRE(read(pipe.reader(), buffer, 100) == 100);
    CHECK(fails(write(pipe.writer(), page.data(), 4096), EAGAIN));  // all or nothing up to PIPE_BUF
    pipe.close_writer();
    while (read(pipe.reader(), buffer, sizeof buffer) > 0) continue;
    CHECK(read(pipe.reader(), buffer, 1) == 0);
    CHECK(fails(lseek(pipe.reader(), 0, SEEK_SET), ESPIPE));
}

TEST_CASE("much data through a pipe arrives whole and in order") {
    Pipe pipe;
    constexpr unsigned kWords = 500'000;
    const pid_t writer = start_child([&] {
        pipe.close_reader();
        unsigned words[1000];
        for (unsigned i = 0; i < kWords; i += 1000) {
            for (unsigned j = 0; j < 1000; ++j) words[j] = i + j;
            if (write(pipe.writer(), words, sizeof words) != sizeof words) return 1;
        }
        return 0;
    });
    pipe.close_writer();
    unsigned expected = 0;
    unsigned words[777];
    std::size_t have = 0;
    bool in_order = true;
    for (ssize_t got; (got = read(pipe.reader(), reinterpret_cast<char*>(words) + have, sizeof words - have)) > 0;) {
        have += static_cast<std::size_t>(got);
        const std::size_t whole = have / sizeof(unsigned);
        for (std::size_t i = 0; i < whole; ++i) in_order = in_order && words[i] == expected++;
        have -= whole * sizeof(unsigned);
        std::memmove(words, words + whole, have);
    }
    CHECK(in_order);
    CHECK(expected == kWords);
    CHECK(WEXITSTATUS(wait_status(writer)) == 0);
}

TEST_CASE("poll tells what is ready") {
    Pipe pipe;
    pollfd both[] = {{pipe.reader(), POLLIN, 0}, {pipe.writer(), POLLOUT, 0}};
    CHECK(poll(both, 2, 0) == 1);
    CHECK(both[0].revents == 0);
    CHECK(both[1].revents == POLLOUT);
    REQUIRE(write(pipe.writer(), "x", 1) == 1);
    CHECK(poll(both, 1, -1) == 1);
    CHECK(both[0].revents == POLLIN);
    char byte;
    REQUIRE(read(pipe.reader(), &byte, 1) == 1);
    const long long begin = now_ns();
    CHECK(poll(both, 1, 50) == 0);
    CHECK(now_ns() - begin >= 50'000'000);
    const pid_t writer = start_child([&] {
        sleep_ms(50);
        return write(pipe.writer(), "y", 1) == 1 ? 0 : 1;
    });
    CHECK(poll(both, 1, 10'000) == 1);
    wait_status(writer);
    REQUIRE(read(pipe.reader(), &byte, 1) == 1);
    pipe.close_writer();
    CHECK(poll(both, 1, -1) == 1);
    CHECK((both[0].revents & POLLHUP) != 0);
    pollfd bad{999, POLLIN, 0};
    CHECK(poll(&bad, 1, 0) == 1);
    CHECK(bad.revents == POLLNVAL);
}

TEST_CASE("the devices") {
    char bytes[64];
    std::memset(bytes, 'x', sizeof bytes);
    const int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR), full = open("/dev/full", O_RDWR);
    CHECK(read(zero, bytes, sizeof bytes) == sizeof bytes);
    CHECK(std::string(bytes, sizeof bytes) == std::string(sizeof bytes, '\0'));
    CHECK(read(null, bytes, sizeof bytes) == 0);
    CHECK(write(null, bytes, sizeof bytes) == sizeof bytes);
    CHECK(fails(write(full, bytes, 1), ENOSPC));
    const int random = open("/dev/urandom", O_RDONLY);
    CHECK(read(random, bytes, sizeof bytes) == sizeof bytes);
    CHECK(std::string(bytes, sizeof bytes) != std::string(sizeof bytes, '\0'));
    for (const int fd : {zero, null, full, random}) close(fd);
}

TEST_CASE("times of a file") {
    const Scratch scratch;
    const int fd = make_file("f", "x");
    struct stat before{}, after{};
    REQUIRE(fstat(fd, &before) == 0);
    sleep_ms(20);
    REQUIRE(write(fd, "y", 1) == 1);
    REQUIRE(fstat(fd, &after) == 0);
    CHECK((after.st_mtim.tv_sec > before.st_mtim.tv_sec ||
           (after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_mtim.tv_nsec > before.st_mtim.tv_nsec)));
    const timespec times[] = {{1000, 5}, {2000, 6}};
    REQUIRE(utimensat(AT_FDCWD, "f", times, 0) == 0);
    REQUIRE(fstat(fd, &after) == 0);
    CHECK(after.st_atim.tv_sec == 1000);
    CHECK(after.st_mtim.tv_sec == 2000);
    CHECK(after.st_mtim.tv_nsec == 6);
    close(fd);
}

TEST_CASE("a folder read from a position that nobody gave out") {
    constexpr long kNasty[] = {1,
                               2,
                               3,
                               255,
                               256,
                               257,
                               33'024,
                               INT_MAX - 1,
                               INT_MAX,
                               1L << 31,
                               (1L << 31) + 300,
                               UINT_MAX,
                               1L << 32,
                               (1L << 32) + 2,
                               1L << 62,
                               LONG_MAX - 1,
                               LONG_MAX};
    for (const char* path : {"/proc", "/proc/self", "/proc/self/fd", "/proc/self/task", "/proc/sys", "/dev", "/tmp"}) {
        const int folder = open(path, O_RDONLY | O_DIRECTORY);
        REQUIRE(folder >= 0);
        char records[32768];
        for (const long position : kNasty) {
            if (lseek(folder, position, SEEK_SET) < 0) continue;  // a file system may refuse
            for (int i = 0; i < 100 && syscall(SYS_getdents64, folder, records, sizeof records) > 0; ++i) continue;
        }
        REQUIRE(lseek(folder, 0, SEEK_SET) == 0);
        CHECK(syscall(SYS_getdents64, folder, records, sizeof records) > 0);
        // Behind the largest number there is nothing, and the numbers do not start again.
        if (std::strncmp(path, "/proc", 5) == 0 && lseek(folder, LONG_MAX, SEEK_SET) >= 0)
            CHECK(syscall(SYS_getdents64, folder, records, sizeof records) <= 0);
        close(folder);
    }
}

TEST_CASE("files that say something of the kernel refuse to be written, or take it") {
    for (const char* path : {"/proc/uptime", "/proc/version", "/proc/meminfo", "/proc/stat"}) {
        const int fd = open(path, O_WRONLY);
        if (fd < 0) continue;  // not root
        CHECK(fails(write(fd, "x", 1), EIO));
        close(fd);
    }
    if (access("/proc/heddle", F_OK) != 0) return;  // elsewhere a file may have an effect that nobody wants
    using std::filesystem::recursive_directory_iterator;
    std::error_code gone;
    for (recursive_directory_iterator at("/proc", gone), end; at != end; at.increment(gone)) {
        if (!std::filesystem::is_regular_file(at->symlink_status(gone)) || at->path() == "/proc/sysrq-trigger")
            continue;
        char text[200] = "";
        const int reader = open(at->path().c_str(), O_RDONLY);
        const ssize_t length = reader >= 0 ? read(reader, text, sizeof text) : 0;
        close(reader);
        const int writer = open(at->path().c_str(), O_WRONLY);
        if (writer < 0) continue;
        (void)!write(writer, text, length > 0 ? static_cast<std::size_t>(length) : 0);  // what it said: no change
        close(writer);
    }
    CHECK(access("/proc/self/stat", R_OK) == 0);
}

TEST_CASE("a pipe opened again through its descriptor waits for nobody") {
    Pipe pipe;
    REQUIRE(write(pipe.writer(), "hi", 2) == 2);
    pipe.close_writer();
    alarm(10);
    const int again = open(("/proc/self/fd/" + std::to_string(pipe.reader())).c_str(), O_RDONLY);
    REQUIRE(again >= 0);
    char text[8];
    CHECK(read(again, text, sizeof text) == 2);
    CHECK(read(again, text, sizeof text) == 0);
    const int writer = open(("/proc/self/fd/" + std::to_string(again)).c_str(), O_WRONLY | O_NONBLOCK);
    CHECK(writer >= 0);
    alarm(0);
    close(again);
    close(writer);
}

TEST_CASE("what has no positions cannot seek") {
    Pipe pipe;
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (terminal < 0) terminal = open("/dev/console", O_RDWR | O_NOCTTY);
    REQUIRE(terminal >= 0);
    char byte;
    for (const int fd : {pipe.reader(), pipe.writer(), terminal}) {
        CHECK(fails(lseek(fd, 0, SEEK_CUR), ESPIPE));
        CHECK(fails(pread(fd, &byte, 1, 0), ESPIPE));
    }
    close(terminal);
}

namespace {

volatile sig_atomic_t g_caught = 0;

}  // namespace

TEST_CASE("a call that lets a signal through tells of it, even without waiting") {
    struct sigaction action{};
    action.sa_handler = [](int) { g_caught = g_caught + 1; };
    REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
    sigset_t blocked, none;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigemptyset(&none);
    REQUIRE(sigprocmask(SIG_BLOCK, &blocked, nullptr) == 0);
    const timespec no_time{};
    g_caught = 0;
    CHECK(ppoll(nullptr, 0, &no_time, &none) == 0);
    REQUIRE(raise(SIGUSR1) == 0);
    CHECK(ppoll(nullptr, 0, &no_time, nullptr) == 0);
    CHECK(g_caught == 0);
    CHECK(fails(ppoll(nullptr, 0, &no_time, &none), EINTR));
    CHECK(g_caught == 1);
    REQUIRE(raise(SIGUSR1) == 0);
    CHECK(fails(pselect(0, nullptr, nullptr, nullptr, &no_time, &none), EINTR));
    CHECK(g_caught == 2);
    Pipe pipe;  // what is ready comes first
    REQUIRE(raise(SIGUSR1) == 0);
    pollfd writer{pipe.writer(), POLLOUT, 0};
    CHECK(ppoll(&writer, 1, &no_time, &none) == 1);
    REQUIRE(sigprocmask(SIG_UNBLOCK, &blocked, nullptr) == 0);
    CHECK(g_caught == 3);
    REQUIRE(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

TEST_CASE("select wakes up for what was asked, and for nothing else") {
    Pipe pipe;
    pipe.close_writer();
    const auto select_of = [&](bool readable, bool exceptional) {
        fd_set in, except;
        FD_ZERO(&in);
        FD_ZERO(&except);
        if (readable) FD_SET(pipe.reader(), &in);
        if (exceptional) FD_SET(pipe.reader(), &except);
        timeval limit{0, 50'000};
        return select(pipe.reader() + 1, &in, nullptr, &except, &limit);
    };
    const long long begin = now_ns();
    CHECK(select_of(false, true) == 0);  // its other end hung up, but that is no exceptional condition
    CHECK(now_ns() - begin >= 50'000'000);
    CHECK(select_of(true, true) == 1);
    pollfd unasked{pipe.reader(), 0, 0};
    CHECK(poll(&unasked, 1, -1) == 1);
    CHECK(unasked.revents == POLLHUP);
}

TEST_CASE("poll waits for as many files as may be open") {
    rlimit limit{};
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlimit more{std::min<rlim_t>(limit.rlim_max, 4096), limit.rlim_max};
    REQUIRE(setrlimit(RLIMIT_NOFILE, &more) == 0);
    Pipe pipe;
    std::vector<int> copies;
    for (int fd; copies.size() < 4096 && (fd = dup(pipe.reader())) >= 0;) copies.push_back(fd);
    std::vector<pollfd> all;
    for (const int fd : copies) all.push_back({fd, POLLIN, 0});
    CHECK(all.size() > 1024);
    CHECK(poll(all.data(), all.size(), 20) == 0);
    const pid_t writer = start_child([&] {
        sleep_ms(50);
        return write(pipe.writer(), "x", 1) == 1 ? 0 : 1;
    });
    CHECK(poll(all.data(), all.size(), 10'000) == static_cast<int>(all.size()));
    wait_status(writer);
    for (const int fd : copies) close(fd);
    REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

TEST_CASE("who gets no descriptor has neither made nor truncated a file") {
    const Scratch scratch;
    const int old_file = make_file("old", "contents");
    CHECK(child_exit([&] {
              const rlimit none{3, 3};
              for (int fd = 3; fd < 1024; ++fd) close(fd);
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
              if (open("old", O_WRONLY | O_TRUNC) != -1 || errno != EMFILE) return 2;
              if (open("new", O_WRONLY | O_CREAT, 0644) != -1 || errno != EMFILE) return 3;
              int ends[2];
              return pipe(ends) == -1 && errno == EMFILE ? 0 : 4;
          }) == 0);
    CHECK(content(old_file) == "contents");
    CHECK(access("new", F_OK) == -1);
    close(old_file);
}

TEST_CASE("vectors with a piece that is not there") {
    const Scratch scratch;
    char good[] = "0123456789", in[32] = "";
    char* const bad = reinterpret_cast<char*>(16);
    const iovec out[] = {{good, 10}, {bad, 10}};
    const iovec back[] = {{in, 10}, {bad, 10}};
    const int fd = make_file("f");
    CHECK(writev(fd, out, 2) == 10);
    CHECK(content(fd) == "0123456789");
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    REQUIRE(write(fd, "abcdefghij", 10) == 10);
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(readv(fd, back, 2) == 10);
    CHECK(std::string(in) == good);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10);
    close(fd);

    Pipe pipe;
    CHECK(fails(writev(pipe.writer(), out, 2), EFAULT));
    int waiting = -1;
    REQUIRE(ioctl(pipe.reader(), FIONREAD, &waiting) == 0);
    CHECK(waiting == 0);
    REQUIRE(write(pipe.writer(), "abcdefghijklmnopqrst", 20) == 20);
    CHECK(fails(readv(pipe.reader(), back, 2), EFAULT));
    CHECK(read(pipe.reader(), in, sizeof in) == 20);
    CHECK(std::string(in, 20) == "abcdefghijklmnopqrst");
}

TEST_CASE("whoever writes to a set-id file takes that away, unless it is root") {
    if (getuid() != 0) return;
    const Scratch scratch;
    const int fd = make_file("f");
    const auto mode = [&] {
        struct stat now{};
        fstat(fd, &now);
        return now.st_mode & 07777;
    };
    REQUIRE(chmod(".", 0777) == 0);
    for (const bool truncates : {false, true}) {
        REQUIRE(fchmod(fd, 06777) == 0);
        CHECK(write(fd, "x", 1) == 1);
        CHECK(mode() == 06777);
        CHECK(child_exit([&] {
                  const int own = setuid(65534) == 0 ? open("f", O_RDWR) : -1;
                  if (own < 0) return 1;
                  return (truncates ? ftruncate(own, 1) == 0 : write(own, "y", 1) == 1) ? 0 : 2;
              }) == 0);
        CHECK(mode() == 0777);
    }
    close(fd);
}
