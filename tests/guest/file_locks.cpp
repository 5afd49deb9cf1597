// SPDX-License-Identifier: MIT
// Locks that an open file description has: those of flock(2), of whole files, and those of fcntl(2), of ranges.
#include "tests/guest/locks.hpp"

using namespace guest;

// ---- flock ---------------------------------------------------------------------------------------------------------

TEST_CASE("flock: who excludes whom, and every error") {
    const Scratch scratch;
    const Opened made(make_file("f")), first(open_file(O_RDONLY)), second(open_file(O_WRONLY));
    CHECK(whole(-1, LOCK_SH) == EBADF);
    CHECK(whole(Opened(open_file(O_PATH)), LOCK_SH) == EBADF);
    for (const int wrong : {0, LOCK_NB, LOCK_SH | LOCK_EX, LOCK_SH | LOCK_UN, 16}) {
        CHECK(whole(first, wrong) == EINVAL);
    }
    CHECK(whole(first, LOCK_UN) == 0);  // though it has none
    struct {
        int first, second, result;
    } const rows[] = {
        {LOCK_SH, LOCK_SH, 0},
        {LOCK_SH, LOCK_EX, EWOULDBLOCK},
        {LOCK_EX, LOCK_SH, EWOULDBLOCK},
        {LOCK_EX, LOCK_EX, EWOULDBLOCK},
    };
    for (const auto& row : rows) {  // in one process, which makes no difference; nor does what it was opened for
        CAPTURE(row.first, row.second);
        CHECK(whole(first, row.first | LOCK_NB) == 0);
        CHECK(whole(first, row.first | LOCK_NB) == 0);
        CHECK(whole(second, row.second | LOCK_NB) == row.result);
        CHECK(exit_of_child([&] { return whole(open_file(), row.second | LOCK_NB); }) == row.result);
        CHECK(whole(first, LOCK_UN | LOCK_NB) == 0);
        CHECK(whole(second, row.second | LOCK_NB) == 0);
        CHECK(whole(second, LOCK_UN) == 0);
    }
    const Opened folder(open(".", O_RDONLY)), same_folder(open(".", O_RDONLY));
    CHECK(whole(folder, LOCK_EX) == 0);
    CHECK(whole(same_folder, LOCK_EX | LOCK_NB) == EWOULDBLOCK);
    // It is a file's, not a name's.
    CHECK(whole(made, LOCK_EX) == 0);
    CHECK(link("f", "g") == 0);
    CHECK(whole(Opened(open("g", O_RDONLY)), LOCK_SH | LOCK_NB) == EWOULDBLOCK);
    CHECK(unlink("f") == 0);
    CHECK(whole(first, LOCK_SH | LOCK_NB) == EWOULDBLOCK);
    CHECK(whole(Opened(make_file("f")), LOCK_EX | LOCK_NB) == 0);
}

TEST_CASE("flock: an open file description has it, until its last descriptor is closed") {
    const Scratch scratch;
    const Opened probe(make_file("f"));
    const auto is_held = [&] {  // and what does not hold it stays without
        const int result = whole(probe, LOCK_EX | LOCK_NB);
        whole(probe, LOCK_UN);
        return result == EWOULDBLOCK;
    };
    const int file = open_file(), copy = dup(file);
    CHECK(whole(file, LOCK_EX) == 0);
    CHECK(whole(copy, LOCK_EX | LOCK_NB) == 0);
    CHECK(close(file) == 0);
    CHECK(is_held());
    CHECK(close(open_file()) == 0);  // another one's
    CHECK(is_held());
    CHECK(exit_of_child([&] { return first_wrong({whole(copy, LOCK_EX | LOCK_NB) == 0, close(copy) == 0}); }) == 0);
    CHECK(is_held());
    CHECK(exit_of_child([&] { return whole(copy, LOCK_UN); }) == 0);  // is for all that share it
    CHECK_FALSE(is_held());
    CHECK(exit_of_child([&] { return whole(copy, LOCK_SH); }) == 0);
    CHECK(is_held());  // though the process that took it is gone
    {
        Holder child([&] { return 0; });  // has inherited it
        CHECK(close(copy) == 0);
        CHECK(is_held());
        CHECK(child.let_go() == 0);
        CHECK_FALSE(is_held());
    }
    {
        Pipe said, go;
        Child executes([&] {
            const Role role("hold", {said.writer(), go.reader()});
            const int own = open("f", O_RDWR);
            return whole(own, LOCK_EX) == 0 ? role.take() : 1;
        });
        CHECK(hear(said, executes) == 'r');
        CHECK(is_held());
        CHECK(write_byte(go.writer(), 'e'));
        CHECK(executes.result() == 0);
        CHECK_FALSE(is_held());
    }
    Child dies([] { return whole(open_file(), LOCK_SH) == 0 ? pause() : 1; });
    CHECK(dies.blocks());
    CHECK(is_held());
    CHECK(dies.kill_with(SIGKILL));
    CHECK(dies.status() == SIGKILL);
    CHECK_FALSE(is_held());
}

