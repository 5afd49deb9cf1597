// SPDX-License-Identifier: MIT
// POSIX threads as glibc makes them of clone, futexes and signals: how they begin, are told apart, are cancelled, wait
// for each other, and what becomes of them when one of them forks, executes or ends the program.
#include <semaphore.h>

#include "tests/guest/parallel.hpp"

using namespace guest;

namespace {

thread_local long t_value = 5;

constexpr std::size_t kSmallStack = 128 << 10;

// A hundred stacks of the usual size are a lot of address space.
pthread_attr_t* with_stack(std::size_t size = kSmallStack) {
    static pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, size);
    return &attributes;
}

}  // namespace

TEST_CASE("threads begin, give values, and are counted while they live") {
    REQUIRE(threads_of() == std::set<pid_t>{getpid()});
    constexpr int kThreads = 100;
    pthread_barrier_t barrier;
    REQUIRE(pthread_barrier_init(&barrier, nullptr, kThreads + 1) == 0);
    {
        std::deque<Thread> threads;
        for (int i = 0; i < kThreads; ++i) {
            const auto body = [&barrier, i] {
                const bool fresh = t_value == 5;
                t_value = i;
                pthread_barrier_wait(&barrier);
                return fresh && t_value == i ? 1000L + i : -1L;
            };
            threads.emplace_back(body, with_stack());
        }
        std::set<pid_t> tids{getpid()};
        for (const Thread& thread : threads) tids.insert(thread.tid());
        CHECK(tids.size() == kThreads + 1);
        CHECK(threads_of() == tids);
        CHECK(status_of("/proc/self/task").st_nlink == kThreads + 3);  // and . and ..
        CHECK(status_field(getpid(), "Threads") == std::to_string(kThreads + 1));
        CHECK(pthread_tryjoin_np(threads[3].handle(), nullptr) == EBUSY);
        const timespec past = from_now(CLOCK_REALTIME, -1), soon = from_now(CLOCK_MONOTONIC, 5);
        CHECK(pthread_timedjoin_np(threads[3].handle(), nullptr, &past) == ETIMEDOUT);
        CHECK(pthread_clockjoin_np(threads[3].handle(), nullptr, CLOCK_MONOTONIC, &soon) == ETIMEDOUT);
        CHECK(is_over(CLOCK_MONOTONIC, soon));
        pthread_barrier_wait(&barrier);
        int right = 0;
        for (int i = 0; i < kThreads; ++i) right += threads[static_cast<std::size_t>(i)].join() == 1000 + i;
        CHECK(right == kThreads);
    }
    CHECK(t_value == 5);
    await_alone();
    CHECK(status_of("/proc/self/task").st_nlink == 3);
    pthread_barrier_destroy(&barrier);

    CHECK(pthread_join(pthread_self(), nullptr) == EDEADLK);
    Thread exits([]() -> long { pthread_exit(reinterpret_cast<void*>(17)); });
    CHECK(exits.join() == 17);
    // Nobody can wait for a detached thread, and nobody has to.
    Pipe pipe;
    int end = pipe.writer();
    pthread_t detached{};
    const auto body = [](void* where) -> void* {
        write_byte(*static_cast<int*>(where), 'd');
        return nullptr;
    };
    REQUIRE(pthread_create(&detached, nullptr, body, &end) == 0);
    CHECK(pthread_detach(detached) == 0);
    CHECK(read_byte(pipe.reader()) == 'd');
    await_alone();
}

