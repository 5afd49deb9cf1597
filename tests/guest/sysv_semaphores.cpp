// SPDX-License-Identifier: MIT
// System V semaphores: sets that are made and found by keys, operations that are done all or none, who waits and who is
// served first, what is undone when a process ends, and who may do what.
#include <sys/sem.h>

#include "tests/guest/ipc.hpp"

using namespace guest;

namespace {

union Argument {
    int value;
    semid_ds* status;
    unsigned short* values;
    seminfo* info;
};

constexpr int kMost = 32767;  // SEMVMX

int operate(int id, std::initializer_list<sembuf> operations, const timespec* limit = nullptr) {
    std::vector<sembuf> copy(operations);
    return errno_of(semtimedop(id, copy.data(), copy.size(), limit));
}

int set_value(int id, int number, int value) { return errno_of(semctl(id, number, SETVAL, Argument{.value = value})); }

int status_of_set(int id, semid_ds* status) { return errno_of(semctl(id, 0, IPC_STAT, Argument{.status = status})); }

// A set that is removed with the object.
class Semaphores {
public:
    explicit Semaphores(int count, int mode = 0600, key_t key = IPC_PRIVATE)
        : count_(count), id_(semget(key, count, mode | IPC_CREAT | IPC_EXCL)) {
        REQUIRE(id_ >= 0);
    }
    ~Semaphores() { semctl(id_, 0, IPC_RMID); }
    Semaphores(const Semaphores&) = delete;
    Semaphores& operator=(const Semaphores&) = delete;
    operator int() const { return id_; }
    int value(int number = 0) const { return semctl(id_, number, GETVAL); }
    int waiting(int number = 0) const { return semctl(id_, number, GETNCNT); }
    int waiting_for_zero(int number = 0) const { return semctl(id_, number, GETZCNT); }
    pid_t last(int number = 0) const { return semctl(id_, number, GETPID); }
    std::vector<unsigned short> values() const {
        std::vector<unsigned short> all(static_cast<std::size_t>(count_));
        CHECK(semctl(id_, 0, GETALL, Argument{.values = all.data()}) == 0);
        return all;
    }
    int set_all(std::vector<unsigned short> all) const {
        return errno_of(semctl(id_, 0, SETALL, Argument{.values = all.data()}));
    }
    semid_ds status() const {
        semid_ds status{};
        CHECK(status_of_set(id_, &status) == 0);
        return status;
    }

private:
    const int count_, id_;
};

// For those that would make a set: what should not have been made is not left behind.
bool refused(int id, int wanted) {
    const bool right = fails(id, wanted);
    if (id >= 0) semctl(id, 0, IPC_RMID);
    return right;
}

using Values = std::vector<unsigned short>;

}  // namespace

TEST_CASE("semaphore sets are made, found by their keys, and removed") {
    const key_t key = key_of(0);
    seminfo limits{};
    REQUIRE(semctl(0, 0, IPC_INFO, Argument{.info = &limits}) >= 0);
    CHECK(limits.semvmx == kMost);
    CHECK(fails(semget(key, 1, 0600), ENOENT));
    CHECK(refused(semget(key, 0, IPC_CREAT | 0600), EINVAL));
    CHECK(refused(semget(key, -1, IPC_CREAT | 0600), EINVAL));
    CHECK(refused(semget(IPC_PRIVATE, limits.semmsl + 1, 0600), EINVAL));
    int old = -1;
    {
        const Semaphores set(3, 0640, key), unnamed(1), other(1);
        old = set;
        CHECK(semget(key, 3, 0600) == set);
        CHECK(semget(key, 2, IPC_CREAT | 0600) == set);
        CHECK(semget(key, 0, 0) == set);
        CHECK(fails(semget(key, 4, 0600), EINVAL));
        CHECK(fails(semget(key, 3, IPC_CREAT | IPC_EXCL | 0600), EEXIST));
        CHECK(semget(key, 3, IPC_EXCL | 0600) == set);
        CHECK(unnamed != other);  // IPC_PRIVATE is nobody's key
        CHECK(set.values() == Values{0, 0, 0});
        const int plain = semget(IPC_PRIVATE, 1, 0600);  // which needs no IPC_CREAT
        CHECK(plain >= 0);
        CHECK(semctl(plain, 0, IPC_RMID) == 0);
        CHECK(is_gone(semctl(plain, 0, IPC_RMID)));
    }
    CHECK(fails(semget(key, 1, 0600), ENOENT));
    const Semaphores again(1, 0600, key);
    CHECK(again != old);
    CHECK(is_gone(semctl(old, 0, GETVAL)));
    sembuf one{0, 1, 0};
    CHECK(is_gone(semop(old, &one, 1)));
    CHECK(again.value() == 0);
}

