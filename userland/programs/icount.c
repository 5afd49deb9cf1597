// SPDX-License-Identifier: MIT
// What kernel operations cost, for the table of `make run RUN=icount ICOUNT=1`: there the time-stamp counter advances by
// one an instruction, so the numbers are instructions and repeat to the last digit. Prints "name value" lines, each the
// average over many rounds less the cost of the empty loop. Elsewhere (Linux, or without ICOUNT) they are cycles.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kCalls = 10000, kForks = 50, kPages = 1024, kPageSize = 4096 };

static inline uint64_t counter(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

static inline long system_call(long number) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : "rcx", "r11", "memory");
    return result;
}

static void fail(const char* what) {
    perror(what);
    exit(1);
}

// Instructions of a getppid, entry to return.
static uint64_t measure_getppid(void) {
    uint64_t begin = counter();
    for (int i = 0; i < kCalls; ++i) __asm__ volatile("" ::: "memory");
    const uint64_t empty = counter() - begin;
    begin = counter();
    for (int i = 0; i < kCalls; ++i) system_call(SYS_getppid);
    return (counter() - begin - empty) / kCalls;
}

// A fork whose child ends at once, and the wait for it.
static uint64_t measure_fork(void) {
    uint64_t total = 0;
    for (int i = 0; i < kForks; ++i) {
        const uint64_t begin = counter();
        const pid_t pid = fork();
        if (pid < 0) fail("fork");
        if (pid == 0) _exit(0);
        if (waitpid(pid, NULL, 0) != pid) fail("waitpid");
        total += counter() - begin;
    }
    return total / kForks;
}

// The first touch of a page of fresh anonymous memory, by a write or by a read.
static uint64_t measure_fault(int write) {
    volatile char* memory =
        mmap(NULL, (size_t)kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    const uint64_t begin = counter();
    for (int page = 0; page < kPages; ++page) {
        if (write) {
            memory[page * kPageSize] = 1;
        } else {
            (void)memory[page * kPageSize];
        }
    }
    const uint64_t total = counter() - begin;
    munmap((void*)memory, (size_t)kPages * kPageSize);
    return total / kPages;
}

int main(void) {
    measure_fork();  // a first round fills caches and touches this program's own pages
    printf("getppid %llu\n", (unsigned long long)measure_getppid());
    printf("fork_exit_wait %llu\n", (unsigned long long)measure_fork());
    printf("page_fault_anon %llu\n", (unsigned long long)measure_fault(1));
    printf("page_fault_anon_rd %llu\n", (unsigned long long)measure_fault(0));
    return 0;
}
