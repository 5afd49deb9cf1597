// SPDX-License-Identifier: MIT
// Locked memory (mlock(2)) and barriers on other CPUs (membarrier(2)).
#include <linux/membarrier.h>
#include <sys/syscall.h>

#include <atomic>
#include <thread>

#include "tests/guest/ipc.hpp"

using namespace guest;

namespace {

int barrier(int command, unsigned flags = 0) { return static_cast<int>(syscall(SYS_membarrier, command, flags, 0)); }

}  // namespace

TEST_CASE("mlock: rounds to pages, wants them mapped, and keeps what is in them") {
    const Mapping memory(8 * kPageSize);
    memory[0] = 'x';
    CHECK(mlock(memory.data() + 5, kPageSize) == 0);  // two pages
    CHECK(memory[0] == 'x');
    CHECK(munlock(memory.data() + 5, kPageSize) == 0);
    CHECK(mlock(memory.data(), 0) == 0);
    CHECK(munlock(memory.data(), 0) == 0);
    CHECK(syscall(SYS_mlock2, memory.data(), kPageSize, MLOCK_ONFAULT) == 0);
    CHECK(errno_of(syscall(SYS_mlock2, memory.data(), kPageSize, 8)) == EINVAL);
    REQUIRE(munmap(memory.data() + 4 * kPageSize, kPageSize) == 0);
    CHECK(errno_of(mlock(memory.data(), 8 * kPageSize)) == ENOMEM);
    CHECK(errno_of(munlock(memory.data(), 8 * kPageSize)) == ENOMEM);
    CHECK(errno_of(mlock(memory.data(), ~std::size_t{0} - 2 * kPageSize)) == EINVAL);
    CHECK(mlock(memory.data(), ~std::size_t{0}) == 0);  // rounded up, it is nothing
    REQUIRE(mprotect(memory.data(), kPageSize, PROT_NONE) == 0);
    CHECK(errno_of(mlock(memory.data(), kPageSize)) == ENOMEM);
}

TEST_CASE("mlockall: its flags, and the limit of who is not root") {
    CHECK(mlockall(MCL_CURRENT) == 0);
    CHECK(mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
    CHECK(munlockall() == 0);
    CHECK(errno_of(mlockall(0)) == EINVAL);
    CHECK(errno_of(mlockall(MCL_ONFAULT)) == EINVAL);
    CHECK(errno_of(mlockall(64)) == EINVAL);
    CHECK(child_exit([] {
              const rlimit none{0, 0};
              if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || setuid(65534) != 0) return 1;
              static char page[2 * kPageSize];
              if (errno_of(mlock(page, 1)) != EPERM) return 2;
              return errno_of(mlockall(MCL_FUTURE)) == EPERM ? 0 : 3;
          }) == 0);
    CHECK(child_exit([] {
              const rlimit little{4 * kPageSize, 4 * kPageSize};
              if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || setuid(65534) != 0) return 1;
              const Mapping memory(16 * kPageSize);
              if (mlock(memory.data(), 2 * kPageSize) != 0) return 2;
              return errno_of(mlock(memory.data(), 16 * kPageSize)) == ENOMEM ? 0 : 3;
          }) == 0);
}

TEST_CASE("membarrier: what there is, and that private ones want to be registered") {
    const int known = barrier(MEMBARRIER_CMD_QUERY);
    for (const int command : {MEMBARRIER_CMD_GLOBAL, MEMBARRIER_CMD_GLOBAL_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED})
        CHECK((known & command) != 0);
    CHECK(errno_of(barrier(MEMBARRIER_CMD_QUERY, 4)) == EINVAL);
    CHECK(errno_of(barrier(1 << 30)) == EINVAL);
    CHECK(child_exit([] {
              if (errno_of(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) != EPERM) return 1;
              if (barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0) return 2;
              if (barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) return 3;
              return child_exit([] { return barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0 ? 0 : 1; });  // inherited
          }) == 0);
    CHECK(barrier(MEMBARRIER_CMD_GLOBAL) == 0);
}

// Store buffering (Dekker): each writes its word and reads the other's. With a full barrier on both sides, not both can read 0; here
// one side has only a compiler's barrier, and the other asks for the processors' on its behalf.
TEST_CASE("membarrier: a barrier on one side is one on both") {
    REQUIRE(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0);
    std::atomic<int> x, y, round{0}, seen{0};
    std::atomic<bool> both_missed{false};
    constexpr int kRounds = 300;
    int mine = 0;
    std::thread often([&] {
        for (int i = 1; i <= kRounds; ++i) {
            while (round.load() != i) std::this_thread::yield();
            x.store(1, std::memory_order_relaxed);
            std::atomic_signal_fence(std::memory_order_seq_cst);
            seen.store(y.load(std::memory_order_relaxed) + 1);
        }
    });
    for (int i = 1; i <= kRounds; ++i) {
        x.store(0), y.store(0), seen.store(0);
        round.store(i);
        y.store(1, std::memory_order_relaxed);
        if (barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) both_missed.store(true);
        mine = x.load(std::memory_order_relaxed);
        while (seen.load() == 0) std::this_thread::yield();
        if (mine == 0 && seen.load() == 1) both_missed.store(true);
    }
    often.join();
    CHECK_FALSE(both_missed.load());
}
