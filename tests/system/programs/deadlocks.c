// SPDX-License-Identifier: MIT
// Deadlocks for the kernel's watch to find, one a run, named by the argument; and waits that look like one and end.
// Compiled by the test with glibc and with musl, which lay their mutexes out differently.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t first, second;
static pthread_barrier_t both_hold_one;

// A normal mutex of musl names no owner; a recursive one does.
static void init_mutex(pthread_mutex_t* mutex, int protocol) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, protocol);
#ifndef __GLIBC__
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
#endif
    pthread_mutex_init(mutex, &attributes);
}

__attribute__((noinline)) static void take_second_then_first(void) {
    pthread_mutex_lock(&second);
    pthread_barrier_wait(&both_hold_one);
    pthread_mutex_lock(&first);
}

static void* crossing(void* unused) {
    (void)unused;
    pthread_setname_np(pthread_self(), "crossing");
    take_second_then_first();
    return NULL;
}

static void cross(int protocol_of_second) {
    pthread_t thread;
    init_mutex(&first, PTHREAD_PRIO_NONE);
    init_mutex(&second, protocol_of_second);
    pthread_mutex_lock(&first);
    pthread_create(&thread, NULL, crossing, NULL);
    pthread_barrier_wait(&both_hold_one);
    pthread_mutex_lock(&second);
}

static void* lock_first(void* unused) {
    (void)unused;
    pthread_mutex_lock(&first);
    return NULL;
}

// The joined thread needs what the joining one holds.
static void join_while_holding(void) {
    pthread_t thread;
    init_mutex(&first, PTHREAD_PRIO_NONE);
    pthread_mutex_lock(&first);
    pthread_create(&thread, NULL, lock_first, NULL);
    pthread_join(thread, NULL);
}

static int semaphores;

static int take(unsigned short number) {
    struct sembuf down = {number, -1, SEM_UNDO};
    return semop(semaphores, &down, 1);
}

static void make_semaphores(void) {
    semaphores = semget(IPC_PRIVATE, 2, 0600);
    struct sembuf up[] = {{0, 1, 0}, {1, 1, 0}};
    semop(semaphores, up, 2);
}

// Processes that each read what the other would write.
static void read_each_other(void) {
    int there[2], back[2];
    char byte;
    if (pipe(there) != 0 || pipe(back) != 0) exit(1);
    if (fork() == 0) {
        close(there[1]), close(back[0]);
        exit(read(there[0], &byte, 1) == 1);
    }
    close(there[0]), close(back[1]);
    if (read(back[0], &byte, 1) < 0) exit(1);
}

static void take_semaphores(void) {
    int ready[2];
    char byte = 0;
    if (pipe(ready) != 0) exit(1);
    make_semaphores();
    take(0);
    if (fork() == 0) {
        take(1);
        if (write(ready[1], &byte, 1) != 1) exit(1);
        take(0);
        exit(0);
    }
    if (read(ready[0], &byte, 1) != 1) exit(1);
    take(1);
    wait(NULL);
    semctl(semaphores, 0, IPC_RMID);
}

// One holds a record lock and waits for a semaphore, the other the other way round: the file system cannot see that alone.
static void mix(void) {
    int ready[2], file = open("/tmp/records", O_RDWR | O_CREAT, 0600);
    char byte = 0;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (pipe(ready) != 0) exit(1);
    make_semaphores();
    take(0);
    if (fork() == 0) {
        fcntl(file, F_SETLKW, &whole);
        if (write(ready[1], &byte, 1) != 1) exit(1);
        take(0);
        exit(0);
    }
    if (read(ready[0], &byte, 1) != 1) exit(1);
    if (fcntl(file, F_SETLKW, &whole) != 0) {
        printf("F_SETLKW: %s\n", errno == EDEADLK ? "EDEADLK" : strerror(errno));
        semctl(semaphores, 0, IPC_RMID);
    }
    wait(NULL);
}

static sem_t never_posted;
static void* wait_with_limit(void* unused) {
    struct timespec end;
    (void)unused;
    pthread_mutex_lock(&first);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 4;
    sem_timedwait(&never_posted, &end);
    pthread_mutex_unlock(&first);
    return NULL;
}

static int self_pipe[2];
static void on_alarm(int signal) {
    char byte = (char)signal;
    if (write(self_pipe[1], &byte, 1) != 1) _exit(1);
}

// Each of these ends.
static void look_alike(void) {
    pthread_t holder, waiter;
    char byte;
    init_mutex(&first, PTHREAD_PRIO_NONE);
    pthread_create(&holder, NULL, wait_with_limit, NULL);
    while (pthread_mutex_trylock(&first) == 0) pthread_mutex_unlock(&first), usleep(1000);
    pthread_create(&waiter, NULL, lock_first, NULL);
    if (pipe(self_pipe) != 0) exit(1);
    signal(SIGUSR1, on_alarm);
    if (fork() == 0) {
        sleep(3);
        kill(getppid(), SIGUSR1);
        _exit(0);
    }
    while (read(self_pipe[0], &byte, 1) != 1) {}  // only a signal handler writes there
    wait(NULL);
    pthread_join(waiter, NULL);
    pthread_join(holder, NULL);
}

int main(int count, char** arguments) {
    const char* which = count == 2 ? arguments[1] : "";
    pthread_barrier_init(&both_hold_one, NULL, 2);
    if (strcmp(which, "mutexes") == 0) cross(PTHREAD_PRIO_NONE);
    if (strcmp(which, "priority") == 0) cross(PTHREAD_PRIO_INHERIT);
    if (strcmp(which, "join") == 0) join_while_holding();
    if (strcmp(which, "semaphores") == 0) take_semaphores();
    if (strcmp(which, "pipes") == 0) read_each_other();
    if (strcmp(which, "mixed") == 0) mix();
    if (strcmp(which, "none") == 0) look_alike();
    return 0;
}
