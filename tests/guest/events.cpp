// SPDX-License-Identifier: MIT
// Files that tell of events: counters (eventfd) and timers (timerfd). What they give, whom they wake, who shares them;
// and what poll and select tell of such files of every kind.
#include "tests/guest/events.hpp"

#include <bit>

using namespace guest;

namespace {

constexpr std::uint64_t kMost = UINT64_MAX - 1;  // that an eventfd can hold

itimerspec timer_now(int fd) {
    itimerspec now{{-1, -1}, {-1, -1}};
    timerfd_gettime(fd, &now);
    return now;
}

}  // namespace

// ---- eventfd -------------------------------------------------------------------------------------------------------

TEST_CASE("eventfd: a counter, a semaphore, and their limits") {
    const Opened counter(eventfd(3, EFD_NONBLOCK)), semaphore(eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE));
    CHECK(number_of(counter) == 3);
    CHECK(number_of(counter) == -EAGAIN);
    CHECK(give(counter, 4) == 0);
    CHECK(give(counter, 0x5'0000'0000) == 0);
    CHECK(number_of(counter) == 0x5'0000'0004);
    CHECK(give(counter, 0) == 0);
    CHECK(number_of(counter) == -EAGAIN);
    for (int i = 0; i < 3; ++i) CHECK(number_of(semaphore) == 1);
    CHECK(number_of(semaphore) == -EAGAIN);
    CHECK(give(semaphore, 2) == 0);
    for (int i = 0; i < 2; ++i) CHECK(number_of(semaphore) == 1);
    CHECK(number_of(semaphore) == -EAGAIN);
    const Opened large(eventfd(UINT_MAX, 0));
    CHECK(number_of(large) == UINT_MAX);

    for (const int fd : {static_cast<int>(counter), static_cast<int>(semaphore)}) {
        CAPTURE(fd == semaphore);
        CHECK(polled(fd) == POLLOUT);
        CHECK(give(fd, UINT64_MAX) == -EINVAL);
        CHECK(give(fd, kMost - 1) == 0);
        CHECK(polled(fd) == (POLLIN | POLLOUT));
        CHECK(give(fd, 2) == -EAGAIN);
        CHECK(polled(fd) == (POLLIN | POLLOUT));  // as 1 would still fit
        CHECK(give(fd, 1) == 0);
        CHECK(polled(fd) == POLLIN);
        CHECK(give(fd, 1) == -EAGAIN);
        CHECK(give(fd, UINT64_MAX) == -EINVAL);
        CHECK(give(fd, 0) == 0);
        CHECK(number_of(fd) == (fd == semaphore ? 1 : static_cast<long>(kMost)));
        CHECK(polled(fd) == (fd == semaphore ? POLLIN | POLLOUT : POLLOUT));
    }
    std::uint64_t numbers[] = {5, 6, 7};
    CHECK(write(counter, numbers, 8) == 8);
    CHECK(read(counter, numbers + 1, 16) == 8);  // one number, whatever the room
    CHECK(numbers[1] == 5);
    CHECK(numbers[2] == 7);
    CHECK(give(counter, 1) == 0);
    const int fd = counter;
    check_all({
        {error(SYS_read, fd, numbers, 7), EINVAL},
        {error(SYS_read, fd, numbers, 0), EINVAL},
        {error(SYS_write, fd, numbers, 7), EINVAL},
        {error(SYS_write, fd, kNowhere, 8), EFAULT},
        {error(SYS_pread64, fd, numbers, 8, 0), ESPIPE},
        {error(SYS_eventfd2, 0, 2), EINVAL},
        {error(SYS_eventfd2, 0, 0x8000'0000), EINVAL},
    });
    CHECK(number_of(counter) == 1);                    // none of them has changed it
    CHECK(error(SYS_read, fd, numbers, 7) == EINVAL);  // rather than EAGAIN
    const Opened old(static_cast<int>(syscall(SYS_eventfd, 9)));
    CHECK(number_of(old) == 9);
}

TEST_CASE("eventfd: threads that wait until they can read or write") {
    const Opened counter(eventfd(0, 0)), semaphore(eventfd(0, EFD_SEMAPHORE));
    std::deque<Worker> workers(3);
    const auto done = [&] { return std::count_if(workers.begin(), workers.end(), std::mem_fn(&Worker::is_done)); };
    const auto start_all = [&](auto task) {
        for (Worker& worker : workers) worker.start(task);
        return std::all_of(workers.begin(), workers.end(), blocks);
    };
    const auto rest_sleeps = [&] {
        return std::all_of(workers.begin(), workers.end(), [](Worker& one) { return one.is_done() || blocks(one); });
    };
    CHECK(start_all([&] { return number_of(semaphore); }));
    CHECK(give(semaphore, 2) == 0);
    await([&] { return done() >= 2; });
    CHECK(rest_sleeps());
    CHECK(done() == 2);
    CHECK(give(semaphore, 1) == 0);
    for (Worker& worker : workers) CHECK(worker.finish() == 1);
    CHECK(polled(semaphore) == POLLOUT);
    // Of those that wait for a counter one gets all of it, and the others go on waiting.
    CHECK(start_all([&] { return number_of(counter); }));
    for (const int value : {10, 200, 3000}) {
        const auto before = done();
        CHECK(give(counter, static_cast<std::uint64_t>(value)) == 0);
        await([&] { return done() > before; });
        CHECK(rest_sleeps());
        CHECK(done() == before + 1);
    }
    long sum = 0;
    for (Worker& worker : workers) sum += worker.finish();
    CHECK(sum == 3210);

    Worker &writer = workers[0], &other = workers[1], &poller = workers[2];
    CHECK(give(counter, kMost - 2) == 0);
    writer.start([&] { return give(counter, 5); });
    CHECK(blocks(writer));
    CHECK(give(counter, 2) == 0);  // one that fits does not wait for one that does not
    other.start([&] { return give(counter, 6); });
    poller.start([&] { return polled(counter, -1, POLLOUT); });
    CHECK(blocks(other));
    CHECK(blocks(poller));
    CHECK(blocks(writer));
    CHECK(number_of(counter) == static_cast<long>(kMost));
    CHECK(writer.finish() == 0);
    CHECK(other.finish() == 0);
    CHECK(poller.finish() == POLLOUT);
    CHECK(number_of(counter) == 11);
    poller.start([&] { return polled(counter, -1, POLLIN); });
    CHECK(blocks(poller));
    CHECK(give(counter, 0) == 0);  // changes nothing
    CHECK(blocks(poller));
    CHECK(give(counter, 1) == 0);
    CHECK(poller.finish() == POLLIN);
    CHECK(number_of(counter) == 1);

    for (const int flags : {0, SA_RESTART}) {
        CAPTURE(flags);
        handle(SIGUSR1, flags);
        other.start([&] { return number_of(counter); });
        CHECK(blocks(other));
        interrupt(other);
        if (flags == SA_RESTART) CHECK(blocks(other));
        if (flags == SA_RESTART) CHECK(give(counter, 8) == 0);
        CHECK(other.finish() == (flags == 0 ? -EINTR : 8));
        CHECK(give(counter, kMost) == 0);
        writer.start([&] { return give(counter, 8); });
        CHECK(blocks(writer));
        interrupt(writer);
        if (flags == SA_RESTART) CHECK(blocks(writer));
        if (flags == SA_RESTART) CHECK(number_of(counter) == static_cast<long>(kMost));
        CHECK(writer.finish() == (flags == 0 ? -EINTR : 0));
        CHECK(number_of(counter) == (flags == 0 ? static_cast<long>(kMost) : 8));
    }
    dispose(SIGUSR1, SIG_DFL);
}

TEST_CASE("eventfd: shared by copies of the descriptor and by children, and so is O_NONBLOCK") {
    const Opened counter(eventfd(1, EFD_CLOEXEC)), copy(dup(counter));
    CHECK(fcntl(counter, F_GETFD) == FD_CLOEXEC);
    CHECK(fcntl(copy, F_GETFD) == 0);
    CHECK(fcntl(counter, F_GETFL) == O_RDWR);
    CHECK(number_of(copy) == 1);
    Worker reader;
    reader.start([&] { return number_of(copy); });
    CHECK(blocks(reader));
    CHECK(child_exit([&] { return give(counter, 77) == 0 ? 0 : 1; }) == 0);
    CHECK(reader.finish() == 77);
    const pid_t child = start_child([&] { return static_cast<int>(number_of(counter)); });
    CHECK(sleeps(child, child));
    CHECK(give(copy, 78) == 0);
    CHECK(WEXITSTATUS(wait_status(child)) == 78);
    CHECK(child_exit([&] { return fcntl(counter, F_SETFL, O_NONBLOCK) == 0 ? 0 : 1; }) == 0);
    CHECK(number_of(counter) == -EAGAIN);
    CHECK(number_of(copy) == -EAGAIN);
    CHECK(fcntl(copy, F_GETFL) == (O_RDWR | O_NONBLOCK));
    REQUIRE(fcntl(copy, F_SETFL, 0) == 0);
    reader.start([&] { return number_of(counter); });
    CHECK(blocks(reader));
    CHECK(give(copy, 79) == 0);
    CHECK(reader.finish() == 79);
    const Opened other(eventfd(0, 0));  // is another one
    CHECK(polled(other) == POLLOUT);
}

// ---- timerfd -------------------------------------------------------------------------------------------------------

TEST_CASE("timerfd: one expiration, and what is told of it before and after") {
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME}) {
        CAPTURE(clock);
        const Opened timer(timerfd_create(clock, TFD_NONBLOCK | TFD_CLOEXEC));
        CHECK(fcntl(timer, F_GETFD) == FD_CLOEXEC);
        CHECK(fcntl(timer, F_GETFL) == (O_RDWR | O_NONBLOCK));
        itimerspec old{{-1, -1}, {-1, -1}};
        CHECK(ns_of(timer_now(timer).it_value) == 0);
        CHECK(number_of(timer) == -EAGAIN);
        CHECK(polled(timer) == 0);
        const long long begin = now_ns(clock);
        CHECK(set_timer(timer, 5 * kMilli, 0, 0, &old) == 0);
        CHECK(ns_of(old.it_value) == 0);
        CHECK(ns_of(old.it_interval) == 0);
        const long left = ns_of(timer_now(timer).it_value);
        CHECK(left <= 5 * kMilli);
        CHECK(left >= 5 * kMilli - (now_ns(clock) - begin));
        CHECK(polled(timer, -1) == POLLIN);
        CHECK(now_ns(clock) - begin >= 5 * kMilli);
        CHECK(ns_of(timer_now(timer).it_value) == 0);
        CHECK(polled(timer) == POLLIN);  // until it is read
        CHECK(number_of(timer) == 1);
        CHECK(number_of(timer) == -EAGAIN);
        CHECK(polled(timer) == 0);
        // Whoever sets it again, or stops it, loses what has not been read.
        for (const long next : {1000 * kSecond, 0L}) {
            CHECK(set_timer(timer, 1) == 0);
            CHECK(polled(timer, -1) == POLLIN);
            CHECK(set_timer(timer, next) == 0);
            CHECK(polled(timer) == 0);
            CHECK(number_of(timer) == -EAGAIN);
        }
        const long long before = now_ns(clock);
        CHECK(set_timer(timer, 1000 * kSecond, 7 * kSecond) == 0);
        CHECK(set_timer(timer, 1000 * kSecond, -1) == EINVAL);
        CHECK(set_timer(timer, 0, 3 * kSecond, 0, &old) == 0);  // an interval alone stops it as well
        const long long passed = now_ns(clock) - before;
        CHECK(ns_of(old.it_value) <= 1000 * kSecond);
        CHECK(ns_of(old.it_value) >= 1000 * kSecond - passed);
        CHECK(ns_of(old.it_interval) == 7 * kSecond);
        CHECK(ns_of(timer_now(timer).it_value) == 0);
        CHECK(set_timer(timer, LONG_MAX) == 0);
        const itimerspec never{{0, 0}, {LONG_MAX, 999'999'999}};  // programs use it so
        CHECK(timerfd_settime(timer, TFD_TIMER_ABSTIME, &never, nullptr) == 0);
        CHECK(timer_now(timer).it_value.tv_sec > 1000);
        CHECK(polled(timer, 2) == 0);
    }
}

