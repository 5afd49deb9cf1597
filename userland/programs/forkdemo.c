// SPDX-License-Identifier: MIT
// Copy-on-write to look at: a parent and its children start from one memory, each writes into it, nobody sees the
// others' writes. `forkdemo [CHILDREN]`, 4 without it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kPages = 16, kPageSize = 4096 };

// Overwrites every page with `mark`; returns whether each held `expected` before.
static int replace_all(char* memory, char expected, char mark) {
    for (int page = 0; page < kPages; ++page) {
        if (memory[page * kPageSize] != expected) return 0;
        memset(memory + page * kPageSize, mark, kPageSize);
    }
    return 1;
}

int main(int argc, char** argv) {
    const int children = argc > 1 ? atoi(argv[1]) : 4;
    char* memory = mmap(NULL, (size_t)kPages * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    memset(memory, 'p', (size_t)kPages * kPageSize);
    for (int child = 0; child < children; ++child) {
        const pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) _exit(replace_all(memory, 'p', (char)('a' + child % 26)) ? child % 100 : 255);
    }
    int sum = 0;
    for (int status; wait(&status) > 0;) sum += WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
    const int untouched = replace_all(memory, 'p', 'q');
    printf("%d children, sum of their statuses %d, the parent's memory is %s\n", children, sum,
           untouched ? "its own" : "CHANGED");
    return !untouched;
}
