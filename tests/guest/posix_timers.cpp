// SPDX-License-Identifier: MIT
// POSIX timers (timer_create(2)): signals to a process and to a thread, overruns, what is left, disarming, and the errors.
#include <csignal>
#include <ctime>

#include <sys/syscall.h>
#include <unistd.h>

#include "tests/guest/parallel.hpp"

using namespace guest;

namespace {

constexpr long kSecond = 1'000'000'000;

long ns_of(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
itimerspec times(long value, long interval = 0) {
    return {{interval / kSecond, interval % kSecond}, {value / kSecond, value % kSecond}};
}

// The system calls themselves: the C library's timer_t is a pointer for some kinds.
struct Timer {
    explicit Timer(const sigevent* event, clockid_t clock = CLOCK_MONOTONIC) {
        error = syscall(SYS_timer_create, clock, event, &id) == 0 ? 0 : errno;
    }
    ~Timer() {
        if (error == 0) syscall(SYS_timer_delete, id);
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    long set(long value, long interval = 0, int flags = 0, itimerspec* old = nullptr) const {
        const itimerspec wanted = times(value, interval);
        return syscall(SYS_timer_settime, id, flags, &wanted, old);
    }
    itimerspec left() const {
        itimerspec now{};
        syscall(SYS_timer_gettime, id, &now);
        return now;
    }
    long overrun() const { return syscall(SYS_timer_getoverrun, id); }

    int id = -1;
    int error;
};

sigevent event_of(int signo, int value) {
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = signo;
    event.sigev_value.sival_int = value;
    return event;
}

siginfo_t await_signal(int signo) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    siginfo_t info{};
    sigwaitinfo(&set, &info);
    return info;
}

// Takes one that is there. A timer that was disarmed may leave the mark of its signal, but not the signal (Linux 6.13).
bool comes(int signo) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    const timespec now{};
    return sigtimedwait(&set, nullptr, &now) == signo;
}

// Blocks a signal, and lets none of it be left in the end.
class Blocking {
public:
    explicit Blocking(int signo) : signo_(signo) { change(SIG_BLOCK); }
    ~Blocking() {
        while (comes(signo_)) {}
        change(SIG_UNBLOCK);
    }
    Blocking(const Blocking&) = delete;
    Blocking& operator=(const Blocking&) = delete;

private:
    void change(int how) const {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, signo_);
        pthread_sigmask(how, &set, nullptr);
    }
    const int signo_;
};

long now_of(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return ns_of(time);
}

}  // namespace

TEST_CASE("a timer sends its signal, once or again and again") {
    const Blocking blocking(SIGRTMIN + 1);
    const sigevent event = event_of(SIGRTMIN + 1, 4711);
    const Timer timer(&event);
    REQUIRE(timer.error == 0);
    CHECK(ns_of(timer.left().it_value) == 0);
    const long begin = now_of(CLOCK_MONOTONIC);
    CHECK(timer.set(5'000'000) == 0);
    siginfo_t info = await_signal(SIGRTMIN + 1);
    CHECK(now_of(CLOCK_MONOTONIC) - begin >= 5'000'000);
    CHECK(info.si_code == SI_TIMER);
    CHECK(info.si_value.sival_int == 4711);
    CHECK(info.si_timerid == timer.id);
    CHECK(ns_of(timer.left().it_value) == 0);
    CHECK(timer.set(1'000'000, 1'000'000) == 0);
    for (int i = 0; i < 5; ++i) CHECK(await_signal(SIGRTMIN + 1).si_code == SI_TIMER);
    const itimerspec left = timer.left();
    CHECK(ns_of(left.it_interval) == 1'000'000);
    CHECK((ns_of(left.it_value) > 0 && ns_of(left.it_value) <= 1'000'000));
    itimerspec old{};
    CHECK(timer.set(0, 0, 0, &old) == 0);
    CHECK(ns_of(old.it_interval) == 1'000'000);
}

TEST_CASE("what was missed is counted: the overrun") {
    const Blocking blocking(SIGRTMIN + 2);
    const sigevent event = event_of(SIGRTMIN + 2, 0);
    const Timer timer(&event);
    REQUIRE(timer.error == 0);
    CHECK(timer.set(1'000'000, 1'000'000) == 0);
    await([] { return is_pending(SIGRTMIN + 2); });
    const long begin = now_of(CLOCK_MONOTONIC);
    await([&] { return now_of(CLOCK_MONOTONIC) - begin > 12'000'000; });
    const siginfo_t info = await_signal(SIGRTMIN + 2);
    CHECK(info.si_overrun >= 11);
    CHECK(timer.overrun() == info.si_overrun);
    CHECK(timer.set(0) == 0);
    CHECK(!comes(SIGRTMIN + 2));
}

