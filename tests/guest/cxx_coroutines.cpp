// SPDX-License-Identifier: MIT
// Coroutines over epoll: a small loop of tasks that wait for pipes, eventfds, timers and each other, of which several
// run at once and other threads hand things in; what a server written in today's C++ asks of a kernel.
// No co_await stands in a condition: GCC 12 lays out the frame of a coroutine with `if (co_await …)` wrongly.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <system_error>
#include <utility>

#include "tests/guest/cxx.hpp"

using namespace guest;

namespace {

// ---- tasks and their loop

using Handle = std::coroutine_handle<>;

void check_call(int result) {
    if (result < 0) throw std::system_error(errno, std::system_category());
}

// A coroutine that begins when it is awaited, and ends with a number or an exception.
class Task {
public:
    struct promise_type {
        struct ToWhoAwaits {
            bool await_ready() const noexcept { return false; }
            Handle await_suspend(Handle) const noexcept { return next; }
            void await_resume() const noexcept {}
            Handle next;
        };
        Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        ToWhoAwaits final_suspend() const noexcept { return {next}; }
        void unhandled_exception() { failure = std::current_exception(); }
        void return_value(std::uint64_t result) { value = result; }
        Handle next;
        std::exception_ptr failure;
        std::uint64_t value = 0;
    };
    explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }
    bool await_ready() const { return false; }
    Handle await_suspend(Handle who) {
        coroutine_.promise().next = who;
        return coroutine_;
    }
    std::uint64_t await_resume() {
        if (coroutine_.promise().failure) std::rethrow_exception(coroutine_.promise().failure);
        return coroutine_.promise().value;
    }

private:
    std::coroutine_handle<promise_type> coroutine_;
};

struct Descriptor {
    explicit Descriptor(int number) : fd(number) { check_call(fd); }
    ~Descriptor() { close(fd); }
    Descriptor(const Descriptor&) = delete;
    const int fd;
};

// Runs in one thread; only `post` is for others.
class Loop {
public:
    Loop() {
        change(EPOLL_CTL_ADD, wake_.fd, EPOLLIN | EPOLLET, &wake_);
        change(EPOLL_CTL_ADD, timer_.fd, EPOLLIN, &timer_);
    }

    // Waits until a descriptor has one of `events`; the result is those that came.
    struct Readiness {
        bool await_ready() const { return false; }
        void await_suspend(Handle handle) {
            who = handle;
            loop.change(EPOLL_CTL_ADD, fd, events | EPOLLONESHOT, this);
        }
        std::uint32_t await_resume() {
            loop.change(EPOLL_CTL_DEL, fd, 0, nullptr);
            return came;
        }
        Loop& loop;
        const int fd;
        const std::uint32_t events;
        std::uint32_t came = 0;
        Handle who = nullptr;
    };
    Readiness ready(int fd, std::uint32_t events) { return {*this, fd, events}; }

    // Waits for the loop even if the time has passed: those who wait go on in the order of their times.
    struct Deadline {
        bool await_ready() const { return false; }
        void await_suspend(Handle who) { loop.sleepers_.emplace(when, who); }
        void await_resume() const {}
        Loop& loop;
        const Steady::time_point when;
    };
    Deadline at(Steady::time_point when) { return {*this, when}; }
    Deadline after(Steady::duration time) { return {*this, Steady::now() + time}; }

    void spawn(Task task) {
        ++running_;
        drive(std::move(task));
    }

    void post(Handle who) {
        {
            const std::lock_guard lock(mutex_);
            posted_.push_back(who);
        }
        check_call(eventfd_write(wake_.fd, 1));
    }

    // Wakes the first of `queue` when the loop comes to it.
    void resume_one(std::deque<Handle>& queue) {
        if (queue.empty()) return;
        ready_.push_back(queue.front());
        queue.pop_front();
    }