TEST_CASE("a thread has an id, a name, CPUs and a nice value of its own") {
    const pid_t pid = getpid();
    Worker worker;
    const pid_t tid = worker.tid();
    CHECK(gettid() == pid);
    CHECK(tid != pid);
    CHECK(worker.run(getpid) == pid);
    CHECK(worker.run(getppid) == getppid());
    CHECK(error(SYS_tgkill, pid, tid, 0) == 0);
    CHECK(error(SYS_tkill, tid, 0) == 0);
    CHECK(error(SYS_tgkill, tid, tid, 0) == ESRCH);  // no process has that id
    CHECK(error(SYS_tgkill, pid, getppid(), 0) == ESRCH);
    CHECK(error(SYS_tgkill, pid, 0, 0) == EINVAL);
    CHECK(error(SYS_tgkill, -1, tid, 0) == EINVAL);
    CHECK(error(SYS_tgkill, pid, tid, 65) == EINVAL);
    CHECK(kill(tid, 0) == 0);  // the id of any thread stands for its process
    CHECK(getpgid(tid) == getpgrp());
    CHECK(status_field(tid, "Tgid") == std::to_string(pid));
    CHECK(status_field(tid, "Pid") == std::to_string(tid));
    char link[40] = {};
    CHECK(worker.run([&] { return readlink("/proc/thread-self", link, sizeof link - 1); }) > 0);
    CHECK(link == std::to_string(pid) + "/task/" + std::to_string(tid));
    const pid_t gone = [] {
        const Thread thread([] { return 0; });
        return thread.tid();
    }();
    await([&] { return state_of(gone) == '\0'; });
    CHECK(error(SYS_tgkill, pid, gone, 0) == ESRCH);

    const std::string name = task_file(pid, "comm");
    CHECK(task_file(tid, "comm") == name);
    CHECK(pthread_setname_np(worker.handle(), "weft") == 0);
    CHECK(task_file(tid, "comm") == "weft\n");
    char read_name[16] = {};
    CHECK(pthread_getname_np(worker.handle(), read_name, sizeof read_name) == 0);
    CHECK(std::string(read_name) == "weft");
    CHECK(worker.run([] {
        char inherited[16] = {};
        Thread made([&] { return prctl(PR_GET_NAME, inherited); });
        return made.join() == 0 ? std::strcmp(inherited, "weft") : -1;
    }) == 0);
    CHECK(worker.run([] { return pthread_setname_np(pthread_self(), "fifteen letters"); }) == 0);
    CHECK(task_file(tid, "comm") == "fifteen letters\n");
    CHECK(task_file(pid, "comm") == name);
    CHECK(text_of("/proc/self/comm") == name);

    cpu_set_t allowed;
    REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    int wrong = 0;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        cpu_set_t one, seen;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        wrong += pthread_setaffinity_np(worker.handle(), sizeof one, &one) != 0;
        wrong += worker.run([&] {
            unsigned now = 0, node = 1000;
            Thread made([&] { return sched_getcpu(); });  // inherits what its maker may use
            return getcpu(&now, &node) == 0 && now == cpu && node < 1000 && made.join() == static_cast<long>(cpu);
        }) != 1;
        wrong += sched_getaffinity(tid, sizeof seen, &seen) != 0 || !CPU_EQUAL(&one, &seen);
        wrong += sched_getaffinity(pid, sizeof seen, &seen) != 0 || !CPU_EQUAL(&allowed, &seen);
    }
    CHECK(wrong == 0);
    const int nice_before = getpriority(PRIO_PROCESS, 0), nicer = std::min(nice_before + 3, 19);
    CHECK(worker.run([&] { return setpriority(PRIO_PROCESS, 0, nicer); }) == 0);
    CHECK(getpriority(PRIO_PROCESS, static_cast<id_t>(tid)) == nicer);
    CHECK(getpriority(PRIO_PROCESS, 0) == nice_before);
    CHECK(stat_field(tid, 19) == std::to_string(nicer));
}

TEST_CASE("users are the same for all threads, whichever changes them") {
    if (!is_root()) return;
    CHECK(child_exit([] {
              Worker first, second;
              const bool changed = first.run([] { return setuid(kNobody); }) == 0;
              const auto user = [](Worker& one) { return static_cast<uid_t>(one.run(geteuid)); };
              return first_wrong({changed, user(first) == kNobody, user(second) == kNobody, geteuid() == kNobody});
          }) == 0);
}

