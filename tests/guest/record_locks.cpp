// SPDX-License-Identifier: MIT
// Record locks of fcntl(2), which a process has: their ranges, what others see of them, when they are gone, who waits
// for them, and who would wait for ever.
#include "tests/guest/locks.hpp"

using namespace guest;

TEST_CASE("record locks: ranges, and every error") {
    const Scratch scratch;
    const Opened file(make_file("f", "0123456789")), reader(open_file(O_RDONLY)), writer(open_file(O_WRONLY));
    const auto where = [&] {  // the lock as others see it
        const Shared<struct flock> seen;
        CHECK(exit_of_child([&] { return *seen = obstacle(file, F_WRLCK, 0, 0), 0; }) == 0);
        return *seen;
    };
    const pid_t me = getpid();
    CHECK(where().l_type == F_UNLCK);
    REQUIRE(lseek(file, 4, SEEK_SET) == 4);
    const struct {
        off_t start, length;
        int whence;
        off_t expected, expected_length;
    } rows[] = {
        {2, 3, SEEK_SET, 2, 3},
        {0, 0, SEEK_SET, 0, 0},
        {7, 0, SEEK_SET, 7, 0},
        {100, 5, SEEK_SET, 100, 5},  // there need not be anything
        {1, 1, SEEK_CUR, 5, 1},
        {-3, 2, SEEK_CUR, 1, 2},
        {0, 5, SEEK_END, 10, 5},
        {-2, 0, SEEK_END, 8, 0},
        {5, -3, SEEK_SET, 2, 3},  // those before it
        {0, -4, SEEK_CUR, 0, 4},
        {0, -1, SEEK_END, 9, 1},
        {kLastOffset, 1, SEEK_SET, kLastOffset, 0},  // the last one there can be, and so all from there on
        {3, kLastOffset - 2, SEEK_SET, 3, 0},
        {3, kLastOffset - 3, SEEK_SET, 3, kLastOffset - 3},
    };
    for (const auto& row : rows) {
        CAPTURE(row.start, row.length, row.whence);
        CHECK(set(file, F_WRLCK, row.start, row.length, F_SETLK, row.whence) == 0);
        CHECK(is(where(), F_WRLCK, row.expected, row.expected_length, me));
        CHECK(set(file, F_UNLCK, row.start, row.length, F_SETLK, row.whence) == 0);
        CHECK(where().l_type == F_UNLCK);
    }
    CHECK(lseek(file, 0, SEEK_CUR) == 4);
    // An end is where it was when the lock was made.
    CHECK(set(file, F_RDLCK, 0, 1, F_SETLK, SEEK_END) == 0);
    CHECK(ftruncate(file, 5) == 0);
    CHECK(is(where(), F_RDLCK, 10, 1, me));
    CHECK(set(file, F_UNLCK, 5, 1, F_SETLK, SEEK_END) == 0);
    CHECK(where().l_type == F_UNLCK);

    for (const int command : {F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW}) {
        CAPTURE(command);
        CHECK(set(file, F_WRLCK, -1, 1, command) == EINVAL);
        CHECK(set(file, F_WRLCK, 5, -6, command) == EINVAL);
        CHECK(set(file, F_WRLCK, -5, 1, command, SEEK_CUR) == EINVAL);
        CHECK(set(file, F_WRLCK, 0, 1, command, 3) == EINVAL);
        CHECK(set(file, 77, 0, 1, command) == EINVAL);
        CHECK(set(file, F_WRLCK, kLastOffset, 2, command) == EOVERFLOW);
        CHECK(set(file, F_WRLCK, kLastOffset, 1, command, SEEK_CUR) == EOVERFLOW);
        CHECK(set(reader, F_WRLCK, 0, 1, command) == EBADF);
        CHECK(set(writer, F_RDLCK, 0, 1, command) == EBADF);
        CHECK(set(reader, F_UNLCK, 0, 1, command) == 0);
        CHECK(set(-1, F_RDLCK, 0, 1, command) == EBADF);
        CHECK(set(Opened(open_file(O_PATH)), F_RDLCK, 0, 1, command) == EBADF);
        CHECK(error(SYS_fcntl, static_cast<int>(file), command, 16) == EFAULT);
    }
    struct flock record = record_of(77, 0, 1);
    CHECK(fails(fcntl(file, F_GETLK, &record), EINVAL));
    CHECK(error(SYS_fcntl, static_cast<int>(file), F_GETLK, 16) == EFAULT);
    CHECK(obstacle(reader, F_WRLCK, 0, 1).l_type == F_UNLCK);  // asking needs no right
    CHECK(where().l_type == F_UNLCK);
}

