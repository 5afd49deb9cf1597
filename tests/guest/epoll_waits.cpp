// SPDX-License-Identifier: MIT
// Waiting for an epoll: limits of time, signals, several threads or several epolls that wait for the same, and loops
// that serve many files.
#include <numeric>

#include "tests/guest/events.hpp"

using namespace guest;

TEST_CASE("epoll_wait, epoll_pwait, epoll_pwait2: limits of time") {
    const Watched watched;
    const Epoll& epoll = watched.epoll();
    epoll_event event{};
    const timespec some{0, 5 * kMilli}, little{0, 1}, none{0, 0};
    const auto takes = [&](auto wait, int result) {
        const long long begin = now_ns();
        CHECK(wait() == result);
        return now_ns() - begin;
    };
    CHECK(takes([&] { return epoll_wait(epoll, &event, 1, 0); }, 0) >= 0);
    CHECK(takes([&] { return epoll_wait(epoll, &event, 1, 5); }, 0) >= 5 * kMilli);
    CHECK(takes([&] { return epoll_pwait(epoll, &event, 1, 5, nullptr); }, 0) >= 5 * kMilli);
    CHECK(takes([&] { return epoll_pwait2(epoll, &event, 1, &some, nullptr); }, 0) >= 5 * kMilli);
    CHECK(takes([&] { return epoll_pwait2(epoll, &event, 1, &little, nullptr); }, 0) >= 1);
    CHECK(takes([&] { return epoll_pwait2(epoll, &event, 1, &none, nullptr); }, 0) >= 0);
    // None, and far more time than it takes.
    const timespec long_time{LONG_MAX, 0};
    const std::function<int()> waits[] = {
        [&] { return epoll_wait(epoll, &event, 1, -1); },
        [&] { return epoll_wait(epoll, &event, 1, -1000); },
        [&] { return epoll_wait(epoll, &event, 1, INT_MAX); },
        [&] { return epoll_pwait2(epoll, &event, 1, nullptr, nullptr); },
        [&] { return epoll_pwait2(epoll, &event, 1, &long_time, nullptr); },
    };
    Worker worker;
    for (const auto& wait : waits) {
        CAPTURE(&wait - waits);
        worker.start([&] { return wait(); });
        CHECK(blocks(worker));
        CHECK(give(watched.counter(), 1) == 0);
        CHECK(worker.finish() == 1);
        CHECK(wait() == 1);  // there is something already
        CHECK(number_of(watched.counter()) == 1);
    }
}

TEST_CASE("signals while a thread waits for an epoll") {
    const Watched watched;
    const Epoll& epoll = watched.epoll();
    epoll_event event{};
    const sigset_t nothing = set_of({}), usr1 = set_of({SIGUSR1});
    Worker worker;
    const auto start = [&](const sigset_t* set) {
        worker.start([&, set] { return epoll_pwait(epoll, &event, 1, -1, set) == -1 ? -errno : event.data.u64; });
        return blocks(worker);
    };
    for (const int flags : {0, SA_RESTART}) {  // it is never begun again
        handle(SIGUSR1, flags);
        CHECK(start(nullptr));
        interrupt(worker);
        CHECK(worker.finish() == -EINTR);
    }
    dispose(SIGUSR2, SIG_IGN);
    CHECK(start(nullptr));
    CHECK(pthread_kill(worker.handle(), SIGUSR2) == 0);
    CHECK(blocks(worker));
    dispose(SIGUSR2, SIG_DFL);
    // What is blocked only meanwhile is handled afterwards.
    CHECK(give(watched.counter(), 1) == 0);
    CHECK(worker.finish() == 1);
    CHECK(number_of(watched.counter()) == 1);
    CHECK(start(&usr1));
    const int before = g_count;
    CHECK(pthread_kill(worker.handle(), SIGUSR1) == 0);
    CHECK(blocks(worker));
    CHECK(g_count == before);
    CHECK(give(watched.counter(), 1) == 0);
    CHECK(worker.finish() == 1);
    CHECK(g_count == before + 1);
    CHECK(worker.run([] { return is_blocked(SIGUSR1); }) == 0);
    // What is let through only meanwhile ends the call, unless there are events or no time.
    const Blocked blocked{SIGUSR1};
    CHECK(raise(SIGUSR1) == 0);
    CHECK(epoll_pwait(epoll, &event, 1, -1, nullptr) == 1);
    CHECK(epoll_pwait(epoll, &event, 1, -1, &nothing) == 1);
    CHECK(epoll_pwait2(epoll, &event, 1, nullptr, &nothing) == 1);
    CHECK(number_of(watched.counter()) == 1);
    CHECK(epoll_pwait(epoll, &event, 1, 0, &nothing) == 0);
    CHECK(g_count == before + 1);
    CHECK(is_pending(SIGUSR1));
    CHECK(fails(epoll_pwait(epoll, &event, 1, -1, &nothing), EINTR));
    CHECK(g_count == before + 2);
    CHECK(is_blocked(SIGUSR1));
    CHECK(raise(SIGUSR1) == 0);
    const timespec long_time{1000, 0};
    CHECK(fails(epoll_pwait2(epoll, &event, 1, &long_time, &nothing), EINTR));
    CHECK(g_count == before + 3);
    CHECK(is_blocked(SIGUSR1));
}

