// SPDX-License-Identifier: MIT
// `busy [SECONDS [PROCESSES]]`: how much a CPU-bound loop gets done, to compare one process with several on several
// CPUs. Prints "iterations N" with the sum over all processes; SECONDS is 2 and PROCESSES 1 without them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kChunk = 100000 };  // iterations between two looks at the clock

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

// Iterations done between `begin` and `end`, instants of CLOCK_MONOTONIC.
static uint64_t work(double begin, double end) {
    while (now() < begin) continue;
    uint64_t done = 0;
    uint64_t state = 88172645463325252u;
    while (now() < end) {
        for (int i = 0; i < kChunk; ++i) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        done += kChunk;
    }
    __asm__ volatile("" : : "r"(state));
    return done;
}

int main(int argc, char** argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 2;
    const int processes = argc > 2 ? atoi(argv[2]) : 1;
    const double begin = now() + 0.2;  // all of them have been started by then
    int results[2];
    if (pipe(results) != 0) {
        perror("pipe");
        return 1;
    }
    for (int i = 0; i < processes; ++i) {
        const pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) {
            const uint64_t done = work(begin, begin + seconds);
            _exit(write(results[1], &done, sizeof done) == sizeof done ? 0 : 1);
        }
    }
    uint64_t sum = 0;
    for (int i = 0; i < processes; ++i) {
        uint64_t done;
        if (read(results[0], &done, sizeof done) != sizeof done) {
            perror("read");
            return 1;
        }
        sum += done;
    }
    while (wait(NULL) > 0) continue;
    printf("iterations %llu\n", (unsigned long long)sum);
    return 0;
}