TEST_CASE("timerfd: intervals count also while nobody reads") {
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
        for (const long interval : {2 * kMilli, 1L}) {  // the shorter one leaves no time for anything in between
            CAPTURE(clock, interval);
            const Opened timer(timerfd_create(clock, 0));
            const long first = now_ns(clock) + kMilli;
            const auto expirations = [&] { return (now_ns(clock) - first) / interval + 1; };
            CHECK(set_timer(timer, first, interval, TFD_TIMER_ABSTIME) == 0);
            long long total = number_of(timer);
            CHECK(total >= 1);
            for (int round = 0; round < 3; ++round) {
                CHECK(total <= expirations());
                sleep_ms(5);
                CHECK(polled(timer, -1) == POLLIN);
                const long long least = expirations();
                if (round == 1) {  // asking does not take what has not been read
                    CHECK(ns_of(timer_now(timer).it_interval) == interval);
                    CHECK(ns_of(timer_now(timer).it_value) <= interval);
                }
                total += number_of(timer);
                CHECK(total >= least);
            }
            CHECK(total <= expirations());
        }
        // From the beginning of the clock on; and the next one is an hour away or less.
        const Opened hours(timerfd_create(clock, 0));
        constexpr long kHour = 3600 * kSecond;
        const long long before = now_ns(clock);
        CHECK(set_timer(hours, 1, kHour, TFD_TIMER_ABSTIME) == 0);
        const long count = number_of(hours);
        CHECK(count >= (before - 1) / kHour + 1);
        CHECK(count <= (now_ns(clock) - 1) / kHour + 1);
        CHECK(ns_of(timer_now(hours).it_value) > 0);
        CHECK(ns_of(timer_now(hours).it_value) <= kHour);
    }
    // Expirations are what makes an edge.
    const Opened timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const Epoll edges;
    REQUIRE(edges.add(timer, EPOLLIN | EPOLLET, 1) == 0);
    REQUIRE(set_timer(timer, 1, kMilli) == 0);
    for (int round = 0; round < 3; ++round) {
        CHECK(edges.wait(-1) == Events{{1, EPOLLIN}});
        CHECK(number_of(timer) >= 1);
    }
}