namespace {

std::string g_order;  // of the cleanup handlers
pthread_mutex_t g_mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;

// Cancels a thread that runs `block`, once it sleeps: whether that ended it, its cleanup handlers run, the last first.
template <class Block>
bool is_cancelled(Block block) {
    g_order.clear();
    Thread thread([&] {
        pthread_cleanup_push([](void*) { g_order += 'a'; }, nullptr);
        pthread_cleanup_push([](void*) { g_order += 'b'; }, nullptr);
        block();
        pthread_cleanup_pop(0);
        pthread_cleanup_pop(0);
        return 7L;
    });
    const bool slept = sleeps(thread.tid());
    pthread_cancel(thread.handle());
    return thread.join() == -1 && slept && g_order == "ba";
}

// Can be cancelled at any instruction: there is nothing in it that would have to be unwound.
[[gnu::noinline]] void yield_for_ever(std::atomic<bool>& begun) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
    for (;;) {
        begun = true;
        sched_yield();
    }
}

}  // namespace

TEST_CASE("cancellation ends a thread where it waits, or where it looks") {
    Pipe pipe, full;
    REQUIRE(fcntl(full.writer(), F_SETFL, O_NONBLOCK) == 0);
    while (write_byte(full.writer(), 'f')) continue;
    REQUIRE(fcntl(full.writer(), F_SETFL, 0) == 0);
    sem_t semaphore;
    REQUIRE(sem_init(&semaphore, 0, 0) == 0);
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    CHECK(is_cancelled([&] { read_byte(pipe.reader()); }));
    CHECK(is_cancelled([&] { write_byte(full.writer(), 'x'); }));
    CHECK(is_cancelled([&] {
        pollfd polled{pipe.reader(), POLLIN, 0};
        poll(&polled, 1, -1);
    }));
    CHECK(is_cancelled([] { sleep(1000); }));
    CHECK(is_cancelled([] { pause(); }));
    CHECK(is_cancelled([] {
        int signo;
        const sigset_t set = set_of({SIGUSR1});
        sigwait(&set, &signo);
    }));
    CHECK(is_cancelled([&] { sem_wait(&semaphore); }));
    CHECK(is_cancelled([&] {
        pthread_mutex_lock(&g_mutex);
        // What waits for a condition has the mutex again when its handlers run.
        pthread_cleanup_push([](void*) { g_order += pthread_mutex_unlock(&g_mutex) == 0 ? "" : "!"; }, nullptr);
        for (;;) pthread_cond_wait(&condition, &g_mutex);
        pthread_cleanup_pop(0);
    }));
    CHECK(pthread_mutex_trylock(&g_mutex) == 0);
    CHECK(pthread_mutex_unlock(&g_mutex) == 0);
    {
        Worker other;
        CHECK(is_cancelled([&] { pthread_join(other.handle(), nullptr); }));
    }
    const pid_t child = start_child([&] { return read_byte(pipe.reader()); });
    CHECK(is_cancelled([&] { waitpid(child, nullptr, 0); }));
    CHECK(write_byte(pipe.writer(), 'e'));
    CHECK(WEXITSTATUS(wait_status(child)) == 'e');
    sem_destroy(&semaphore);

    // It is held back as long as the thread does not want it.
    Thread guarded([&] {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
        g_order = static_cast<char>(read_byte(pipe.reader()));
        pthread_testcancel();
        g_order += "still there";
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
        pthread_testcancel();
        return 7;
    });
    CHECK(sleeps(guarded.tid()));
    CHECK(pthread_cancel(guarded.handle()) == 0);
    CHECK(sleeps(guarded.tid()));
    CHECK(write_byte(pipe.writer(), '('));
    CHECK(guarded.join() == -1);
    CHECK(g_order == "(still there");
    // Asynchronously it comes anywhere.
    g_order.clear();
    std::atomic<bool> begun{false};
    Thread runs([&] {
        pthread_cleanup_push([](void*) { g_order += 'c'; }, nullptr);
        yield_for_ever(begun);
        pthread_cleanup_pop(0);
        return 7L;
    });
    await([&] { return begun.load(); });
    CHECK(pthread_cancel(runs.handle()) == 0);
    CHECK(runs.join() == -1);
    CHECK(g_order == "c");
}

