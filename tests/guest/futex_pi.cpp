// SPDX-License-Identifier: MIT
// Locks that lend their owner the priority of those who wait (PTHREAD_PRIO_INHERIT, FUTEX_LOCK_PI and its relatives),
// and locks that outlive their owner: robust ones, also between processes.
#include <optional>

#include "tests/guest/parallel.hpp"

using namespace guest;

namespace {

long lock_pi(Word& word, const timespec* timeout = nullptr, int operation = FUTEX_LOCK_PI) {
    return futex(&word, operation, 0, timeout);
}
long trylock_pi(Word& word) { return futex(&word, FUTEX_TRYLOCK_PI, 0); }
long unlock_pi(Word& word) { return futex(&word, FUTEX_UNLOCK_PI, 0); }

std::uint32_t id(const Worker& worker) { return static_cast<std::uint32_t>(worker.tid()); }
std::uint32_t own_id() { return static_cast<std::uint32_t>(gettid()); }

struct Kind {
    int protocol = PTHREAD_PRIO_INHERIT, type = PTHREAD_MUTEX_NORMAL;
    int robust = PTHREAD_MUTEX_STALLED, shared = PTHREAD_PROCESS_PRIVATE;
};

int make_mutex(pthread_mutex_t& mutex, const Kind& kind) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setprotocol(&attributes, kind.protocol);
    pthread_mutexattr_settype(&attributes, kind.type);
    pthread_mutexattr_setrobust(&attributes, kind.robust);
    pthread_mutexattr_setpshared(&attributes, kind.shared);
    const int result = pthread_mutex_init(&mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result;
}

}  // namespace

TEST_CASE("mutexes with PTHREAD_PRIO_INHERIT") {
    pthread_mutex_t mutex, checked;
    REQUIRE(make_mutex(mutex, {}) == 0);
    REQUIRE(make_mutex(checked, {.type = PTHREAD_MUTEX_ERRORCHECK}) == 0);
    long counter = 0;
    {
        std::deque<Thread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back([&] {
                for (int turn = 0; turn < 100; ++turn) {
                    pthread_mutex_lock(&mutex);
                    const long seen = counter;
                    if (turn % 10 == 0) sched_yield();
                    counter = seen + 1;
                    pthread_mutex_unlock(&mutex);
                }
                return 0;
            });
        }
    }
    CHECK(counter == 400);
    Worker worker;
    const auto run = [&](auto* call, pthread_mutex_t& which) { return worker.run([&] { return call(&which); }); };
    for (pthread_mutex_t* const any : {&mutex, &checked}) {
        CHECK(run(pthread_mutex_lock, *any) == 0);
        CHECK(pthread_mutex_trylock(any) == EBUSY);
        for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC}) {
            const timespec soon = from_now(clock, 5);
            const int result = pthread_mutex_clocklock(any, clock, &soon);
            if (result == EINVAL && clock == CLOCK_MONOTONIC) {  // before Linux 5.14
                WARN("no FUTEX_LOCK_PI2 here");
                continue;
            }
            CHECK(result == ETIMEDOUT);
            CHECK(is_over(clock, soon));
        }
        CHECK(run(pthread_mutex_unlock, *any) == 0);
    }
    CHECK(run(pthread_mutex_lock, checked) == 0);
    CHECK(run(pthread_mutex_lock, checked) == EDEADLK);
    CHECK(pthread_mutex_unlock(&checked) == EPERM);
    CHECK(run(pthread_mutex_unlock, checked) == 0);
    // With a condition; and a handler does not end the wait.
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    handle(SIGUSR1);
    worker.start([&] {
        pthread_mutex_lock(&checked);
        while (counter == 400) pthread_cond_wait(&condition, &checked);
        return pthread_mutex_unlock(&checked);
    });
    CHECK(sleeps(worker.tid()));
    CHECK(pthread_mutex_lock(&checked) == 0);
    counter = 0;
    CHECK(pthread_cond_broadcast(&condition) == 0);
    CHECK(sleeps(worker.tid()));  // for the mutex
    CHECK(pthread_kill(worker.handle(), SIGUSR1) == 0);
    await([] { return g_count == 1; });
    CHECK(sleeps(worker.tid()));
    CHECK_FALSE(worker.is_done());
    CHECK(pthread_mutex_unlock(&checked) == 0);
    CHECK(worker.finish() == 0);
    dispose(SIGUSR1, SIG_DFL);
}