TEST_CASE("timerfd: points in time, those that have passed, and threads that wait") {
    Worker reader;
    for (const clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME}) {
        CAPTURE(clock);
        const Opened timer(timerfd_create(clock, 0));
        const auto at = [&](const timespec& time, int flags = TFD_TIMER_ABSTIME) {
            const itimerspec once{{0, 0}, time};
            return timerfd_settime(timer, flags, &once, nullptr);
        };
        CHECK(at(from_now(clock, -1)) == 0);
        CHECK(number_of(timer) == 1);
        CHECK(at({0, 1}) == 0);
        CHECK(number_of(timer) == 1);
        const timespec soon = from_now(clock, 5);
        CHECK(at(soon, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) == 0);
        CHECK(number_of(timer) == 1);
        CHECK(is_over(clock, soon));
        // What gettime tells is a span in any case.
        const long long before = now_ns(clock);
        const timespec later = from_now(clock, 1000'000);
        CHECK(at(later) == 0);
        const long left = ns_of(timer_now(timer).it_value);
        CHECK(left <= ns_of(later) - before);
        CHECK(left >= ns_of(later) - now_ns(clock));
        reader.start([&] { return number_of(timer); });
        CHECK(blocks(reader));
        CHECK(set_timer(timer, 0) == 0);  // it then waits for whatever will be set
        CHECK(blocks(reader));
        const timespec next = from_now(clock, 3);
        CHECK(at(next) == 0);
        CHECK(reader.finish() == 1);
        CHECK(is_over(clock, next));
    }
    // A child has the same timer.
    const Opened timer(timerfd_create(CLOCK_MONOTONIC, 0)), copy(dup(timer));
    reader.start([&] { return number_of(copy); });
    CHECK(blocks(reader));
    CHECK(child_exit([&] { return set_timer(timer, 1); }) == 0);
    CHECK(reader.finish() == 1);
    CHECK(set_timer(timer, 1) == 0);
    CHECK(child_exit([&] { return static_cast<int>(number_of(timer)); }) == 1);
    CHECK(polled(copy) == 0);
    for (const int flags : {0, SA_RESTART}) {
        handle(SIGUSR1, flags);
        reader.start([&] { return number_of(timer); });
        CHECK(blocks(reader));
        interrupt(reader);
        if (flags == SA_RESTART) CHECK(blocks(reader));
        if (flags == SA_RESTART) CHECK(set_timer(timer, 1) == 0);
        CHECK(reader.finish() == (flags == 0 ? -EINTR : 1));
    }
    dispose(SIGUSR1, SIG_DFL);
    // Of several that wait for one expiration one gets it; poll wakes all.
    std::deque<Worker> workers(2);
    for (Worker& worker : workers) worker.start([&] { return polled(timer, -1); });
    for (Worker& worker : workers) CHECK(blocks(worker));
    CHECK(set_timer(timer, 1) == 0);
    for (Worker& worker : workers) CHECK(worker.finish() == POLLIN);
}