TEST_CASE("semctl: values, who set them, and what is known of a set") {
    const Since since;
    const Semaphores set(3, 0640, key_of(0));
    const semid_ds fresh = set.status();
    CHECK(fresh.sem_nsems == 3);
    CHECK(fresh.sem_otime == 0);
    CHECK(since.covers(fresh.sem_ctime));
    CHECK(fresh.sem_perm.__key == key_of(0));
    CHECK((fresh.sem_perm.mode & 0777) == 0640);
    CHECK(fresh.sem_perm.uid == geteuid());
    CHECK(fresh.sem_perm.cuid == geteuid());
    CHECK(fresh.sem_perm.gid == getegid());
    CHECK(fresh.sem_perm.cgid == getegid());
    CHECK(set.last(0) == 0);
    CHECK(set_value(set, 1, kMost) == 0);
    CHECK(set.values() == Values{0, kMost, 0});
    CHECK(set.last(1) == getpid());
    CHECK(set.last(0) == 0);
    CHECK(set.set_all({7, 8, 9}) == 0);
    CHECK(set.value(2) == 9);
    CHECK(set.last(2) == getpid());
    CHECK(set.status().sem_otime == 0);  // nothing was an operation
    CHECK(set_value(set, 0, -1) == ERANGE);
    CHECK(set_value(set, 0, kMost + 1) == ERANGE);
    CHECK(set.set_all({1, 2, kMost + 1}) == ERANGE);
    CHECK(set.values() == Values{7, 8, 9});
    {
        Child child([&] { return operate(set, {{0, 1, 0}, {2, 0, IPC_NOWAIT}}) == EAGAIN ? 0 : 1; });
        CHECK(child.result() == 0);
        CHECK(set.last(0) == getpid());  // it has done nothing
        CHECK(set.last(1) == getpid());
    }
    Child child([&] { return operate(set, {{0, 1, 0}, {2, -9, 0}, {2, 0, 0}}); });
    const pid_t pid = child.pid();
    CHECK(child.result() == 0);
    CHECK(set.values() == Values{8, 8, 0});
    CHECK(set.last(0) == pid);
    CHECK(set.last(1) == getpid());
    CHECK(set.last(2) == pid);
    CHECK(since.covers(set.status().sem_otime));
    Child waits([&] { return operate(set, {{2, 0, 0}}); });  // for what is so already
    const pid_t waiter = waits.pid();
    CHECK(waits.result() == 0);
    CHECK(set.last(2) == waiter);

    semid_ds changed = fresh;
    changed.sem_perm.uid = 12;
    changed.sem_perm.gid = 13;
    changed.sem_perm.cuid = 14;
    changed.sem_perm.mode = 07604;
    changed.sem_nsems = 1;
    CHECK(semctl(set, 0, IPC_SET, Argument{.status = &changed}) == 0);
    const semid_ds now = set.status();
    CHECK(now.sem_perm.uid == 12);
    CHECK(now.sem_perm.gid == 13);
    CHECK(now.sem_perm.cuid == geteuid());  // all else is not for anybody to set
    CHECK((now.sem_perm.mode & 0777) == 0604);
    CHECK(now.sem_nsems == 3);
    CHECK(since.covers(now.sem_ctime));

    for (const int command : {GETVAL, SETVAL, GETPID, GETNCNT, GETZCNT}) {
        CAPTURE(command);
        CHECK(fails(semctl(set, 3, command, Argument{}), EINVAL));
        CHECK(fails(semctl(set, -1, command, Argument{}), EINVAL));
        CHECK(fails(semctl(-1, 0, command, Argument{}), EINVAL));
    }
    for (const int command : {GETALL, SETALL, IPC_STAT, IPC_SET}) {
        CHECK(fails(semctl(set, 0, command, Argument{.values = reinterpret_cast<unsigned short*>(16)}), EFAULT));
        CHECK(fails(semctl(-1, 0, command, Argument{.status = &changed}), EINVAL));
    }
    CHECK(fails(semctl(set, 0, 77, Argument{}), EINVAL));
    CHECK(fails(semctl(0, 0, IPC_INFO, Argument{.info = reinterpret_cast<seminfo*>(16)}), EFAULT));
}

