// SPDX-License-Identifier: MIT
// Signals: delivery, masks, what a handler finds and what it leaves behind, interrupted calls, timers.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

volatile sig_atomic_t g_count;
volatile sig_atomic_t g_last;
siginfo_t g_info;

void count(int signal) {
    g_count = g_count + 1;
    g_last = signal;
}

void remember(int signal, siginfo_t* info, void*) {
    count(signal);
    g_info = *info;
}

// A handler for the time of a test; what stood there before comes back.
class Handler {
public:
    Handler(int signal, void (*handler)(int), int flags = 0) : signal_(signal) {
        struct sigaction action{};
        action.sa_handler = handler;
        action.sa_flags = flags;
        install(action);
    }
    Handler(int signal, void (*handler)(int, siginfo_t*, void*), int flags = 0) : signal_(signal) {
        struct sigaction action{};
        action.sa_sigaction = handler;
        action.sa_flags = flags | SA_SIGINFO;
        install(action);
    }
    ~Handler() { sigaction(signal_, &old_, nullptr); }
    Handler(const Handler&) = delete;
    Handler& operator=(const Handler&) = delete;

private:
    void install(const struct sigaction& action) {
        g_count = 0;
        REQUIRE(sigaction(signal_, &action, &old_) == 0);
    }
    int signal_;
    struct sigaction old_{};
};

sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

}  // namespace

TEST_CASE("a handler runs, with the sender's name") {
    const Handler handler(SIGUSR1, remember);
    REQUIRE(kill(getpid(), SIGUSR1) == 0);
    CHECK(g_count == 1);
    CHECK(g_info.si_signo == SIGUSR1);
    CHECK(g_info.si_code == SI_USER);
    CHECK(g_info.si_pid == getpid());
    CHECK(g_info.si_uid == getuid());
}

TEST_CASE("a blocked signal waits, once, and comes when unblocked") {
    const Handler handler(SIGUSR1, count);
    const sigset_t set = set_of(SIGUSR1);
    sigset_t pending;
    REQUIRE(sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
    for (int i = 0; i < 3; ++i) raise(SIGUSR1);
    CHECK(g_count == 0);
    REQUIRE(sigpending(&pending) == 0);
    CHECK(sigismember(&pending, SIGUSR1) == 1);
    REQUIRE(sigprocmask(SIG_UNBLOCK, &set, nullptr) == 0);
    CHECK(g_count == 1);
    REQUIRE(sigpending(&pending) == 0);
    CHECK(sigismember(&pending, SIGUSR1) == 0);
}

TEST_CASE("real-time signals queue in order with their values") {
    static std::vector<int> values;
    values.clear();
    const Handler handler(SIGRTMIN + 1,
                          [](int, siginfo_t* info, void*) { values.push_back(info->si_value.sival_int); });
    const sigset_t set = set_of(SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    values.reserve(3);
    for (int i = 1; i <= 3; ++i) REQUIRE(sigqueue(getpid(), SIGRTMIN + 1, sigval{.sival_int = i}) == 0);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    CHECK(values == std::vector<int>{1, 2, 3});
}

TEST_CASE("the mask and the flags of a handler") {
    static volatile sig_atomic_t running, runs, nested;
    const auto body = [](int signal) {
        if (running) nested = 1;
        running = 1;
        runs = runs + 1;
        if (runs == 1) raise(signal);
        running = 0;
    };
    const auto nests = [&](int flags) {
        running = 0;
        runs = 0;
        nested = 0;
        const Handler handler(SIGUSR1, body, flags);
        raise(SIGUSR1);
        CHECK(runs == 2);
        return nested != 0;
    };
    CHECK(!nests(0));  // blocked while its handler runs
    CHECK(nests(SA_NODEFER));
    const Handler handler(SIGUSR2, count, static_cast<int>(SA_RESETHAND));
    raise(SIGUSR2);
    struct sigaction now{};
    sigaction(SIGUSR2, nullptr, &now);
    CHECK(now.sa_handler == SIG_DFL);
}

TEST_CASE("a handler leaves floating point and vectors as they were") {
    const Handler handler(SIGUSR1, [](int) {
        double x[32];
        for (int i = 0; i < 32; ++i) x[i] = i * 1.5;
        for (int i = 0; i < 32; ++i) __asm__ volatile("addsd %1, %0" : "+x"(x[i]) : "x"(x[31 - i]));
        __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pxor %%xmm15, %%xmm15; fninit; fld1" ::
                             : "xmm0", "xmm7", "xmm15");
    });
    const double in[2] = {1.25, -2.5};
    double out[2] = {};
    const pid_t self = getpid();
    long result;
    __asm__ volatile(
        "movupd (%[in]), %%xmm15\n\t"
        "fldpi\n\t"
        "syscall\n\t"
        "fstp %%st(0)\n\t"
        "movupd %%xmm15, (%[out])"
        : "=a"(result)
        : "a"(62L), "D"(static_cast<long>(self)), "S"(static_cast<long>(SIGUSR1)), [in] "b"(in), [out] "r"(out)
        : "rcx", "r11", "xmm15", "memory");
    CHECK(result == 0);
    CHECK(out[0] == 1.25);
    CHECK(out[1] == -2.5);
}

TEST_CASE("a handler on a stack of its own sees and may change where the program goes on") {
    static char stack[65536];
    static volatile bool on_stack;
    const stack_t alternate{stack, 0, sizeof stack};
    REQUIRE(sigaltstack(&alternate, nullptr) == 0);
    const Handler handler(
        SIGUSR1,
        [](int, siginfo_t*, void* context) {
            char here;
            on_stack = &here >= stack && &here < stack + sizeof stack;
            static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RBX] = 4711;
        },
        SA_ONSTACK);
    long rbx = 0, result;
    __asm__ volatile("xorl %%ebx, %%ebx; syscall; movq %%rbx, %1"
                     : "=a"(result), "=r"(rbx)
                     : "a"(62L), "D"(static_cast<long>(getpid())), "S"(static_cast<long>(SIGUSR1))
                     : "rbx", "rcx", "r11", "memory");
    CHECK(result == 0);
    CHECK(on_stack);
    CHECK(rbx == 4711);
    const stack_t off{nullptr, SS_DISABLE, 0};
    REQUIRE(sigaltstack(&off, nullptr) == 0);
}