TEST_CASE("timerfd: every error of the man page") {
    const Opened timer_file(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)), counter_file(eventfd(0, 0));
    const int timer = timer_file, counter = counter_file;
    REQUIRE(set_timer(timer, 1000 * kSecond) == 0);
    const auto set = [&](long seconds, long ns, long interval_seconds = 0, long interval_ns = 0, int flags = 0) {
        const itimerspec time{{interval_seconds, interval_ns}, {seconds, ns}};
        return error(SYS_timerfd_settime, timer, flags, &time, nullptr);
    };
    itimerspec time{{0, 0}, {1000, 0}};
    char bytes[16];
    check_all({
        {error(SYS_timerfd_create, CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL},
        {error(SYS_timerfd_create, CLOCK_THREAD_CPUTIME_ID, 0), EINVAL},
        {error(SYS_timerfd_create, CLOCK_MONOTONIC_RAW, 0), EINVAL},
        {error(SYS_timerfd_create, CLOCK_MONOTONIC_COARSE, 0), EINVAL},
        {error(SYS_timerfd_create, 1000, 0), EINVAL},
        {error(SYS_timerfd_create, -1, 0), EINVAL},
        {error(SYS_timerfd_create, CLOCK_MONOTONIC, 1), EINVAL},
        {set(-1, 0), EINVAL},
        {set(0, -1), EINVAL},
        {set(0, kSecond), EINVAL},
        {set(1, 0, -1, 0), EINVAL},
        {set(1, 0, 0, kSecond), EINVAL},
        {set(1, 0, 0, 0, 4), EINVAL},
        {error(SYS_timerfd_settime, timer, 0, nullptr, nullptr), EFAULT},
        {error(SYS_timerfd_settime, counter, 0, &time, nullptr), EINVAL},
        {error(SYS_timerfd_settime, -1, 0, &time, nullptr), EBADF},
        {error(SYS_timerfd_gettime, timer, kNowhere), EFAULT},
        {error(SYS_timerfd_gettime, counter, &time), EINVAL},
        {error(SYS_timerfd_gettime, -1, &time), EBADF},
        {error(SYS_read, timer, bytes, 7), EINVAL},
        {error(SYS_read, timer, bytes, 8), EAGAIN},
        {error(SYS_write, timer, bytes, 8), EINVAL},
        {exit_of_user(kNobody, [] { return fails(timerfd_create(CLOCK_REALTIME_ALARM, 0), EPERM) ? 0 : 1; }), 0},
    });
    CHECK(ns_of(timer_now(timer).it_value) > 0);  // none of them has stopped it
    CHECK(error(SYS_timerfd_settime, timer, 0, &time, kNowhere) == EFAULT);
    CHECK(set_timer(timer, 1) == 0);
    CHECK(polled(timer, -1) == POLLIN);
    CHECK(read(timer, bytes, sizeof bytes) == 8);
}

