// SPDX-License-Identifier: MIT
// Mappings against the files behind them, mremap, and how many mappings there may be.
#include <fcntl.h>
#include <linux/futex.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>

#include <climits>
#include <cstring>
#include <string>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

// A file in /tmp that goes with the object.
class TemporaryFile {
public:
    explicit TemporaryFile(const char* name) : path_("/tmp/heddle-" + std::to_string(getpid()) + "-" + name) {
        fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0644);
        REQUIRE(fd_ >= 0);
    }
    ~TemporaryFile() {
        close(fd_);
        unlink(path_.c_str());
    }
    TemporaryFile(const TemporaryFile&) = delete;
    TemporaryFile& operator=(const TemporaryFile&) = delete;
    int fd() const { return fd_; }
    const char* path() const { return path_.c_str(); }

private:
    std::string path_;
    int fd_;
};

// Maps `pages` pages of a file; the caller unmaps.
char* map_file(int fd, std::size_t pages, int protection, int flags = MAP_SHARED) {
    void* memory = mmap(nullptr, pages * kPageSize, protection, flags, fd, 0);
    REQUIRE(memory != MAP_FAILED);
    return static_cast<char*>(memory);
}

sigjmp_buf g_escape;

// Does a read of the byte raise SIGBUS?
bool is_past_end(volatile char* address) {
    struct sigaction action{}, old{};
    action.sa_handler = [](int) { siglongjmp(g_escape, 1); };
    sigaction(SIGBUS, &action, &old);
    volatile bool raised = sigsetjmp(g_escape, 1) != 0;
    if (!raised) (void)*address;
    sigaction(SIGBUS, &old, nullptr);
    return raised;
}

}  // namespace

TEST_CASE("mprotect gives no write access that the open mode did not") {
    TemporaryFile file("mode");
    REQUIRE(ftruncate(file.fd(), kPageSize) == 0);
    const int reader = open(file.path(), O_RDONLY);
    REQUIRE(reader >= 0);
    char* shared = map_file(reader, 1, PROT_READ);
    CHECK(mprotect(shared, kPageSize, PROT_READ | PROT_WRITE) == -1);
    CHECK(errno == EACCES);
    CHECK(mprotect(shared, kPageSize, PROT_READ | PROT_EXEC) == 0);
    char* own = map_file(reader, 1, PROT_READ, MAP_PRIVATE);
    CHECK(mprotect(own, kPageSize, PROT_READ | PROT_WRITE) == 0);
    *own = 'x';
    char byte = '?';
    CHECK(pread(reader, &byte, 1, 0) == 1);
    CHECK(byte == 0);
    munmap(shared, kPageSize);
    munmap(own, kPageSize);
    close(reader);
}

TEST_CASE("a file that becomes shorter takes its pages out of every mapping") {
    TemporaryFile file("shorter");
    REQUIRE(ftruncate(file.fd(), 2 * kPageSize) == 0);
    char* shared = map_file(file.fd(), 2, PROT_READ | PROT_WRITE);
    std::memset(shared, 'a', 2 * kPageSize);
    REQUIRE(child_exit([&] {  // another space that has both pages mapped, one of them after the fact
                if (shared[kPageSize] != 'a') return 1;
                if (ftruncate(file.fd(), 100) != 0) return 2;
                return is_past_end(shared + kPageSize) ? 0 : 3;
            }) == 0);
    CHECK(shared[99] == 'a');
    CHECK(shared[100] == 0);
    CHECK(is_past_end(shared + kPageSize));
    REQUIRE(ftruncate(file.fd(), 0) == 0);
    CHECK(is_past_end(shared));
    REQUIRE(ftruncate(file.fd(), 2 * kPageSize) == 0);
    CHECK(shared[0] == 0);
    CHECK(shared[kPageSize] == 0);
    shared[5] = 'b';  // the mapping and the file are one again
    char byte = '?';
    CHECK(pread(file.fd(), &byte, 1, 5) == 1);
    CHECK(byte == 'b');
    munmap(shared, 2 * kPageSize);
}