TEST_CASE("a signal interrupts a wait, or restarts it") {
    Pipe pipe;
    char byte;
    const auto soon = [&](int times) {
        return start_child([=] {
            for (int i = 0; i < times; ++i) {
                sleep_ms(50);
                kill(getppid(), SIGUSR1);
            }
            return 0;
        });
    };
    {
        const Handler handler(SIGUSR1, count);
        const pid_t child = soon(1);
        CHECK(read(pipe.reader(), &byte, 1) == -1);
        CHECK(errno == EINTR);
        wait_status(child);
    }
    {
        const Handler handler(SIGUSR1, count, SA_RESTART);
        const pid_t child = soon(2);
        const pid_t writer = start_child([&] {
            sleep_ms(300);
            return write(pipe.writer(), "x", 1) == 1 ? 0 : 1;
        });
        CHECK(read(pipe.reader(), &byte, 1) == 1);
        while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
        while (waitpid(writer, nullptr, 0) < 0 && errno == EINTR) continue;
        CHECK(g_count == 2);
    }
    const Handler handler(SIGUSR1, count, SA_RESTART);  // poll and nanosleep never restart by themselves
    const pid_t child = soon(1);
    CHECK(poll(nullptr, 0, 5000) == -1);
    CHECK(errno == EINTR);
    wait_status(child);
}

TEST_CASE("a result that looks like a restart in its lower half is a result") {
    char path[] = "/tmp/signals.XXXXXX";
    const int fd = mkstemp(path);
    REQUIRE(fd >= 0);
    unlink(path);
    const Handler handler(SIGUSR1, count);
    const pid_t parent = getpid();
    const pid_t child = start_child([parent] {
        for (int i = 0; i < 3000; ++i) kill(parent, SIGUSR1);
        return 0;
    });
    long wrong = 0;
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        for (const off_t position : {0xfffffe00L, 0xfffffdffL, 0xfffffdfeL, 0xfffffdfcL})
            if (lseek(fd, position, SEEK_SET) != position) ++wrong;
    CHECK(wrong == 0);
    close(fd);
}

TEST_CASE("restart_syscall does not go on with what a handler interrupted or slept") {
    const Handler handler(SIGUSR1, count);
    const pid_t parent = getpid();
    const pid_t child = start_child([parent] {
        sleep_ms(30);
        kill(parent, SIGUSR1);
        return 0;
    });
    const timespec duration{0, 300'000'000};
    CHECK(nanosleep(&duration, nullptr) == -1);
    CHECK(errno == EINTR);
    CHECK(syscall(SYS_restart_syscall) == -1);
    CHECK(errno == EINTR);
    wait_status(child);
}

TEST_CASE("a frame that does not fit on the alternate stack is not written at all") {
    constexpr std::size_t kStack = 16 * kPageSize;
    Mapping memory(2 * kStack, PROT_READ | PROT_WRITE, MAP_SHARED);  // below the stack: somebody else's data
    CHECK(child_signal([&] {
              const stack_t alternate{memory.data() + kStack, 0, kStack};
              sigaltstack(&alternate, nullptr);
              const Handler handler(SIGUSR1, count);
              long result;
              __asm__ volatile(
                  "movq %%rsp, %%r12\n\t"
                  "movq %[stack], %%rsp\n\t"
                  "syscall\n\t"
                  "movq %%r12, %%rsp"
                  : "=a"(result)
                  : "a"(62L), "D"(static_cast<long>(getpid())),
                    "S"(static_cast<long>(SIGUSR1)), [stack] "r"(memory.data() + kStack + 64)
                  : "rcx", "r11", "r12", "memory");
              return 0;
          }) == SIGSEGV);
    bool clean = true;
    for (std::size_t at = 0; at < kStack; ++at) clean = clean && memory[at] == 0;
    CHECK(clean);
}

