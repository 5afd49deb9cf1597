// SPDX-License-Identifier: MIT
// What kernel operations cost, for the table of `make run RUN=icount ICOUNT=1`: there the time-stamp counter advances by
// one an instruction, so the numbers are instructions and repeat to the last digit. Prints "name value" lines, each the
// average over many rounds less the cost of the empty loop. Elsewhere (Linux, or without ICOUNT) they are cycles.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kFutexWaitPrivate = 128, kFutexWakePrivate = 129 };  // linux/futex.h, which musl has not
enum { kCalls = 10000, kForks = 50, kPages = 1024, kPageSize = 4096, kRounds = 1000, kThreads = 200, kWatched = 100 };

static inline uint64_t counter(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

// Without the C library, whose part (cancellation, any number of arguments) would be a good deal of the number.
static inline long futex(uint32_t* word, long operation, long value) {
    long result;
    register const void* no_timeout __asm__("r10") = NULL;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_futex), "D"(word), "S"(operation), "d"(value), "r"(no_timeout)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long wait_for_events(int epoll, struct epoll_event* events, long most) {
    long result;
    register long no_limit __asm__("r10") = -1;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_epoll_wait), "D"(epoll), "S"(events), "d"(most), "r"(no_limit)
                     : "rcx", "r11", "memory");
    return result;
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

// The C library's part and the vDSO's: no system call.
static uint64_t measure_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);  // looks the function up
    const uint64_t begin = counter();
    for (int i = 0; i < kCalls; ++i) clock_gettime(CLOCK_MONOTONIC, &now);
    return (counter() - begin) / kCalls;
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

// ---- two that wake each other in turn: a round trip is two wake-ups and two switches

static uint32_t g_turn;

static void wait_for_turn(uint32_t mine) {
    while (__atomic_load_n(&g_turn, __ATOMIC_ACQUIRE) != mine) futex(&g_turn, kFutexWaitPrivate, !mine);
}

static void give_turn(uint32_t to) {
    __atomic_store_n(&g_turn, to, __ATOMIC_RELEASE);
    futex(&g_turn, kFutexWakePrivate, 1);
}

static void* futex_partner(void* unused) {
    (void)unused;
    for (int i = 0; i <= kRounds; ++i) {
        wait_for_turn(1);
        give_turn(0);
    }
    return NULL;
}

static uint64_t measure_futex(void) {
    pthread_t partner;
    if (pthread_create(&partner, NULL, futex_partner, NULL) != 0) fail("pthread_create");
    uint64_t begin = 0;
    for (int i = 0; i <= kRounds; ++i) {
        give_turn(1);
        wait_for_turn(0);
        if (i == 0) begin = counter();  // the first round starts the partner
    }
    const uint64_t total = counter() - begin;
    pthread_join(partner, NULL);
    return total / kRounds;
}

// A byte there and a byte back, between processes, over two pairs of descriptors.
static uint64_t measure_bytes(int out, int partner_in, int partner_out, int in) {
    char byte = 0;
    const pid_t partner = fork();
    if (partner < 0) fail("fork");
    if (partner == 0) {
        for (int i = 0; i <= kRounds; ++i)
            if (read(partner_in, &byte, 1) != 1 || write(partner_out, &byte, 1) != 1) _exit(1);
        _exit(0);
    }
    uint64_t begin = 0;
    for (int i = 0; i <= kRounds; ++i) {
        if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1) fail("ping-pong");
        if (i == 0) begin = counter();
    }
    const uint64_t total = counter() - begin;
    waitpid(partner, NULL, 0);
    return total / kRounds;
}

static uint64_t measure_pipe(void) {
    int there[2], back[2];
    if (pipe(there) != 0 || pipe(back) != 0) fail("pipe");
    const uint64_t result = measure_bytes(there[1], there[0], back[1], back[0]);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    return result;
}

static uint64_t measure_socketpair(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) fail("socketpair");
    const uint64_t result = measure_bytes(ends[0], ends[1], ends[1], ends[0]);
    close(ends[0]), close(ends[1]);
    return result;
}