// ---- poll and select -----------------------------------------------------------------------------------------------

namespace {

// Files, and an epoll that watches them all.
struct Files {
    explicit Files(std::vector<int> files) : fds(std::move(files)) {
        for (std::size_t i = 0; i < fds.size(); ++i) REQUIRE(epoll.add(fds[i], EPOLLIN, 1UL << i) == 0);
    }
    const std::vector<int> fds;
    const Epoll epoll;
};

// The ways to wait until one of some files is readable: which of them are, as bits; an errno, negative.
constexpr int kWays = 5;

long wait_by(int way, const Files& files, const timespec* timeout = nullptr, const sigset_t* set = nullptr) {
    std::vector<pollfd> polls;
    epoll_event events[8]{};
    fd_set readable;
    FD_ZERO(&readable);
    int end = 0;
    for (const int fd : files.fds) {
        polls.push_back({fd, POLLIN, 0});
        FD_SET(fd, &readable);
        end = std::max(end, fd + 1);
    }
    timeval small{};
    if (timeout != nullptr) small = {timeout->tv_sec, timeout->tv_nsec / 1000};
    const int milliseconds = timeout == nullptr ? -1 : static_cast<int>(ns_of(*timeout) / kMilli);
    int count = 0;
    if (way == 0) count = poll(polls.data(), polls.size(), milliseconds);
    if (way == 1) count = ppoll(polls.data(), polls.size(), timeout, set);
    if (way == 2) count = select(end, &readable, nullptr, nullptr, timeout == nullptr ? nullptr : &small);
    if (way == 3) count = pselect(end, &readable, nullptr, nullptr, timeout, set);
    if (way == 4) count = epoll_wait(files.epoll, events, 8, milliseconds);
    if (count < 0) return -errno;
    long bits = 0;
    for (std::size_t i = 0; i < files.fds.size(); ++i) {
        if (way < 2 && polls[i].revents == POLLIN) bits |= 1L << i;
        if ((way == 2 || way == 3) && FD_ISSET(files.fds[i], &readable)) bits |= 1L << i;
    }
    for (int i = 0; way == 4 && i < count; ++i) {
        if (events[i].events == EPOLLIN) bits |= static_cast<long>(events[i].data.u64);
    }
    return count == std::popcount(static_cast<unsigned long>(bits)) ? bits : LONG_MIN;
}

}  // namespace