TEST_CASE("points in time, on both clocks; the past is now") {
    const Blocking blocking(SIGRTMIN + 3);
    const sigevent event = event_of(SIGRTMIN + 3, 0);
    for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC}) {
        CAPTURE(clock);
        const Timer timer(&event, clock);
        REQUIRE(timer.error == 0);
        const long until = now_of(clock) + 4'000'000;
        CHECK(timer.set(until, 0, TIMER_ABSTIME) == 0);
        await_signal(SIGRTMIN + 3);
        CHECK(now_of(clock) >= until);
        CHECK(timer.set(1, 0, TIMER_ABSTIME) == 0);
        CHECK(await_signal(SIGRTMIN + 3).si_code == SI_TIMER);
        CHECK(timer.set(1000 * kSecond) == 0);
        const long left = ns_of(timer.left().it_value);
        CHECK((left > 900 * kSecond && left <= 1000 * kSecond));
    }
}

TEST_CASE("disarming and deleting take back a signal that is pending") {
    const Blocking blocking(SIGRTMIN + 4);
    const sigevent event = event_of(SIGRTMIN + 4, 0);
    {
        const Timer timer(&event);
        REQUIRE(timer.error == 0);
        CHECK(timer.set(1) == 0);
        await([] { return is_pending(SIGRTMIN + 4); });
        CHECK(timer.set(0) == 0);
        CHECK(!comes(SIGRTMIN + 4));
        CHECK(timer.set(1) == 0);
        await([] { return is_pending(SIGRTMIN + 4); });
    }
    CHECK(!comes(SIGRTMIN + 4));
}

TEST_CASE("to one thread, to nobody, and by default") {
    const Blocking blocking(SIGRTMIN + 5), alarm(SIGALRM);
    {
        Worker worker;
        sigevent event = event_of(SIGRTMIN + 5, 9);
        event.sigev_notify = SIGEV_THREAD_ID;
        event._sigev_un._tid = worker.tid();
        const Timer timer(&event);
        REQUIRE(timer.error == 0);
        CHECK(timer.set(1) == 0);
        CHECK(worker.run([] { return await_signal(SIGRTMIN + 5).si_value.sival_int; }) == 9);
        CHECK(!comes(SIGRTMIN + 5));
    }
    sigevent none{};
    none.sigev_notify = SIGEV_NONE;
    const Timer silent(&none);
    REQUIRE(silent.error == 0);
    CHECK(silent.set(1) == 0);
    await([&] { return ns_of(silent.left().it_value) == 0; });
    const Timer plain(nullptr);
    REQUIRE(plain.error == 0);
    CHECK(plain.id != silent.id);
    CHECK(plain.set(1) == 0);
    CHECK(await_signal(SIGALRM).si_value.sival_int == plain.id);
}

TEST_CASE("a child has no timers of its parent, and a new program none at all") {
    const sigevent event = event_of(SIGRTMIN + 6, 0);
    const Timer timer(&event);
    REQUIRE(timer.error == 0);
    CHECK(child_exit([&] { return timer.overrun() == -1 && errno == EINVAL ? 0 : 1; }) == 0);
    CHECK(timer.overrun() == 0);
}

TEST_CASE("wrong use of timers") {
    const sigevent event = event_of(SIGRTMIN + 6, 0);
    sigevent wrong_signal = event, wrong_kind = event, wrong_thread = event;
    wrong_signal.sigev_signo = 65;
    wrong_kind.sigev_notify = 77;
    wrong_thread.sigev_notify = SIGEV_THREAD_ID;
    wrong_thread._sigev_un._tid = 1;
    CHECK(Timer(&wrong_signal).error == EINVAL);
    CHECK(Timer(&wrong_kind).error == EINVAL);
    CHECK(Timer(&wrong_thread).error == EINVAL);
    CHECK(Timer(&event, 1000).error == EINVAL);
    int id = 0;
    CHECK(error(SYS_timer_create, CLOCK_MONOTONIC, &event, nullptr) == EFAULT);
    CHECK(error(SYS_timer_create, CLOCK_MONOTONIC, 1, &id) == EFAULT);
    const itimerspec good = times(1000 * kSecond), bad{{0, 0}, {0, kSecond}}, negative{{0, 0}, {-1, 0}};
    CHECK(error(SYS_timer_settime, 4711, 0, &good, nullptr) == EINVAL);
    CHECK(error(SYS_timer_gettime, 4711, &bad) == EINVAL);
    CHECK(error(SYS_timer_getoverrun, 4711) == EINVAL);
    CHECK(error(SYS_timer_delete, 4711) == EINVAL);
    const Timer timer(&event);
    REQUIRE(timer.error == 0);
    CHECK(error(SYS_timer_settime, timer.id, 0, &bad, nullptr) == EINVAL);
    CHECK(error(SYS_timer_settime, timer.id, 0, &negative, nullptr) == EINVAL);
    CHECK(error(SYS_timer_settime, timer.id, 0, nullptr, nullptr) == EINVAL);
    CHECK(error(SYS_timer_settime, timer.id, 0, 1, nullptr) == EFAULT);
    CHECK(error(SYS_timer_gettime, timer.id, nullptr) == EFAULT);
}