static void operate(int set, unsigned short number, short by) {
    struct sembuf operation = {number, by, 0};
    if (semop(set, &operation, 1) != 0) fail("semop");
}

static uint64_t measure_semaphores(void) {
    const int set = semget(IPC_PRIVATE, 2, 0600);
    const pid_t partner = fork();
    if (set < 0 || partner < 0) fail("semget or fork");
    if (partner == 0) {
        for (int i = 0; i <= kRounds; ++i) {
            operate(set, 0, -1);
            operate(set, 1, 1);
        }
        _exit(0);
    }
    uint64_t begin = 0;
    for (int i = 0; i <= kRounds; ++i) {
        operate(set, 0, 1);
        operate(set, 1, -1);
        if (i == 0) begin = counter();
    }
    const uint64_t total = counter() - begin;
    waitpid(partner, NULL, 0);
    semctl(set, 0, IPC_RMID);
    return total / kRounds;
}

static uint64_t measure_semaphore_alone(void) {
    const int set = semget(IPC_PRIVATE, 1, 0600);
    if (set < 0) fail("semget");
    const uint64_t begin = counter();
    for (int i = 0; i < kRounds; ++i) {
        operate(set, 0, 1);
        operate(set, 0, -1);
    }
    const uint64_t total = counter() - begin;
    semctl(set, 0, IPC_RMID);
    return total / kRounds;
}

static void* end_at_once(void* unused) { return unused; }

static uint64_t measure_thread(void) {
    uint64_t begin = 0;
    for (int i = 0; i <= kThreads; ++i) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_at_once, NULL) != 0) fail("pthread_create");
        pthread_join(thread, NULL);
        if (i == 0) begin = counter();
    }
    return (counter() - begin) / kThreads;
}

// One of the watched descriptors is ready, again and again.
static uint64_t measure_epoll(void) {
    const int epoll = epoll_create1(0);
    int watched[kWatched];
    for (int i = 0; i < kWatched; ++i) {
        watched[i] = eventfd(0, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = watched[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, watched[i], &event) != 0) fail("epoll_ctl");
    }
    eventfd_write(watched[kWatched / 2], 1);
    struct epoll_event events[8];
    const uint64_t begin = counter();
    for (int i = 0; i < kCalls; ++i)
        if (wait_for_events(epoll, events, 8) != 1) fail("epoll_wait");
    const uint64_t total = counter() - begin;
    for (int i = 0; i < kWatched; ++i) close(watched[i]);
    close(epoll);
    return total / kCalls;
}

static uint64_t measure_page_fault(void) { return measure_fault(1); }
static uint64_t measure_page_fault_read(void) { return measure_fault(0); }

static const struct {
    const char* name;
    uint64_t (*measure)(void);
} kTable[] = {
    {"getppid", measure_getppid},
    {"clock_gettime", measure_clock},
    {"fork_exit_wait", measure_fork},
    {"page_fault_anon", measure_page_fault},
    {"page_fault_anon_rd", measure_page_fault_read},
    {"futex_pp_thread", measure_futex},
    {"pipe_pp_proc", measure_pipe},
    {"sem_pp_proc", measure_semaphores},
    {"sem_updown", measure_semaphore_alone},
    {"thread_create_join", measure_thread},
    {"epoll_wait_100", measure_epoll},
    {"socketpair_pp_proc", measure_socketpair},
};

// In a process of its own, so that nothing is left over from those before.
static void measure_apart(unsigned row) {
    fflush(stdout);
    const pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        measure_fork();  // a first round fills caches and touches this program's own pages
        printf("%s %llu\n", kTable[row].name, (unsigned long long)kTable[row].measure());
        exit(0);
    }
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0) exit(1);
}

// Without arguments all of them, else those that are named.
int main(int count, char** names) {
    for (unsigned i = 0; i < sizeof kTable / sizeof *kTable; ++i) {
        int wanted = count == 1;
        for (int j = 1; j < count; ++j) wanted |= strcmp(names[j], kTable[i].name) == 0;
        if (wanted) measure_apart(i);
    }
    return 0;
}