TEST_CASE("FUTEX_LOCK_PI: the word, its owner and its waiters") {
    Word word{0};
    Worker owner, waiter;
    CHECK(owner.run([&] { return lock_pi(word); }) == 0);
    CHECK(word == id(owner));
    CHECK(owner.run([&] { return lock_pi(word); }) == -EDEADLK);
    CHECK(owner.run([&] { return trylock_pi(word); }) == -EDEADLK);
    CHECK(trylock_pi(word) == -EAGAIN);
    CHECK(unlock_pi(word) == -EPERM);
    for (const auto& [operation, clock] : {std::pair{FUTEX_LOCK_PI, CLOCK_REALTIME},
                                           {FUTEX_LOCK_PI2, CLOCK_MONOTONIC},
                                           {FUTEX_LOCK_PI2 | FUTEX_CLOCK_REALTIME, CLOCK_REALTIME}}) {
        CAPTURE(operation);
        const timespec soon = from_now(clock, 5), past = from_now(clock, -1), odd{0, 1'000'000'000};
        const long result = lock_pi(word, &soon, operation);
        if (result == -ENOSYS && operation != FUTEX_LOCK_PI) continue;  // before Linux 5.14
        CHECK(result == -ETIMEDOUT);
        CHECK(is_over(clock, soon));
        CHECK(lock_pi(word, &past, operation) == -ETIMEDOUT);
        CHECK(lock_pi(word, &odd, operation) == -EINVAL);
    }
    CHECK((word & FUTEX_TID_MASK) == id(owner));
    CHECK(owner.run([&] { return unlock_pi(word); }) == 0);
    CHECK(word == 0);
    // The library's way: the word alone, while nobody waits; who comes to wait marks it.
    word = id(owner);
    waiter.start([&] { return lock_pi(word); });
    CHECK(sleeps(waiter.tid()));
    CHECK(word == (id(owner) | FUTEX_WAITERS));
    CHECK(futex(&word, FUTEX_WAKE, 1) == -EINVAL);  // that is no way to end a wait for a lock
    CHECK(futex(&word, FUTEX_UNLOCK_PI, 0) == -EPERM);
    handle(SIGUSR1);  // without SA_RESTART: this call begins again all the same
    CHECK(pthread_kill(waiter.handle(), SIGUSR1) == 0);
    await([] { return g_count == 1; });
    CHECK(sleeps(waiter.tid()));
    CHECK_FALSE(waiter.is_done());
    CHECK(owner.run([&] { return unlock_pi(word); }) == 0);
    CHECK(waiter.finish() == 0);
    CHECK((word & FUTEX_TID_MASK) == id(waiter));  // handed over: nobody can come in between
    CHECK(trylock_pi(word) == -EAGAIN);
    CHECK(waiter.run([&] { return unlock_pi(word); }) == 0);
    CHECK(word == 0);
    CHECK(trylock_pi(word) == 0);
    CHECK(word == own_id());
    CHECK(unlock_pi(word) == 0);
    CHECK(unlock_pi(word) == -EPERM);
    dispose(SIGUSR1, SIG_DFL);

    word = 1 << 22;  // nobody has that id
    CHECK(lock_pi(word) == -ESRCH);
    CHECK(trylock_pi(word) == -ESRCH);
    word = 0;
    owner.start([&] { return futex(&word, FUTEX_WAIT, 0); });
    CHECK(sleeps(owner.tid()));
    word = id(waiter);
    CHECK(lock_pi(word) == -EINVAL);  // someone waits there for something else
    CHECK(futex(&word, FUTEX_WAKE, 1) == 1);
    CHECK(owner.finish() == 0);
    CHECK(futex(reinterpret_cast<char*>(&word) + 2, FUTEX_LOCK_PI, 0) == -EINVAL);
    CHECK(futex(reinterpret_cast<Word*>(16), FUTEX_LOCK_PI, 0) == -EFAULT);
    CHECK(futex(reinterpret_cast<Word*>(16), FUTEX_UNLOCK_PI, 0) == -EFAULT);
}

TEST_CASE("FUTEX_LOCK_PI: two that wait for each other, and an owner that ends") {
    Word word{0};
    Worker owner, waiter;
    Word other{0};
    CHECK(owner.run([&] { return lock_pi(word); }) == 0);
    CHECK(waiter.run([&] { return lock_pi(other); }) == 0);
    owner.start([&] { return lock_pi(other); });
    CHECK(sleeps(owner.tid()));
    CHECK(waiter.run([&] { return lock_pi(word); }) == -EDEADLK);
    CHECK(waiter.run([&] { return unlock_pi(other); }) == 0);
    CHECK(owner.finish() == 0);
    CHECK(owner.run([&] { return unlock_pi(other) | unlock_pi(word); }) == 0);
    // An owner that ends leaves the lock to the one that waits for it, and a mark.
    waiter.start([&] {
        await([&] { return word != 0; });
        return lock_pi(word);
    });
    {
        Thread ends([&] {
            word = own_id();
            await([&] { return word == (own_id() | FUTEX_WAITERS); });
            return sleeps(waiter.tid());
        });
        CHECK(ends.join() == 1);
    }
    CHECK(waiter.finish() == 0);
    CHECK((word & (FUTEX_TID_MASK | FUTEX_OWNER_DIED)) == (id(waiter) | FUTEX_OWNER_DIED));
}

TEST_CASE("FUTEX_WAIT_REQUEUE_PI: from a condition to a lock") {
    Word condition{5}, lock{0}, other{0};
    const auto wait = [&](const timespec* time, int flags = 0) {
        return futex(&condition, FUTEX_WAIT_REQUEUE_PI | flags, 5, time, &lock);
    };
    const auto requeue = [&](std::uint32_t wakes, std::uint32_t moves, std::uint32_t value = 5) {
        return futex2(&condition, FUTEX_CMP_REQUEUE_PI, wakes, moves, &lock, value);
    };
    CHECK(requeue(1, 10) == 0);
    CHECK(requeue(1, 10, 4) == -EAGAIN);
    CHECK(requeue(0, 10) == -EINVAL);
    CHECK(requeue(2, 10) == -EINVAL);
    CHECK(futex2(&condition, FUTEX_CMP_REQUEUE_PI, 1, 1, &condition, 5) == -EINVAL);
    CHECK(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 5, nullptr, &condition) == -EINVAL);
    CHECK(futex(&condition, FUTEX_WAIT_REQUEUE_PI, 4, nullptr, &lock) == -EAGAIN);
    const timespec soon = from_now(CLOCK_MONOTONIC, 5), soon_real = from_now(CLOCK_REALTIME, 10);
    CHECK(wait(&soon) == -ETIMEDOUT);
    CHECK(is_over(CLOCK_MONOTONIC, soon));
    CHECK(wait(&soon_real, FUTEX_CLOCK_REALTIME) == -ETIMEDOUT);
    CHECK(is_over(CLOCK_REALTIME, soon_real));
    CHECK(lock == 0);
    {
        std::deque<Worker> waiters(4);
        for (Worker& waiter : waiters) {
            waiter.start([&] { return wait(nullptr); });
            CHECK(sleeps(waiter.tid()));
        }
        CHECK(futex(&condition, FUTEX_WAKE, 1) == -EINVAL);
        CHECK(futex2(&condition, FUTEX_CMP_REQUEUE_PI, 1, 1, &other, 5) == -EINVAL);  // they want `lock`
        CHECK(futex2(&condition, FUTEX_CMP_REQUEUE, 1, 1, &lock, 5) == -EINVAL);
        // While it is taken, nobody is woken. Who moves waits like others for the lock, and has it on return.
        CHECK(lock_pi(lock) == 0);
        CHECK(requeue(1, 1) == 2);
        for (const Worker& waiter : waiters) CHECK(sleeps(waiter.tid()));
        CHECK(std::none_of(waiters.begin(), waiters.end(), [](const Worker& one) { return one.is_done(); }));
        CHECK(lock == (own_id() | FUTEX_WAITERS));
        const auto take_turns = [&](long count) {
            for (long i = 0; i < count; ++i) {
                Worker* owner = nullptr;
                await([&] {
                    for (Worker& one : waiters) {
                        if (one.is_done() && (lock & FUTEX_TID_MASK) == id(one)) owner = &one;
                    }
                    return owner != nullptr;
                });
                CHECK(owner->finish() == 0);
                CHECK(owner->run([&] { return unlock_pi(lock); }) == 0);
            }
        };
        CHECK(unlock_pi(lock) == 0);
        take_turns(2);
        CHECK(lock == 0);
        CHECK(requeue(1, INT_MAX) == 2);  // it is free: the first has it at once
        take_turns(2);
        CHECK(std::all_of(waiters.begin(), waiters.end(), [](const Worker& one) { return one.is_done(); }));
        CHECK(lock == 0);
        CHECK(requeue(1, INT_MAX) == 0);
    }
    // A limit of time is valid for both waits; a handler does not end the first.
    const timespec limit = from_now(CLOCK_MONOTONIC, 60);
    handle(SIGUSR1);
    CHECK(lock_pi(lock) == 0);
    Thread limited([&] { return wait(&limit); });
    CHECK((sleeps(limited.tid()) || is_over(CLOCK_MONOTONIC, limit)));
    CHECK((pthread_kill(limited.handle(), SIGUSR1) == 0 || is_over(CLOCK_MONOTONIC, limit)));
    await([&] { return g_count == 1 || is_over(CLOCK_MONOTONIC, limit); });
    await([&] { return requeue(1, 1) == 1 || is_over(CLOCK_MONOTONIC, limit); });
    CHECK(limited.join() == -ETIMEDOUT);
    CHECK(is_over(CLOCK_MONOTONIC, limit));
    CHECK(unlock_pi(lock) == 0);
    dispose(SIGUSR1, SIG_DFL);
}

