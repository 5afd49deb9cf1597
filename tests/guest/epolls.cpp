// SPDX-License-Identifier: MIT
// epoll: what is reported of a file and how often; and files that are closed, copied, inherited, or epolls themselves.
#include "tests/guest/events.hpp"

using namespace guest;

namespace {

void unblock(std::initializer_list<int> fds) {
    for (const int fd : fds) REQUIRE(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
}

void fill(int fd) {
    static const char page[kPageSize]{};
    while (write(fd, page, sizeof page) > 0) continue;
}

ssize_t skip(int fd, std::size_t length) {
    static char bytes[1 << 16];
    return read(fd, bytes, std::min(length, sizeof bytes));
}

int control(int epoll, int operation, int fd, std::uint32_t events = EPOLLIN) {
    epoll_event event{events, {}};
    return error(SYS_epoll_ctl, epoll, operation, fd, &event);
}

}  // namespace

TEST_CASE("epoll: every error of the man pages") {
    const Scratch scratch;
    const Opened file(make_file("f")), folder(open(".", O_RDONLY)), path(open(".", O_PATH)),
        null(open("/dev/null", O_RDWR)), counter(eventfd(0, 0)), added(eventfd(1, 0)), alone(eventfd(0, 0));
    const Epoll epoll, inner;
    const Opened copy(dup(epoll));
    const int ep = epoll, fd = counter, known = added, closed = lowest_free();
    REQUIRE(epoll.add(added, EPOLLIN, 1) == 0);
    constexpr std::uint32_t kExclusive = EPOLLIN | EPOLLEXCLUSIVE;
    REQUIRE(epoll.add(alone, kExclusive | EPOLLOUT | EPOLLET | EPOLLHUP | EPOLLERR | EPOLLWAKEUP, 2) == 0);
    constexpr int kAdd = EPOLL_CTL_ADD, kChange = EPOLL_CTL_MOD, kRemove = EPOLL_CTL_DEL;
    epoll_event events[2];
    char bytes[16];
    const sigset_t set = set_of({});
    const timespec too_many{0, kSecond}, negative{-1, 0};
    check_all({
        {error(SYS_epoll_create, 0), EINVAL},
        {error(SYS_epoll_create, -1), EINVAL},
        {error(SYS_epoll_create1, 1), EINVAL},
        {error(SYS_epoll_create1, O_NONBLOCK), EINVAL},
        {control(closed, kAdd, fd), EBADF},
        {control(ep, kAdd, closed), EBADF},
        {control(ep, kAdd, path), EBADF},
        {control(ep, kAdd, file), EPERM},
        {control(ep, kAdd, folder), EPERM},
        {control(ep, kAdd, null), EPERM},
        {control(ep, kChange, file), EPERM},
        {control(ep, kAdd, ep), EINVAL},
        {control(ep, kAdd, copy), EINVAL},
        {control(fd, kAdd, known), EINVAL},
        {control(file, kAdd, fd), EINVAL},
        {control(ep, 0, fd), EINVAL},
        {control(ep, 4, known), EINVAL},
        {control(ep, kAdd, known), EEXIST},
        {control(ep, kAdd, known, 0), EEXIST},
        {control(ep, kChange, fd), ENOENT},
        {control(ep, kRemove, fd), ENOENT},
        {error(SYS_epoll_ctl, ep, kAdd, fd, nullptr), EFAULT},
        {error(SYS_epoll_ctl, ep, kChange, known, kNowhere), EFAULT},
        {error(SYS_epoll_ctl, ep, kRemove, fd, kNowhere), ENOENT},  // it has no use for an event
        {control(ep, kAdd, fd, kExclusive | EPOLLONESHOT), EINVAL},
        {control(ep, kAdd, fd, kExclusive | EPOLLPRI), EINVAL},
        {control(ep, kAdd, fd, kExclusive | EPOLLRDHUP), EINVAL},
        {control(ep, kAdd, inner, kExclusive), EINVAL},
        {control(ep, kChange, known, kExclusive), EINVAL},
        {control(ep, kChange, alone, kExclusive), EINVAL},
        {control(ep, kChange, alone), EINVAL},
        {control(ep, kRemove, alone), 0},
        {error(SYS_epoll_wait, ep, events, 0, 0), EINVAL},
        {error(SYS_epoll_wait, ep, events, -1, 0), EINVAL},
        {error(SYS_epoll_wait, ep, events, INT_MAX, 0), EINVAL},
        {error(SYS_epoll_wait, closed, events, 1, 0), EBADF},
        {error(SYS_epoll_wait, fd, events, 1, 0), EINVAL},
        {error(SYS_epoll_wait, ep, nullptr, 1, 0), EFAULT},
        {error(SYS_epoll_wait, ep, reinterpret_cast<void*>(0xffff'8000'0000'0000), 1, 0), EFAULT},
        {error(SYS_epoll_pwait, ep, events, 1, 0, &set, 4L), EINVAL},
        {error(SYS_epoll_pwait, ep, events, 1, 0, kNowhere, 8L), EFAULT},
        {error(SYS_epoll_pwait2, ep, events, 1, &too_many, nullptr, 8L), EINVAL},
        {error(SYS_epoll_pwait2, ep, events, 1, &negative, nullptr, 8L), EINVAL},
        {error(SYS_epoll_pwait2, ep, events, 1, kNowhere, nullptr, 8L), EFAULT},
        {error(SYS_read, ep, bytes, 8L), EINVAL},
        {error(SYS_write, ep, bytes, 8L), EINVAL},
    });
    CHECK(epoll.wait() == Events{{1, EPOLLIN}});  // nothing of that has changed the set
    const Opened old(epoll_create(1));
    CHECK(control(old, kAdd, fd) == 0);
    CHECK(fcntl(old, F_GETFD) == 0);
    CHECK(fcntl(epoll, F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("level and edge: pipes") {
    Pipe pipe;
    unblock({pipe.reader(), pipe.writer()});
    const Epoll level, edge;
    for (const auto& [epoll, flags] : {std::pair{&level, 0U}, std::pair{&edge, 0U + EPOLLET}}) {
        REQUIRE(epoll->add(pipe.reader(), EPOLLIN | flags, 1) == 0);
        REQUIRE(epoll->add(pipe.writer(), EPOLLOUT | flags, 2) == 0);
    }
    const Events readable{{1, EPOLLIN}}, writable{{2, EPOLLOUT}}, both{{1, EPOLLIN}, {2, EPOLLOUT}};
    for (int i = 0; i < 2; ++i) CHECK(level.wait() == writable);
    CHECK(edge.wait() == writable);
    CHECK(edge.wait().empty());
    CHECK(write(pipe.writer(), "ab", 2) == 2);
    for (int i = 0; i < 2; ++i) CHECK(level.wait() == both);
    CHECK(edge.wait() == readable);
    CHECK(edge.wait().empty());
    CHECK(write(pipe.writer(), "c", 1) == 1);  // news, though the old has not been read
    CHECK(edge.wait() == readable);
    CHECK(skip(pipe.reader(), 1) == 1);
    CHECK(edge.wait().empty());
    CHECK(level.wait() == both);
    CHECK(skip(pipe.reader(), 9) == 2);
    CHECK(level.wait() == writable);
    CHECK(write(pipe.writer(), "d", 1) == 1);
    CHECK(skip(pipe.reader(), 9) == 1);
    CHECK(edge.wait().empty());  // what is gone when somebody looks is none
    CHECK(level.wait() == writable);
    fill(pipe.writer());
    CHECK(level.wait() == readable);
    CHECK(edge.wait() == readable);
    CHECK(skip(pipe.reader(), 1) == 1);  // there is no room for PIPE_BUF bytes yet
    CHECK(level.wait() == readable);
    CHECK(edge.wait().empty());
    CHECK(skip(pipe.reader(), 2 * kPageSize) > 0);
    CHECK(level.wait() == both);
    CHECK(edge.wait() == writable);
    CHECK(edge.wait().empty());
    // To be asked again is an edge too.
    CHECK(edge.change(pipe.reader(), EPOLLIN | EPOLLET, 3) == 0);
    CHECK(edge.wait() == Events{{3, EPOLLIN}});
    CHECK(edge.wait().empty());
    CHECK(edge.change(pipe.reader(), EPOLLIN, UINT64_MAX - 1) == 0);
    for (int i = 0; i < 2; ++i) CHECK(edge.wait() == Events{{UINT64_MAX - 1, EPOLLIN}});
    CHECK(level.change(pipe.writer(), 0, 2) == 0);
    CHECK(level.wait() == readable);
    CHECK(level.remove(pipe.reader()) == 0);
    CHECK(level.wait().empty());
    CHECK(level.add(pipe.reader(), EPOLLIN, 1) == 0);
    CHECK(level.wait() == readable);
}

TEST_CASE("EPOLLHUP and EPOLLERR are reported whether they are asked for or not") {
    Pipe pipe, other;
    const Epoll level, edge, nothing;
    REQUIRE(level.add(pipe.reader(), EPOLLIN, 1) == 0);
    REQUIRE(edge.add(pipe.reader(), EPOLLIN | EPOLLET, 1) == 0);
    REQUIRE(nothing.add(pipe.reader(), 0, 1) == 0);
    REQUIRE(level.add(other.writer(), EPOLLOUT, 2) == 0);
    REQUIRE(edge.add(other.writer(), EPOLLET, 2) == 0);
    REQUIRE(nothing.add(other.writer(), EPOLLIN, 2) == 0);
    CHECK(edge.wait().empty());
    CHECK(write_byte(pipe.writer(), 'x'));
    CHECK(edge.wait() == Events{{1, EPOLLIN}});
    CHECK(nothing.wait().empty());
    Worker waiter;
    waiter.start([&] { return told(nothing); });
    CHECK(blocks(waiter));
    pipe.close_writer();
    CHECK(waiter.finish() == 1);
    CHECK(level.wait() == Events{{1, EPOLLIN | EPOLLHUP}, {2, EPOLLOUT}});
    CHECK(edge.wait() == Events{{1, EPOLLIN | EPOLLHUP}});
    CHECK(edge.wait().empty());
    CHECK(read_byte(pipe.reader()) == 'x');
    CHECK(level.wait() == Events{{1, EPOLLHUP}, {2, EPOLLOUT}});
    CHECK(nothing.wait() == Events{{1, EPOLLHUP}});
    other.close_reader();
    CHECK(level.wait() == Events{{1, EPOLLHUP}, {2, EPOLLOUT | EPOLLERR}});
    CHECK(edge.wait() == Events{{2, EPOLLERR}});
    CHECK(edge.wait().empty());
    CHECK(nothing.wait() == Events{{1, EPOLLHUP}, {2, EPOLLERR}});
}

TEST_CASE("level and edge: counters, which are read and written by the same file") {
    const Opened counter(eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE));
    const Epoll in, out, both;
    REQUIRE(in.add(counter, EPOLLIN | EPOLLET, 1) == 0);
    REQUIRE(out.add(counter, EPOLLOUT | EPOLLET, 2) == 0);
    REQUIRE(both.add(counter, EPOLLIN | EPOLLOUT | EPOLLET, 3) == 0);
    CHECK(in.wait().empty());
    CHECK(out.wait() == Events{{2, EPOLLOUT}});
    CHECK(both.wait() == Events{{3, EPOLLOUT}});
    CHECK(give(counter, 2) == 0);
    CHECK(in.wait() == Events{{1, EPOLLIN}});
    CHECK(out.wait().empty());
    CHECK(both.wait() == Events{{3, EPOLLIN | EPOLLOUT}});  // all that is true, not only what is new
    CHECK(give(counter, 1) == 0);
    CHECK(in.wait() == Events{{1, EPOLLIN}});
    CHECK(both.wait() == Events{{3, EPOLLIN | EPOLLOUT}});
    // That it is read is no news for those who wait for what they can read, though there still is something.
    CHECK(number_of(counter) == 1);
    CHECK(in.wait().empty());
    CHECK(give(counter, UINT64_MAX - 3) == 0);
    CHECK(in.wait() == Events{{1, EPOLLIN}});
    CHECK(out.wait().empty());
    CHECK(both.wait() == Events{{3, EPOLLIN}});
    CHECK(number_of(counter) == 1);
    CHECK(in.wait().empty());
    CHECK(out.wait() == Events{{2, EPOLLOUT}});
    CHECK(both.wait() == Events{{3, EPOLLIN | EPOLLOUT}});
    CHECK(both.wait().empty());
}

TEST_CASE("EPOLLONESHOT: one event, until the watch is changed") {
    for (const std::uint32_t flags : {0U + EPOLLONESHOT, EPOLLONESHOT | EPOLLET}) {
        CAPTURE(flags);
        const Watched watched(flags);
        const Epoll& epoll = watched.epoll();
        const int counter = watched.counter();
        const Events once{{1, EPOLLIN}};
        CHECK(epoll.wait().empty());  // that is no event, and disarms nothing
        CHECK(give(counter, 1) == 0);
        CHECK(epoll.wait() == once);
        CHECK(epoll.wait().empty());
        CHECK(give(counter, 1) == 0);
        CHECK(epoll.wait().empty());
        CHECK(epoll.add(counter, EPOLLIN, 1) == -EEXIST);
        CHECK(epoll.change(counter, EPOLLIN | flags, 1) == 0);
        CHECK(epoll.wait() == once);  // at once, as there is something
        CHECK(epoll.wait().empty());
        CHECK(number_of(counter) == 2);
        CHECK(epoll.change(counter, EPOLLIN | flags, 1) == 0);
        CHECK(epoll.wait().empty());
        CHECK(give(counter, 1) == 0);
        CHECK(epoll.wait() == once);
        CHECK(epoll.change(counter, EPOLLIN, 4) == 0);
        for (int i = 0; i < 2; ++i) CHECK(epoll.wait() == Events{{4, EPOLLIN}});
    }
    Pipe pipe;
    const Epoll epoll;
    REQUIRE(epoll.add(pipe.reader(), EPOLLIN | EPOLLONESHOT, 1) == 0);
    CHECK(write_byte(pipe.writer(), 'x'));
    CHECK(epoll.wait() == Events{{1, EPOLLIN}});
    pipe.close_writer();
    CHECK(epoll.wait().empty());  // not even that
    CHECK(epoll.change(pipe.reader(), EPOLLONESHOT, 2) == 0);
    CHECK(epoll.wait() == Events{{2, EPOLLHUP}});
    CHECK(epoll.wait().empty());
    CHECK(epoll.remove(pipe.reader()) == 0);
}

TEST_CASE("more events than there is room for: everyone's turn comes, and none is lost") {
    constexpr std::size_t kCounters = 5;
    for (const std::uint32_t flags : {0U, 0U + EPOLLET}) {
        CAPTURE(flags);
        const Epoll epoll;
        std::deque<Opened> counters;
        for (std::size_t i = 0; i < kCounters; ++i) {
            counters.emplace_back(eventfd(1, 0));
            REQUIRE(epoll.add(counters.back(), EPOLLIN | flags, i) == 0);
        }
        std::map<std::uint64_t, int> times;
        for (int call = 0; call < 5; ++call) {
            const Events events = epoll.wait(0, 2);
            if (flags == 0) CHECK(events.size() == 2);
            for (const auto& event : events) ++times[event.data];
        }
        CHECK(times.size() == kCounters);
        for (const auto& [data, count] : times) CHECK(count == (flags == 0 ? 2 : 1));
        // Memory that cannot be written takes nothing away: what has been written until then counts.
        for (const Opened& counter : counters) CHECK(give(counter, 1) == 0);
        const Mapping memory(2 * kPageSize);
        REQUIRE(mprotect(memory.data() + kPageSize, kPageSize, PROT_NONE) == 0);
        const auto at = [&](std::size_t offset) { return reinterpret_cast<epoll_event*>(memory.data() + offset); };
        CHECK(fails(epoll_wait(epoll, at(kPageSize), 5, 0), EFAULT));
        std::set<std::uint64_t> seen;
        CHECK(epoll_wait(epoll, at(kPageSize - 2 * sizeof(epoll_event)), 5, 0) == 2);
        for (const std::size_t back : {1UL, 2UL}) seen.insert(at(kPageSize - back * sizeof(epoll_event))->data.u64);
        for (const auto& event : epoll.wait()) seen.insert(event.data);
        CHECK(seen.size() == kCounters);
        if (flags != 0) CHECK(epoll.wait().empty());
    }
}

TEST_CASE("a file that is closed, or only one of its descriptors") {
    const Epoll epoll;
    const Opened counter(eventfd(1, 0));
    Pipe pipe;
    REQUIRE(epoll.add(pipe.reader(), EPOLLIN, 1) == 0);
    CHECK(write_byte(pipe.writer(), 'x'));
    const Events old{{1, EPOLLIN}};
    CHECK(epoll.wait() == old);
    const int number = pipe.reader(), copy = dup(number);
    pipe.close_reader();
    CHECK(epoll.wait() == old);  // the file is still there
    CHECK(write_byte(pipe.writer(), 'y'));
    CHECK(epoll.wait() == old);
    CHECK(epoll.remove(number) == -EBADF);
    CHECK(epoll.change(number, EPOLLIN, 9) == -EBADF);
    CHECK(epoll.change(copy, EPOLLIN, 9) == -ENOENT);  // a watch is of a file under a number
    CHECK(epoll.add(copy, EPOLLIN, 2) == 0);
    CHECK(epoll.wait() == Events{{1, EPOLLIN}, {2, EPOLLIN}});
    CHECK(epoll.remove(copy) == 0);
    // Another file under the number is another one to watch, beside the old.
    REQUIRE(dup2(counter, number) == number);
    CHECK(epoll.change(number, EPOLLIN, 9) == -ENOENT);
    CHECK(epoll.remove(number) == -ENOENT);
    CHECK(epoll.wait() == old);
    CHECK(epoll.add(number, EPOLLIN, 3) == 0);
    CHECK(epoll.add(number, EPOLLIN, 3) == -EEXIST);
    CHECK(epoll.add(counter, EPOLLIN | EPOLLET, 4) == 0);
    CHECK(epoll.wait() == Events{{1, EPOLLIN}, {3, EPOLLIN}, {4, EPOLLIN}});
    CHECK(give(counter, 1) == 0);
    CHECK(epoll.wait() == Events{{1, EPOLLIN}, {3, EPOLLIN}, {4, EPOLLIN}});
    CHECK(epoll.wait() == Events{{1, EPOLLIN}, {3, EPOLLIN}});
    // Whoever puts the file back where it was can speak of its watch again.
    REQUIRE(dup2(copy, number) == number);
    CHECK(epoll.change(number, EPOLLIN, 5) == 0);
    CHECK(epoll.wait() == Events{{3, EPOLLIN}, {5, EPOLLIN}});
    CHECK(close(copy) == 0);
    CHECK(epoll.wait() == Events{{3, EPOLLIN}, {5, EPOLLIN}});
    CHECK(close(number) == 0);  // which was the last of them
    CHECK(epoll.wait() == Events{{3, EPOLLIN}});
    CHECK(epoll.remove(counter) == 0);
    CHECK(epoll.wait() == Events{{3, EPOLLIN}});
    // A copy of the epoll is the same epoll, and closing the original does it no harm.
    const Opened second(dup(epoll));
    CHECK(control(second, EPOLL_CTL_ADD, counter) == 0);
    CHECK(epoll.wait().size() == 2);
    epoll_event event{};
    {
        const Opened first(epoll_create1(0));
        CHECK(control(first, EPOLL_CTL_ADD, counter) == 0);
        REQUIRE(dup2(first, second) == second);
    }
    CHECK(epoll_wait(second, &event, 1, 0) == 1);
}

TEST_CASE("an epoll is a child's as well, and so are the files that it watches") {
    const Epoll epoll;
    const Opened shared(eventfd(0, 0));
    Pipe hold, ready;
    REQUIRE(epoll.add(shared, EPOLLIN, 1) == 0);
    const int given = eventfd(1, 0);
    REQUIRE(epoll.add(given, EPOLLIN, 2) == 0);
    const pid_t child = start_child([&] {
        const Opened own(eventfd(0, 0));
        const bool added = epoll.add(own, EPOLLIN, 3) == 0 && epoll.remove(shared) == 0 && epoll.wait().size() == 1;
        write_byte(ready.writer(), added ? 'a' : 'f');
        const bool first = read_byte(hold.reader()) == '1' && give(own, 1) == 0;
        write_byte(ready.writer(), first && epoll.wait(-1).size() == 2 ? 'b' : 'f');
        return read_byte(hold.reader());
    });
    CHECK(close(given) == 0);  // the child has it still
    CHECK(await_byte(ready.reader()) == 'a');
    CHECK(give(shared, 1) == 0);
    CHECK(epoll.wait() == Events{{2, EPOLLIN}});
    CHECK(epoll.add(shared, EPOLLIN, 1) == 0);
    CHECK(epoll.wait() == Events{{1, EPOLLIN}, {2, EPOLLIN}});
    CHECK(epoll.remove(shared) == 0);
    CHECK(epoll.remove(given) == -EBADF);
    CHECK(write_byte(hold.writer(), '1'));
    CHECK(await_byte(ready.reader()) == 'b');
    CHECK(epoll.wait() == Events{{2, EPOLLIN}, {3, EPOLLIN}});  // also of a file that is not open here
    CHECK(write_byte(hold.writer(), 0));
    CHECK(wait_status(child) == 0);
    CHECK(epoll.wait().empty());
}

TEST_CASE("epolls that watch epolls: readiness goes through all of them") {
    const Watched inner;
    const Epoll middle, outer, edge;
    const int counter = inner.counter();
    REQUIRE(middle.add(inner.epoll(), EPOLLIN, 1) == 0);
    REQUIRE(outer.add(middle, EPOLLIN, 2) == 0);
    REQUIRE(outer.add(counter, EPOLLIN, 4) == 0);
    REQUIRE(edge.add(inner.epoll(), EPOLLIN | EPOLLET, 8) == 0);
    const Events once{{8, EPOLLIN}};
    CHECK(outer.wait().empty());
    CHECK(polled(outer) == 0);
    std::deque<Worker> workers(4);
    workers[0].start([&] { return told(outer); });
    workers[1].start([&] { return polled(outer, -1); });
    workers[2].start([&] { return polled(inner.epoll(), -1); });
    workers[3].start([&] { return told(edge); });
    for (const Worker& worker : workers) CHECK(blocks(worker));
    CHECK(give(counter, 1) == 0);
    CHECK((workers[0].finish() & 6) != 0);
    for (Worker* const poller : {&workers[1], &workers[2]}) CHECK(poller->finish() == POLLIN);
    CHECK(workers[3].finish() == 8);
    for (int i = 0; i < 2; ++i) {
        CHECK(outer.wait() == Events{{2, EPOLLIN}, {4, EPOLLIN}});
        CHECK(middle.wait() == Events{{1, EPOLLIN}});
        CHECK(inner.epoll().wait() == Events{{1, EPOLLIN}});
    }
    CHECK(edge.wait().empty());
    CHECK(give(counter, 1) == 0);
    CHECK(edge.wait() == once);
    CHECK(edge.wait().empty());
    CHECK(number_of(counter) == 2);  // taken where none of them sees it
    CHECK(outer.wait().empty());
    CHECK(polled(outer) == 0);
    CHECK(polled(middle) == 0);
    CHECK(polled(inner.epoll()) == 0);
    CHECK(edge.wait().empty());
    CHECK(give(counter, 1) == 0);
    CHECK(edge.wait() == once);
    CHECK(outer.wait() == Events{{2, EPOLLIN}, {4, EPOLLIN}});
    // An edge inside lasts outside until somebody takes it inside.
    const Watched edges(EPOLLET);
    const Epoll watcher;
    REQUIRE(watcher.add(edges.epoll(), EPOLLIN, 16) == 0);
    CHECK(give(edges.counter(), 1) == 0);
    for (int i = 0; i < 2; ++i) CHECK(watcher.wait() == Events{{16, EPOLLIN}});
    CHECK(edges.epoll().wait() == Events{{1, EPOLLIN}});
    CHECK(watcher.wait().empty());
    CHECK(polled(edges.counter(), 0, POLLIN) == POLLIN);
}

TEST_CASE("epolls that watch epolls: no loops, and no more than five in a row") {
    std::deque<Epoll> chain(6);
    const Opened counter(eventfd(0, 0));
    REQUIRE(chain[0].add(counter, EPOLLIN, 1) == 0);
    for (std::size_t i = 1; i < 5; ++i) CHECK(chain[i].add(chain[i - 1], EPOLLIN, 1) == 0);
    CHECK(chain[5].add(chain[4], EPOLLIN, 1) == -ELOOP);
    for (std::size_t i = 1; i < 5; ++i) CHECK(chain[0].add(chain[i], EPOLLIN, 2) == -ELOOP);
    CHECK(chain[3].add(chain[3], EPOLLIN, 2) == -EINVAL);
    CHECK(chain[4].wait().empty());
    Worker worker;
    worker.start([&] { return told(chain[4]); });
    CHECK(blocks(worker));
    CHECK(give(counter, 1) == 0);
    CHECK(worker.finish() == 1);
    CHECK(chain[4].wait() == Events{{1, EPOLLIN}});
    CHECK(chain[5].wait().empty());
    // What is taken out is in nobody's way.
    CHECK(chain[2].remove(chain[1]) == 0);
    CHECK(chain[4].wait().empty());
    CHECK(chain[5].add(chain[4], EPOLLIN, 1) == 0);
    CHECK(chain[0].add(chain[2], EPOLLIN, 2) == 0);
    CHECK(chain[2].add(chain[1], EPOLLIN, 2) == -ELOOP);
    // Two ways to one place are no loop.
    const Epoll top, left, right, bottom;
    for (const Epoll* const side : {&left, &right}) {
        CHECK(top.add(*side, EPOLLIN, side == &left ? 1 : 2) == 0);
        CHECK(side->add(bottom, EPOLLIN, 3) == 0);
    }
    CHECK(bottom.add(counter, EPOLLIN, 4) == 0);
    CHECK(top.wait() == Events{{1, EPOLLIN}, {2, EPOLLIN}});
}
