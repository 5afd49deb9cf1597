// SPDX-License-Identifier: MIT
// leakcheck PROGRAM [ARGUMENT...]: runs a program, then proves that the kernel holds what it held before: frames and kernel
// objects, by /proc/heddle/resources. Says "nothing was lost" or shows both accounts. Exit status: the program's (128 and
// the signal that killed it); 99 if something was lost.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Static and touched before the first account: whatever this program needs, it has by then.
static char before[8192], after[8192];

static int read_account(char* text, size_t size) {
    memset(text, 0, size);
    const int fd = open("/proc/heddle/resources", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    const ssize_t length = read(fd, text, size - 1);
    close(fd);
    return length > 0 ? 0 : -1;
}

static void pause_briefly(void) { nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); }

// What a program's last children held is given back soon after its end, not at once: by the CPU that they died on. So the first
// account, too, is one that has stopped changing.
static int settles(void) {
    for (int i = 0; i < 50; ++i) {
        if (read_account(before, sizeof before) != 0) return 0;
        pause_briefly();
        if (read_account(after, sizeof after) == 0 && strcmp(before, after) == 0) return 1;
    }
    return 0;
}

static int comes_back(void) {
    for (int i = 0; i < 50; ++i) {
        if (read_account(after, sizeof after) == 0 && strcmp(before, after) == 0) return 1;
        pause_briefly();
    }
    return 0;
}

static pid_t run(char** arguments) {
    const pid_t child = fork();
    if (child != 0) return child;
    execvp(arguments[0], arguments);
    perror(arguments[0]);
    _exit(127);
}

int main(int count, char** arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: leakcheck PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int status = 0;
    // Once for nothing, so that what the kernel allocates for good at a first time is there.
    if (read_account(after, sizeof after) != 0 || waitpid(run((char*[]){"/bin/true", NULL}), &status, 0) < 0 ||
        !settles()) {
        perror("leakcheck");
        return 2;
    }
    if (waitpid(run(arguments + 1), &status, 0) < 0) {
        perror("leakcheck: wait");
        return 2;
    }
    const int result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (comes_back()) {
        printf("\nleakcheck: nothing was lost\n");
        return result;
    }
    printf("\nleakcheck: before:\n%sleakcheck: after:\n%s", before, after);
    return result != 0 ? result : 99;
}