namespace {

// The priority in a thread's stat: -1 - p for the real-time priority p, else 20 and the nice value.
int priority_of(const Worker& worker) { return std::atoi(stat_field(worker.tid(), 18).c_str()); }

bool make_real_time(Worker& worker, int priority) {
    return worker.run([=] {
        const sched_param parameters{priority};
        return pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters);
    }) == 0;
}

}  // namespace

TEST_CASE("the owner of a lock has the priority of those who wait, through any number of locks") {
    Worker low, middle, high;
    const int normal = priority_of(low);
    CHECK(normal == 20 + getpriority(PRIO_PROCESS, 0));
    if (!make_real_time(middle, 5) || !make_real_time(high, 10)) {
        WARN("no SCHED_FIFO here");
        return;
    }
    CHECK(priority_of(middle) == -6);
    Word first{0}, second{0};
    const auto unlock = [](Worker& worker, Word& word) { return worker.run([&] { return unlock_pi(word); }); };
    const auto wait = [](Worker& worker, Word& word) {
        worker.start([&] { return lock_pi(word); });
        CHECK(sleeps(worker.tid()));
    };
    CHECK(low.run([&] { return lock_pi(first); }) == 0);
    CHECK(middle.run([&] { return lock_pi(second); }) == 0);
    CHECK(priority_of(low) == normal);
    wait(middle, first);
    CHECK(priority_of(low) == -6);
    CHECK(sched_getscheduler(low.tid()) == SCHED_OTHER);  // what it has been given stays the same
    wait(high, second);
    CHECK(priority_of(middle) == -11);
    CHECK(priority_of(low) == -11);
    CHECK(unlock(low, first) == 0);
    CHECK(priority_of(low) == normal);
    CHECK(middle.finish() == 0);
    CHECK(priority_of(middle) == -11);
    CHECK(unlock(middle, second) == 0);
    CHECK(priority_of(middle) == -6);
    CHECK(high.finish() == 0);
    CHECK(unlock(middle, first) == 0);
    CHECK(unlock(high, second) == 0);
    // Who has no patience any more takes its priority along; and a change of a waiter's is passed on.
    CHECK(low.run([&] { return lock_pi(first); }) == 0);
    const timespec limit = from_now(CLOCK_REALTIME, 30);
    high.start([&] { return lock_pi(first, &limit); });
    await([&] { return priority_of(low) == -11 || is_over(CLOCK_REALTIME, limit); });
    CHECK(high.finish() == -ETIMEDOUT);
    CHECK(priority_of(low) == normal);
    wait(middle, first);
    const sched_param raised{7};
    CHECK(sched_setscheduler(middle.tid(), SCHED_FIFO, &raised) == 0);
    CHECK(priority_of(low) == -8);
    // The most urgent is the next owner, whoever came first.
    wait(high, first);
    CHECK(priority_of(low) == -11);
    CHECK(unlock(low, first) == 0);
    CHECK(high.finish() == 0);
    CHECK((first & FUTEX_TID_MASK) == id(high));
    CHECK_FALSE(middle.is_done());
    CHECK(unlock(high, first) == 0);
    CHECK(middle.finish() == 0);
    CHECK(unlock(middle, first) == 0);
}