TEST_CASE("record locks of one process replace each other, byte by byte") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    const auto put = [&](int type, off_t start, off_t length) {
        CHECK(set(file, type, start, length) == 0);
        return locked(file);
    };
    CHECK(put(F_WRLCK, 0, 10) == "wwwwwwwwww");
    CHECK(put(F_UNLCK, 4, 2) == "wwww..wwww");
    CHECK(put(F_RDLCK, 1, 2) == "wrrw..wwww");
    CHECK(put(F_RDLCK, 3, 4) == "wrrrrrrwww");
    CHECK(put(F_UNLCK, 2, 1) == "wr.rrrrwww");
    CHECK(put(F_UNLCK, 0, 1) == ".r.rrrrwww");
    CHECK(put(F_UNLCK, 9, 0) == ".r.rrrrww.");
    CHECK(put(F_WRLCK, 2, 4) == ".rwwwwrww.");
    CHECK(put(F_RDLCK, 0, 0) == "rrrrrrrrrr");
    CHECK(put(F_UNLCK, 0, 0) == "..........");
    // Of one type and next to each other they are one; how far it goes, others can ask.
    const auto first_of = [&](off_t start) {
        const Shared<struct flock> seen;
        CHECK(exit_of_child([&] { return *seen = obstacle(file, F_WRLCK, start, 0), 0; }) == 0);
        return *seen;
    };
    const pid_t me = getpid();
    put(F_WRLCK, 4, 2);
    put(F_WRLCK, 8, 2);
    CHECK(is(first_of(0), F_WRLCK, 4, 2, me));
    CHECK(is(first_of(6), F_WRLCK, 8, 2, me));
    put(F_WRLCK, 6, 2);
    CHECK(is(first_of(0), F_WRLCK, 4, 6, me));
    CHECK(is(first_of(7), F_WRLCK, 4, 6, me));
    put(F_WRLCK, 10, 0);
    CHECK(is(first_of(20), F_WRLCK, 4, 0, me));
    put(F_RDLCK, 6, 1);
    CHECK(is(first_of(0), F_WRLCK, 4, 2, me));
    CHECK(is(first_of(6), F_RDLCK, 6, 1, me));
    CHECK(is(first_of(7), F_WRLCK, 7, 0, me));
    put(F_WRLCK, 6, 1);
    CHECK(is(first_of(6), F_WRLCK, 4, 0, me));
    put(F_UNLCK, 10, 0);
    CHECK(is(first_of(0), F_WRLCK, 4, 6, me));
    CHECK(locked(file, 12) == "....wwwwww..");
}

