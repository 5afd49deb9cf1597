// SPDX-License-Identifier: MIT
//
// init: process 1. It keeps a shell on the console, reaps whoever loses its parent, and ends the machine.
//
// Two ways of life, told apart by /run/command (tools/qemu.py puts it there):
//   without it   a login shell on the console, again each time it ends;
//   with it      the command runs once with the console passing bytes unchanged; its status goes to the kernel, which
//                says it to whoever started the machine, and the power goes off.
//
// Signals are those that busybox's poweroff (SIGUSR2), reboot (SIGTERM) and halt (SIGUSR1) send to process 1. They stay
// blocked and are taken by sigwaitinfo, as SIGCHLD is: one place where things happen, and no handler to race with.
// Process 1 never returns.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static const char kCommand[] = "/run/command";
static const char kWindowSize[] = "/run/winsize";
static const char kExitStatus[] = "/proc/heddle/exit_status";
static const char kBeginMark[] = "\036heddle: run\036";  // tools/qemu.py drops the console's bytes up to here

enum { kSyslogActionConsoleLevel = 8 };

static sigset_t g_awaited;

static void complain(const char* what) { dprintf(STDERR_FILENO, "init: %s: %s\n", what, strerror(errno)); }

// Nothing is left to do and process 1 must not end.
static void __attribute__((noreturn)) stop_here(void) {
    for (;;) pause();
}

// Mounts what the kernel has not mounted by itself.
static void mount_if_missing(const char* probe, const char* type, const char* where) {
    if (access(probe, F_OK) != 0 && mount(type, where, type, 0, NULL) != 0) complain(where);
}

// Makes a terminal descriptors 0, 1 and 2. If it cannot be opened there is nobody to tell, and all goes on without.
static void use_terminal(const char* path) {
    int terminal = open(path, O_RDWR | O_NOCTTY);
    if (terminal < 0) return;
    for (int fd = 0; fd <= 2; ++fd) {
        if (fd != terminal) dup2(terminal, fd);
    }
    if (terminal > 2) close(terminal);
}

static void set_window_size(void) {
    FILE* file = fopen(kWindowSize, "r");
    if (!file) return;
    struct winsize size = {0};
    if (fscanf(file, "%hu %hu", &size.ws_row, &size.ws_col) == 2) ioctl(STDIN_FILENO, TIOCSWINSZ, &size);
    fclose(file);
}

// The command's bytes pass the console as they are, and its input is not shown again.
static void make_console_transparent(void) {
    struct termios settings;
    if (tcgetattr(STDIN_FILENO, &settings) != 0) return;
    settings.c_oflag &= ~(tcflag_t)OPOST;
    settings.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    tcsetattr(STDIN_FILENO, TCSANOW, &settings);
}

// Starts a program as the leader of a new session with the console as its terminal. Returns its pid or -1.
static pid_t start(char* const argv[]) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    setsid();
    ioctl(STDIN_FILENO, TIOCSCTTY, 1);
    use_terminal("/dev/tty");  // Linux stops no background reader on /dev/console itself
    sigprocmask(SIG_UNBLOCK, &g_awaited, NULL);
    const char* path = argv[0];
    if (argv[0][0] == '-') path = "/bin/sh";  // a login shell's argv[0]
    execv(path, argv);
    complain(path);
    _exit(127);
}

static void __attribute__((noreturn)) end_machine(unsigned how) {
    sync();
    if (reboot((int)how) != 0) complain("reboot");
    stop_here();
}

// Gives everyone the chance to clean up, then ends the machine.
static void __attribute__((noreturn)) shut_down(unsigned how) {
    const struct timespec patience = {.tv_sec = 1, .tv_nsec = 0};
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    kill(-1, SIGTERM);
    kill(-1, SIGCONT);
    // Until no child is left or none has ended for a second.
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0) break;
        if (pid == 0 && sigtimedwait(&child, NULL, &patience) < 0 && errno == EAGAIN) break;
    }
    kill(-1, SIGKILL);
    end_machine(how);
}

// Tells the kernel how the command ended; the kernel tells the machine's owner at power-off.
static void report_status(int status) {
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    int fd = open(kExitStatus, O_WRONLY);
    if (fd < 0 || dprintf(fd, "%d\n", code) < 0) complain(kExitStatus);
    if (fd >= 0) close(fd);
}

// Handles signals until the child `awaited` has ended; returns its wait status.
static int wait_for(pid_t awaited) {
    for (;;) {
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            if (pid == awaited) return status;
        }
        switch (sigwaitinfo(&g_awaited, NULL)) {
        case SIGUSR1: shut_down(RB_HALT_SYSTEM);
        case SIGUSR2: shut_down(RB_POWER_OFF);
        case SIGTERM: shut_down(RB_AUTOBOOT);
        default: break;  // SIGCHLD: the loop reaps
        }
    }
}

static void __attribute__((noreturn)) run_command(void) {
    char* argv[] = {"/bin/sh", (char*)kCommand, NULL};
    klogctl(kSyslogActionConsoleLevel, NULL, 1);  // the console is the command's alone
    make_console_transparent();
    if (write(STDOUT_FILENO, kBeginMark, sizeof kBeginMark - 1) < 0) complain("console");
    pid_t pid = start(argv);
    if (pid < 0) {
        complain("fork");
    } else {
        report_status(wait_for(pid));
    }
    tcdrain(STDOUT_FILENO);
    end_machine(RB_POWER_OFF);
}

int main(void) {
    sigemptyset(&g_awaited);
    sigaddset(&g_awaited, SIGCHLD);
    sigaddset(&g_awaited, SIGUSR1);
    sigaddset(&g_awaited, SIGUSR2);
    sigaddset(&g_awaited, SIGTERM);
    sigprocmask(SIG_BLOCK, &g_awaited, NULL);

    mount_if_missing("/dev/null", "devtmpfs", "/dev");
    use_terminal("/dev/console");
    mount_if_missing("/proc/self", "proc", "/proc");
    umask(022);
    if (chdir("/") != 0) complain("/");
    setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
    setenv("HOME", "/root", 1);
    setenv("TERM", "linux", 1);
    set_window_size();

    if (access(kCommand, F_OK) == 0) run_command();

    for (;;) {
        char* argv[] = {"-sh", NULL};
        pid_t pid = start(argv);
        if (pid < 0) {
            complain("fork");
            stop_here();
        }
        wait_for(pid);
    }
}