TEST_CASE("a futex in a file is one, whatever name the file was mapped by") {
    TemporaryFile file("names");
    REQUIRE(ftruncate(file.fd(), kPageSize) == 0);
    const std::string other = std::string(file.path()) + "-link";
    REQUIRE(link(file.path(), other.c_str()) == 0);
    const int fd = open(other.c_str(), O_RDWR);
    REQUIRE(fd >= 0);
    auto* word = reinterpret_cast<int*>(map_file(file.fd(), 1, PROT_READ | PROT_WRITE));
    const pid_t waiter = start_child([&] {
        const timespec limit{20, 0};
        auto* own = reinterpret_cast<int*>(map_file(fd, 1, PROT_READ | PROT_WRITE));
        return syscall(SYS_futex, own, FUTEX_WAIT, 0, &limit, nullptr, 0) == 0 ? 0 : 1;
    });
    while (syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0) == 0) sleep_ms(1);
    CHECK(wait_status(waiter) == 0);
    munmap(word, kPageSize);
    close(fd);
    unlink(other.c_str());
}

TEST_CASE("mremap moves a part of a mapping and leaves the rest") {
    Mapping memory(8 * kPageSize);
    for (int page = 0; page < 8; ++page)
        memory[static_cast<std::size_t>(page) * kPageSize] = static_cast<char>('a' + page);
    void* result = mremap(memory.data() + 2 * kPageSize, 3 * kPageSize, 600 * kPageSize, MREMAP_MAYMOVE);
    REQUIRE(result != MAP_FAILED);
    char* moved = static_cast<char*>(result);
    for (int page = 0; page < 3; ++page) CHECK(moved[static_cast<std::size_t>(page) * kPageSize] == 'c' + page);
    CHECK(moved[599 * kPageSize] == 0);
    CHECK(memory[kPageSize] == 'b');
    CHECK(memory[5 * kPageSize] == 'f');
    CHECK(child_signal([&] { return memory[3 * kPageSize]; }) == SIGSEGV);
    munmap(moved, 600 * kPageSize);
}

TEST_CASE("sizes that wrap around and kinds of mapping that do not go together") {
    Mapping memory(kPageSize);
    CHECK(mprotect(memory.data(), SIZE_MAX, PROT_READ) == -1);
    CHECK(errno == ENOMEM);
    CHECK(madvise(memory.data(), SIZE_MAX, MADV_DONTNEED) == -1);
    CHECK(errno == EINVAL);
    CHECK(msync(memory.data(), SIZE_MAX - kPageSize, MS_SYNC) == -1);
    CHECK(errno == ENOMEM);
    TemporaryFile file("kinds");
    REQUIRE(ftruncate(file.fd(), kPageSize) == 0);
    CHECK(mmap(nullptr, kPageSize, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, file.fd(), 0) == MAP_FAILED);
    CHECK(errno == EINVAL);
    CHECK(mmap(nullptr, kPageSize, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0) == MAP_FAILED);
    CHECK(errno == EINVAL);
    CHECK(mmap(nullptr, 0, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED);
    CHECK(errno == EBADF);
}

TEST_CASE("a stack whose lower end was unmapped still grows") {
    void* base = mmap(nullptr, 512 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(base != MAP_FAILED);
    char* stack = static_cast<char*>(base) + 508 * kPageSize;
    munmap(base, 512 * kPageSize);
    REQUIRE(mmap(stack, 4 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED,
                 -1, 0) == stack);
    REQUIRE(munmap(stack, kPageSize) == 0);
    *(volatile char*)stack = 1;
    CHECK(*(volatile char*)stack == 1);
    munmap(stack, 4 * kPageSize);
}

TEST_CASE("there is a limit to the number of mappings") {
    constexpr std::size_t kPages = 140'000;
    Mapping memory(kPages * kPageSize, PROT_READ, MAP_PRIVATE | MAP_NORESERVE);
    std::size_t page = 0;
    while (page < kPages && mprotect(memory.data() + page * kPageSize, kPageSize, PROT_NONE) == 0) page += 2;
    if (page < kPages) CHECK(errno == ENOMEM);  // a system may allow more
    CHECK(page > 60'000);
}