TEST_CASE("record locks of several processes, and what F_GETLK tells") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    const pid_t me = getpid();
    CHECK(set(file, F_RDLCK, 0, 4) == 0);
    CHECK(set(file, F_WRLCK, 6, 2) == 0);
    CHECK(obstacle(file, F_WRLCK, 0, 0).l_type == F_UNLCK);  // one's own are none
    struct flock asked = record_of(F_WRLCK, -3, 2, SEEK_END);
    asked.l_pid = 12345;
    CHECK(fcntl(file, F_GETLK, &asked) == -1);
    asked.l_start = 100;
    CHECK(fcntl(file, F_GETLK, &asked) == 0);
    CHECK((asked.l_type == F_UNLCK && asked.l_whence == SEEK_END && asked.l_start == 100 && asked.l_len == 2));
    Holder other([&] {
        return first_wrong(
            {set(file, F_RDLCK, 0, 2) == 0, set(file, F_RDLCK, 2, 5) == EAGAIN, set(file, F_WRLCK, 3, 1) == EAGAIN,
             set(file, F_WRLCK, 4, 2) == 0, set(file, F_RDLCK, 7, 1) == EAGAIN, set(file, F_WRLCK, 8, 0) == 0,
             set(file, F_UNLCK, 0, 0) == 0,  // of others' that changes nothing
             is(obstacle(file, F_RDLCK, 0, 0), F_WRLCK, 6, 2, me), is(obstacle(file, F_WRLCK, 1, 1), F_RDLCK, 0, 4, me),
             obstacle(file, F_RDLCK, 1, 1).l_type == F_UNLCK, set(file, F_WRLCK, 10, 5) == 0,
             set(file, F_RDLCK, 2, 1) == 0});
    });
    CHECK(locked(file, 16) == "rrrr..ww..wwwww.");
    CHECK(is(obstacle(file, F_RDLCK, 0, 0), F_WRLCK, 10, 5, other.pid()));
    CHECK(is(obstacle(file, F_WRLCK, 0, 10), F_RDLCK, 2, 1, other.pid()));
    CHECK(set(file, F_WRLCK, 0, 4) == EAGAIN);  // what is refused changes nothing
    CHECK(locked(file, 16) == "rrrr..ww..wwwww.");
    CHECK(set(file, F_WRLCK, 0, 2) == 0);
    CHECK(set(file, F_WRLCK, 14, 0) == EAGAIN);
    CHECK(other.let_go() == 0);
    CHECK(locked(file, 16) == "wwrr..ww........");
    // The three kinds know nothing of each other but for the ranges.
    const Opened own(open_file());
    CHECK(whole(own, LOCK_EX | LOCK_NB) == 0);
    CHECK(exit_of_child([&] { return set(file, F_WRLCK, 20, 1); }) == 0);
    CHECK(set(file, F_UNLCK, 0, 0) == 0);
    CHECK(exit_of_child([] { return whole(open_file(), LOCK_SH | LOCK_NB); }) == EWOULDBLOCK);
}

TEST_CASE("record locks: a process loses all of a file's as soon as it closes any descriptor of it") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    CHECK(link("f", "same") == 0);
    const auto hold = [&] { return set(file, F_WRLCK, 0, 3); };
    CHECK(hold() == 0);
    CHECK(locked(file, 4) == "www.");
    CHECK(exit_of_child([&] {  // A child has none of them, and so takes none away.
              return first_wrong({set(file, F_RDLCK, 0, 1) == EAGAIN, set(file, F_UNLCK, 0, 0) == 0, close(file) == 0,
                                  close(open_file()) == 0});
          }) == 0);
    CHECK(locked(file, 4) == "www.");
    int opened = open_file(O_PATH);  // which only stands for its place
    CHECK(close(opened) == 0);
    CHECK(locked(file, 4) == "www.");
    const auto ways = {+[](int) { return open_file(O_RDONLY); }, +[](int fd) { return dup(fd); },
                       +[](int) { return open("same", O_WRONLY); }};
    for (const auto& open_again : ways) {
        opened = open_again(file);
        CHECK(hold() == 0);
        CHECK(locked(file, 4) == "www.");
        CHECK(close(opened) == 0);
        CHECK(locked(file, 4) == "....");
    }
    opened = open_file();
    const Opened other(make_file("other"));
    CHECK(hold() == 0);
    CHECK(set(other, F_WRLCK, 0, 1) == 0);
    CHECK(dup2(other, opened) == opened);  // closes it, too
    CHECK(locked(file, 4) == "....");
    CHECK(locked(other, 2) == "w.");  // that of another file is not lost
    CHECK(close(opened) == 0);
    CHECK(locked(other, 2) == "..");
    // All threads are the same process.
    Worker worker;
    CHECK(worker.run(hold) == 0);
    CHECK(set(file, F_WRLCK, 2, 3) == 0);
    CHECK(locked(file, 6) == "wwwww.");
    CHECK(worker.run([] { return close(open_file()); }) == 0);
    CHECK(locked(file, 6) == "......");
}

