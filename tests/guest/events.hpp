// SPDX-License-Identifier: MIT
// What the tests of files that tell of events share: the numbers in such files, what poll and epoll tell of them, and
// threads that wait for them. As with threads, only the one that runs a test may CHECK.
#pragma once
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <compare>
#include <ostream>

#include "tests/guest/parallel.hpp"

namespace guest {

// ---- numbers, and threads that wait

// The number in an eventfd or a timer, or the errno, negative.
inline long number_of(int fd) {
    std::uint64_t number = 0;
    const ssize_t length = read(fd, &number, sizeof number);
    return length == sizeof number ? static_cast<long>(number) : length == -1 ? -errno : LONG_MIN;
}

// Adds to an eventfd: 0, or the errno, negative.
inline long give(int fd, std::uint64_t number) {
    const ssize_t length = write(fd, &number, sizeof number);
    return length == sizeof number ? 0 : length == -1 ? -errno : LONG_MIN;
}

// What poll tells of one file: at once, unless it may take its time.
inline int polled(int fd, int timeout = 0, short events = POLLIN | POLLOUT | POLLPRI) {
    pollfd one{fd, events, 0};
    const int result = poll(&one, 1, timeout);
    return result == -1 ? -errno : one.revents;
}

// Whether a thread sleeps in what it was told to do.
inline bool blocks(const Worker& worker) { return sleeps(worker.tid()) && !worker.is_done(); }

// Lets the handler of SIGUSR1 (see handle()) run in a thread.
inline void interrupt(const Worker& worker) {
    const int before = g_count;
    pthread_kill(worker.handle(), SIGUSR1);
    await([&] { return g_count != before; });
}

// ---- timers, signals, processes

inline constexpr long kMilli = 1'000'000, kSecond = 1'000'000'000;

inline timespec time_of(long ns) { return {ns / kSecond, ns % kSecond}; }

inline long ns_of(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }

inline int set_timer(int fd, long value, long interval = 0, int flags = 0, itimerspec* old = nullptr) {
    const itimerspec time{time_of(interval), time_of(value)};
    return timerfd_settime(fd, flags, &time, old) == 0 ? 0 : errno;
}

// Signals that this thread, and those that it makes, block; what is pending of them is gone at the end.
class Blocked {
public:
    explicit Blocked(std::initializer_list<int> signals) : signals_(signals), before_(mask_now()) {
        mask(SIG_BLOCK, signals);
    }
    ~Blocked() {
        for (const int signo : signals_) dispose(signo, SIG_IGN);
        for (const int signo : signals_) dispose(signo, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before_, nullptr);
    }
    Blocked(const Blocked&) = delete;
    Blocked& operator=(const Blocked&) = delete;

private:
    const std::vector<int> signals_;
    const sigset_t before_;
};

inline int open_signals(std::initializer_list<int> signals, int flags = 0, int fd = -1) {
    const sigset_t set = set_of(signals);
    return signalfd(fd, &set, flags);
}

inline int open_process(pid_t pid, unsigned flags = 0) { return static_cast<int>(syscall(SYS_pidfd_open, pid, flags)); }

// 0 or an errno.
inline int wait_for(int process, int options, siginfo_t* info = nullptr) {
    siginfo_t ignored;
    return waitid(P_PIDFD, static_cast<id_t>(process), info == nullptr ? &ignored : info, options) == 0 ? 0 : errno;
}

// ---- epoll

struct Event {
    std::uint64_t data;
    std::uint32_t events;
    auto operator<=>(const Event&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const Event& event) {
        return out << event.data << ": 0x" << std::hex << event.events << std::dec;
    }
};

// What epoll_wait gave, in the order of the data.
using Events = std::vector<Event>;

class Epoll {
public:
    operator int() const { return fd_; }
    // 0, or the errno, negative.
    long add(int fd, std::uint32_t events, std::uint64_t data) const {
        return control(EPOLL_CTL_ADD, fd, events, data);
    }
    long change(int fd, std::uint32_t events, std::uint64_t data) const {
        return control(EPOLL_CTL_MOD, fd, events, data);
    }
    long remove(int fd) const { return epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr) == 0 ? 0 : -errno; }
    // An error is told as an event that nobody asks for.
    Events wait(int timeout = 0, int most = 64) const {
        std::vector<epoll_event> events(static_cast<std::size_t>(most));
        const int count = epoll_wait(fd_, events.data(), most, timeout);
        if (count < 0) return {{UINT64_MAX, static_cast<std::uint32_t>(errno)}};
        Events seen;
        for (int i = 0; i < count; ++i) {
            const epoll_event event = events[static_cast<std::size_t>(i)];
            seen.push_back({event.data.u64, event.events});
        }
        std::sort(seen.begin(), seen.end());
        return seen;
    }

private:
    long control(int operation, int fd, std::uint32_t events, std::uint64_t data) const {
        epoll_event event{events, {.u64 = data}};
        return epoll_ctl(fd_, operation, fd, &event) == 0 ? 0 : -errno;
    }
    const Opened fd_{epoll_create1(EPOLL_CLOEXEC)};
};

// One counter, which an epoll watches.
class Watched {
public:
    explicit Watched(std::uint32_t flags = 0, std::uint64_t data = 1, int kind = 0) : counter_(eventfd(0, kind)) {
        REQUIRE(epoll_.add(counter_, EPOLLIN | flags, data) == 0);
    }
    const Epoll& epoll() const { return epoll_; }
    int counter() const { return counter_; }

private:
    const Epoll epoll_;
    const Opened counter_;
};

// The data of the events that come, as bits.
inline long told(const Epoll& epoll, int most = 64) {
    std::uint64_t bits = 0;
    for (const auto& [data, events] : epoll.wait(-1, most)) bits |= data;
    return static_cast<long>(bits);
}

// ---- errors

inline void* const kNowhere = reinterpret_cast<void*>(1);

// The rows of a table of errors: each was made by a call.
struct Outcome {
    int seen, wanted;
};

inline void check_all(std::initializer_list<Outcome> rows) {
    for (const Outcome& row : rows) {
        CAPTURE(&row - rows.begin());
        CHECK(row.seen == row.wanted);
    }
}

}  // namespace guest
