// SPDX-License-Identifier: MIT
// What counts CPU time: clocks of processes and threads (clock_getcpuclockid(3)), and what goes off by them - ITIMER_VIRTUAL,
// ITIMER_PROF, timers of timer_create(2), clock_nanosleep(2), RLIMIT_CPU.
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/guest/guest.hpp"

using namespace guest;

namespace {

constexpr long kSecond = 1'000'000'000, kMillisecond = 1'000'000;

long ns_of(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
timespec of_ns(long ns) { return {ns / kSecond, ns % kSecond}; }
long now_of(clockid_t clock) {
    timespec time{};
    return clock_gettime(clock, &time) == 0 ? ns_of(time) : -1;
}
long used() { return now_of(CLOCK_PROCESS_CPUTIME_ID); }

// Linux's interval timers and limits go by what its ticks have sampled (PROF, VIRT), which may be ahead of and behind the exact time
// (SCHED) by any number of ticks on a busy machine. So a test compares times of one kind, and does not know how long it takes.
clockid_t clock_of(pid_t id, int kind) { return ~id * 8 | kind; }
constexpr int kProf = 0, kVirt = 1, kSched = 2, kPerThread = 4;
long sampled() { return now_of(clock_of(0, kProf)); }

void burn(long ns) {
    const long end = now_of(CLOCK_THREAD_CPUTIME_ID) + ns;
    while (now_of(CLOCK_THREAD_CPUTIME_ID) < end) continue;
}
void nap(long ns) {
    timespec time = of_ns(ns);
    while (nanosleep(&time, &time) != 0) continue;
}

volatile sig_atomic_t g_count = 0;
volatile long g_first_at = 0;  // of the process's sampled CPU time
void count(int) {
    if (g_count == 0) g_first_at = sampled();
    g_count = g_count + 1;
}
void count_signals(int signo) {
    g_count = 0;
    g_first_at = 0;
    struct sigaction action{};
    action.sa_handler = count;
    sigaction(signo, &action, nullptr);
}

// Uses time until that many signals have come; false: they do not.
bool burn_until(int signals) {
    const long end = used() + 10 * kSecond;
    while (g_count < signals && used() < end) burn(kMillisecond);
    return g_count >= signals;
}

int set_interval(int which, long value, long interval = 0, itimerval* old = nullptr) {
    const itimerval wanted{{interval / kSecond, interval % kSecond / 1000}, {value / kSecond, value % kSecond / 1000}};
    return setitimer(static_cast<__itimer_which_t>(which), &wanted, old);
}

}  // namespace

TEST_CASE("CPU clocks of processes and threads") {
    clockid_t own = 0, thread = 0;
    REQUIRE(clock_getcpuclockid(0, &own) == 0);
    REQUIRE(pthread_getcpuclockid(pthread_self(), &thread) == 0);
    for (const clockid_t clock : {own, clock_of(getpid(), kSched)}) {
        const long before = used(), middle = now_of(clock), after = used();
        CHECK((before <= middle && middle <= after));
    }
    const long before = now_of(CLOCK_THREAD_CPUTIME_ID), middle = now_of(thread),
               after = now_of(CLOCK_THREAD_CPUTIME_ID);
    CHECK((before <= middle && middle <= after));
    const long user = now_of(clock_of(getpid(), kVirt)), all = now_of(clock_of(getpid(), kProf));
    CHECK((user >= 0 && user <= all));
    timespec resolution{};
    CHECK((clock_getres(own, &resolution) == 0 && resolution.tv_sec == 0));
}

TEST_CASE("another thread's and another process's CPU clock") {
    std::atomic<int> state{0};
    std::thread busy([&] {
        burn(20 * kMillisecond);
        state = 1;
        while (state != 2) nap(kMillisecond);
    });
    clockid_t clock = 0;
    REQUIRE(pthread_getcpuclockid(busy.native_handle(), &clock) == 0);
    while (state != 1) nap(kMillisecond);
    const long used_by_it = now_of(clock);
    CHECK(used_by_it >= 20 * kMillisecond);
    state = 2;
    busy.join();

    int pipe_ends[2];
    REQUIRE(pipe(pipe_ends) == 0);
    const pid_t child = start_child([&] {
        char byte;
        burn(20 * kMillisecond);
        return static_cast<int>(read(pipe_ends[0], &byte, 1)) - 1;
    });
    clockid_t other = 0;
    REQUIRE(clock_getcpuclockid(child, &other) == 0);
    while (now_of(other) < 20 * kMillisecond) nap(kMillisecond);
    CHECK(write(pipe_ends[1], "x", 1) == 1);
    CHECK(wait_status(child) == 0);
    CHECK(clock_getcpuclockid(child, &other) == ESRCH);
    for (const int end : pipe_ends) close(end);
}

TEST_CASE("numbers that are no clock's") {
    timespec time{};
    const auto gettime = [&](clockid_t clock) { return syscall(SYS_clock_gettime, clock, &time) == 0 ? 0 : errno; };
    CHECK(gettime(clock_of(0, 3)) == EINVAL);
    CHECK(gettime(clock_of(1, kSched | kPerThread)) == EINVAL);  // init's thread is not ours
    CHECK(gettime(clock_of(0x3ffffff, kSched)) == EINVAL);
    const timespec zero{};
    CHECK((syscall(SYS_clock_settime, clock_of(0, kSched), &zero) == -1 && errno == EPERM));
}

TEST_CASE("ITIMER_PROF counts CPU time and nothing else") {
    CHECK(child_exit([] {
              count_signals(SIGPROF);
              const long begin = sampled();
              if (set_interval(ITIMER_PROF, 60 * kMillisecond) != 0) return 1;
              nap(150 * kMillisecond);
              if (g_count != 0) return 2;  // it slept
              itimerval left{};
              if (getitimer(ITIMER_PROF, &left) != 0 || left.it_value.tv_usec == 0 || left.it_interval.tv_usec != 0)
                  return 3;
              if (!burn_until(1)) return 4;
              if (g_first_at - begin < 60 * kMillisecond) return 5;
              burn(100 * kMillisecond);
              return g_count == 1 && getitimer(ITIMER_PROF, &left) == 0 && left.it_value.tv_usec == 0 ? 0 : 6;  // once
          }) == 0);
}

TEST_CASE("ITIMER_VIRTUAL comes again and again, and can be stopped") {
    CHECK(child_exit([] {
              count_signals(SIGVTALRM);
              const long begin = now_of(clock_of(0, kVirt));
              if (set_interval(ITIMER_VIRTUAL, 20 * kMillisecond, 20 * kMillisecond) != 0) return 1;
              // Without system calls, as it counts what is spent in user mode.
              while (g_count < 3) continue;
              if (now_of(clock_of(0, kVirt)) - begin < 60 * kMillisecond) return 2;
              itimerval old{};
              if (set_interval(ITIMER_VIRTUAL, 0, 0, &old) != 0) return 3;
              if (old.it_interval.tv_usec != 20'000) return 4;
              const int seen = g_count;
              burn(80 * kMillisecond);
              return g_count == seen ? 0 : 5;
          }) == 0);
    CHECK((setitimer(static_cast<__itimer_which_t>(3), nullptr, nullptr) == -1 && errno == EINVAL));
}

TEST_CASE("interval timers of CPU time are not inherited, and count all threads") {
    CHECK(child_exit([] {
              count_signals(SIGPROF);
              if (set_interval(ITIMER_PROF, 80 * kMillisecond) != 0) return 1;
              const pid_t child = fork();
              if (child == 0) {
                  itimerval left{};
                  getitimer(ITIMER_PROF, &left);
                  _exit(left.it_value.tv_usec == 0 ? 0 : 1);
              }
              int status = 1;
              if (waitpid(child, &status, 0) != child || status != 0) return 2;
              std::thread first([] { burn(60 * kMillisecond); }), second([] { burn(60 * kMillisecond); });
              first.join();
              second.join();
              return burn_until(1) ? 0 : 3;
          }) == 0);
}

TEST_CASE("timers of CPU clocks: of the process, of the thread, absolute and periodic") {
    for (const clockid_t clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID}) {
        CAPTURE(clock);
        CHECK(child_exit([clock] {
                  count_signals(SIGUSR1);
                  sigevent event{};
                  event.sigev_notify = SIGEV_SIGNAL;
                  event.sigev_signo = SIGUSR1;
                  int id = -1;
                  if (syscall(SYS_timer_create, clock, &event, &id) != 0) return 1;
                  const long begin = now_of(clock);
                  itimerspec setting{{}, of_ns(begin + 50 * kMillisecond)};
                  if (syscall(SYS_timer_settime, id, TIMER_ABSTIME, &setting, nullptr) != 0) return 2;
                  nap(100 * kMillisecond);
                  if (g_count != 0) return 3;
                  itimerspec left{};
                  if (syscall(SYS_timer_gettime, id, &left) != 0) return 4;
                  if (ns_of(left.it_value) <= 0 || ns_of(left.it_value) > 50 * kMillisecond) return 5;
                  if (!burn_until(1) || now_of(clock) < begin + 50 * kMillisecond) return 6;
                  if (syscall(SYS_timer_gettime, id, &left) != 0 || ns_of(left.it_value) != 0) return 7;
                  setting = {of_ns(20 * kMillisecond), of_ns(20 * kMillisecond)};
                  if (syscall(SYS_timer_settime, id, 0, &setting, nullptr) != 0) return 8;
                  if (!burn_until(3)) return 9;
                  if (syscall(SYS_timer_delete, id) != 0) return 10;
                  const int seen = g_count;
                  burn(60 * kMillisecond);
                  return g_count == seen ? 0 : 11;
              }) == 0);
    }
}

TEST_CASE("a timer whose time is past goes off at once; overruns of CPU time are counted") {
    CHECK(child_exit([] {
              sigset_t set;
              sigemptyset(&set);
              sigaddset(&set, SIGUSR1);
              sigprocmask(SIG_BLOCK, &set, nullptr);
              sigevent event{};
              event.sigev_notify = SIGEV_SIGNAL;
              event.sigev_signo = SIGUSR1;
              int id = -1;
              if (syscall(SYS_timer_create, CLOCK_PROCESS_CPUTIME_ID, &event, &id) != 0) return 1;
              burn(kMillisecond);
              itimerspec setting{{}, of_ns(1)};
              if (syscall(SYS_timer_settime, id, TIMER_ABSTIME, &setting, nullptr) != 0) return 2;
              const timespec none{};
              siginfo_t info{};
              for (int i = 0; i < 1000 && sigtimedwait(&set, &info, &none) != SIGUSR1; ++i) burn(kMillisecond);
              if (info.si_signo != SIGUSR1 || info.si_code != SI_TIMER) return 3;
              setting = {of_ns(10 * kMillisecond), of_ns(10 * kMillisecond)};
              if (syscall(SYS_timer_settime, id, 0, &setting, nullptr) != 0) return 4;
              // It is taken late, however much of that the ticks notice.
              int signals = 0, overruns = 0;
              for (const long end = used() + 10 * kSecond; signals + overruns < 12 && used() < end;) {
                  burn(50 * kMillisecond);
                  if (sigtimedwait(&set, &info, &none) != SIGUSR1) continue;
                  ++signals;
                  overruns += info.si_overrun;
              }
              return signals + overruns >= 12 && signals <= 6 ? 0 : 6;
          }) == 0);
}

TEST_CASE("clock_nanosleep by the process's CPU time, while another thread uses it") {
    const timespec time = of_ns(60 * kMillisecond);
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) continue;
    });
    const long begin = used();
    CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &time, nullptr) == 0);
    CHECK(used() - begin >= 60 * kMillisecond);
    const timespec until = of_ns(used() + 30 * kMillisecond);
    CHECK(clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &until, nullptr) == 0);
    CHECK(used() >= ns_of(until));
    stop = true;
    busy.join();
    clockid_t own = 0;
    REQUIRE(pthread_getcpuclockid(pthread_self(), &own) == 0);
    CHECK(clock_nanosleep(own, 0, &time, nullptr) == EINVAL);
}