namespace {

struct Common {
    pthread_mutex_t mutex;
    std::atomic<int> stage;
};

}  // namespace

TEST_CASE("robust mutexes tell the next owner that the last one has died") {
    for (const int protocol : {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT}) {
        CAPTURE(protocol);
        const Shared<Common> common;
        pthread_mutex_t* const mutex = &common->mutex;
        REQUIRE(make_mutex(*mutex,
                           {protocol, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_ROBUST, PTHREAD_PROCESS_SHARED}) == 0);
        const auto repair = [&] { return pthread_mutex_consistent(mutex) | pthread_mutex_unlock(mutex); };
        CHECK(pthread_mutex_consistent(mutex) == EINVAL);  // nothing is wrong with it
        // A thread of this process; a process that ends, is killed, or executes; each alone, and with somebody waiting.
        const auto die = [](int way) {
            if (way == 1) _exit(0);
            if (way == 2) kill(getpid(), SIGKILL);
            if (way == 3) Role("arguments", {1000}).take();
        };
        for (const int way : {0, 1, 2, 3}) {
            for (const bool waited_for : {false, true}) {
                CAPTURE(way, waited_for);
                common->stage = 0;
                const auto own = [&] {
                    if (pthread_mutex_lock(mutex) != 0) return 1;
                    common->stage = 1;
                    await([&] { return common->stage == 2; });
                    die(way);
                    return 0;
                };
                std::optional<Thread> thread;
                const pid_t owner = way == 0 ? (thread.emplace(own), 0) : start_child(own);
                await([&] { return common->stage == 1; });
                CHECK(pthread_mutex_trylock(mutex) == EBUSY);
                const timespec soon = from_now(CLOCK_REALTIME, 2);
                CHECK(pthread_mutex_timedlock(mutex, &soon) == ETIMEDOUT);
                Worker waiter;
                if (waited_for) {
                    waiter.start([&] { return pthread_mutex_lock(mutex); });
                    CHECK(sleeps(waiter.tid()));
                }
                common->stage = 2;
                if (way == 0) CHECK(thread->join() == 0);
                if (way != 0) CHECK(wait_status(owner) == (way == 1 ? 0 : way == 2 ? SIGKILL : W_EXITCODE(1, 0)));
                if (waited_for) {
                    CHECK(waiter.finish() == EOWNERDEAD);
                    CHECK(pthread_mutex_trylock(mutex) == EBUSY);
                    CHECK(waiter.run(repair) == 0);
                } else {
                    CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD);
                    CHECK(pthread_mutex_lock(mutex) == EDEADLK);
                    CHECK(repair() == 0);
                }
                CHECK(pthread_mutex_lock(mutex) == 0);
                CHECK(pthread_mutex_unlock(mutex) == 0);
            }
        }
        // Between processes as within one: a child waits, and a child that takes over may die as well.
        CHECK(pthread_mutex_lock(mutex) == 0);
        common->stage = 0;
        const pid_t heir = start_child([&] {
            common->stage = 1;
            return pthread_mutex_lock(mutex) == 0 ? 0 : 1;  // and ends with it
        });
        await([&] { return common->stage == 1; });
        CHECK(sleeps(heir, heir));
        CHECK(pthread_mutex_unlock(mutex) == 0);
        CHECK(wait_status(heir) == 0);
        CHECK(child_exit([&] { return pthread_mutex_trylock(mutex); }) == EOWNERDEAD);
        // Given back without a repair, it is lost: also for those who wait.
        CHECK(pthread_mutex_lock(mutex) == EOWNERDEAD);
        Worker waiter;
        waiter.start([&] { return pthread_mutex_lock(mutex); });
        CHECK(sleeps(waiter.tid()));
        CHECK(pthread_mutex_unlock(mutex) == 0);
        CHECK(waiter.finish() == ENOTRECOVERABLE);
        CHECK(pthread_mutex_lock(mutex) == ENOTRECOVERABLE);
        CHECK(child_exit([&] { return pthread_mutex_lock(mutex); }) == ENOTRECOVERABLE);
        CHECK(pthread_mutex_destroy(mutex) == 0);
    }
}
