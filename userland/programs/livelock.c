// SPDX-License-Identifier: MIT
// `livelock WHAT [SECONDS]`: two threads that get no further although they run, and some that look alike but do get further. What the
// kernel says of them: docs/stuck-threads.md. Without SECONDS it goes on for ever.
//
//     polite   each takes its own lock, tries the other's, and gives way as the other wants it too: livelock
//     pi       the same over locks with priority inheritance, whose trylock is a system call when they are taken
//     files    the same over flock(2) without waiting
//     naps     the same, with a tiny sleep in place of the yield
//     counts   polite, but each counts its attempts: takes the kernel longer to be sure of
//     workers  each works and yields in turn: no livelock
//     spin     both spin for a flag that the first thread, which works for SECONDS, sets in the end: no livelock
//     relay    each waits, by yields, for the other's number to grow, and writes what it sees to a pipe now and then: no livelock
//     events   both wait for events that do not come, and look around in between: no livelock
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t g_locks[2];
static char g_files[2][32] = {"/tmp/livelock-0", "/tmp/livelock-1"};
static atomic_int g_wants[2];
static atomic_int g_flag;
static atomic_ulong g_numbers[2];
static int g_pipe[2];

static int take(int lock) { return pthread_mutex_lock(&g_locks[lock]); }
static int try_take(int lock) { return pthread_mutex_trylock(&g_locks[lock]); }
static void give(int lock) { pthread_mutex_unlock(&g_locks[lock]); }

static void yield(void) { sched_yield(); }
static void nap(void) { nanosleep(&(struct timespec){0, 1000}, NULL); }

// Dinner for two with one set of cutlery. The meal never takes place, since each sees the other hungry and lets it go first.
static void be_polite(int me, void (*pause)(void)) {
    const int other = 1 - me;
    g_wants[me] = 1;
    while (!g_wants[other]) sched_yield();
    for (;;) {
        take(me);
        if (try_take(other) == 0) {
            if (!g_wants[other]) break;
            give(other);
        }
        give(me);
        pause();
    }
    give(other);
    give(me);
    g_wants[me] = 0;
}

static void* polite(void* argument) {
    be_polite(argument != NULL, yield);
    return NULL;
}
static void* naps(void* argument) {
    be_polite(argument != NULL, nap);
    return NULL;
}

static void* counts(void* argument) {
    const int me = argument != NULL, other = 1 - me;
    g_wants[me] = 1;
    while (!g_wants[other]) sched_yield();
    unsigned long attempts = 0;
    for (; g_wants[other]; ++attempts) {
        take(me);
        if (try_take(other) == 0) give(other);
        give(me);
        sched_yield();
    }
    return (void*)attempts;
}

static void* files(void* argument) {
    const int me = argument != NULL;
    const int mine = open(g_files[me], O_RDWR | O_CREAT, 0600), other = open(g_files[1 - me], O_RDWR | O_CREAT, 0600);
    g_wants[me] = 1;
    while (!g_wants[1 - me]) sched_yield();
    flock(mine, LOCK_EX);
    for (;;) {
        if (flock(other, LOCK_EX | LOCK_NB) == 0) flock(other, LOCK_UN);  // after you
        sched_yield();
    }
    return NULL;
}

static void* workers(void* argument) {
    volatile unsigned long state = 88172645463325252ul;
    (void)argument;
    for (;;) {
        for (int i = 0; i < 1000000; ++i) state = state * 6364136223846793005ul + 1442695040888963407ul;
        sched_yield();
    }
    return NULL;
}

static void* spin(void* argument) {
    (void)argument;
    while (!g_flag) sched_yield();
    return NULL;
}

static void* relay(void* argument) {
    const int me = argument != NULL;
    for (unsigned long next = 1;; ++next) {
        g_numbers[me] = next;
        while (g_numbers[1 - me] < next) sched_yield();
        char byte = (char)next;
        // Often enough to come well before the watch is sure, however slow the machine: that by itself is all that tells it apart.
        if (next % 16 == 0 && (write(g_pipe[1], &byte, 1) != 1 || read(g_pipe[0], &byte, 1) != 1)) abort();
    }
    return NULL;
}

static void* events(void* argument) {
    (void)argument;
    for (;;) {
        struct pollfd nothing = {g_pipe[0], POLLIN, 0};
        poll(&nothing, 1, 1);
        sched_yield();
    }
    return NULL;
}

int main(int argc, char** argv) {
    static const struct {
        const char* name;
        void* (*body)(void*);
    } kKinds[] = {{"polite", polite},   {"pi", polite}, {"files", files}, {"naps", naps},    {"counts", counts},
                  {"workers", workers}, {"spin", spin}, {"relay", relay}, {"events", events}};
    void* (*body)(void*) = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof kKinds / sizeof *kKinds; ++i)
        if (strcmp(argv[1], kKinds[i].name) == 0) body = kKinds[i].body;
    if (body == NULL) {
        fprintf(stderr, "livelock polite|pi|files|naps|counts|workers|spin|relay|events [SECONDS]\n");
        return 2;
    }
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    if (strcmp(argv[1], "pi") == 0 && pthread_mutexattr_setprotocol(&kind, PTHREAD_PRIO_INHERIT) != 0) return 3;
    pthread_t threads[2];
    if (pipe(g_pipe) != 0) return 3;
    for (int i = 0; i < 2; ++i)
        if (pthread_mutex_init(&g_locks[i], &kind) != 0) return 3;
    for (int i = 0; i < 2; ++i)
        if (pthread_create(&threads[i], NULL, body, i != 0 ? &g_flag : NULL) != 0) return 3;
    if (argc > 2) {
        const time_t end = time(NULL) + atoi(argv[2]);
        if (body != spin) {
            sleep((unsigned)atoi(argv[2]));
            return 0;
        }
        while (time(NULL) < end) continue;
        g_flag = 1;
    }
    for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
    return 0;
}