TEST_CASE("barriers, spin locks, pthread_once and keys") {
    constexpr int kThreads = 4, kRounds = 50;
    pthread_barrier_t barrier;
    pthread_spinlock_t spin;
    REQUIRE(pthread_barrier_init(&barrier, nullptr, kThreads) == 0);
    REQUIRE(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0);
    int counter = 0, too_early = 0, serial = 0;
    const auto add = [&](int& number, int value) {
        while (pthread_spin_trylock(&spin) == EBUSY) sched_yield();
        number += value;
        pthread_spin_unlock(&spin);
    };
    const auto turn = [&] {
        for (int round = 1; round <= kRounds; ++round) {
            add(counter, 1);
            const int first = pthread_barrier_wait(&barrier);
            add(too_early, counter != round * kThreads);
            const int second = pthread_barrier_wait(&barrier);
            add(serial, (first == PTHREAD_BARRIER_SERIAL_THREAD) + (second == PTHREAD_BARRIER_SERIAL_THREAD));
        }
        return 0;
    };
    {
        std::deque<Thread> threads;
        for (int i = 0; i < kThreads; ++i) threads.emplace_back(turn);
    }
    CHECK(counter == kThreads * kRounds);
    CHECK(too_early == 0);
    CHECK(serial == 2 * kRounds);
    pthread_barrier_destroy(&barrier);

    static std::atomic<int> begun, done;
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    Worker first, second;
    Pipe pipe;
    static int end;
    end = pipe.reader();
    const auto initialise = [] {
        pthread_once(&once, [] {
            ++begun;
            done += read_byte(end);
        });
        return done.load();
    };
    first.start(initialise);
    await([] { return begun == 1; });
    second.start(initialise);
    CHECK(sleeps(second.tid()));
    CHECK(write_byte(pipe.writer(), 3));
    CHECK(first.finish() == 3);
    CHECK(second.finish() == 3);
    CHECK(begun == 1);

    static pthread_key_t key;
    static std::atomic<int> destroyed;
    const auto destroy = [](void* value) {
        ++destroyed;
        pthread_setspecific(key, value);  // once more: as often as an implementation is willing to
    };
    REQUIRE(pthread_key_create(&key, destroy) == 0);
    pthread_setspecific(key, &first);
    Thread with([] { return pthread_getspecific(key) == nullptr ? pthread_setspecific(key, &end) : 1; });
    Thread without([] { return pthread_getspecific(key) == nullptr ? 0 : 1; });
    CHECK(with.join() == 0);
    CHECK(without.join() == 0);
    CHECK(destroyed == PTHREAD_DESTRUCTOR_ITERATIONS);
    CHECK(pthread_getspecific(key) == &first);
    CHECK(pthread_key_delete(key) == 0);
}

TEST_CASE("reader-writer locks, also with a limit of time") {
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    Worker first, second, writer;
    const auto read_lock = [&] { return pthread_rwlock_rdlock(&lock); };
    const auto unlock = [&] { return pthread_rwlock_unlock(&lock); };
    CHECK(first.run(read_lock) == 0);
    CHECK(second.run(read_lock) == 0);
    writer.start([&] { return pthread_rwlock_wrlock(&lock); });
    CHECK(sleeps(writer.tid()));
    CHECK(first.run(unlock) == 0);
    CHECK(sleeps(writer.tid()));
    CHECK_FALSE(writer.is_done());
    CHECK(second.run(unlock) == 0);
    CHECK(writer.finish() == 0);
    for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC}) {
        const timespec soon = from_now(clock, 5), later = from_now(clock, 10);
        CHECK(pthread_rwlock_clockrdlock(&lock, clock, &soon) == ETIMEDOUT);
        CHECK(is_over(clock, soon));
        CHECK(pthread_rwlock_clockwrlock(&lock, clock, &later) == ETIMEDOUT);
        CHECK(is_over(clock, later));
    }
    first.start(read_lock);
    second.start(read_lock);
    CHECK(sleeps(first.tid()));
    CHECK(sleeps(second.tid()));
    CHECK(writer.run(unlock) == 0);
    CHECK(first.finish() == 0);  // both have it at once
    CHECK(second.finish() == 0);
    CHECK(pthread_rwlock_trywrlock(&lock) == EBUSY);
    CHECK(first.run(unlock) + second.run(unlock) == 0);
    CHECK(pthread_rwlock_trywrlock(&lock) == 0);
    CHECK(unlock() == 0);
}

