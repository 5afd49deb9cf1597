// SPDX-License-Identifier: MIT
// Running at the same time: affinity, fairness, sleeping, registers across switches. No limit on wall-clock time: the
// machine may be slow; what is compared is compared with itself.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>

#include <atomic>
#include <cstdint>
#include <new>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
    return cpus;
}

bool run_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<unsigned>(cpu), &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace

TEST_CASE("a thread runs where it is allowed, on each CPU") {
    const std::vector<int> cpus = allowed_cpus();
    REQUIRE(!cpus.empty());
    CHECK(static_cast<long>(cpus.size()) <= sysconf(_SC_NPROCESSORS_ONLN));
    CHECK(child_exit([&] {
              for (const int cpu : cpus)
                  for (int i = 0; i < 3; ++i) {
                      if (!run_on(cpu)) return 1;
                      if (sched_getcpu() != cpu) return 2;
                      sched_yield();
                      if (sched_getcpu() != cpu) return 3;
                  }
              return child_exit([&] { return sched_getcpu() == cpus.back() ? 0 : 4; });  // inherited
          }) == 0);
    CHECK(!run_on(1000));
    CHECK(errno == EINVAL);
}

TEST_CASE("every child of many gets to run while others spin") {
    constexpr int kChildren = 12;
    const Shared<std::atomic<int>> arrived;
    std::vector<pid_t> children;
    for (int i = 0; i < kChildren; ++i)
        children.push_back(start_child([&] {
            ++*arrived;
            while (*arrived < kChildren) continue;  // only preemption lets the last ones in
            return 0;
        }));
    for (const pid_t pid : children) CHECK(WEXITSTATUS(wait_status(pid)) == 0);
}

TEST_CASE("two that spin on one CPU share it, by their weights") {
    struct Counters {
        std::atomic<bool> stop;
        std::atomic<unsigned long> rounds[2];
    };
    const int cpu = allowed_cpus().front();
    const auto ratio = [&](int nice_of_second) {
        const Shared<Counters> counters;
        pid_t pids[2];
        for (int i = 0; i < 2; ++i)
            pids[i] = start_child([&, i] {
                if (!run_on(cpu) || setpriority(PRIO_PROCESS, 0, i == 1 ? nice_of_second : 0) != 0) return 1;
                while (!counters->stop) ++counters->rounds[i];
                return 0;
            });
        sleep_ms(1500);
        counters->stop = true;
        for (const pid_t pid : pids) CHECK(WEXITSTATUS(wait_status(pid)) == 0);
        return static_cast<double>(counters->rounds[0]) / static_cast<double>(counters->rounds[1] + 1);
    };
    const double even = ratio(0);
    CHECK(even > 0.5);
    CHECK(even < 2.0);
    CHECK(ratio(10) > 3.0);  // Linux's weights: 1024 to 110
}

TEST_CASE("a sleeper wakes while everyone else spins") {
    const Shared<std::atomic<bool>> stop;
    std::vector<pid_t> spinners;
    for (std::size_t i = 0; i < 2 * allowed_cpus().size(); ++i)
        spinners.push_back(start_child([&] {
            while (!*stop) continue;
            return 0;
        }));
    for (int i = 0; i < 20; ++i) {
        const long long begin = now_ns();
        sleep_ms(5);
        CHECK(now_ns() - begin >= 5'000'000);
    }
    *stop = true;
    for (const pid_t pid : spinners) wait_status(pid);
}

TEST_CASE("a process is charged for the time that passes, and not twice") {
    const auto cpu_time = [] {
        timespec time{};
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
        return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
    };
    const auto busy_for = [](long long duration) {
        const long long begin = now_ns();
        while (now_ns() - begin < duration) continue;
    };
    // Many ticks in one turn on the CPU: nothing makes this process sleep.
    const long long begin = now_ns(), before = cpu_time();
    for (int i = 0; i < 10; ++i) {
        busy_for(35'000'000);
        const long long used = cpu_time() - before;
        CHECK(used > 0);
        CHECK(used <= (now_ns() - begin) / 100 * 101);  // two clocks, of which the host may slew one
    }
}

TEST_CASE("floating point and vectors belong to each process") {
    std::vector<pid_t> children;
    for (int child = 0; child < 8; ++child)
        children.push_back(start_child([child] {
            double values[14];
            for (int i = 0; i < 14; ++i) values[i] = child * 100 + i;
            for (int round = 0; round < 300; ++round) {
                double sum = 0;
                for (int i = 0; i < 14; ++i) {
                    double x = values[i];
                    __asm__ volatile("" : "+x"(x));
                    if (round % 10 == 0) sched_yield();
                    __asm__ volatile("" : "+x"(x));
                    sum += x;
                }
                long double precise = sum;
                __asm__ volatile("" : "+t"(precise));
                if (precise != child * 1400 + 91) return 1;
            }
            return 0;
        }));
    for (const pid_t pid : children) CHECK(WEXITSTATUS(wait_status(pid)) == 0);
}