TEST_CASE("flock: changing a lock, which may lose it") {
    const Scratch scratch;
    const Opened made(make_file("f")), first(open_file()), second(open_file());
    const auto get = [](int fd, int operation) { return whole(fd, operation | LOCK_NB); };
    CHECK(get(first, LOCK_SH) == 0);
    CHECK(get(first, LOCK_EX) == 0);
    CHECK(get(second, LOCK_SH) == EWOULDBLOCK);
    CHECK(get(first, LOCK_SH) == 0);
    CHECK(get(second, LOCK_SH) == 0);
    CHECK(get(first, LOCK_EX) == EWOULDBLOCK);
    CHECK(get(second, LOCK_EX) == 0);  // the shared one was given back for what could not be had
    CHECK(get(first, LOCK_SH) == EWOULDBLOCK);
    {
        Child reads([] { return whole(open_file(), LOCK_SH); });
        CHECK(reads.blocks());
        CHECK(get(second, LOCK_SH) == 0);  // less is enough for who waits
        CHECK(reads.result() == 0);
    }
    CHECK(get(first, LOCK_SH) == 0);
    Child upgrades([&] { return whole(first, LOCK_EX); });  // for both, as they share it
    CHECK(upgrades.blocks());
    CHECK(get(second, LOCK_EX) == 0);
    CHECK(upgrades.blocks());
    CHECK(get(second, LOCK_UN) == 0);
    CHECK(upgrades.result() == 0);
    CHECK(get(second, LOCK_SH) == EWOULDBLOCK);
    CHECK(get(first, LOCK_EX) == 0);
}

TEST_CASE("flock: waiting") {
    const Scratch scratch;
    const Opened made(make_file("f")), holder(open_file());
    CHECK(whole(holder, LOCK_EX) == 0);
    const auto unlock = [](int fd) { return whole(fd, LOCK_UN); };
    CHECK(waiters_served([](int fd) { return whole(fd, LOCK_EX); }, unlock, [&] { unlock(holder); }) == "abc");
    CHECK(whole(holder, LOCK_EX) == 0);
    {
        const Shared<std::atomic<int>> have;
        std::deque<Child> readers;
        for (int i = 0; i < 3; ++i) {
            readers.emplace_back([&] {
                if (whole(open_file(), LOCK_SH) != 0) return 1;
                ++*have;
                return pause();
            });
            CHECK(readers.back().blocks());
        }
        CHECK(*have == 0);
        CHECK(unlock(holder) == 0);
        const auto has_ended = [](const Child& child) { return child.has_ended(); };
        await([&] { return *have == 3 || std::any_of(readers.begin(), readers.end(), has_ended); });
        for (; !readers.empty(); readers.pop_front()) {
            CHECK(whole(holder, LOCK_EX | LOCK_NB) == EWOULDBLOCK);
            CHECK(readers.front().kill_with(SIGKILL));
            CHECK(readers.front().status() == SIGKILL);
        }
        CHECK(whole(holder, LOCK_EX | LOCK_NB) == 0);
    }
    CHECK(whole(holder, LOCK_SH) == 0);
    const auto wait_for_it = [] { return whole(open_file(), LOCK_EX); };
    const auto release = [&] { CHECK(whole(holder, LOCK_UN) == 0); };
    CHECK(interrupt(0, false, wait_for_it, release) == EINTR);
    CHECK(interrupt(SA_RESTART, true, wait_for_it, release) == 0);
    CHECK(whole(holder, LOCK_SH) == 0);
    CHECK(stop_and_continue(true, wait_for_it, release) == 0);
    CHECK(whole(holder, LOCK_SH) == 0);
    Child killed(wait_for_it), last(wait_for_it);
    CHECK((killed.blocks() && last.blocks()));
    CHECK(killed.kill_with(SIGKILL));
    CHECK(killed.status() == SIGKILL);
    release();
    CHECK(last.result() == 0);
}