TEST_CASE("semop does all of its operations, in their order, or none") {
    const Semaphores set(3);
    seminfo limits{};
    REQUIRE(semctl(0, 0, IPC_INFO, Argument{.info = &limits}) >= 0);
    std::vector<sembuf> many(static_cast<std::size_t>(limits.semopm) + 1, sembuf{0, 0, 0});
    CHECK(fails(semop(set, many.data(), many.size()), E2BIG));
    CHECK(semop(set, many.data(), many.size() - 1) == 0);
    CHECK(fails(semop(set, many.data(), 0), EINVAL));
    CHECK(fails(semop(-1, many.data(), 1), EINVAL));
    CHECK(error(SYS_semop, static_cast<int>(set), 16, 1) == EFAULT);
    CHECK(error(SYS_semtimedop, static_cast<int>(set), many.data(), 1, 16) == EFAULT);
    CHECK(error(SYS_semop, static_cast<int>(set), many.data(), 1) == 0);
    CHECK(operate(set, {{0, 1, 0}, {3, 1, 0}}) == EFBIG);
    CHECK(set.value(0) == 0);

    const timespec none{0, 0}, soon{0, 3'000'000}, negative{-1, 0}, too_many{0, 1'000'000'000};
    CHECK(operate(set, {{0, 5, 0}, {1, kMost, 0}}) == 0);
    CHECK(operate(set, {{0, 1, 0}, {1, 1, 0}}) == ERANGE);
    CHECK(operate(set, {{0, -1, 0}, {1, -1, 0}, {2, -1, IPC_NOWAIT}}) == EAGAIN);
    CHECK(operate(set, {{2, 1, 0}, {0, 0, IPC_NOWAIT}}) == EAGAIN);
    CHECK(operate(set, {{2, 1, 0}, {0, -6, 0}}, &none) == EAGAIN);
    CHECK(set.values() == Values{5, kMost, 0});
    // Whether to wait is asked of the operation that cannot be done.
    const long long begin = now_ns();
    CHECK(operate(set, {{0, -1, IPC_NOWAIT}, {2, -1, 0}}, &soon) == EAGAIN);
    CHECK(now_ns() - begin >= 3'000'000);
    CHECK(operate(set, {{0, -1, IPC_NOWAIT}, {2, -1, 0}}, &negative) == EINVAL);
    CHECK(operate(set, {{2, -1, 0}}, &too_many) == EINVAL);
    // Several of one semaphore count one after the other: what one adds the next may take, but not the other way.
    CHECK(operate(set, {{2, 2, 0}, {2, -1, 0}, {2, -1, 0}, {2, 0, 0}}) == 0);
    CHECK(operate(set, {{2, -1, IPC_NOWAIT}, {2, 1, 0}}) == EAGAIN);
    CHECK(operate(set, {{0, -5, 0}, {0, 0, 0}, {0, 3, 0}}) == 0);
    CHECK(operate(set, {{1, 1, 0}, {1, -1, 0}}) == ERANGE);
    CHECK(operate(set, {{1, -1, 0}, {1, 1, 0}}) == 0);
    CHECK(set.values() == Values{3, kMost, 0});
    // What is only so in between is seen by nobody.
    Child zero([&] { return operate(set, {{0, 0, 0}}); });
    CHECK(zero.blocks());
    CHECK(operate(set, {{0, -3, 0}, {0, 3, 0}}) == 0);
    CHECK(zero.blocks());
    CHECK(set.waiting_for_zero(0) == 1);
    CHECK(operate(set, {{0, -3, 0}}) == 0);
    CHECK(zero.result() == 0);
}

TEST_CASE("waiting for a semaphore, and how it ends") {
    const Semaphores set(2);
    const auto take = [&](short count) {
        return [&, count] { return operate(set, {{0, static_cast<short>(-count), 0}}); };
    };
    {
        Child child(take(2));
        CHECK(child.blocks());
        CHECK(set.waiting() == 1);
        CHECK(set.waiting_for_zero() == 0);
        CHECK(operate(set, {{0, 1, 0}}) == 0);
        CHECK(child.blocks());
        CHECK(set.value() == 1);  // it takes nothing until it can have all
        CHECK(operate(set, {{0, 1, 0}}) == 0);
        CHECK(set.value() == 0);  // whoever gives has already served it
        CHECK(set.last() == child.pid());
        CHECK(set.waiting() == 0);
        CHECK(child.result() == 0);
    }
    for (const bool all : {false, true}) {  // setting a value serves as well
        CHECK(set_value(set, 1, 7) == 0);
        Child child(take(3)), zero([&] { return operate(set, {{1, 0, 0}, {1, 1, 0}}); });
        CHECK((child.blocks() && zero.blocks()));
        CHECK(set_value(set, 1, 0) == 0);
        CHECK(zero.result() == 0);
        CHECK(set.value(1) == 1);
        CHECK((all ? set.set_all({4, 0}) : set_value(set, 0, 4)) == 0);
        CHECK(child.result() == 0);
        CHECK(set.value() == 1);
        CHECK(set_value(set, 0, 0) == 0);
    }
    CHECK(set_value(set, 0, 1) == 0);
    {
        Child first([&] { return operate(set, {{0, 0, 0}}); }), second([&] { return operate(set, {{0, 0, 0}}); });
        CHECK((first.blocks() && second.blocks()));
        CHECK(set.waiting_for_zero() == 2);
        CHECK(set.waiting() == 0);
        CHECK(operate(set, {{0, -1, 0}}) == 0);
        CHECK(set.waiting_for_zero() == 0);
        CHECK(first.result() == 0);
        CHECK(second.result() == 0);
    }
    const timespec soon{0, 5'000'000}, long_time{1000, 0};
    const long long begin = now_ns();
    CHECK(operate(set, {{0, -1, 0}}, &soon) == EAGAIN);
    CHECK(now_ns() - begin >= 5'000'000);
    CHECK(set.waiting() == 0);
    {
        Child timed([&] { return operate(set, {{0, -1, 0}}, &long_time); }), killed(take(1)), last(take(1));
        CHECK((timed.blocks() && killed.blocks()));
        CHECK(last.blocks());
        CHECK(set.waiting() == 3);
        CHECK(killed.kill_with(SIGKILL));
        CHECK(killed.status() == SIGKILL);
        CHECK(set.waiting() == 2);
        CHECK(operate(set, {{0, 2, 0}}) == 0);  // nothing is lost to the one that is gone
        CHECK(timed.result() == 0);
        CHECK(last.result() == 0);
        CHECK(set.value() == 0);
    }
    // A handler ends the waiting, even one that should not; and so does being stopped.
    const auto nothing = [] {};
    CHECK(interrupt(0, false, take(1), nothing) == EINTR);
    CHECK(interrupt(SA_RESTART, false, take(1), nothing) == EINTR);
    CHECK(interrupt(SA_RESTART, false, [&] { return operate(set, {{0, -1, 0}}, &long_time); }, nothing) == EINTR);
    CHECK(stop_and_continue(false, take(1), nothing) == EINTR);
    CHECK(set.waiting() == 0);
    // Removal ends everybody's, whatever it is for.
    CHECK(set_value(set, 1, 1) == 0);
    Child one(take(1)), zero([&] { return operate(set, {{1, 0, 0}}); });
    Child both([&] { return operate(set, {{0, -1, SEM_UNDO}, {1, -1, SEM_UNDO}}, &long_time); });
    for (const Child* const child : {&one, &zero, &both}) CHECK(child->blocks());
    CHECK(semctl(set, 0, IPC_RMID) == 0);
    for (Child* const child : {&one, &zero, &both}) CHECK(child->result() == EIDRM);
}

TEST_CASE("who of several is served: the first whose operations can all be done") {
    const Semaphores set(3);
    const auto give = [&](unsigned short number, short count) { return operate(set, {{number, count, 0}}); };
    {
        std::deque<Child> equal;
        for (int i = 0; i < 3; ++i) {
            equal.emplace_back([&] { return operate(set, {{0, -1, 0}}); });
            CHECK(equal.back().blocks());
        }
        while (!equal.empty()) {
            CHECK(give(0, 1) == 0);
            REQUIRE(first_ended(equal) == 0);
            CHECK(equal.front().result() == 0);
            equal.pop_front();
            CHECK(set.waiting() == static_cast<int>(equal.size()));
        }
    }
    {
        Child big([&] { return operate(set, {{0, -3, 0}}); });
        CHECK(big.blocks());
        Child small([&] { return operate(set, {{0, -2, 0}}); });
        CHECK(small.blocks());
        CHECK(give(0, 2) == 0);
        CHECK(small.result() == 0);
        CHECK(big.blocks());
        CHECK(give(0, 2) == 0);
        CHECK(operate(set, {{0, -1, IPC_NOWAIT}}) == 0);  // even who does not wait passes it
        CHECK(give(0, 2) == 0);
        CHECK(big.result() == 0);
        CHECK(set.value() == 0);
    }
    {  // One that is served may make others ready: by what it gives, or by what it leaves at zero.
        CHECK(set.set_all({1, 0, 0}) == 0);
        Child zero([&] { return operate(set, {{0, 0, 0}, {2, 1, 0}}); });
        CHECK(zero.blocks());
        Child last([&] { return operate(set, {{1, -1, 0}, {2, -1, 0}}); });
        CHECK(last.blocks());
        Child first([&] { return operate(set, {{0, -2, 0}, {1, 1, 0}}); });
        CHECK(first.blocks());
        CHECK(give(0, 1) == 0);
        CHECK(set.values() == Values{0, 0, 0});
        CHECK(set.last(2) == last.pid());
        for (Child* const child : {&zero, &last, &first}) CHECK(child->result() == 0);
    }
    // Who needs several takes none before, and is counted where it is held up.
    Child both([&] { return operate(set, {{0, -1, 0}, {1, -1, 0}}); });
    CHECK(both.blocks());
    CHECK((set.waiting(0) == 1 && set.waiting(1) == 0));
    CHECK(give(0, 1) == 0);
    CHECK(both.blocks());
    CHECK((set.waiting(0) == 0 && set.waiting(1) == 1));
    CHECK(set.value(0) == 1);
    CHECK(operate(set, {{0, -1, IPC_NOWAIT}}) == 0);
    CHECK(give(1, 1) == 0);
    CHECK(both.blocks());
    CHECK((set.waiting(0) == 1 && set.waiting(1) == 0));
    CHECK(give(0, 1) == 0);
    CHECK(both.result() == 0);
    CHECK(set.values() == Values{0, 0, 0});
    // Too much may turn out to be asked for only in the end.
    CHECK(set_value(set, 1, 1) == 0);
    Child too_much([&] { return operate(set, {{0, -1, 0}, {1, kMost, 0}}); });
    CHECK(too_much.blocks());
    CHECK(give(0, 1) == 0);
    CHECK(too_much.result() == ERANGE);
    CHECK(set.values() == Values{1, 1, 0});
}

TEST_CASE("SEM_UNDO: what a process did to semaphores is undone when it ends") {
    const Semaphores set(3), second(1);
    Pipe go, said;
    const auto hold = [&](auto body) {  // in a child, which says so and goes on when it hears something
        return [&, body] {
            const int result = body();
            write_byte(said.writer(), 'd');
            return read_byte(go.reader()) == 'g' ? result : 1;
        };
    };
    const auto done = [&](const Child& child) { return hear(said, child) == 'd'; };
    const auto end = [&](Child& child) { return write_byte(go.writer(), 'g') && child.result() == 0; };
    CHECK(set.set_all({5, 5, 5}) == 0);
    CHECK(set_value(second, 0, 2) == 0);
    {
        Child child(hold([&] {
            return first_wrong({operate(set, {{0, -2, SEM_UNDO}, {1, 3, SEM_UNDO}, {2, -1, 0}}) == 0,
                                operate(set, {{0, -1, SEM_UNDO}, {2, -9, IPC_NOWAIT | SEM_UNDO}}) == EAGAIN,
                                operate(second, {{0, -1, SEM_UNDO}}) == 0});
        }));
        CHECK(done(child));
        CHECK(set.values() == Values{3, 8, 4});
        CHECK(second.value() == 1);
        Child waiter([&] { return operate(set, {{0, -5, 0}}); });
        CHECK(waiter.blocks());
        CHECK(end(child));
        CHECK(waiter.result() == 0);  // undoing serves who waits
        CHECK(set.values() == Values{0, 5, 4});
        CHECK(set.last(1) == child.pid());
        CHECK(second.value() == 2);
    }
    {  // However it ends; and what was done for it while it waited counts.
        Child child(hold([&] { return operate(set, {{0, -1, SEM_UNDO}}); }));
        CHECK(child.blocks());
        CHECK(operate(set, {{0, 1, 0}}) == 0);
        CHECK(done(child));
        CHECK(set.value() == 0);
        CHECK(child.kill_with(SIGKILL));
        CHECK(child.status() == SIGKILL);
        CHECK(set.value() == 1);
    }
    {  // It goes as far as it can.
        CHECK(set.set_all({0, 5, kMost}) == 0);
        Child child(hold([&] { return operate(set, {{0, 3, SEM_UNDO}, {1, -1, SEM_UNDO}, {2, -4, SEM_UNDO}}); }));
        CHECK(done(child));
        CHECK(operate(set, {{0, -2, 0}, {2, 2, 0}}) == 0);
        CHECK(end(child));
        CHECK(set.values() == Values{0, 5, kMost});
    }
    {  // Whoever sets a value wants that one to stay.
        Child child(hold([&] { return operate(set, {{0, 1, SEM_UNDO}, {1, -3, SEM_UNDO}}); }));
        CHECK(done(child));
        CHECK(set_value(set, 0, 9) == 0);
        CHECK(end(child));
        CHECK(set.values() == Values{9, 5, kMost});
        Child other(hold([&] { return operate(set, {{0, 1, SEM_UNDO}, {1, -3, SEM_UNDO}}); }));
        CHECK(done(other));
        CHECK(set.set_all({1, 2, 3}) == 0);
        CHECK(end(other));
        CHECK(set.values() == Values{1, 2, 3});
    }
    {  // What would have to be undone has a limit, too.
        CHECK(set_value(set, 0, kMost) == 0);
        Child child([&] {
            return first_wrong({operate(set, {{0, -kMost, SEM_UNDO}}) == 0, operate(set, {{0, kMost, 0}}) == 0,
                                operate(set, {{0, -2, SEM_UNDO}}) == ERANGE, set.value() == kMost});
        });
        CHECK(child.result() == 0);
        CHECK(set.value() == kMost);
    }
    Child forgets([&] {  // of a set that is gone nothing is left to undo
        const Semaphores gone(1);
        return operate(gone, {{0, 1, SEM_UNDO}});
    });
    CHECK(forgets.result() == 0);
}

TEST_CASE("SEM_UNDO belongs to a process: fork, exec and threads") {
    const Semaphores set(1);
    Pipe go, said;
    const auto take = [&] { return operate(set, {{0, -1, SEM_UNDO}}); };
    CHECK(set_value(set, 0, 10) == 0);
    CHECK(exit_of_child([&] {
              const int mine = take();
              const int theirs = exit_of_child([] { return 0; });  // it inherits nothing that it could undo
              return first_wrong(
                  {mine == 0, theirs == 0, set.value() == 9, exit_of_child(take) == 0, set.value() == 9});
          }) == 0);
    CHECK(set.value() == 10);
    {
        Child executes([&] {
            const Role role("hold", {said.writer(), go.reader()});
            return take() == 0 ? role.take() : 1;
        });
        CHECK(hear(said, executes) == 'r');
        CHECK(set.value() == 9);
        CHECK(write_byte(go.writer(), 'e'));
        CHECK(executes.result() == 0);
        CHECK(set.value() == 10);
    }
    CHECK(exit_of_child([&] {
              Thread thread(take);
              const bool ended = thread.join() == 0;
              await_alone();
              return first_wrong({ended, set.value() == 9, take() == 0, set.value() == 8});
          }) == 0);
    CHECK(set.value() == 10);
}

TEST_CASE("who may use a semaphore set") {
    const Semaphores closed(1, 0600, key_of(0)), readable(1, 0604), writable(1, 0602), grouped(1, 0640);
    const uid_t user = stranger();
    const gid_t group = user + 1;
    semid_ds status = grouped.status();
    status.sem_perm.gid = group;
    CHECK(semctl(grouped, 0, IPC_SET, Argument{.status = &status}) == 0);
    const Semaphores given(1);
    status = given.status();
    status.sem_perm.uid = user;
    status.sem_perm.mode = 0006;
    CHECK(semctl(given, 0, IPC_SET, Argument{.status = &status}) == 0);
    const auto see = [](int id) { return fails(semctl(id, 0, GETVAL), EACCES) ? EACCES : 0; };
    const auto touch_it = [](int id) { return operate(id, {{0, 1, 0}}); };
    const auto look = [](int id) { return operate(id, {{0, 0, IPC_NOWAIT}}); };
    const auto set_it = [](int id) { return set_value(id, 0, 0); };
    const auto remove_it = [](int id) { return errno_of(semctl(id, 0, IPC_RMID)); };
    CHECK(exit_of_user(user, [&] {
              semid_ds seen{};
              return first_wrong({fails(semget(key_of(0), 1, 0600), EACCES),
                                  semget(key_of(0), 1, 0) == closed,
                                  see(closed) == EACCES,
                                  touch_it(closed) == EACCES,
                                  look(closed) == EACCES,
                                  set_it(closed) == EACCES,
                                  status_of_set(closed, &seen) == EACCES,
                                  remove_it(closed) == EPERM,
                                  errno_of(semctl(closed, 0, IPC_SET, Argument{.status = &status})) == EPERM,  //
                                  see(readable) == 0,
                                  look(readable) == 0,
                                  touch_it(readable) == EACCES,
                                  set_it(readable) == EACCES,
                                  status_of_set(readable, &seen) == 0,
                                  remove_it(readable) == EPERM,  //
                                  touch_it(writable) == 0,
                                  set_it(writable) == 0,
                                  see(writable) == EACCES,
                                  look(writable) == EACCES,
                                  see(grouped) == EACCES});
          }) == 0);
    CHECK(exit_of_user(user, [&] { return first_wrong({see(grouped) == 0, touch_it(grouped) == EACCES}); }, {group}) ==
          0);
    CHECK(exit_of_user(user, [&] {  // the owner has the owner's rights, not everybody's; but may change them
              const bool none = see(given) == EACCES && touch_it(given) == EACCES;
              semid_ds mine{};
              mine.sem_perm.uid = user;
              mine.sem_perm.mode = 0600;
              const bool changed = semctl(given, 0, IPC_SET, Argument{.status = &mine}) == 0;
              return first_wrong({none, changed, touch_it(given) == 0, see(given) == 0, remove_it(given) == 0});
          }) == 0);
    CHECK(exit_of_user(user, [&] {  // whoever made it keeps what an owner has
              const int id = semget(IPC_PRIVATE, 1, 0600);
              semid_ds away{};
              away.sem_perm.uid = user + 1;
              away.sem_perm.mode = 0600;
              const bool gave = semctl(id, 0, IPC_SET, Argument{.status = &away}) == 0;
              return first_wrong({id >= 0, gave, touch_it(id) == 0, see(id) == 0, remove_it(id) == 0});
          }) == 0);
    if (is_root()) CHECK(is_gone(semctl(given, 0, GETVAL)));
}

TEST_CASE("SEM_INFO and SEM_STAT: all the sets there are") {
    const Semaphores first(3, 0600), second(4, 0604);
    seminfo limits{}, used{};
    const int highest = semctl(0, 0, IPC_INFO, Argument{.info = &limits});
    CHECK(semctl(0, 0, SEM_INFO, Argument{.info = &used}) == highest);
    CHECK(used.semusz >= 2);
    CHECK(used.semaem >= 7);
    CHECK((limits.semmni >= 2 && limits.semmsl >= 4 && limits.semmns >= 7 && limits.semopm >= 3));
    CHECK((used.semmni == limits.semmni && used.semmsl == limits.semmsl));
    int found = 0, index = -1;
    for (int i = 0; i <= highest; ++i) {
        semid_ds status{};
        const int id = semctl(i, 0, SEM_STAT, Argument{.status = &status});
        if (id == first) found += status.sem_nsems == 3 && (status.sem_perm.mode & 0777) == 0600;
        if (id == second) found += status.sem_nsems == 4 && (status.sem_perm.mode & 0777) == 0604;
        if (id == first) index = i;
    }
    CHECK(found == 2);
    CHECK(fails(semctl(highest + 1, 0, SEM_STAT, Argument{.status = nullptr}), EINVAL));
    CHECK(exit_of_user(stranger(), [&] {
              semid_ds status{};
              return first_wrong({fails(semctl(index, 0, SEM_STAT, Argument{.status = &status}), EACCES),
                                  semctl(index, 0, SEM_STAT_ANY, Argument{.status = &status}) == first});
          }) == 0);
}
