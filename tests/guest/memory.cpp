// SPDX-License-Identifier: MIT
// Memory: mappings and their protection, faults, brk, the stack, and pointers that no system call may believe.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

sigjmp_buf g_escape;
siginfo_t g_info;

void escape(int, siginfo_t* info, void*) {
    g_info = *info;
    siglongjmp(g_escape, 1);
}

// Runs `body`; the signal that a fault in it raised, or 0. g_info tells more.
template <class Body>
int fault_of(Body body) {
    struct sigaction action{};
    action.sa_sigaction = escape;
    action.sa_flags = SA_SIGINFO;
    struct sigaction old_segv{}, old_bus{};
    sigaction(SIGSEGV, &action, &old_segv);
    sigaction(SIGBUS, &action, &old_bus);
    volatile int signal = 0;
    if (sigsetjmp(g_escape, 1) == 0) {
        body();
    } else {
        signal = g_info.si_signo;
    }
    sigaction(SIGSEGV, &old_segv, nullptr);
    sigaction(SIGBUS, &old_bus, nullptr);
    return signal;
}

void touch(volatile char* address) { *address = *address; }

}  // namespace

TEST_CASE("fresh memory reads as zero and keeps what is written") {
    Mapping memory(100 * kPageSize);
    for (std::size_t i = 0; i < 100 * kPageSize; i += 512) REQUIRE(memory[i] == 0);
    for (std::size_t page = 0; page < 100; ++page) memory[page * kPageSize + page] = static_cast<char>(page);
    for (std::size_t page = 0; page < 100; ++page) REQUIRE(memory[page * kPageSize + page] == static_cast<char>(page));
}