TEST_CASE("to be stopped ends epoll_wait, though no handler has run, but not poll") {
    const Watched watched;
    const auto stop = [&](auto wait) {
        const pid_t child = start_child(wait);
        int status = 0;
        CHECK(sleeps(child, child));
        CHECK(kill(child, SIGSTOP) == 0);
        CHECK(waitpid(child, &status, WUNTRACED) == child);
        CHECK(kill(child, SIGCONT) == 0);
        return child;
    };
    epoll_event event{};
    CHECK(wait_status(stop([&] { return epoll_wait(watched.epoll(), &event, 1, -1) == -1 ? errno : 0; })) ==
          W_EXITCODE(EINTR, 0));
    const pid_t child = stop([&] { return polled(watched.epoll(), -1) == POLLIN ? 5 : 0; });
    CHECK(sleeps(child, child));
    CHECK(give(watched.counter(), 1) == 0);
    CHECK(wait_status(child) == W_EXITCODE(5, 0));
}

TEST_CASE("EPOLLEXCLUSIVE: one at least of those that wait, and all that are not exclusive") {
    const Opened counter(eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE)), stop(eventfd(0, 0));
    struct Waiter {
        Epoll epoll;
        Worker worker;
    };
    std::deque<Waiter> exclusive(4), ordinary(2);
    for (std::deque<Waiter>* const waiters : {&exclusive, &ordinary}) {
        for (auto& [epoll, worker] : *waiters) {
            REQUIRE(epoll.add(counter, waiters == &exclusive ? EPOLLIN | EPOLLEXCLUSIVE : EPOLLIN, 1) == 0);
            REQUIRE(epoll.add(stop, EPOLLIN, 2) == 0);
            worker.start([&epoll] { return told(epoll); });
            CHECK(blocks(worker));
        }
    }
    CHECK(give(counter, 1) == 0);
    for (auto& waiter : ordinary) CHECK(waiter.worker.finish() == 1);
    const auto is_done = [](const Waiter& waiter) { return waiter.worker.is_done(); };
    await([&] { return std::any_of(exclusive.begin(), exclusive.end(), is_done); });
    CHECK(give(stop, 1) == 0);
    long woken = 0;
    for (auto& waiter : exclusive) woken += waiter.worker.finish() & 1;
    CHECK(woken >= 1);
    // Each takes what it can, and nothing stays behind for want of someone who is awake.
    CHECK(number_of(counter) == 1);
    CHECK(number_of(stop) == 1);
    for (auto& [epoll, worker] : exclusive) {
        worker.start([&] {
            for (long taken = 0;;) {
                const long bits = told(epoll);
                while (number_of(counter) == 1) ++taken;
                if ((bits & 2) != 0) return taken;
            }
        });
    }
    for (int i = 0; i < 40; ++i) {
        CHECK(give(counter, 1) == 0);
        if (i % 4 == 0) await([&] { return polled(counter) == POLLOUT; });
        sched_yield();
    }
    await([&] { return polled(counter) == POLLOUT; });
    CHECK(give(stop, 1) == 0);
    long taken = 0;
    for (auto& waiter : exclusive) taken += waiter.worker.finish();
    CHECK(taken == 40);
}

TEST_CASE("several threads that wait for one epoll") {
    std::deque<Worker> workers(4);
    const auto start_all = [&](const Epoll& epoll) {
        for (Worker& worker : workers) worker.start([&] { return told(epoll, 1); });
        return std::all_of(workers.begin(), workers.end(), blocks);
    };
    const auto done = [&] { return std::count_if(workers.begin(), workers.end(), std::mem_fn(&Worker::is_done)); };
    for (const std::uint32_t flags : {0U + EPOLLET, 0U + EPOLLONESHOT, EPOLLET | EPOLLONESHOT}) {
        CAPTURE(flags);
        const Epoll epoll;
        std::deque<Opened> counters;
        for (std::size_t i = 0; i < workers.size(); ++i) {
            counters.emplace_back(eventfd(0, 0));
            REQUIRE(epoll.add(counters.back(), EPOLLIN | flags, 1U << i) == 0);
        }
        CHECK(start_all(epoll));
        CHECK(give(counters[0], 1) == 0);
        await([&] { return done() > 0; });
        for (Worker& worker : workers) CHECK((worker.is_done() || blocks(worker)));
        CHECK(done() == 1);
        for (std::size_t i = 1; i < counters.size(); ++i) CHECK(give(counters[i], 1) == 0);
        std::set<long> seen;
        for (Worker& worker : workers) seen.insert(worker.finish());
        CHECK(seen == std::set<long>{1, 2, 4, 8});  // one for each
    }
    // A state that lasts is told to all of them.
    const Watched level(0, 16);
    CHECK(start_all(level.epoll()));
    CHECK(give(level.counter(), 1) == 0);
    for (Worker& worker : workers) CHECK(worker.finish() == 16);
}