namespace {

bool is_mapped(const char* address, const Pipe& pipe) {
    return write(pipe.writer(), address, 1) == 1 && read_byte(pipe.reader()) >= 0;
}

// How far below this function's own variables the next page begins that nobody may touch.
const char* guard_below(const Pipe& pipe) {
    const char local = 0;
    const char* page = &local - reinterpret_cast<std::uintptr_t>(&local) % kPageSize;
    while (is_mapped(page, pipe)) page -= kPageSize;
    return page;
}

}  // namespace

TEST_CASE("the stack of a thread, and the page that guards it") {
    Pipe pipe, says;
    constexpr std::size_t kStack = 256 << 10, kGuard = 4 * kPageSize;
    pthread_attr_t* const attributes = with_stack(kStack);
    REQUIRE(pthread_attr_setguardsize(attributes, kGuard) == 0);
    Thread thread(
        [&]() -> long {
            pthread_attr_t own;
            void* base;
            std::size_t size, guard;
            if (pthread_getattr_np(pthread_self(), &own) != 0) return 1;
            pthread_attr_getstack(&own, &base, &size);
            pthread_attr_getguardsize(&own, &guard);
            pthread_attr_destroy(&own);
            const char* const here = reinterpret_cast<char*>(&own);
            const char* const top = guard_below(pipe);
            bool guarded = true;
            for (std::size_t at = 0; at < kGuard; at += kPageSize) guarded = guarded && !is_mapped(top - at, pipe);
            const long depth = here - (top + kPageSize);
            const bool deep = depth > long{kStack / 2} && depth < long{kStack};
            const bool inside = here > base && here < static_cast<char*>(base) + size;
            return first_wrong({size == kStack, guard == kGuard, inside, guarded, deep});
        },
        attributes);
    CHECK(thread.join() == 0);
    CHECK(child_signal([&] {
              const auto touch_both = [&] {
                  touch(const_cast<char*>(guard_below(pipe) + kPageSize));  // the last page
                  write_byte(says.writer(), 't');
                  touch(const_cast<char*>(guard_below(pipe)));
                  return 0;
              };
              Thread touches(touch_both, attributes);
              return static_cast<int>(touches.join());
          }) == SIGSEGV);
    CHECK(await_byte(says.reader()) == 't');
    CHECK(child_signal([&] {
              Thread digs([] { return dig(0); }, attributes);
              return static_cast<int>(digs.join());
          }) == SIGSEGV);
}

TEST_CASE("fork from a thread: the child has that one thread") {
    Pipe pipe;
    Worker forker, idle, waiter;
    pid_t child = -1;
    const pid_t pid = getpid();
    CHECK(forker.run([&] {
        t_value = 77;
        pthread_setname_np(pthread_self(), "forker");
        mask(SIG_BLOCK, {SIGUSR2});
        child = start_child([&] {
            char name[16] = {};
            prctl(PR_GET_NAME, name);
            Thread another([] { return 5; });  // it may make threads in its turn
            const bool joined = another.join() == 5;
            await_alone();
            return first_wrong({gettid() == getpid(), getppid() == pid, threads_of() == std::set{getpid()}, joined,
                                t_value == 77, std::string(name) == "forker", is_blocked(SIGUSR2),
                                pthread_equal(pthread_self(), forker.handle()) != 0});
        });
        return 0;
    }) == 0);
    CHECK(fails(waitpid(child, nullptr, __WNOTHREAD), ECHILD));  // this thread has no child
    int status = -1;
    CHECK(waiter.run([&] { return waitpid(child, &status, 0); }) == child);
    CHECK(status == 0);
}

namespace {

// Starts a child in a thread of this program: there is nothing of the test on the stack of the child's leader, which
// can end by pthread_exit.
template <class Body>
pid_t start_from_thread(Body body) {
    Thread forker([&] {
        return start_child([&] {
            body();
            return 99;
        });
    });
    return static_cast<pid_t>(forker.join());
}

}  // namespace