    // Until all tasks have ended. What one has thrown, and not caught, comes out here.
    void run() {
        while (running_ > 0) {
            while (!ready_.empty()) {
                const Handle next = ready_.front();
                ready_.pop_front();
                next.resume();
            }
            if (running_ > 0) wait();
        }
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

private:
    struct Driver {
        struct promise_type {
            Driver get_return_object() const { return {}; }
            std::suspend_never initial_suspend() const noexcept { return {}; }
            std::suspend_never final_suspend() const noexcept { return {}; }
            void return_void() const {}
            void unhandled_exception() const { std::terminate(); }
        };
    };

    Driver drive(Task task) {
        try {
            co_await task;
        } catch (...) {
            failure_ = std::current_exception();
        }
        --running_;
    }

    void change(int operation, int fd, std::uint32_t events, void* what) {
        epoll_event event{};
        event.events = events;
        event.data.ptr = what;
        check_call(epoll_ctl(epoll_.fd, operation, fd, &event));
    }

    void wait() {
        itimerspec alarm{};  // zero: none
        if (!sleepers_.empty()) {
            const auto first = sleepers_.begin()->first.time_since_epoch();
            alarm.it_value = {first / 1s, first % 1s / 1ns};
        }
        check_call(timerfd_settime(timer_.fd, TFD_TIMER_ABSTIME, &alarm, nullptr));
        epoll_event events[8];
        const int count = epoll_wait(epoll_.fd, events, 8, -1);
        if (count < 0 && errno != EINTR) check_call(count);
        for (int i = 0; i < count; ++i) {
            if (events[i].data.ptr == &wake_) {
                eventfd_t rings;
                eventfd_read(wake_.fd, &rings);  // first: what is posted after this rings again
                const std::lock_guard lock(mutex_);
                ready_.insert(ready_.end(), posted_.begin(), posted_.end());
                posted_.clear();
            } else if (events[i].data.ptr != &timer_) {
                auto* readiness = static_cast<Readiness*>(events[i].data.ptr);
                readiness->came = events[i].events;
                ready_.push_back(readiness->who);
            }
        }
        while (!sleepers_.empty() && sleepers_.begin()->first <= Steady::now())
            ready_.push_back(sleepers_.extract(sleepers_.begin()).mapped());
    }

    const Descriptor epoll_{epoll_create1(EPOLL_CLOEXEC)};
    Descriptor wake_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    Descriptor timer_{timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)};
    std::deque<Handle> ready_;
    std::multimap<Steady::time_point, Handle> sleepers_;
    int running_ = 0;
    std::exception_ptr failure_;
    std::mutex mutex_;
    std::vector<Handle> posted_;
};

// What is read when there is something; 0 at the end.
Task read_some(Loop& loop, int fd, void* to, std::size_t size) {
    for (;;) {
        const ssize_t count = read(fd, to, size);
        if (count >= 0) co_return static_cast<std::size_t>(count);
        if (errno != EAGAIN) check_call(-1);
        co_await loop.ready(fd, EPOLLIN);
    }
}

// Of an eventfd or a timerfd.
Task read_number(Loop& loop, int fd) {
    std::uint64_t number = 0;
    co_await read_some(loop, fd, &number, sizeof number);
    co_return number;
}

}  // namespace

// ---- exceptions

namespace {

Task deep(Loop& loop, int depth, std::shared_ptr<int> alive) {
    if (depth > 0) co_return co_await deep(loop, depth - 1, alive);
    co_await loop.after(1ms);
    co_return co_await loop.ready(-1, EPOLLIN);  // throws
}

}  // namespace

TEST_CASE("exceptions come up through the coroutines that wait, and out of the loop") {
    Loop loop;
    const auto alive = std::make_shared<int>();
    loop.spawn(deep(loop, 50, alive));
    CHECK(alive.use_count() > 50);
    CHECK_THROWS_AS(loop.run(), std::system_error);
    CHECK(alive.use_count() == 1);
}

// ---- pipes