TEST_CASE("poll, select, epoll and their like wait for counters, timers, signals, processes and epolls") {
    const Blocked blocked{SIGUSR2};
    Pipe hold;
    const pid_t child = start_child([&] { return read_byte(hold.reader()); });
    const Opened counter(eventfd(0, 0)), timer(timerfd_create(CLOCK_MONOTONIC, 0)), signals(open_signals({SIGUSR2})),
        process(open_process(child)), inner(eventfd(0, 0));
    const Epoll epoll;
    REQUIRE(epoll.add(inner, EPOLLIN, 1) == 0);
    const Files files({counter, timer, signals, epoll, process}), silent({counter, timer, signals, epoll});
    signalfd_siginfo info;
    const struct {
        std::function<long()> happen, pass;
    } events[] = {
        {[&] { return give(counter, 1); }, [&] { return number_of(counter) - 1; }},
        {[&] { return set_timer(timer, 1); }, [&] { return number_of(timer) - 1; }},
        {[&] { return kill(getpid(), SIGUSR2); }, [&] { return read(signals, &info, sizeof info) - 128; }},
        {[&] { return give(inner, 1); }, [&] { return number_of(inner) - 1; }},
        {[&] { return write_byte(hold.writer(), 7) - 1; }, [] { return 0; }},  // a process ends once and for all
    };
    std::deque<Worker> workers(kWays);
    const timespec none{0, 0}, some{0, 5 * kMilli};
    for (std::size_t i = 0; i < std::size(events); ++i) {
        CAPTURE(i);
        for (int way = 0; way < kWays; ++way) {
            CHECK(wait_by(way, files, &none) == 0);
            workers[static_cast<std::size_t>(way)].start([&, way] { return wait_by(way, files); });
        }
        for (const Worker& worker : workers) CHECK(blocks(worker));
        CHECK(events[i].happen() == 0);
        for (Worker& worker : workers) CHECK(worker.finish() == 1L << i);
        for (int way = 0; way < kWays; ++way) CHECK(wait_by(way, files, &none) == 1L << i);
        CHECK(events[i].pass() == 0);
    }
    CHECK(wait_status(child) == W_EXITCODE(7, 0));
    handle(SIGUSR1, SA_RESTART);
    const sigset_t nothing = set_of({});
    for (int way = 0; way < kWays; ++way) {
        CAPTURE(way);
        const long long begin = now_ns();
        CHECK(wait_by(way, silent, &some) == 0);
        CHECK(now_ns() - begin >= 5 * kMilli);
        Worker& worker = workers[static_cast<std::size_t>(way)];
        worker.start([&] { return wait_by(way, silent); });
        CHECK(blocks(worker));
        interrupt(worker);
        CHECK(worker.finish() == -EINTR);  // never begun again
        if (way % 2 == 0) continue;
        // With a mask: a signal that waits is noticed even if there is no time, but not if there are events.
        mask(SIG_BLOCK, {SIGUSR1});
        const int before = g_count;
        CHECK(raise(SIGUSR1) == 0);
        CHECK(wait_by(way, silent, &none) == 0);
        CHECK(give(counter, 1) == 0);
        CHECK(wait_by(way, silent, nullptr, &nothing) == 1);
        CHECK(g_count == before);
        CHECK(number_of(counter) == 1);
        CHECK(wait_by(way, silent, &none, &nothing) == -EINTR);
        CHECK(g_count == before + 1);
        mask(SIG_UNBLOCK, {SIGUSR1});
    }
    dispose(SIGUSR1, SIG_DFL);
}