// ---- fcntl's locks of open file descriptions -----------------------------------------------------------------------

namespace {

int put(int fd, int type, off_t start = 0, off_t length = 1) { return set(fd, type, start, length, F_OFD_SETLK); }

}  // namespace

TEST_CASE("OFD locks: one open file description's against another's, and against a process's") {
    const Scratch scratch;
    const Opened made(make_file("f", "0123456789")), first(open_file()), second(open_file());
    struct flock record = record_of(F_WRLCK, 0, 1);
    record.l_pid = getpid();
    for (const int command : {F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK})
        CHECK(fails(fcntl(first, command, &record), EINVAL));
    CHECK(put(first, F_WRLCK, 2, 3) == 0);
    CHECK(put(first, F_WRLCK, 4, 3) == 0);  // one's own are in nobody's way
    CHECK(put(second, F_WRLCK, 4, 1) == EAGAIN);
    CHECK(put(second, F_RDLCK, 0, 0) == EAGAIN);
    CHECK(put(second, F_WRLCK, 0, 2) == 0);
    CHECK(is(obstacle(second, F_RDLCK, 0, 0, F_OFD_GETLK), F_WRLCK, 2, 5, -1));  // no process has it
    CHECK(is(obstacle(first, F_RDLCK, 0, 0, F_OFD_GETLK), F_WRLCK, 0, 2, -1));
    CHECK(obstacle(first, F_WRLCK, 2, 0, F_OFD_GETLK).l_type == F_UNLCK);
    CHECK(locked(made) == "wwwwwww...");
    CHECK(put(first, F_RDLCK, 3, 2) == 0);
    CHECK(put(second, F_RDLCK, 4, 1) == 0);
    CHECK(put(first, F_WRLCK, 4, 1) == EAGAIN);
    CHECK(put(second, F_UNLCK, 0, 0) == 0);
    CHECK(locked(made) == "..wrrww...");
    CHECK(put(first, F_UNLCK, 4, 1) == 0);
    CHECK(locked(made) == "..wr.ww...");
    // The process is another owner even through the same descriptor.
    CHECK(set(first, F_WRLCK, 2, 1) == EAGAIN);
    CHECK(set(first, F_RDLCK, 3, 1) == 0);
    CHECK(is(obstacle(first, F_WRLCK, 5, 1), F_WRLCK, 5, 2, -1));
    CHECK(put(first, F_WRLCK, 3, 1) == EAGAIN);
    CHECK(set(first, F_WRLCK, 8, 1) == 0);
    CHECK(is(obstacle(first, F_WRLCK, 8, 1, F_OFD_GETLK), F_WRLCK, 8, 1, getpid()));
    CHECK(set(first, F_UNLCK, 0, 0) == 0);
    CHECK(locked(made) == "..wr.ww...");
    // Where it is counted from is the same as ever.
    REQUIRE(lseek(second, 3, SEEK_SET) == 3);
    CHECK(set(second, F_RDLCK, 5, 1, F_OFD_SETLK, SEEK_CUR) == 0);
    CHECK(set(second, F_WRLCK, 0, -1, F_OFD_SETLK, SEEK_END) == 0);
    CHECK(locked(made) == "..wr.ww.rw");
    // With flock it has nothing to do.
    CHECK(whole(second, LOCK_EX | LOCK_NB) == 0);
    CHECK(put(first, F_WRLCK, 0, 1) == 0);
}