TEST_CASE("a sleep by CPU time is interrupted, and says what is left") {
    CHECK(child_exit([] {
              count_signals(SIGALRM);
              std::atomic<bool> stop{false};
              set_interval(ITIMER_REAL, 30 * kMillisecond);
              const timespec time = of_ns(100 * kSecond);
              timespec rest{};
              if (clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &time, &rest) != EINTR) return 1;
              return ns_of(rest) > 99 * kSecond && ns_of(rest) <= 100 * kSecond ? 0 : 2;
          }) == 0);
}

TEST_CASE("RLIMIT_CPU warns each second, and kills at last") {
    const auto limited = [](rlim_t soft, rlim_t hard) {
        const rlimit limit{soft, hard};
        return setrlimit(RLIMIT_CPU, &limit);
    };
    CHECK(child_signal([&] {
              count_signals(SIGXCPU);
              limited(1, 2);
              if (!burn_until(1) || g_first_at < kSecond) _exit(1);
              rlimit now{};
              getrlimit(RLIMIT_CPU, &now);
              if (now.rlim_cur != 2 || now.rlim_max != 2) _exit(2);  // what has been warned of
              burn(10 * kSecond);
              return 0;
          }) == SIGKILL);
    CHECK(child_signal([&] {  // the limit is inherited, the time is not
              limited(1, 3);
              burn(300 * kMillisecond);
              const int status = child_status([] {
                  while (sampled() < 800 * kMillisecond) burn(kMillisecond);
                  return 0;
              });
              if (status != 0) _exit(1);
              burn(10 * kSecond);
              return 0;
          }) == SIGXCPU);
}
