// SPDX-License-Identifier: MIT
// What a second CPU is worth, in operations a second: mutexes and a semaphore that two want all the time, pairs of processes that pass a byte
// back and forth through pipes, one pair a CPU, and two processes that make system calls. The same binary runs on Linux.
//
//     parallel [SECONDS]    how long each is measured; default 1
//
// Measured in short turns, one after the other and again, because the speed of the host varies. Printed are medians; and of what can be
// done twice at once, in percent, how much two do compared with one in the turn before.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kCpus = 2, kCacheLine = 64, kWork = 10 };

// Shared with the processes that are measured. Each counts on a cache line of its own.
static struct {
    _Atomic int stop;
    struct {
        _Alignas(kCacheLine) uint64_t count;
    } by_cpu[kCpus];
}* g_shared;

enum { kTurns = 15 };
static double g_turn;  // seconds

static void fail(const char* what) {
    perror(what);
    exit(1);
}

static void stay_on(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int stopped(void) { return atomic_load_explicit(&g_shared->stop, memory_order_relaxed); }

// Lets those that have been started work for a turn, ends them by `end`; what they have done in a second.
static double measure(void (*end)(void)) {
    const double begin = now();
    const struct timespec length = {(time_t)g_turn, (long)((g_turn - (double)(time_t)g_turn) * 1e9)};
    nanosleep(&length, NULL);
    g_shared->stop = 1;
    end();
    const double passed = now() - begin;
    uint64_t sum = 0;
    for (int i = 0; i < kCpus; ++i) {
        sum += g_shared->by_cpu[i].count;
        g_shared->by_cpu[i].count = 0;
    }
    g_shared->stop = 0;
    return (double)sum / passed;
}

// ---- a contended mutex

static pthread_mutex_t g_mutex;
static pthread_t g_threads[kCpus];
static int g_numbers[kCpus];

static void work(void) {
    for (volatile int i = 0; i < kWork; ++i) continue;
}

static void* contend(void* number) {
    const int cpu = *(int*)number;
    stay_on(cpu);
    while (!stopped()) {
        pthread_mutex_lock(&g_mutex);
        work();
        ++g_shared->by_cpu[cpu].count;
        pthread_mutex_unlock(&g_mutex);
        work();
    }
    return NULL;
}

static void join_threads(void) {
    for (int i = 0; i < kCpus; ++i) pthread_join(g_threads[i], NULL);
}

static double measure_mutex(int protocol) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (pthread_mutexattr_setprotocol(&attributes, protocol) != 0) fail("pthread_mutexattr_setprotocol");
    pthread_mutex_init(&g_mutex, &attributes);
    for (int i = 0; i < kCpus; ++i) {
        g_numbers[i] = i;
        if (pthread_create(&g_threads[i], NULL, contend, &g_numbers[i]) != 0) fail("pthread_create");
    }
    return measure(join_threads);
}

// ---- processes

static pid_t g_children[2 * kCpus];
static int g_child_count;

static void end_children(void) {
    for (int i = 0; i < g_child_count; ++i) kill(g_children[i], SIGKILL);
    while (g_child_count != 0) waitpid(g_children[--g_child_count], NULL, 0);
}

static void start(void (*body)(int cpu, int in, int out), int cpu, int in, int out) {
    const pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        stay_on(cpu);
        body(cpu, in, out);
        _exit(0);
    }
    g_children[g_child_count++] = pid;
}

static void first_of_pair(int cpu, int in, int out) {
    for (char byte = 0; write(out, &byte, 1) == 1 && read(in, &byte, 1) == 1;) ++g_shared->by_cpu[cpu].count;
}
static void second_of_pair(int cpu, int in, int out) {
    (void)cpu;
    for (char byte; read(in, &byte, 1) == 1 && write(out, &byte, 1) == 1;) continue;
}

static double measure_pairs(int pairs) {
    for (int cpu = 0; cpu < pairs; ++cpu) {
        int there[2], back[2];
        if (pipe(there) != 0 || pipe(back) != 0) fail("pipe");
        start(second_of_pair, cpu, there[0], back[1]);
        start(first_of_pair, cpu, back[0], there[1]);
        for (int i = 0; i < 2; ++i) {
            close(there[i]);
            close(back[i]);
        }
    }
    return measure(end_children);
}

static void call(int cpu, int in, int out) {
    (void)in, (void)out;
    for (;;) {
        syscall(SYS_getppid);
        ++g_shared->by_cpu[cpu].count;
    }
}

static double measure_calls(int processes) {
    for (int cpu = 0; cpu < processes; ++cpu) start(call, cpu, -1, -1);
    return measure(end_children);
}

// ---- a contended System V semaphore

static int g_semaphore;

static void contend_semaphore(int cpu, int in, int out) {
    (void)in, (void)out;
    struct sembuf take = {0, -1, 0}, give = {0, 1, 0};
    while (semop(g_semaphore, &take, 1) == 0) {
        work();
        ++g_shared->by_cpu[cpu].count;
        if (semop(g_semaphore, &give, 1) != 0) break;
        work();
    }
}

static void end_semaphore(void) {
    semctl(g_semaphore, 0, IPC_RMID);
    end_children();
}

static double measure_semaphore(int processes) {
    g_semaphore = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf give = {0, 1, 0};
    if (g_semaphore < 0 || semop(g_semaphore, &give, 1) != 0) fail("semget");
    for (int cpu = 0; cpu < processes; ++cpu) start(contend_semaphore, cpu, -1, -1);
    return measure(end_semaphore);
}

// ---- turns and medians

static const struct {
    const char* name;
    double (*measure)(int argument);
    int argument;
} kTable[] = {
    {"mutex_contended", measure_mutex, PTHREAD_PRIO_NONE},
    {"mutex_pi_contended", measure_mutex, PTHREAD_PRIO_INHERIT},
    {"sem_contended", measure_semaphore, 2},
    {"pipe_pairs_1", measure_pairs, 1},
    {"pipe_pairs_2", measure_pairs, 2},
    {"getppid_1", measure_calls, 1},
    {"getppid_2", measure_calls, 2},
};
enum { kRows = sizeof kTable / sizeof *kTable };

static int compare(const void* a, const void* b) {
    const double left = *(const double*)a, right = *(const double*)b;
    return (left > right) - (left < right);
}

static double median(const double* values) {
    double sorted[kTurns];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, kTurns, sizeof *sorted, compare);
    return sorted[kTurns / 2];
}

int main(int count, char** arguments) {
    static double speeds[kRows][kTurns];
    g_turn = (count > 1 ? atof(arguments[1]) : 1) / kTurns;
    g_shared = mmap(NULL, sizeof *g_shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (g_shared == MAP_FAILED) fail("mmap");
    for (int turn = 0; turn < kTurns; ++turn)
        for (int row = 0; row < kRows; ++row) speeds[row][turn] = kTable[row].measure(kTable[row].argument);
    for (int row = 0; row < kRows; ++row) printf("%s %.0f\n", kTable[row].name, median(speeds[row]));
    for (int row = 1; row < kRows; ++row) {
        if (kTable[row].argument != 2 || kTable[row].measure != kTable[row - 1].measure) continue;
        double ratios[kTurns];
        for (int turn = 0; turn < kTurns; ++turn) ratios[turn] = speeds[row][turn] / speeds[row - 1][turn] * 100;
        printf("%s_percent %.0f\n", kTable[row].name, median(ratios));
    }
    return 0;
}