TEST_CASE("sigsuspend waits with another mask and puts the old one back") {
    const Handler handler(SIGUSR1, count);
    const sigset_t set = set_of(SIGUSR1);
    sigset_t old, now;
    sigprocmask(SIG_BLOCK, &set, &old);
    const pid_t child = start_child([] {
        kill(getppid(), SIGUSR1);
        return 0;
    });
    CHECK(sigsuspend(&old) == -1);
    CHECK(errno == EINTR);
    CHECK(g_count == 1);
    sigprocmask(SIG_SETMASK, &old, &now);
    CHECK(sigismember(&now, SIGUSR1) == 1);
    wait_status(child);
}

TEST_CASE("a child's end is told by SIGCHLD") {
    const Handler handler(SIGCHLD, remember, SA_RESTART);
    const pid_t pid = start_child([] { return 9; });
    int status;
    while (waitpid(pid, &status, 0) < 0) REQUIRE(errno == EINTR);
    CHECK(g_count == 1);
    CHECK(g_info.si_pid == pid);
    CHECK(g_info.si_code == CLD_EXITED);
    CHECK(g_info.si_status == 9);
}

TEST_CASE("ignored children leave no zombies") {
    const Handler handler(SIGCHLD, SIG_IGN);
    const pid_t pid = start_child([] { return 0; });
    CHECK(waitpid(pid, nullptr, 0) == -1);
    CHECK(errno == ECHILD);
}

TEST_CASE("SIGPIPE and EPIPE") {
    Pipe pipe;
    pipe.close_reader();
    const Handler handler(SIGPIPE, count);
    CHECK(write(pipe.writer(), "x", 1) == -1);
    CHECK(errno == EPIPE);
    CHECK(g_count == 1);
}

TEST_CASE("a write that loses its reader on the way says how far it came, and SIGPIPE comes") {
    Pipe pipe;
    const Handler handler(SIGPIPE, count);
    const pid_t reader = start_child([&] {
        char bytes[8192];
        sleep_ms(50);
        return read(pipe.reader(), bytes, sizeof bytes) > 0 ? 0 : 1;
    });
    pipe.close_reader();
    const std::vector<char> bytes(1'000'000, 'x');
    const ssize_t written = write(pipe.writer(), bytes.data(), bytes.size());
    CHECK(written >= 65536);
    CHECK(written < static_cast<ssize_t>(bytes.size()));
    CHECK(g_count == 1);
    CHECK(wait_status(reader) == 0);
}

TEST_CASE("interval timers and alarm") {
    const Handler handler(SIGALRM, count);
    const itimerval every{{0, 20'000}, {0, 20'000}};
    REQUIRE(setitimer(ITIMER_REAL, &every, nullptr) == 0);
    while (g_count < 3) pause();
    const itimerval off{};
    REQUIRE(setitimer(ITIMER_REAL, &off, nullptr) == 0);
    CHECK(alarm(100) == 0);
    CHECK(alarm(0) > 0);
}

TEST_CASE("a processor's exceptions become the right signals") {
    CHECK(child_signal([] {
              __asm__ volatile("ud2");
              return 0;
          }) == SIGILL);
    CHECK(child_signal([] {
              int zero = 0, one = 1;
              __asm__ volatile("cltd; idivl %1" : "+a"(one) : "r"(zero) : "edx");
              return one;
          }) == SIGFPE);
    CHECK(child_signal([] {
              __asm__ volatile("int3");
              return 0;
          }) == SIGTRAP);
    CHECK(child_signal([] {
              __asm__ volatile("hlt");
              return 0;
          }) == SIGSEGV);
    CHECK(child_signal([] {
              __asm__ volatile("cli");
              return 0;
          }) == SIGSEGV);
}

TEST_CASE("a storm of signals between processes loses none that cannot merge") {
    constexpr int kRounds = 500;
    const Handler handler(SIGUSR1, count);
    const sigset_t set = set_of(SIGUSR1);
    sigset_t old;
    sigprocmask(SIG_BLOCK, &set, &old);
    const pid_t child = start_child([&] {
        for (int i = 0; i < kRounds; ++i) {
            kill(getppid(), SIGUSR1);
            sigsuspend(&old);  // until the parent answers
        }
        return 0;
    });
    for (int i = 0; i < kRounds; ++i) {
        sigsuspend(&old);
        kill(child, SIGUSR1);
    }
    sigprocmask(SIG_SETMASK, &old, nullptr);
    CHECK(WEXITSTATUS(wait_status(child)) == 0);
    CHECK(g_count == kRounds);
}
