// SPDX-License-Identifier: MIT
// The vDSO (vdso(7)): its functions agree with the system calls of the same names, on every CPU. That they make none themselves is seen
// in their length (userland/programs/icount.c).
#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

char* base() { return reinterpret_cast<char*>(getauxval(AT_SYSINFO_EHDR)); }

// As the C libraries look it up: by name and version, in the object's dynamic section.
void* look_up(const char* name) {
    const auto* header = reinterpret_cast<const Elf64_Ehdr*>(base());
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(base() + header->e_phoff);
    const Elf64_Dyn* entry = nullptr;
    const char* bias = nullptr;
    for (int i = 0; i < header->e_phnum; ++i) {
        if (segments[i].p_type == PT_LOAD) bias = base() + segments[i].p_offset - segments[i].p_vaddr;
        if (segments[i].p_type == PT_DYNAMIC) entry = reinterpret_cast<const Elf64_Dyn*>(base() + segments[i].p_offset);
    }
    REQUIRE(entry != nullptr);
    const char* strings = nullptr;
    const Elf64_Sym* symbols = nullptr;
    const Elf64_Half* versions = nullptr;
    const Elf64_Verdef* definitions = nullptr;
    const Elf64_Word* hash = nullptr;
    for (; entry->d_tag != DT_NULL; ++entry) {
        const char* at = bias + entry->d_un.d_ptr;
        if (entry->d_tag == DT_STRTAB) strings = at;
        if (entry->d_tag == DT_SYMTAB) symbols = reinterpret_cast<const Elf64_Sym*>(at);
        if (entry->d_tag == DT_VERSYM) versions = reinterpret_cast<const Elf64_Half*>(at);
        if (entry->d_tag == DT_VERDEF) definitions = reinterpret_cast<const Elf64_Verdef*>(at);
        if (entry->d_tag == DT_HASH) hash = reinterpret_cast<const Elf64_Word*>(at);
    }
    REQUIRE(
        (strings != nullptr && symbols != nullptr && versions != nullptr && definitions != nullptr && hash != nullptr));
    Elf64_Half version = 0;
    for (const Elf64_Verdef* at = definitions;;) {
        const auto* first = reinterpret_cast<const Elf64_Verdaux*>(reinterpret_cast<const char*>(at) + at->vd_aux);
        if (strcmp(strings + first->vda_name, "LINUX_2.6") == 0) version = at->vd_ndx;
        if (at->vd_next == 0) break;
        at = reinterpret_cast<const Elf64_Verdef*>(reinterpret_cast<const char*>(at) + at->vd_next);
    }
    for (Elf64_Word i = 0; i < hash[1]; ++i)
        if (symbols[i].st_shndx != SHN_UNDEF && (versions[i] & 0x7fff) == version &&
            strcmp(strings + symbols[i].st_name, name) == 0)
            return const_cast<char*>(bias) + symbols[i].st_value;
    return nullptr;
}

template <class Function>
Function* function(const char* name) {
    void* const found = look_up(name);
    REQUIRE(found != nullptr);
    return reinterpret_cast<Function*>(found);
}

auto* clock_gettime_function() { return function<int(clockid_t, timespec*)>("__vdso_clock_gettime"); }
auto* getcpu_function() { return function<int(unsigned*, unsigned*, void*)>("__vdso_getcpu"); }

long ns_of(const timespec& time) { return time.tv_sec * 1'000'000'000L + time.tv_nsec; }

long by_system_call(clockid_t clock) {
    timespec time{};
    REQUIRE(syscall(SYS_clock_gettime, clock, &time) == 0);
    return ns_of(time);
}

}  // namespace

TEST_CASE("the vDSO is an ELF object, mapped readable and executable, and not to be written to") {
    REQUIRE(base() != nullptr);
    CHECK(memcmp(base(), ELFMAG, SELFMAG) == 0);
    std::ifstream maps("/proc/self/maps");
    std::string line, found;
    while (std::getline(maps, line))
        if (line.find("[vdso]") != std::string::npos) found = line;
    CHECK(std::stoul(found, nullptr, 16) == reinterpret_cast<unsigned long>(base()));
    CHECK(found.find(" r-xp ") != std::string::npos);
    CHECK(child_signal([] { return *const_cast<volatile char*>(base()) = 1, 0; }) == SIGSEGV);
}