TEST_CASE("poll and select: sets, and errors") {
    const Opened counter(eventfd(0, 0)), full(eventfd(0, 0));
    const int closed = lowest_free();
    REQUIRE(give(full, kMost) == 0);
    pollfd polls[] = {{closed, POLLIN, 0}, {-1, POLLIN, 9}, {counter, POLLIN | POLLOUT, 0}, {full, POLLOUT, 9}};
    CHECK(poll(polls, 4, -1) == 2);
    CHECK(polls[0].revents == POLLNVAL);
    CHECK(polls[1].revents == 0);
    CHECK(polls[2].revents == POLLOUT);
    CHECK(polls[3].revents == 0);
    fd_set readable, writable, special;
    const auto set_all = [&] {
        for (fd_set* const set : {&readable, &writable, &special}) {
            FD_ZERO(set);
            FD_SET(counter, set);
            FD_SET(full, set);
        }
    };
    set_all();
    CHECK(select(full + 1, &readable, &writable, &special, nullptr) == 2);
    CHECK_FALSE(FD_ISSET(counter, &readable));
    CHECK(FD_ISSET(full, &readable));
    CHECK(FD_ISSET(counter, &writable));
    CHECK_FALSE(FD_ISSET(full, &writable));
    CHECK_FALSE((FD_ISSET(counter, &special) || FD_ISSET(full, &special)));
    timeval long_time{1000, 0}, no_time{0, 1000}, negative{-1, 0};
    set_all();
    CHECK(select(counter + 1, &readable, nullptr, nullptr, &no_time) == 0);  // what is beyond is not looked at
    CHECK(no_time.tv_usec == 0);
    CHECK(give(counter, 1) == 0);
    set_all();
    CHECK(select(counter + 1, &readable, nullptr, nullptr, &long_time) == 1);
    CHECK(long_time.tv_sec * 1'000'000 + long_time.tv_usec <= 1'000'000'000);
    CHECK(long_time.tv_sec > 0);
    FD_SET(closed, &readable);
    const timespec too_many{0, kSecond}, before{-1, 0};
    const sigset_t nothing = set_of({});
    rlimit limit;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    check_all({
        {error(SYS_select, closed + 1, &readable, nullptr, nullptr, nullptr), EBADF},
        {error(SYS_select, -1, nullptr, nullptr, nullptr, nullptr), EINVAL},
        {error(SYS_select, counter + 1, kNowhere, nullptr, nullptr, nullptr), EFAULT},
        {error(SYS_select, 0, nullptr, nullptr, nullptr, &negative), EINVAL},
        {error(SYS_pselect6, 0, nullptr, nullptr, nullptr, &too_many, nullptr), EINVAL},
        {error(SYS_poll, kNowhere, 1, 0), EFAULT},
        {error(SYS_poll, polls, limit.rlim_cur + 1, 0), EINVAL},
        {error(SYS_ppoll, polls, 1, &before, nullptr, 8), EINVAL},
        {error(SYS_ppoll, polls, 1, &too_many, nullptr, 8), EINVAL},
        {error(SYS_ppoll, polls, 1, kNowhere, nullptr, 8), EFAULT},
        {error(SYS_ppoll, polls, 1, nullptr, &nothing, 4), EINVAL},
    });
}