TEST_CASE("record locks: exec keeps them, and the end of a process is their end") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    for (const int flags : {0, O_CLOEXEC}) {  // unless it closes the file
        CAPTURE(flags);
        Pipe said, go;
        Child executes([&] {
            const Role role("hold", {said.writer(), go.reader()});
            if (close(file) != 0) return 1;
            return set(open("f", O_RDWR | flags), F_WRLCK, 0, 2) == 0 ? role.take() : 2;
        });
        CHECK(hear(said, executes) == 'r');
        CHECK(locked(file, 3) == (flags == 0 ? "ww." : "..."));
        if (flags == 0) CHECK(is(obstacle(file, F_RDLCK, 0, 1), F_WRLCK, 0, 2, executes.pid()));
        CHECK(write_byte(go.writer(), 'e'));
        CHECK(executes.result() == 0);
        CHECK(locked(file, 3) == "...");
    }
    Child dies([&] { return set(file, F_RDLCK, 1, 1) == 0 ? pause() : 1; });
    CHECK(dies.blocks());
    CHECK(locked(file, 3) == ".r.");
    CHECK(dies.kill_with(SIGKILL));
    CHECK(dies.status() == SIGKILL);
    CHECK(locked(file, 3) == "...");
    // The end of one thread, even the one that took it, is not.
    {
        Thread takes([&] { return set(file, F_WRLCK, 0, 1); });
        CHECK(takes.join() == 0);
    }
    await_alone();
    CHECK(locked(file, 3) == "w..");
}

namespace {

int await_lock(int fd, int type, off_t start, off_t length = 1) { return set(fd, type, start, length, F_SETLKW); }

}  // namespace

TEST_CASE("record locks: waiting") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    const auto unlock = [](int fd) { return set(fd, F_UNLCK, 0, 0); };
    CHECK(set(file, F_WRLCK, 0, 1) == 0);
    CHECK(waiters_served([](int fd) { return await_lock(fd, F_WRLCK, 0); }, unlock, [&] { unlock(file); }) == "abc");
    CHECK(set(file, F_WRLCK, 0, 10) == 0);
    {  // Each waits for what it asked for, however that comes to be free.
        Child begin([&] { return await_lock(file, F_WRLCK, 0, 3); }),
            end([&] { return await_lock(file, F_RDLCK, 7, 0); });
        Child reads([&] { return await_lock(file, F_RDLCK, 4, 1); });
        for (const Child* const child : {&begin, &end, &reads}) CHECK(child->blocks());
        CHECK(set(file, F_UNLCK, 0, 2) == 0);
        CHECK(begin.blocks());
        CHECK(set(file, F_UNLCK, 2, 1) == 0);
        CHECK(begin.result() == 0);
        CHECK(set(file, F_RDLCK, 3, 5) == 0);
        CHECK(reads.result() == 0);
        CHECK(end.blocks());
        CHECK(locked(file) == "...rrrrrww");
        CHECK(close(open_file()) == 0);
        CHECK(end.result() == 0);
    }
    {  // Readers have it together, and a writer has to wait for each.
        CHECK(set(file, F_WRLCK, 0, 1) == 0);
        const auto read_it = [&] { return await_lock(file, F_RDLCK, 0) == 0 ? pause() : 1; };
        Child first(read_it), second(read_it);
        CHECK((first.blocks() && second.blocks()));
        CHECK(unlock(file) == 0);
        await([&] { return obstacle(file, F_WRLCK, 0, 1).l_type == F_RDLCK || first.has_ended(); });
        Child writer([&] { return await_lock(file, F_WRLCK, 0); });
        CHECK((first.blocks() && second.blocks()));
        CHECK(writer.blocks());
        CHECK(first.kill_with(SIGKILL));
        CHECK(first.status() == SIGKILL);
        CHECK(writer.blocks());
        CHECK(second.kill_with(SIGKILL));
        CHECK(second.status() == SIGKILL);
        CHECK(writer.result() == 0);
    }
    const auto wait_for_it = [&] { return await_lock(file, F_WRLCK, 0); };
    const auto release = [&] { CHECK(unlock(file) == 0); };
    CHECK(set(file, F_WRLCK, 0, 0) == 0);
    CHECK(interrupt(0, false, wait_for_it, release) == EINTR);
    CHECK(interrupt(SA_RESTART, true, wait_for_it, release) == 0);
    CHECK(set(file, F_RDLCK, 0, 0) == 0);
    CHECK(stop_and_continue(true, wait_for_it, release) == 0);
    CHECK(set(file, F_RDLCK, 0, 0) == 0);
    Child killed(wait_for_it), last(wait_for_it);
    CHECK((killed.blocks() && last.blocks()));
    CHECK(killed.kill_with(SIGKILL));
    CHECK(killed.status() == SIGKILL);
    release();
    CHECK(last.result() == 0);
    CHECK(locked(file, 3) == "...");
}