TEST_CASE("clocks of the vDSO lie between two system calls' answers") {
    auto* const get = clock_gettime_function();
    for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW,
                                  CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID}) {
        CAPTURE(clock);
        for (int i = 0; i < 1000; ++i) {
            const long before = by_system_call(clock);
            timespec time{};
            REQUIRE(get(clock, &time) == 0);
            const long after = by_system_call(clock);
            REQUIRE(before <= ns_of(time));
            REQUIRE(ns_of(time) <= after);
            REQUIRE((time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000));
        }
    }
    for (const clockid_t clock : {CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE}) {
        CAPTURE(clock);
        timespec time{};
        const long before = by_system_call(clock);
        REQUIRE(get(clock, &time) == 0);
        CHECK(before <= ns_of(time));
    }
}

TEST_CASE("the vDSO passes the kernel's errors on") {
    timespec time{};
    CHECK(clock_gettime_function()(1000, &time) == -EINVAL);
    CHECK(function<int(clockid_t, timespec*)>("__vdso_clock_getres")(1000, &time) == -EINVAL);
}

TEST_CASE("gettimeofday, time and clock_getres of the vDSO") {
    auto* const now = function<int(timeval*, void*)>("__vdso_gettimeofday");
    auto* const seconds = function<time_t(time_t*)>("__vdso_time");
    auto* const resolution = function<int(clockid_t, timespec*)>("__vdso_clock_getres");
    timeval before{}, middle{}, after{};
    struct {
        int west, summer;
    } zone{-1, -1};
    REQUIRE(syscall(SYS_gettimeofday, &before, nullptr) == 0);
    CHECK(now(&middle, &zone) == 0);
    REQUIRE(syscall(SYS_gettimeofday, &after, nullptr) == 0);
    CHECK_FALSE(timercmp(&middle, &before, <));
    CHECK_FALSE(timercmp(&after, &middle, <));
    CHECK((zone.west != -1 && zone.summer != -1));
    CHECK(now(nullptr, nullptr) == 0);
    time_t stored = 0;
    const time_t answer = seconds(&stored);
    CHECK(stored == answer);
    CHECK((answer >= middle.tv_sec - 1 && answer <= after.tv_sec + 1));  // Linux's is the last tick's
    CHECK(seconds(nullptr) >= answer);
    timespec mine{}, kernels{};
    CHECK(resolution(CLOCK_MONOTONIC, &mine) == 0);
    REQUIRE(syscall(SYS_clock_getres, CLOCK_MONOTONIC, &kernels) == 0);
    CHECK(ns_of(mine) == ns_of(kernels));
    CHECK(resolution(CLOCK_MONOTONIC, nullptr) == 0);
}

TEST_CASE("getcpu of the vDSO on each CPU") {
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    auto* const get = getcpu_function();
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &all)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
        unsigned answer = ~0U, node = ~0U, kernels_node = ~0U;
        CHECK(get(&answer, &node, nullptr) == 0);
        CHECK(answer == cpu);
        REQUIRE(syscall(SYS_getcpu, nullptr, &kernels_node, nullptr) == 0);
        CHECK(node == kernels_node);
        CHECK(get(nullptr, nullptr, nullptr) == 0);
    }
    REQUIRE(sched_setaffinity(0, sizeof all, &all) == 0);
}

// Each thread publishes what it read, and must never read less than what is published.
TEST_CASE("the monotonic clock never goes back, from one thread to another either") {
    auto* const get = clock_gettime_function();
    std::atomic<long> latest{0};
    std::atomic<int> backwards{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int round = 0; round < 20000; ++round) {
                long seen = latest.load();
                timespec time{};
                get(CLOCK_MONOTONIC, &time);
                const long now = ns_of(time);
                if (now < seen) ++backwards;
                while (seen < now && !latest.compare_exchange_weak(seen, now)) continue;
            }
        });
    for (auto& thread : threads) thread.join();
    CHECK(backwards == 0);
}
