// SPDX-License-Identifier: MIT
// Signals: what they tell, masks, stacks, and the calls that they interrupt.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- signals -------------------------------------------------------------------------------------------------------

TEST_CASE("siginfo: who sent a signal and why") {
    handle(SIGUSR1, SA_RESTART);
    handle(SIGRTMIN + 3, SA_RESTART);
    const pid_t parent = getpid();
    const auto from = [&](auto body) { CHECK(child_exit(body) == 0); };
    const auto check = [&](int signo, int code) {
        CHECK(g_count == 1);
        CHECK(g_info.si_signo == signo);
        CHECK(g_info.si_code == code);
        g_count = 0;
    };
    pid_t sender = -1;
    Pipe who;
    from([&] {
        const pid_t me = getpid();
        return write(who.writer(), &me, sizeof me) == sizeof me && kill(parent, SIGUSR1) == 0 ? 0 : 1;
    });
    REQUIRE(read(who.reader(), &sender, sizeof sender) == sizeof sender);
    check(SIGUSR1, SI_USER);
    CHECK(g_info.si_pid == sender);
    CHECK(g_info.si_uid == getuid());
    from([&] { return static_cast<int>(syscall(SYS_tgkill, parent, parent, SIGUSR1)); });
    check(SIGUSR1, SI_TKILL);
    from([&] {
        const pid_t me = getpid();
        if (write(who.writer(), &me, sizeof me) != sizeof me) return 1;
        sigval value;
        value.sival_ptr = reinterpret_cast<void*>(0x1122'3344'5566'7788);
        return sigqueue(parent, SIGRTMIN + 3, value);
    });
    REQUIRE(read(who.reader(), &sender, sizeof sender) == sizeof sender);
    check(SIGRTMIN + 3, SI_QUEUE);
    CHECK(g_info.si_pid == sender);
    CHECK(g_info.si_value.sival_ptr == reinterpret_cast<void*>(0x1122'3344'5566'7788));
    siginfo_t forged{};
    forged.si_code = SI_USER;
    CHECK(child_exit([&] { return error(SYS_rt_sigqueueinfo, parent, SIGUSR1, &forged) == EPERM ? 0 : 1; }) == 0);
    CHECK(error(SYS_rt_sigqueueinfo, parent, SIGUSR1, &forged) == 0);  // to oneself one may pretend
    check(SIGUSR1, SI_USER);
    if (is_root()) {
        from([&] {
            if (!become_user(stranger())) return 100;
            return first_wrong({fails(kill(parent, SIGUSR1), EPERM), fails(kill(parent, 0), EPERM),
                                fails(sigqueue(parent, SIGUSR1, {}), EPERM), fails(kill(1 << 22, 0), ESRCH)});
        });
        const pid_t theirs = start_child([&] {
            become_user(stranger());
            return kill(getpid(), 0) == 0 ? 0 : 1;
        });
        CHECK(WEXITSTATUS(wait_status(theirs)) == 0);
    }
    for (const int signo : {SIGUSR1, SIGRTMIN + 3}) dispose(signo, SIG_DFL);
    CHECK(child_exit([] {
              mask(SIG_BLOCK, {SIGALRM});
              const itimerval once{{0, 0}, {0, 20'000}};
              setitimer(ITIMER_REAL, &once, nullptr);
              siginfo_t info{};
              return take(SIGALRM, &info) == SIGALRM && info.si_signo == SIGALRM && info.si_code > 0 ? 0
                                                                                                     : 1;  // the kernel
          }) == 0);

    const auto change = [&](auto make_change, int code, int status) {
        mask(SIG_BLOCK, {SIGCHLD});
        handle(SIGCHLD);
        const pid_t child = start_child([] {
            for (;;) pause();
            return 0;
        });
        make_change(child);
        siginfo_t info{};
        CHECK(take(SIGCHLD, &info) == SIGCHLD);
        CHECK(info.si_code == code);
        CHECK(info.si_pid == child);
        CHECK(info.si_uid == getuid());
        CHECK(info.si_status == status);
        kill(child, SIGKILL);
        wait_status(child);
        dispose(SIGCHLD, SIG_DFL);
        mask(SIG_UNBLOCK, {SIGCHLD});
    };
    change([](pid_t child) { kill(child, SIGSTOP); }, CLD_STOPPED, SIGSTOP);
    change([](pid_t child) { kill(child, SIGTERM); }, CLD_KILLED, SIGTERM);
    change(
        [](pid_t child) {
            int status;
            kill(child, SIGSTOP);
            waitpid(child, &status, WUNTRACED);
            take(SIGCHLD, nullptr);
            kill(child, SIGCONT);
        },
        CLD_CONTINUED, SIGCONT);
}

TEST_CASE("siginfo of faults: the code and the place") {
    void* where = nullptr;
    siginfo_t info = fault_of([&] {
        const int zero = 0;
        __asm__ volatile(
            "leaq 1f(%%rip), %%rcx; movq %%rcx, %0; xorl %%edx, %%edx; movl $1, %%eax\n\t"
            "1: idivl %1"
            : "=m"(where)
            : "r"(zero)
            : "rax", "rcx", "rdx", "cc");
    });
    CHECK(is_fault(info, SIGFPE, FPE_INTDIV, where));
    info = fault_of([&] { __asm__ volatile("leaq 1f(%%rip), %%rcx; movq %%rcx, %0; 1: ud2" : "=m"(where) : : "rcx"); });
    CHECK(is_fault(info, SIGILL, ILL_ILLOPN, where));
    info = fault_of([] { __asm__ volatile("int3"); });
    CHECK(info.si_signo == SIGTRAP);
    CHECK(info.si_code == SI_KERNEL);
    info = fault_of([] { touch(reinterpret_cast<char*>(0x8000'0000'0000'0000)); });  // no page fault, and so no address
    CHECK(is_fault(info, SIGSEGV, SI_KERNEL, nullptr));
    info = fault_of([] { touch(reinterpret_cast<char*>(0x1008)); });
    CHECK(is_fault(info, SIGSEGV, SEGV_MAPERR, reinterpret_cast<void*>(0x1008)));
    CHECK(child_signal([] {  // blocked or ignored, a fault ends the program all the same
              mask(SIG_BLOCK, {SIGSEGV});
              handle(SIGSEGV);
              touch(nullptr);
              return 0;
          }) == SIGSEGV);
    CHECK(child_signal([] {
              dispose(SIGFPE, SIG_IGN);
              int zero = 0, one = 1;
              __asm__ volatile("cltd; idivl %1" : "+a"(one) : "r"(zero) : "edx");
              return one;
          }) == SIGFPE);
}

TEST_CASE("sigaction: masks, one-shot handlers, signals that are thrown away") {
    static volatile bool during[3];
    struct sigaction action{}, old{};
    action.sa_handler = [](int) {
        during[0] = is_blocked(SIGUSR2);
        during[1] = is_blocked(SIGUSR1);
        during[2] = is_blocked(SIGKILL);
    };
    action.sa_mask = set_of({SIGUSR2, SIGKILL});
    action.sa_flags = SA_RESTART | SA_NODEFER;
    REQUIRE(sigaction(SIGUSR1, &action, nullptr) == 0);
    REQUIRE(sigaction(SIGUSR1, nullptr, &old) == 0);
    CHECK(old.sa_handler == action.sa_handler);
    CHECK((old.sa_flags & (SA_RESTART | SA_NODEFER | SA_SIGINFO | SA_ONSTACK)) == (SA_RESTART | SA_NODEFER));
    CHECK(sigismember(&old.sa_mask, SIGUSR2) == 1);
    CHECK(sigismember(&old.sa_mask, SIGKILL) == 0);
    raise(SIGUSR1);
    CHECK(during[0]);
    CHECK_FALSE(during[1]);
    CHECK_FALSE(during[2]);
    CHECK_FALSE(is_blocked(SIGUSR2));
    dispose(SIGUSR1, SIG_DFL);

    CHECK(child_signal([] {
              handle(SIGUSR1, static_cast<int>(SA_RESETHAND));
              raise(SIGUSR1);
              if (g_count == 1) raise(SIGUSR1);
              return 0;
          }) == SIGUSR1);
    CHECK(child_exit([] {
              handle(SIGUSR1);
              handle(SIGCHLD);
              mask(SIG_BLOCK, {SIGUSR1, SIGCHLD});
              raise(SIGUSR1);
              raise(SIGCHLD);
              const bool both = is_pending(SIGUSR1) && is_pending(SIGCHLD);
              dispose(SIGUSR1, SIG_IGN);  // throws it away, even though it is blocked
              dispose(SIGCHLD, SIG_DFL);  // its default is to be ignored
              return first_wrong({both, !is_pending(SIGUSR1), !is_pending(SIGCHLD)});
          }) == 0);
    CHECK(child_exit([] {  // SIGKILL and SIGSTOP cannot be blocked; asking for it is no error
              const sigset_t all = [] {
                  sigset_t set;
                  sigfillset(&set);
                  return set;
              }();
              return first_wrong({sigprocmask(SIG_SETMASK, &all, nullptr) == 0, is_blocked(SIGTERM),
                                  !is_blocked(SIGKILL), !is_blocked(SIGSTOP)});
          }) == 0);
}

TEST_CASE("pending signals come by number, and sigsuspend lets through what it is told to") {
    static std::vector<int> order;
    order.clear();
    order.reserve(8);
    struct sigaction action{};
    action.sa_handler = [](int signo) { order.push_back(signo); };
    sigfillset(&action.sa_mask);  // one after the other
    const std::vector<int> signals{SIGRTMIN + 1, SIGRTMIN + 5, SIGRTMIN + 9};
    for (const int signo : signals) sigaction(signo, &action, nullptr);
    sigaction(SIGUSR1, &action, nullptr);
    const sigset_t before = mask_now();
    mask(SIG_BLOCK, {signals[0], signals[1], signals[2], SIGUSR1});
    for (const int signo : {signals[2], signals[0], signals[1], signals[0]}) raise(signo);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigset_t only = mask_now();
    sigdelset(&only, signals[1]);
    CHECK(fails(sigsuspend(&only), EINTR));
    CHECK(order == std::vector<int>{signals[1]});
    CHECK(is_blocked(signals[1]));
    order.clear();
    mask(SIG_UNBLOCK, {signals[0], signals[2]});
    CHECK(order == std::vector<int>{signals[0], signals[0], signals[2]});
    order.clear();
    mask(SIG_UNBLOCK, {SIGUSR1});
    CHECK(order == std::vector<int>{SIGUSR1});
    sigprocmask(SIG_SETMASK, &before, nullptr);
    for (const int signo : signals) dispose(signo, SIG_DFL);
    dispose(SIGUSR1, SIG_DFL);
}

namespace {

alignas(16) char g_stack[65536];

[[gnu::noinline]] int dig(int depth) {  // until there is no stack left
    volatile char page[1000];
    page[0] = static_cast<char>(depth);
    return depth == INT_MAX ? 0 : dig(depth + 1) + page[0];
}

}  // namespace

TEST_CASE("sigaltstack: on it, off it, and when the other one has run over") {
    CHECK(child_exit([] {
              static volatile int flags_inside, error_inside;
              static volatile bool inside;
              const stack_t stack{g_stack, 0, sizeof g_stack}, off{nullptr, SS_DISABLE, 0};
              stack_t old{}, now{};
              struct sigaction action{};
              action.sa_flags = SA_ONSTACK;
              action.sa_handler = [](int) {
                  stack_t here{};
                  const stack_t none{nullptr, SS_DISABLE, 0};
                  sigaltstack(nullptr, &here);
                  flags_inside = here.ss_flags;
                  error_inside = sigaltstack(&none, nullptr) == 0 ? 0 : errno;
                  inside =
                      reinterpret_cast<char*>(&here) >= g_stack && reinterpret_cast<char*>(&here) < std::end(g_stack);
              };
              sigaction(SIGUSR1, &action, nullptr);
              const bool set = sigaltstack(&stack, &old) == 0;
              raise(SIGUSR1);
              const bool on_it = inside;
              sigaltstack(nullptr, &now);
              const bool inherited = child_exit([] {
                                         stack_t seen{};
                                         sigaltstack(nullptr, &seen);
                                         return seen.ss_sp == g_stack ? 0 : 1;
                                     }) == 0;
              const bool disabled = sigaltstack(&off, nullptr) == 0;
              raise(SIGUSR1);
              return first_wrong({set, old.ss_flags == SS_DISABLE, on_it, now.ss_sp == g_stack && now.ss_flags == 0,
                                  now.ss_size == sizeof g_stack, inherited, disabled, !inside,
                                  flags_inside == SS_DISABLE, error_inside == 0});
          }) == 0);
    CHECK(child_exit([] {
              static volatile int flags_inside, error_inside;
              const stack_t stack{g_stack, 0, sizeof g_stack};
              struct sigaction action{};
              action.sa_flags = SA_ONSTACK;
              action.sa_handler = [](int) {
                  stack_t here{};
                  const stack_t none{nullptr, SS_DISABLE, 0};
                  sigaltstack(nullptr, &here);
                  flags_inside = here.ss_flags;
                  error_inside = sigaltstack(&none, nullptr) == 0 ? 0 : errno;
              };
              sigaction(SIGUSR1, &action, nullptr);
              sigaltstack(&stack, nullptr);
              raise(SIGUSR1);
              return first_wrong({flags_inside == SS_ONSTACK, error_inside == EPERM});
          }) == 0);
    for (const bool alternate : {true, false}) {
        const int status = child_status([&] {
            const stack_t stack{g_stack, 0, sizeof g_stack};
            struct sigaction action{};
            action.sa_flags = SA_ONSTACK;
            action.sa_handler = [](int) { _exit(42); };
            sigaction(SIGSEGV, &action, nullptr);
            if (alternate) sigaltstack(&stack, nullptr);
            return dig(0);
        });
        if (alternate)
            CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 42));
        else
            CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));  // there was nowhere to run the handler
    }
}

namespace {

// In memory that a test shares with its children.
struct Beats {
    std::atomic<int> handled;  // how often the handler has run
    std::atomic<bool> over;    // nobody waits any more
};
Beats* g_beats;

void beat(int) { ++g_beats->handled; }

// What `call` answers in a child where a handler with these flags runs every 30 ms: its errno, or 0.
template <class Call>
int interrupted(int flags, Call call) {
    g_beats->handled = 0;
    return child_exit([&] {
        struct sigaction action{};
        action.sa_handler = beat;
        action.sa_flags = flags;
        sigaction(SIGALRM, &action, nullptr);
        const itimerval every{{0, 30'000}, {0, 30'000}};
        setitimer(ITIMER_REAL, &every, nullptr);
        errno = 0;
        const int answer = call() == -1 ? errno : 0;
        return g_beats->handled == 0 ? 199 : answer;
    });
}

// The same for a call that ends when somebody else does something: a child tries that once the handler has run a few times,
// until it succeeds or nobody waits any more.
template <class Call, class Action>
int interrupted(int flags, Call call, Action action) {
    g_beats->over = false;
    g_beats->handled = 0;
    const pid_t helper = start_child([&] {
        while (!g_beats->over && (g_beats->handled < 3 || !action())) sleep_ms(5);
        return 0;
    });
    const int answer = interrupted(flags, call);
    g_beats->over = true;
    CHECK(WEXITSTATUS(wait_status(helper)) == 0);
    return answer;
}

}  // namespace

TEST_CASE("SA_RESTART: calls that begin again after a handler") {
    const Scratch scratch;
    const Shared<Beats> beats;
    g_beats = &*beats;
    REQUIRE(mkfifo("fifo", 0600) == 0);
    for (const int flags : {0, SA_RESTART}) {
        CAPTURE(flags);
        const int expected = flags == 0 ? EINTR : 0;
        {
            Pipe pipe;
            char byte;
            CHECK(interrupted(
                      flags, [&] { return read(pipe.reader(), &byte, 1); },
                      [&] { return write_byte(pipe.writer(), 'x'); }) == expected);
        }
        {
            Pipe pipe;
            REQUIRE(fcntl(pipe.writer(), F_SETFL, O_NONBLOCK) == 0);
            std::string block(PIPE_BUF, 'b');
            while (write(pipe.writer(), block.data(), block.size()) > 0) continue;
            REQUIRE(fcntl(pipe.writer(), F_SETFL, 0) == 0);
            CHECK(interrupted(
                      flags, [&] { return write(pipe.writer(), block.data(), block.size()); },
                      [&] { return read(pipe.reader(), block.data(), block.size()) == PIPE_BUF; }) == expected);
        }
        CHECK(interrupted(
                  flags, [] { return open("fifo", O_RDONLY); },
                  [] { return open("fifo", O_WRONLY | O_NONBLOCK) >= 0; }) == expected);
        const Shared<int> word;
        *word = 0;
        CHECK(interrupted(
                  flags, [&] { return syscall(SYS_futex, &*word, FUTEX_WAIT, 0, nullptr, nullptr, 0); },
                  [&] { return syscall(SYS_futex, &*word, FUTEX_WAKE, 1, nullptr, nullptr, 0) == 1; }) == expected);
        const auto wait_for_one = [&](auto call) {
            return interrupted(flags, [&] {
                const pid_t child = fork();
                if (child == 0) {
                    while (g_beats->handled < 3) sleep_ms(5);
                    _exit(0);
                }
                const long result = call(child);
                const int why = errno;
                while (waitpid(child, nullptr, 0) == -1 && errno == EINTR) continue;
                errno = why;
                return result;
            });
        };
        CHECK(wait_for_one([](pid_t child) { return static_cast<long>(waitpid(child, nullptr, 0)); }) == expected);
        CHECK(wait_for_one([](pid_t child) {
                  return static_cast<long>(waitid(P_PID, static_cast<id_t>(child), nullptr, WEXITED | WNOWAIT));
              }) == expected);
    }
}

TEST_CASE("calls that never begin again after a handler") {
    const Shared<Beats> beats;
    g_beats = &*beats;
    Pipe pipe;
    for (const int flags : {0, SA_RESTART}) {
        CAPTURE(flags);
        const timespec patience{20, 0};
        const sigset_t nothing = set_of({}), wanted = set_of({SIGUSR1});
        CHECK(interrupted(flags, [] { return pause(); }) == EINTR);
        CHECK(interrupted(flags, [&] { return sigsuspend(&nothing); }) == EINTR);
        CHECK(interrupted(flags, [&] { return sigtimedwait(&wanted, nullptr, &patience); }) == EINTR);
        CHECK(interrupted(flags, [&] { return nanosleep(&patience, nullptr); }) == EINTR);
        const auto sleep_on = [&](int how, const timespec& time) {
            return [&, how] { return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, how, &time, nullptr); };
        };
        timespec end{};
        clock_gettime(CLOCK_MONOTONIC, &end);
        end.tv_sec += 20;
        CHECK(interrupted(flags, sleep_on(0, patience)) == EINTR);
        CHECK(interrupted(flags, sleep_on(TIMER_ABSTIME, end)) == EINTR);
        pollfd polled{pipe.reader(), POLLIN, 0};
        CHECK(interrupted(flags, [&] { return poll(&polled, 1, 20'000); }) == EINTR);
        CHECK(interrupted(flags, [&] { return ppoll(&polled, 1, &patience, &nothing); }) == EINTR);
        fd_set set;
        FD_ZERO(&set);
        FD_SET(pipe.reader(), &set);
        timeval limit{20, 0};
        CHECK(interrupted(flags, [&] { return syscall(SYS_select, 50, &set, nullptr, nullptr, &limit); }) == EINTR);
        CHECK(interrupted(flags, [&] { return pselect(50, &set, nullptr, nullptr, &patience, &nothing); }) == EINTR);
    }
    // A transfer that has begun answers what it has moved.
    const std::string much(1 << 20, 'm');
    CHECK(interrupted(0, [&] {
              const ssize_t written = write(pipe.writer(), much.data(), much.size());
              return written >= 65536 && written < 1 << 20 ? 0 : -1;
          }) == 0);
}