TEST_CASE("a fault says where and why") {
    CHECK(fault_of([] { touch(nullptr); }) == SIGSEGV);
    CHECK(g_info.si_code == SEGV_MAPERR);
    CHECK(g_info.si_addr == nullptr);
    Mapping memory(2 * kPageSize, PROT_READ);
    CHECK(fault_of([&] { memory[kPageSize + 5] = 1; }) == SIGSEGV);
    CHECK(g_info.si_code == SEGV_ACCERR);
    CHECK(g_info.si_addr == memory.data() + kPageSize + 5);
    CHECK(fault_of([] { touch(reinterpret_cast<char*>(0xffff'8000'0000'0000)); }) == SIGSEGV);  // the kernel's half
    CHECK(fault_of([] { touch(reinterpret_cast<char*>(0x8000'0000'0000'0000)); }) == SIGSEGV);  // not canonical
    CHECK(child_signal([] {
              touch(nullptr);
              return 0;
          }) == SIGSEGV);
}

TEST_CASE("mprotect splits, changes and restores") {
    Mapping memory(3 * kPageSize);
    memory[kPageSize] = 'm';
    REQUIRE(mprotect(memory.data() + kPageSize, kPageSize, PROT_READ) == 0);
    CHECK(fault_of([&] { memory[kPageSize] = 1; }) == SIGSEGV);
    CHECK(fault_of([&] { memory[0] = memory[2 * kPageSize] = 1; }) == 0);
    REQUIRE(mprotect(memory.data() + kPageSize, kPageSize, PROT_NONE) == 0);
    CHECK(fault_of([&] { touch(&memory[kPageSize]); }) == SIGSEGV);
    REQUIRE(mprotect(memory.data(), 3 * kPageSize, PROT_READ | PROT_WRITE) == 0);
    CHECK(memory[kPageSize] == 'm');
    memory[kPageSize] = 'n';
    CHECK(mprotect(memory.data() + 1, kPageSize, PROT_READ) == -1);
    CHECK(errno == EINVAL);
}

TEST_CASE("what is not executable does not execute") {
    Mapping memory(kPageSize);
    memory[0] = '\xc3';  // ret
    const auto call = [&] { reinterpret_cast<void (*)()>(memory.data())(); };
    CHECK(fault_of(call) == SIGSEGV);
    REQUIRE(mprotect(memory.data(), kPageSize, PROT_READ | PROT_EXEC) == 0);
    CHECK(fault_of(call) == 0);
}

TEST_CASE("munmap makes holes; fixed mappings fill and replace") {
    Mapping memory(4 * kPageSize);
    memory[0] = memory[3 * kPageSize] = 'k';
    REQUIRE(munmap(memory.data() + kPageSize, 2 * kPageSize) == 0);
    CHECK(fault_of([&] { touch(&memory[kPageSize]); }) == SIGSEGV);
    CHECK(fault_of([&] { touch(&memory[3 * kPageSize - 1]); }) == SIGSEGV);
    CHECK(memory[0] == 'k');
    CHECK(memory[3 * kPageSize] == 'k');
    REQUIRE(mmap(memory.data(), 2 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
                 0) == memory.data());
    CHECK(memory[0] == 0);
    CHECK(mmap(memory.data(), kPageSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
          MAP_FAILED);
    CHECK(errno == EEXIST);
    CHECK(mmap(nullptr, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    CHECK(errno == EINVAL);
    CHECK(munmap(memory.data() + 1, kPageSize) == -1);
    CHECK(errno == EINVAL);
}

TEST_CASE("a private file mapping shows the file and keeps writes to itself") {
    char path[] = "/tmp/memory.XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    REQUIRE(unlink(path) == 0);
    std::vector<char> text(kPageSize + 100, 'f');
    REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    char* memory = static_cast<char*>(mmap(nullptr, 3 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
    REQUIRE(memory != MAP_FAILED);
    CHECK(memory[kPageSize + 99] == 'f');
    CHECK(memory[kPageSize + 100] == 0);  // the rest of the last page
    CHECK(fault_of([&] { touch(memory + 2 * kPageSize); }) == SIGBUS);
    memory[0] = 'p';
    char byte = 0;
    REQUIRE(pread(fd, &byte, 1, 0) == 1);
    CHECK(byte == 'f');
    munmap(memory, 3 * kPageSize);
    close(fd);
}

TEST_CASE("brk grows and shrinks the heap") {
    char* const begin = static_cast<char*>(sbrk(0));
    REQUIRE(sbrk(10 * kPageSize) == begin);
    std::memset(begin, 'b', 10 * kPageSize);
    REQUIRE(sbrk(-static_cast<intptr_t>(10 * kPageSize)) == begin + 10 * kPageSize);
    CHECK(sbrk(0) == begin);
    REQUIRE(sbrk(kPageSize) == begin);
    if ((reinterpret_cast<std::uintptr_t>(begin) & (kPageSize - 1)) == 0) CHECK(begin[0] == 0);
    REQUIRE(sbrk(-static_cast<intptr_t>(kPageSize)) != reinterpret_cast<void*>(-1));
}

TEST_CASE("the stack grows, to its limit") {
    CHECK(child_exit([] {
              volatile char big[1 << 20];
              for (std::size_t i = 0; i < sizeof big; i += kPageSize) big[sizeof big - 1 - i] = 1;
              return 0;
          }) == 0);
    CHECK(child_signal([] {
              // Far below any stack, but above nothing: 64 MiB under the stack pointer.
              touch(static_cast<char*>(__builtin_frame_address(0)) - (64 << 20));
              return 0;
          }) == SIGSEGV);
}

TEST_CASE("more memory than there is is an error or a kill, never the end of the kernel") {
    CHECK(mmap(nullptr, std::size_t{1} << 46, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
          MAP_FAILED);
    CHECK(errno == ENOMEM);
}

TEST_CASE("no system call believes a bad pointer") {
    Mapping good(kPageSize);
    Mapping read_only(kPageSize, PROT_READ);
    Pipe pipe;
    const int zero = open("/dev/zero", O_RDONLY);
    REQUIRE(zero >= 0);
    char* const bad[] = {nullptr,
                         reinterpret_cast<char*>(8),
                         reinterpret_cast<char*>(0xffff'8000'0000'1000),
                         reinterpret_cast<char*>(0xffff'ffff'8010'0000),
                         reinterpret_cast<char*>(~std::uintptr_t{0} - 7),
                         reinterpret_cast<char*>(0x7fff'ffff'f000),
                         reinterpret_cast<char*>(0x8000'0000'0000)};
    const auto refused = [](long result) { return result == -1 && errno == EFAULT; };
    for (char* pointer : bad) {
        CAPTURE(static_cast<void*>(pointer));
        CHECK(refused(read(zero, pointer, 16)));
        CHECK(refused(write(pipe.writer(), pointer, 16)));
        CHECK(refused(open(pointer, O_RDONLY)));
        CHECK(refused(stat("/", reinterpret_cast<struct stat*>(pointer))));
        CHECK(refused(::pipe(reinterpret_cast<int*>(pointer))));
        CHECK(refused(readv(zero, reinterpret_cast<iovec*>(pointer), 2)));
        CHECK(refused(execve(pointer, &pointer, &pointer)));
        CHECK((getcwd(pointer, 4096) == nullptr || pointer == nullptr));
    }
    CHECK(refused(read(zero, read_only.data(), 16)));
    CHECK(write(pipe.writer(), read_only.data(), 16) == 16);
    close(zero);
}

TEST_CASE("a string that reaches the end of user memory is a bad one") {
    CHECK(child_exit([] {
              auto* const page =
                  reinterpret_cast<char*>(0x7fff'ffff'e000);  // the last; perhaps the stack has it already
              mmap(page, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
              for (std::size_t length : {1U, 7U, 8U, 9U, 200U}) {
                  char* const text = page + kPageSize - length;
                  std::memset(text, 'x', length);
                  if (open(text, O_RDONLY) != -1 || errno != EFAULT) return 1;
                  if (access(text, F_OK) != -1 || errno != EFAULT) return 2;
                  if (length < 15 && (prctl(PR_SET_NAME, text) != -1 || errno != EFAULT)) return 3;
                  char* const arguments[] = {text, nullptr};
                  if (execv("/bin/true", arguments) != -1 || errno != EFAULT) return 4;
              }
              return 0;
          }) == 0);
}

TEST_CASE("a transfer that runs into a bad page moves what it can") {
    Mapping memory(2 * kPageSize);
    REQUIRE(munmap(memory.data() + kPageSize, kPageSize) == 0);
    Pipe pipe;
    const ssize_t written = write(pipe.writer(), memory.data() + kPageSize - 10, 20);
    CHECK((written == 10 || (written == -1 && errno == EFAULT)));
}

TEST_CASE("random calls with random arguments do no harm") {
    // Calls that change nothing outside the process. It may die of them; the kernel and this process may not.
    const long numbers[] = {0,   1,   3,   5,   6,   7,   8,   9,   10,  12,  16,  17,  18,  19,  20,  21,  22,  28,
                            32,  33,  39,  61,  72,  77,  78,  79,  89,  96,  97,  98,  99,  102, 104, 110, 137, 158,
                            186, 201, 202, 204, 217, 218, 228, 229, 234, 257, 262, 267, 273, 293, 302, 318, 332};
    Mapping witness(kPageSize);
    witness[0] = 'w';
    for (unsigned seed = 0; seed < 30; ++seed) {
        child_status([&] {
            alarm(2);  // for a call that waits
            for (int fd = 0; fd < 16; ++fd) close(fd);
            std::mt19937_64 random(seed);
            const auto argument = [&]() -> std::uint64_t {
                switch (random() % 6) {
                case 0: return random();
                case 1: return random() % 16;
                case 2: return ~std::uint64_t{0};
                case 3: return 0xffff'8000'0000'0000 + random() % 4096;
                case 4: return reinterpret_cast<std::uintptr_t>(witness.data()) + random() % 4096;
                default: return 0;
                }
            };
            for (int call = 0; call < 200; ++call)
                syscall(numbers[random() % std::size(numbers)], argument(), argument(), argument(), argument(),
                        argument(), argument());
            return 0;
        });
    }
    CHECK(witness[0] == 'w');
}