TEST_CASE("registers survive preemption") {
    std::vector<pid_t> children;
    for (int child = 0; child < 6; ++child)
        children.push_back(start_child([child] {
            unsigned long bad = 0;
            const long long end = now_ns() + 400'000'000;
            while (now_ns() < end) {
                const unsigned long seed = static_cast<unsigned long>(child) * 0x1111'1111'1111'1111;
                __asm__ volatile(
                    "movq %[seed], %%r8; movq %[seed], %%r9; movq %[seed], %%r10; movq %[seed], %%r12\n\t"
                    "movq %[seed], %%xmm3; movq %[seed], %%xmm12; movl $200000, %%ecx\n\t"
                    "1: loop 1b\n\t"
                    "xorq %[seed], %%r8; xorq %[seed], %%r9; xorq %[seed], %%r10; xorq %[seed], %%r12\n\t"
                    "orq %%r8, %[bad]; orq %%r9, %[bad]; orq %%r10, %[bad]; orq %%r12, %[bad]\n\t"
                    "movq %%xmm3, %%r8; movq %%xmm12, %%r9; xorq %[seed], %%r8; xorq %[seed], %%r9\n\t"
                    "orq %%r8, %[bad]; orq %%r9, %[bad]"
                    : [bad] "+r"(bad)
                    : [seed] "r"(seed)
                    : "rcx", "r8", "r9", "r10", "r12", "xmm3", "xmm12", "cc");
            }
            return bad == 0 ? 0 : 1;
        }));
    for (const pid_t pid : children) CHECK(WEXITSTATUS(wait_status(pid)) == 0);
}

TEST_CASE("clocks advance and agree") {
    long long last = 0;
    for (int i = 0; i < 10000; ++i) {
        const long long now = now_ns();
        REQUIRE(now >= last);
        last = now;
    }
    const long long monotonic = now_ns(), real = now_ns(CLOCK_REALTIME);
    sleep_ms(100);
    const long long passed = now_ns() - monotonic, passed_real = now_ns(CLOCK_REALTIME) - real;
    CHECK(passed >= 100'000'000);
    CHECK(std::abs(passed - passed_real) < 50'000'000);
    CHECK(real > 1'500'000'000'000'000'000);  // it is later than 2017
}

TEST_CASE("monotonic time is one on all CPUs") {
    const std::vector<int> cpus = allowed_cpus();
    CHECK(child_exit([&] {
              long long last = 0;
              for (int round = 0; round < 20; ++round)
                  for (const int cpu : cpus) {
                      if (!run_on(cpu)) return 1;
                      const long long now = now_ns();
                      if (now < last) return 2;
                      last = now;
                  }
              return 0;
          }) == 0);
}

TEST_CASE("time spent is counted where it was spent") {
    tms before{}, after{};
    times(&before);
    CHECK(child_exit([] {
              const long long end = now_ns(CLOCK_PROCESS_CPUTIME_ID) + 300'000'000;
              while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < end) continue;
              return 0;
          }) == 0);
    times(&after);
    CHECK(after.tms_cutime + after.tms_cstime - before.tms_cutime - before.tms_cstime >= 20);  // of 30 ticks
    rusage usage{};
    REQUIRE(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    CHECK(usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 >= 200);
}

TEST_CASE("priorities: nice values are kept, bounded and inherited") {
    CHECK(child_exit([] {
              if (setpriority(PRIO_PROCESS, 0, 0) != 0) return 4;  // wherever the test itself was started
              if (nice(5) != 5 || getpriority(PRIO_PROCESS, 0) != 5) return 1;
              if (nice(100) != 19) return 2;
              return child_exit([] { return getpriority(PRIO_PROCESS, 0) == 19 ? 0 : 3; });
          }) == 0);
    CHECK(sched_getscheduler(0) == SCHED_OTHER);
}

TEST_CASE("a thousand hand-overs through two pipes") {
    Pipe there, back;
    const pid_t child = start_child([&] {
        char byte;
        for (int i = 0; i < 1000; ++i)
            if (read(there.reader(), &byte, 1) != 1 || write(back.writer(), &byte, 1) != 1) return 1;
        return 0;
    });
    for (int i = 0; i < 1000; ++i) {
        char byte = static_cast<char>(i), answer = 0;
        REQUIRE(write(there.writer(), &byte, 1) == 1);
        REQUIRE(read(back.reader(), &answer, 1) == 1);
        REQUIRE(answer == byte);
    }
    CHECK(WEXITSTATUS(wait_status(child)) == 0);
}