namespace {

char pattern(std::size_t offset) { return static_cast<char>(offset * 7 + offset / 4096); }

Task write_stream(Loop& loop, Pipe& pipe, std::size_t total, int& stalls) {
    std::string block(4096, '\0');
    for (std::size_t sent = 0; sent < total;) {
        for (std::size_t i = 0; i < block.size(); ++i) block[i] = pattern(sent + i);
        const ssize_t count = write(pipe.writer(), block.data(), std::min(block.size(), total - sent));
        if (count >= 0) {
            sent += static_cast<std::size_t>(count);
            continue;
        }
        if (errno != EAGAIN) check_call(-1);
        ++stalls;
        co_await loop.ready(pipe.writer(), EPOLLOUT);
    }
    co_await loop.after(1ms);  // the reader waits again: what it sees then is the end
    pipe.close_writer();
    co_return 0;
}

Task read_stream(Loop& loop, Pipe& pipe, std::size_t& received, int& wrong) {
    std::string block(3000, '\0');
    for (;;) {
        const std::size_t count = co_await read_some(loop, pipe.reader(), block.data(), block.size());
        if (count == 0) break;
        for (std::size_t i = 0; i < count; ++i) wrong += block[i] != pattern(received + i);
        received += count;
    }
    const std::uint32_t events = co_await loop.ready(pipe.reader(), EPOLLIN);
    wrong += events != EPOLLHUP;
    co_return 0;
}

}  // namespace

TEST_CASE("streams through pipes: writers wait for room, readers for bytes and the end") {
    constexpr int kPipes = 3;
    constexpr std::size_t kTotal = 100'000;
    Loop loop;
    Pipe pipes[kPipes];
    int stalls[kPipes]{}, wrong = 0;
    std::size_t received[kPipes]{};
    for (int i = 0; i < kPipes; ++i) {
        for (const int fd : {pipes[i].reader(), pipes[i].writer()}) REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        loop.spawn(write_stream(loop, pipes[i], kTotal, stalls[i]));
        loop.spawn(read_stream(loop, pipes[i], received[i], wrong));
    }
    loop.run();
    for (int i = 0; i < kPipes; ++i) {
        CHECK(received[i] == kTotal);
        CHECK(stalls[i] > 0);
    }
    CHECK(wrong == 0);
}

// ---- eventfd

namespace {

constexpr eventfd_t kMost = 0xffff'ffff'ffff'fffe;

Task take(Loop& loop, int fd, int times, std::vector<std::uint64_t>& taken) {
    for (int i = 0; i < times; ++i) {
        const std::uint64_t number = co_await read_number(loop, fd);
        taken.push_back(number);
    }
    co_return 0;
}

Task overfill(Loop& loop, int fd, std::string& story) {
    check_call(eventfd_write(fd, kMost));
    while (eventfd_write(fd, 3) != 0 && errno == EAGAIN) {
        story += "full ";
        co_await loop.ready(fd, EPOLLOUT);
    }
    story += "written";
    co_return 0;
}

Task drain_later(Loop& loop, int fd, std::string& story) {
    co_await loop.after(1ms);
    const std::uint64_t number = co_await read_number(loop, fd);
    story += number == kMost ? "drained " : "wrong ";
    co_return 0;
}

}  // namespace

TEST_CASE("coroutines share an eventfd: a semaphore gives each its own, a counter all at once") {
    Loop loop;
    std::vector<std::uint64_t> taken;
    const Descriptor semaphore(eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK));
    const Descriptor second(dup(semaphore.fd)), third(dup(semaphore.fd));  // an epoll set has a descriptor once
    for (const int fd : {semaphore.fd, second.fd, third.fd}) loop.spawn(take(loop, fd, 3, taken));
    const std::jthread poster([&] {
        for (int i = 0; i < 3; ++i) {
            std::this_thread::sleep_for(1ms);
            eventfd_write(semaphore.fd, 3);
        }
    });
    loop.run();
    CHECK(taken == std::vector<std::uint64_t>(9, 1));

    const Descriptor counter(eventfd(5, EFD_NONBLOCK)), again(dup(counter.fd));
    for (int i = 0; i < 4; ++i) eventfd_write(counter.fd, 10);
    taken.clear();
    loop.spawn(take(loop, counter.fd, 1, taken));
    loop.run();
    CHECK(taken == std::vector<std::uint64_t>{45});
    std::string story;
    loop.spawn(overfill(loop, counter.fd, story));
    loop.spawn(drain_later(loop, again.fd, story));
    loop.run();
    CHECK(story == "full drained written");
}