TEST_CASE("what others do to an epoll while a thread waits for it") {
    const Epoll epoll;
    const Opened counter(eventfd(0, 0)), ready(eventfd(1, 0));
    Worker worker;
    const auto wait = [&] {
        worker.start([&] { return told(epoll); });
        return blocks(worker);
    };
    CHECK(wait());  // for nothing at all, yet
    CHECK(epoll.add(counter, EPOLLIN, 1) == 0);
    CHECK(blocks(worker));
    CHECK(give(counter, 1) == 0);
    CHECK(worker.finish() == 1);
    CHECK(number_of(counter) == 1);
    CHECK(wait());
    CHECK(epoll.add(ready, EPOLLIN, 2) == 0);
    CHECK(worker.finish() == 2);
    CHECK(epoll.remove(ready) == 0);
    CHECK(wait());
    CHECK(epoll.change(counter, EPOLLOUT, 4) == 0);
    CHECK(worker.finish() == 4);
    CHECK(epoll.change(counter, 0, 8) == 0);
    CHECK(wait());
    CHECK(give(counter, 1) == 0);
    CHECK(blocks(worker));
    CHECK(epoll.remove(counter) == 0);
    CHECK(give(counter, 1) == 0);
    CHECK(blocks(worker));
    CHECK(child_exit([&] { return epoll.add(counter, EPOLLIN, 16) == 0 ? 0 : 1; }) == 0);
    CHECK(worker.finish() == 16);
}

namespace {

constexpr std::size_t kPipes = 50, kWriters = 5, kMessages = 10;

char byte_of(std::size_t pipe, std::size_t position) { return static_cast<char>(pipe * 31 + position * 7); }

// Writes messages of many sizes to every kWriters-th pipe, in an order of its own, and closes them: how many bytes.
long write_all(std::deque<Pipe>& pipes, std::size_t first) {
    std::minstd_rand random(static_cast<unsigned>(first) + 1);
    std::vector<std::size_t> turns;
    for (std::size_t pipe = first; pipe < kPipes; pipe += kWriters) turns.insert(turns.end(), kMessages, pipe);
    std::shuffle(turns.begin(), turns.end(), random);
    std::map<std::size_t, std::size_t> written, sent;
    long sum = 0;
    for (const std::size_t pipe : turns) {
        std::string text(1 + random() % 900, '\0');
        for (char& byte : text) byte = byte_of(pipe, written[pipe]++);
        const ssize_t length = write(pipes[pipe].writer(), text.data(), text.size());
        sum += length;
        if (++sent[pipe] == kMessages) pipes[pipe].close_writer();
        if (random() % 4 == 0) sched_yield();
    }
    return sum;
}

// Reads all that there is: whether there may be more later. Counts the bytes, and those that are not the right ones.
bool read_all(int fd, std::size_t pipe, std::size_t& position, std::size_t& wrong) {
    char bytes[512];
    for (;;) {
        const ssize_t length = read(fd, bytes, sizeof bytes);
        if (length <= 0) return length == -1 && errno == EAGAIN;
        for (ssize_t i = 0; i < length; ++i) wrong += bytes[i] != byte_of(pipe, position++);
    }
}

}  // namespace

TEST_CASE("a loop that serves fifty pipes, to which threads write") {
    for (const std::uint32_t flags : {0U, 0U + EPOLLET, 0U + EPOLLONESHOT}) {
        CAPTURE(flags);
        const Epoll epoll;
        std::deque<Pipe> pipes(kPipes);
        for (std::size_t i = 0; i < kPipes; ++i) {
            REQUIRE(fcntl(pipes[i].reader(), F_SETFL, O_NONBLOCK) == 0);
            REQUIRE(epoll.add(pipes[i].reader(), EPOLLIN | flags, i) == 0);
        }
        std::deque<Thread> writers;
        for (std::size_t i = 0; i < kWriters; ++i) writers.emplace_back([&, i] { return write_all(pipes, i); });
        std::vector<std::size_t> positions(kPipes);
        std::size_t open = kPipes, wrong = 0, strange = 0;
        while (open > 0) {
            for (const auto& [pipe, events] : epoll.wait(-1, 8)) {
                strange += (events & ~(0U + EPOLLIN + EPOLLHUP)) != 0 || pipe >= kPipes;
                if (strange != 0) break;
                const int fd = pipes[pipe].reader();
                if (read_all(fd, pipe, positions[pipe], wrong)) {
                    if (flags == EPOLLONESHOT) strange += epoll.change(fd, EPOLLIN | flags, pipe) != 0;
                    continue;
                }
                if (pipe % 2 == 0) strange += epoll.remove(fd) != 0;
                pipes[pipe].close_reader();
                --open;
            }
            REQUIRE(strange == 0);
        }
        CHECK(wrong == 0);
        CHECK(epoll.wait().empty());
        long sum = 0;
        for (Thread& writer : writers) sum += writer.join();
        CHECK(std::accumulate(positions.begin(), positions.end(), 0L) == sum);
    }
}