namespace {

struct Attributes {  // struct sched_attr, which this C library does not have yet
    std::uint32_t size = 56, policy = 0;
    std::uint64_t flags = 0;
    std::int32_t nice = 0;
    std::uint32_t priority = 0;
    std::uint64_t runtime = 0, deadline = 0, period = 0;
    std::uint32_t util_min = 0, util_max = 0;
};
constexpr std::uint64_t kResetOnFork = 1, kKeepPolicy = 8, kKeepParameters = 16;

int set_attributes(const Attributes& wanted, pid_t thread = 0, unsigned flags = 0) {
    return syscall(SYS_sched_setattr, thread, &wanted, flags) == 0 ? 0 : errno;
}
int get_attributes(Attributes& found, pid_t thread = 0, unsigned size = sizeof(Attributes), unsigned flags = 0) {
    return syscall(SYS_sched_getattr, thread, &found, size, flags) == 0 ? 0 : errno;
}

// 0, or the number of the first look that differs. In a child, as the policy stays.
int attributes_kept() {
    Attributes found;
    if (set_attributes({.policy = SCHED_RR, .priority = 7}) != 0) return 1;
    if (get_attributes(found) != 0 || found.policy != SCHED_RR || found.priority != 7 || found.nice != 0) return 2;
    if (sched_getscheduler(0) != SCHED_RR) return 3;
    if (set_attributes({.policy = SCHED_OTHER, .flags = kKeepPolicy, .priority = 9}) != 0) return 4;
    if (get_attributes(found) != 0 || found.policy != SCHED_RR || found.priority != 9) return 5;
    if (set_attributes({.policy = SCHED_FIFO, .flags = kKeepParameters, .priority = 50}) != 0) return 6;
    if (get_attributes(found) != 0 || found.policy != SCHED_RR || found.priority != 9) return 7;  // all of it
    if (set_attributes({.policy = SCHED_BATCH, .flags = kResetOnFork, .nice = 5}) != 0) return 8;
    if (get_attributes(found) != 0 || found.policy != SCHED_BATCH || found.nice != 5 || found.flags != kResetOnFork)
        return 9;
    if (getpriority(PRIO_PROCESS, 0) != 5) return 10;
    if (set_attributes({.policy = SCHED_OTHER, .nice = 100}) != 0 || getpriority(PRIO_PROCESS, 0) != 19) return 11;
    return get_attributes(found, 0, 48) == 0 && found.size == 48 ? 0 : 12;
}

}  // namespace

TEST_CASE("sched_setattr: policy, priority, nice value, and what is kept") { CHECK(child_exit(attributes_kept) == 0); }

TEST_CASE("sched_setattr: its errors, and sizes of other kernels") {
    CHECK(set_attributes({.policy = 99}) == EINVAL);
    CHECK(set_attributes({.policy = SCHED_OTHER, .priority = 1}) == EINVAL);
    CHECK(set_attributes({.policy = SCHED_FIFO, .priority = 0}) == EINVAL);
    CHECK(set_attributes({.policy = SCHED_FIFO, .priority = 100}) == EINVAL);
    CHECK(set_attributes({.flags = std::uint64_t{1} << 40}) == EINVAL);
    CHECK(set_attributes({}, -1) == EINVAL);
    CHECK(set_attributes({}, 0, 1) == EINVAL);
    CHECK(set_attributes({}, 0x3fff'ffff) == ESRCH);
    CHECK(syscall(SYS_sched_setattr, 0, nullptr, 0) == -1);
    CHECK(errno == EINVAL);
    CHECK(syscall(SYS_sched_setattr, 0, 8, 0) == -1);
    CHECK(errno == EFAULT);
    struct {
        Attributes known;
        std::uint64_t later = 0;
    } larger;
    larger.known.size = sizeof larger;
    CHECK(set_attributes(larger.known) == 0);
    larger.later = 1;
    CHECK(set_attributes(larger.known) == E2BIG);
    CHECK(larger.known.size >= 48);
    CHECK(larger.known.size < sizeof larger);  // so much is known
    CHECK(set_attributes({.size = 16}) == E2BIG);
    CHECK(set_attributes({.size = 0}) == 0);
    Attributes found;
    CHECK(get_attributes(found, 0, 40) == EINVAL);
    CHECK(get_attributes(found, 0, 5000) == EINVAL);
    CHECK(get_attributes(found, 0, 56, 1) == EINVAL);
    CHECK(get_attributes(found, 0x3fff'ffff) == ESRCH);
    CHECK(child_exit([] {
              if (setuid(65534) != 0) return 1;
              if (set_attributes({.policy = SCHED_FIFO, .priority = 1}) != EPERM) return 2;
              if (set_attributes({.nice = -5}) != EPERM) return 3;
              return set_attributes({.nice = 5}) == 0 ? 0 : 4;
          }) == 0);
}