TEST_CASE("EDEADLK: who would wait for one that waits for him") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    // A child that has one byte and waits for another one.
    const auto chain = [&](off_t has, off_t wants, int type = F_WRLCK) {
        return [&, has, wants, type] { return set(file, type, has, 1) == 0 ? await_lock(file, F_WRLCK, wants) : 100; };
    };
    CHECK(set(file, F_WRLCK, 0, 1) == 0);
    {
        Child child(chain(1, 0));
        CHECK(child.blocks());
        CHECK(await_lock(file, F_WRLCK, 1) == EDEADLK);
        CHECK(await_lock(file, F_RDLCK, 0, 5) == EDEADLK);
        CHECK(set(file, F_WRLCK, 1, 1) == EAGAIN);  // who does not wait cannot wait for ever
        CHECK(locked(file, 3) == "ww.");
        CHECK(child.blocks());
        CHECK(set(file, F_UNLCK, 0, 1) == 0);
        CHECK(child.result() == 0);
        CHECK(await_lock(file, F_WRLCK, 0) == 0);
    }
    {  // Over several.
        std::deque<Child> children;
        for (const off_t place : {1, 2, 3}) {  // one by one: each waits for what the one before it has
            children.emplace_back(chain(place, place - 1));
            CHECK(children.back().blocks());
        }
        CHECK(await_lock(file, F_WRLCK, 3) == EDEADLK);
        CHECK(await_lock(file, F_WRLCK, 2) == EDEADLK);
        CHECK(exit_of_child([&] { return set(file, F_WRLCK, 4, 1) + await_lock(file, F_WRLCK, 5); }) == 0);
        CHECK(set(file, F_UNLCK, 0, 1) == 0);
        CHECK(all_succeed(children));
    }
    {  // Two readers that want to write.
        CHECK(set(file, F_RDLCK, 0, 1) == 0);
        Child child(chain(0, 0, F_RDLCK));
        CHECK(child.blocks());
        CHECK(await_lock(file, F_WRLCK, 0) == EDEADLK);
        CHECK(obstacle(file, F_WRLCK, 0, 1).l_type == F_RDLCK);  // it has still its own
        CHECK(set(file, F_UNLCK, 0, 1) == 0);
        CHECK(child.result() == 0);
    }
    // Many may wait for one that waits for nobody of them.
    Holder holder([&] { return set(file, F_WRLCK, 9, 1); });
    Child first(chain(1, 9)), second(chain(2, 9));
    CHECK((first.blocks() && second.blocks()));
    Child third(chain(3, 1));
    CHECK(third.blocks());
    CHECK(await_lock(file, F_WRLCK, 7) == 0);
    CHECK(holder.let_go() == 0);
    for (Child* const child : {&first, &second, &third}) CHECK(child->result() == 0);
    CHECK(locked(file) == ".......w..");
}