// ---- timers

namespace {

std::vector<int> numbers_below(int count) {
    std::vector<int> all(static_cast<std::size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
}

Task sleep_and_tell(Loop& loop, int who, Steady::time_point when, std::vector<int>& wakes) {
    co_await loop.at(when);
    wakes.push_back(Steady::now() < when ? -1 : who);
    co_return 0;
}

}  // namespace

TEST_CASE("sleeping coroutines wake in the order of their times, none early") {
    constexpr int kSleepers = 30;
    Loop loop;
    std::vector<int> wakes;
    const auto begin = Steady::now() + kShort;
    for (int i = 0; i < kSleepers; ++i) {
        const int rank = i * 7 % kSleepers;
        loop.spawn(sleep_and_tell(loop, rank, begin + rank * 300us, wakes));
    }
    loop.run();
    CHECK(wakes == numbers_below(kSleepers));
}

TEST_CASE("timerfds are awaited: once, at intervals, and on the clock of the day") {
    Loop loop;
    const Descriptor once(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const Descriptor often(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    const Descriptor realtime(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    const auto after = [](long long start, long nanoseconds) {
        return timespec{(start + nanoseconds) / 1'000'000'000, (start + nanoseconds) % 1'000'000'000};
    };
    const long long begin = now_ns(), begin_real = now_ns(CLOCK_REALTIME);
    const itimerspec in_three{{}, after(0, 3'000'000)}, each_two{after(0, 2'000'000), after(0, 1'000'000)},
        at_five{{}, after(begin_real, 5'000'000)}, never{};
    REQUIRE(timerfd_settime(once.fd, 0, &in_three, nullptr) == 0);
    REQUIRE(timerfd_settime(often.fd, 0, &each_two, nullptr) == 0);
    REQUIRE(timerfd_settime(realtime.fd, TFD_TIMER_ABSTIME, &at_five, nullptr) == 0);
    std::vector<std::uint64_t> taken, ticks;
    loop.spawn(take(loop, once.fd, 1, taken));
    loop.run();
    CHECK(now_ns() - begin >= 3'000'000);
    loop.spawn(take(loop, realtime.fd, 1, taken));
    loop.run();
    CHECK(now_ns(CLOCK_REALTIME) - begin_real >= 5'000'000);
    CHECK(taken == std::vector<std::uint64_t>{1, 1});
    loop.spawn(take(loop, often.fd, 5, ticks));
    loop.run();
    const long long passed = now_ns() - begin, sum = std::accumulate(ticks.begin(), ticks.end(), 0LL);
    CHECK(sum >= 5);
    CHECK(sum <= (passed + 1'000'000) / 2'000'000);

    itimerspec left{};
    sleep_ms(3);
    CHECK(timerfd_settime(often.fd, 0, &never, &left) == 0);
    CHECK(left.it_interval.tv_nsec == 2'000'000);
    std::uint64_t number;
    CHECK(read(often.fd, &number, sizeof number) == -1);  // what had passed is forgotten
    CHECK(errno == EAGAIN);
}

// ---- other threads

namespace {

// From any thread to one coroutine.
class Mailbox {
public:
    explicit Mailbox(Loop& loop) : loop_(loop) {}

    void put(int item) {
        Handle who;
        {
            const std::lock_guard lock(mutex_);
            items_.push_back(item);
            who = std::exchange(who_, nullptr);
        }
        if (who) loop_.post(who);
    }
    bool await_ready() const { return false; }
    bool await_suspend(Handle who) {
        const std::lock_guard lock(mutex_);
        if (items_.empty()) who_ = who;
        return items_.empty();
    }
    int await_resume() {
        const std::lock_guard lock(mutex_);
        const int item = items_.front();
        items_.pop_front();
        return item;
    }

private:
    Loop& loop_;
    std::mutex mutex_;
    std::deque<int> items_;
    Handle who_;
};

Task collect(Mailbox& mailbox, int ends, std::vector<int>& items) {
    while (ends > 0) {
        const int item = co_await mailbox;
        if (item < 0)
            --ends;
        else
            items.push_back(item);
    }
    co_return 0;
}

}  // namespace

TEST_CASE("other threads drive a loop through its eventfd, and lose nothing") {
    constexpr int kThreads = 4, kItems = 50;
    Loop loop;
    Mailbox mailbox(loop);
    std::vector<int> items;
    std::atomic<bool> ended = false;
    loop.spawn(collect(mailbox, kThreads, items));
    std::jthread runner([&] {
        loop.run();
        ended = true;
    });
    in_threads(kThreads, [&](int i) {
        for (int n = 0; n < kItems; ++n) {
            mailbox.put(i * kItems + n);
            if (n % 8 == 0) std::this_thread::sleep_for(100us);  // the loop sleeps, too
        }
    });
    CHECK(!ended);
    for (int i = 0; i < kThreads; ++i) mailbox.put(-1);
    runner.join();
    std::sort(items.begin(), items.end());
    CHECK(items == numbers_below(kThreads * kItems));
}

// ---- a channel

namespace {

// Bounded, between the coroutines of one loop.
class Channel {
public:
    static constexpr std::uint64_t kClosed = ~0ULL;

    explicit Channel(Loop& loop) : loop_(loop) {}
    Task send(int item) {
        while (items_.size() == 4) co_await Parking{senders_};
        items_.push_back(item);
        loop_.resume_one(receivers_);
        co_return 0;
    }
    Task receive() {
        while (items_.empty() && !closed_) co_await Parking{receivers_};
        if (items_.empty()) co_return kClosed;
        const int item = items_.front();
        items_.pop_front();
        loop_.resume_one(senders_);
        co_return static_cast<std::uint64_t>(item);
    }
    void close() {
        closed_ = true;
        while (!receivers_.empty()) loop_.resume_one(receivers_);
    }

private:
    struct Parking {
        bool await_ready() const { return false; }
        void await_suspend(Handle who) { queue.push_back(who); }
        void await_resume() const {}
        std::deque<Handle>& queue;
    };

    Loop& loop_;
    std::deque<int> items_;
    std::deque<Handle> senders_, receivers_;
    bool closed_ = false;
};

constexpr int kProducers = 3, kConsumers = 4, kItems = 40;

Task produce(Loop& loop, Channel& channel, int who, int& working) {
    for (int i = 0; i < kItems; ++i) {
        co_await channel.send(who * kItems + i);
        if (i % 16 == who) co_await loop.after(100us);
    }
    if (--working == 0) channel.close();
    co_return 0;
}

Task consume(Loop& loop, Channel& channel, std::vector<int>& got) {
    for (;;) {
        const std::uint64_t item = co_await channel.receive();
        if (item == Channel::kClosed) co_return 0;
        got.push_back(static_cast<int>(item));
        if (item % 16 == 0) co_await loop.after(50us);
    }
}

}  // namespace

TEST_CASE("a channel of coroutines passes on each item once") {
    Loop loop;
    Channel channel(loop);
    int working = kProducers;
    std::vector<int> got;
    for (int i = 0; i < kConsumers; ++i) loop.spawn(consume(loop, channel, got));
    for (int i = 0; i < kProducers; ++i) loop.spawn(produce(loop, channel, i, working));
    loop.run();
    std::sort(got.begin(), got.end());
    CHECK(got == numbers_below(kProducers * kItems));
}