TEST_CASE("exec by any thread: the others end, and the process is still the same") {
    Pipe talk, answer, never;
    const int says = talk.writer(), hears = answer.reader();
    for (const bool leader_ended : {false, true}) {
        CAPTURE(leader_ended);
        const pid_t child = start_from_thread([&] {
            static std::deque<Thread> others;
            others.emplace_back([&] { return read_byte(never.reader()); });
            others.emplace_back([] {
                for (;;) sched_yield();
                return 0;
            });
            sleeps(others.front().tid());
            others.emplace_back([&, leader = gettid()] {
                if (leader_ended) await([&] { return state_of(leader) == 'Z'; });
                mask(SIG_BLOCK, {SIGUSR1});
                if (Role("hold", {}).take("/nonexistent") != 100 + ENOENT) return 1;  // and nothing has happened
                if (threads_of().size() != 4) return 2;
                return Role("hold", {says, hears}).take("/proc/thread-self/exe");
            });
            if (leader_ended) pthread_exit(nullptr);
            _exit(static_cast<int>(others.back().join()));
        });
        CHECK(await_byte(talk.reader()) == 'r');
        CHECK(threads_of(child) == std::set{child});
        CHECK(state_of(child, child) != 'Z');
        CHECK(task_file(child, "comm", child) == "exe\n");
        const std::string blocked = status_field(child, "SigBlk", child);
        CHECK((std::strtoull(blocked.c_str(), nullptr, 16) >> (SIGUSR1 - 1) & 1) == 1);
        CHECK(waitpid(child, nullptr, WNOHANG) == 0);
        CHECK(write_byte(answer.writer(), 'e'));
        CHECK(wait_status(child) == 0);
    }
}

TEST_CASE("a process lives until its last thread has ended, or until one ends them all") {
    Pipe says, hears;
    const pid_t child = start_from_thread([&] {
        static Thread last([&, leader = gettid()] {
            await([&] { return state_of(leader) == 'Z'; });
            write_byte(says.writer(), 'z');
            return read_byte(hears.reader()) == 'e' ? 0 : 1;
        });
        pthread_exit(reinterpret_cast<void*>(5));
    });
    CHECK(read_byte(says.reader()) == 'z');
    CHECK(state_of(child, child) == 'Z');
    CHECK(threads_of(child).size() == 2);
    CHECK(waitpid(child, nullptr, WNOHANG) == 0);
    CHECK(kill(child, 0) == 0);
    CHECK(write_byte(hears.writer(), 'e'));
    CHECK(wait_status(child) == 0);  // the library exits in the last thread
    // Without the library it is the status of the last thread that counts (the leader's, before Linux 6.0).
    for (const bool leader_is_last : {false, true}) {
        const auto end_last = [](pid_t other, bool zombie, int with) {
            await([&] { return state_of(other) == (zombie ? 'Z' : '\0'); });
            syscall(SYS_exit, with);
            return 0;
        };
        const int status = child_status([&] {
            Thread other(
                [&, leader = gettid()] { return leader_is_last ? syscall(SYS_exit, 7) : end_last(leader, true, 9); });
            if (!leader_is_last) syscall(SYS_exit, 7);
            return end_last(other.tid(), false, 9);
        });
        CHECK(status == W_EXITCODE(9, 0));
    }

    Pipe pipe;
    for (const bool by_leader : {false, true}) {
        CHECK(child_exit([&] {
                  Word word{0};
                  pthread_mutex_lock(&g_mutex);
                  std::deque<Thread> blocked;
                  blocked.emplace_back([&] { return read_byte(pipe.reader()); });
                  blocked.emplace_back([&] { return futex(&word, FUTEX_WAIT, 0); });
                  blocked.emplace_back([] { return pthread_mutex_lock(&g_mutex); });
                  blocked.emplace_back([] { return static_cast<long>(sleep(1000)); });
                  blocked.emplace_back([] { return take(SIGUSR1, nullptr); });
                  blocked.emplace_back([] { return pause(); });
                  for (const Thread& thread : blocked) {
                      if (!sleeps(thread.tid())) return 1;
                  }
                  if (by_leader) syscall(SYS_exit_group, 42);
                  static const int end = says.writer();
                  std::atexit([] { _exit(write_byte(end, 'x') ? 42 : 2); });
                  Thread ends([]() -> long { std::exit(41); });
                  ends.join();
                  return 3;
              }) == 42);
        if (!by_leader) CHECK(await_byte(says.reader()) == 'x');
    }
}