TEST_CASE("OFD locks stay until the last descriptor is closed") {
    const Scratch scratch;
    const Opened made(make_file("f"));
    const int file = open_file(), copy = dup(file);
    CHECK(put(file, F_WRLCK) == 0);
    CHECK(put(copy, F_WRLCK) == 0);
    CHECK(exit_of_child([&] { return first_wrong({put(file, F_WRLCK) == 0, put(open_file(), F_RDLCK) == EAGAIN}); }) ==
          0);
    CHECK(close(open_file()) == 0);  // which would be the end of a process's
    CHECK(close(file) == 0);
    CHECK(locked(made, 1) == "w");
    CHECK(exit_of_child([&] { return put(copy, F_UNLCK); }) == 0);  // any of those that share it may
    CHECK(locked(made, 1) == ".");
    CHECK(exit_of_child([&] { return put(copy, F_RDLCK, 0, 2); }) == 0);
    CHECK(locked(made, 3) == "rr.");  // the one that took it is gone
    {
        Holder child([] { return 0; });
        CHECK(close(copy) == 0);
        CHECK(locked(made, 3) == "rr.");
        CHECK(child.let_go() == 0);
        CHECK(locked(made, 3) == "...");
    }
    for (const int flags : {0, O_CLOEXEC}) {
        CAPTURE(flags);
        Pipe said, go;
        Child executes([&] {
            const Role role("hold", {said.writer(), go.reader()});
            return put(open("f", O_RDWR | flags), F_WRLCK) == 0 ? role.take() : 1;
        });
        CHECK(hear(said, executes) == 'r');
        CHECK(locked(made, 1) == (flags == 0 ? "w" : "."));
        CHECK(write_byte(go.writer(), 'e'));
        CHECK(executes.result() == 0);
        CHECK(locked(made, 1) == ".");
    }
}

TEST_CASE("OFD locks: waiting, for ever if need be") {
    const Scratch scratch;
    const Opened made(make_file("f")), holder(open_file());
    const auto wait = [](int fd, off_t start) { return set(fd, F_WRLCK, start, 1, F_OFD_SETLKW); };
    const auto wait_for_it = [&] { return wait(open_file(), 0); };
    const auto release = [&] { CHECK(put(holder, F_UNLCK) == 0); };
    CHECK(put(holder, F_WRLCK) == 0);
    CHECK(waiters_served([&](int fd) { return wait(fd, 0); }, [](int fd) { return put(fd, F_UNLCK); }, release) ==
          "abc");
    CHECK(put(holder, F_WRLCK) == 0);
    CHECK(interrupt(0, false, wait_for_it, release) == EINTR);
    CHECK(interrupt(SA_RESTART, true, wait_for_it, release) == 0);
    CHECK(put(holder, F_RDLCK) == 0);
    CHECK(stop_and_continue(true, wait_for_it, release) == 0);
    {  // A thread may wait for another one's.
        Worker worker;
        const Opened own(open_file());
        CHECK(put(holder, F_WRLCK) == 0);
        worker.start([&] { return wait(own, 0); });
        CHECK(sleeps(worker.tid()));
        release();
        CHECK(worker.finish() == 0);
    }
    // Nobody looks whether two wait for each other.
    Pipe said, go;
    const auto cross = [&](off_t mine) {
        return [&, mine] {
            const int fd = open_file();
            if (put(fd, F_WRLCK, mine) != 0 || !write_byte(said.writer(), 'l')) return 100;
            return read_byte(go.reader()) == 'g' ? wait(fd, 1 - mine) : 101;
        };
    };
    Child one(cross(0)), two(cross(1));
    CHECK((hear(said, one) == 'l' && hear(said, two) == 'l'));
    CHECK((write_byte(go.writer(), 'g') && write_byte(go.writer(), 'g')));
    CHECK((one.blocks() && two.blocks()));
    CHECK(one.kill_with(SIGKILL));
    CHECK(one.status() == SIGKILL);
    CHECK(two.result() == 0);
}
