// SPDX-License-Identifier: MIT
// Signals in a process of several threads: which of them gets one, and when one concerns them all.
#include <semaphore.h>

#include "tests/guest/parallel.hpp"

using namespace guest;

namespace {

// What a handler has seen last.
std::atomic<int> g_handled;
std::atomic<pid_t> g_handler_tid;
siginfo_t g_handled_info;

void record(int, siginfo_t* info, void*) {
    g_handled_info = *info;
    g_handler_tid = gettid();
    ++g_handled;
}

void handle_with(void (*handler)(int, siginfo_t*, void*), int signo, int flags = 0) {
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = flags | SA_SIGINFO;
    g_handled = 0;
    sigaction(signo, &action, nullptr);
}

// Signals that `record` handles and that, at first, this thread and those that it makes block; reset at the end.
class Recorded {
public:
    explicit Recorded(std::initializer_list<int> signals) : signals_(signals), before_(mask_now()) {
        for (const int signo : signals_) handle_with(record, signo);
        mask(SIG_BLOCK, signals);
    }
    ~Recorded() {
        for (const int signo : signals_) dispose(signo, SIG_IGN);  // which throws away what is pending
        for (const int signo : signals_) dispose(signo, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before_, nullptr);
    }
    Recorded(const Recorded&) = delete;
    Recorded& operator=(const Recorded&) = delete;

private:
    const std::vector<int> signals_;
    const sigset_t before_;
};

long block(Worker& worker, int how, std::initializer_list<int> signals) {
    return worker.run([&] {
        const sigset_t set = set_of(signals);
        return pthread_sigmask(how, &set, nullptr);
    });
}

bool await_handled(int count, pid_t tid) {
    await([&] { return g_handled >= count; });
    return g_handled == count && g_handler_tid == tid;
}

}  // namespace

TEST_CASE("every thread has its own mask and its own pending signals, beside those of the process") {
    const Recorded recorded{SIGUSR1, SIGUSR2, SIGURG};
    const pid_t pid = getpid();
    {
        Worker first, second;
        CHECK(block(first, SIG_UNBLOCK, {SIGURG}) == 0);
        CHECK(is_blocked(SIGURG));
        CHECK(second.run([] { return is_blocked(SIGURG) && is_blocked(SIGUSR1); }) == 1);
        CHECK(first.run([] {
            Thread made([] { return !is_blocked(SIGURG) && is_blocked(SIGUSR1); });
            return made.join();
        }) == 1);
        CHECK(pthread_kill(first.handle(), SIGUSR1) == 0);
        CHECK(kill(pid, SIGUSR2) == 0);
        const auto pending = [] { return is_pending(SIGUSR1) + 2 * is_pending(SIGUSR2); };
        Worker third;
        CHECK(first.run(pending) == 3);
        CHECK(second.run(pending) == 2);
        CHECK(third.run(pending) == 2);
        CHECK(pending() == 2);
        CHECK(child_exit(pending) == 0);  // a child begins with none
        CHECK(third.run([] { return take(SIGUSR2, nullptr); }) == SIGUSR2);
        CHECK(first.run(pending) == 1);
        CHECK(kill(pid, SIGUSR2) == 0);
        CHECK(g_handled == 0);
        // The first to unblock it gets it.
        CHECK(block(second, SIG_UNBLOCK, {SIGUSR2}) == 0);
        CHECK(await_handled(1, second.tid()));
        CHECK(block(third, SIG_UNBLOCK, {SIGUSR1}) == 0);
        CHECK(g_handled == 1);  // that of the first thread is only for that one
    }
    await_alone();
    CHECK(g_handled == 1);  // and gone with it
    CHECK_FALSE(is_pending(SIGUSR1));
}

TEST_CASE("signals for one thread") {
    const Recorded recorded{SIGUSR1, SIGRTMIN};
    const pid_t pid = getpid();
    Worker target, other;
    Pipe pipe;
    for (Worker* const worker : {&target, &other}) REQUIRE(block(*worker, SIG_UNBLOCK, {SIGUSR1, SIGRTMIN}) == 0);
    CHECK(pthread_kill(target.handle(), SIGUSR1) == 0);
    CHECK(await_handled(1, target.tid()));
    CHECK(g_handled_info.si_code == SI_TKILL);
    CHECK(g_handled_info.si_pid == pid);
    CHECK(g_handled_info.si_uid == getuid());
    sigval value;
    value.sival_ptr = &pipe;
    CHECK(pthread_sigqueue(target.handle(), SIGRTMIN, value) == 0);
    CHECK(await_handled(2, target.tid()));
    CHECK(g_handled_info.si_code == SI_QUEUE);
    CHECK(g_handled_info.si_value.sival_ptr == &pipe);
    CHECK(target.run([] { return raise(SIGUSR1); }) == 0);
    CHECK(await_handled(3, target.tid()));
    CHECK(child_exit([&] { return error(SYS_tgkill, pid, target.tid(), SIGUSR1); }) == 0);
    CHECK(await_handled(4, target.tid()));
    CHECK(g_handled_info.si_code == SI_TKILL);
    CHECK(g_handled_info.si_pid != pid);
    siginfo_t forged{};
    forged.si_code = SI_TKILL;
    CHECK(child_exit([&] { return error(SYS_rt_tgsigqueueinfo, pid, target.tid(), SIGUSR1, &forged); }) == EPERM);
    forged.si_code = SI_QUEUE;
    CHECK(error(SYS_rt_tgsigqueueinfo, pid, target.tid(), 65, &forged) == EINVAL);
    CHECK(error(SYS_rt_tgsigqueueinfo, getppid(), target.tid(), SIGUSR1, &forged) == ESRCH);
    // One that is blocked waits for its thread, while all others would take it; it interrupts nobody.
    CHECK(block(target, SIG_BLOCK, {SIGUSR1}) == 0);
    other.start([&] { return read_byte(pipe.reader()); });
    CHECK(sleeps(other.tid()));
    CHECK(pthread_kill(target.handle(), SIGUSR1) == 0);
    CHECK(pthread_kill(target.handle(), SIGUSR1) == 0);  // the same once more: no second one
    CHECK(sleeps(other.tid()));
    CHECK(g_handled == 4);
    CHECK(block(target, SIG_UNBLOCK, {SIGUSR1}) == 0);
    CHECK(await_handled(5, target.tid()));
    CHECK_FALSE(other.is_done());
    CHECK(write_byte(pipe.writer(), 'o'));
    CHECK(other.finish() == 'o');
    // SIGPIPE is for the thread that wrote.
    pipe.close_reader();
    mask(SIG_BLOCK, {SIGPIPE});
    block(target, SIG_BLOCK, {SIGPIPE});
    CHECK(target.run([&] { return write_byte(pipe.writer(), 'p') ? 0 : errno; }) == EPIPE);
    CHECK_FALSE(is_pending(SIGPIPE));
    CHECK(target.run([] { return take(SIGPIPE, nullptr); }) == SIGPIPE);
    mask(SIG_UNBLOCK, {SIGPIPE});
}

TEST_CASE("a signal for the process goes to a thread that does not block it") {
    const Recorded recorded{SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD};
    const pid_t pid = getpid();
    std::deque<Worker> workers(4);
    int handled = 0;
    for (Worker& chosen : workers) {
        block(chosen, SIG_UNBLOCK, {SIGUSR1, SIGALRM, SIGCHLD});
        CHECK(kill(pid, SIGUSR1) == 0);
        CHECK(await_handled(++handled, chosen.tid()));
        CHECK(g_handled_info.si_code == SI_USER);
        const pid_t child = start_child([&] { return kill(pid, SIGUSR1); });
        await([&] { return g_handled >= handled + 2; });
        handled += 2;
        CHECK(g_handled == handled);
        CHECK(g_handler_tid == chosen.tid());
        CHECK(wait_status(child) == 0);
        const itimerval once{{0, 0}, {0, 1000}};
        CHECK(setitimer(ITIMER_REAL, &once, nullptr) == 0);
        CHECK(await_handled(++handled, chosen.tid()));
        CHECK(g_handled_info.si_signo == SIGALRM);
        block(chosen, SIG_BLOCK, {SIGUSR1, SIGALRM, SIGCHLD});
    }
    // Also where that is so only for as long as a thread waits.
    workers[2].start([] {
        sigset_t set = mask_now();
        sigdelset(&set, SIGUSR2);
        return sigsuspend(&set) == -1 ? errno : 0;
    });
    CHECK(sleeps(workers[2].tid()));
    CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(sleeps(workers[2].tid()));
    CHECK_FALSE(workers[2].is_done());
    CHECK(kill(pid, SIGUSR2) == 0);
    CHECK(workers[2].finish() == EINTR);
    CHECK(await_handled(++handled, workers[2].tid()));
    CHECK(workers[2].run([] { return is_blocked(SIGUSR2); }) == 1);
    CHECK(take(SIGUSR1, nullptr) == SIGUSR1);
}

TEST_CASE("waiting for signals in one thread among several") {
    const Recorded recorded{SIGUSR1, SIGUSR2, SIGRTMIN + 1};
    const pid_t pid = getpid();
    Worker first, second, reader;
    Pipe pipe;
    siginfo_t info{};
    reader.start([&] { return read_byte(pipe.reader()); });
    const auto wait_for_usr1 = [] {
        int signo = 0;
        const sigset_t set = set_of({SIGUSR1});
        return sigwait(&set, &signo) == 0 ? signo : -1;
    };
    first.start(wait_for_usr1);
    second.start([&] {
        const sigset_t set = set_of({SIGUSR2, SIGRTMIN + 1});
        return sigwaitinfo(&set, &info);
    });
    for (const Worker* const worker : {&reader, &first, &second}) CHECK(sleeps(worker->tid()));
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);  // for another thread: it does not count
    CHECK(sleeps(first.tid()));
    CHECK_FALSE(first.is_done());
    CHECK(is_pending(SIGUSR1));
    const pid_t child = start_child([&] { return sigqueue(pid, SIGUSR2, {.sival_int = 42}); });
    CHECK(second.finish() == SIGUSR2);
    CHECK(info.si_code == SI_QUEUE);
    CHECK(info.si_pid == child);
    CHECK(info.si_value.sival_int == 42);
    CHECK(wait_status(child) == 0);
    CHECK_FALSE(first.is_done());
    CHECK(kill(pid, SIGUSR1) == 0);
    CHECK(first.finish() == SIGUSR1);
    CHECK(take(SIGUSR1, nullptr) == SIGUSR1);
    // Of several that wait for the same, one gets it. (The others may wake as well: sigwaitinfo would tell of EINTR.)
    for (Worker* const worker : {&first, &second}) {
        worker->start(wait_for_usr1);
        CHECK(sleeps(worker->tid()));
    }
    CHECK(kill(pid, SIGUSR1) == 0);
    await([&] { return first.is_done() || second.is_done(); });
    Worker& rest = first.is_done() ? second : first;
    CHECK(sleeps(rest.tid()));
    CHECK_FALSE(rest.is_done());
    CHECK(pthread_kill(rest.handle(), SIGUSR1) == 0);
    CHECK(rest.finish() == SIGUSR1);
    const timespec soon{0, 5'000'000};
    const long long begin = now_ns();
    CHECK(first.run([&] {
        const sigset_t set = set_of({SIGUSR1});
        return sigtimedwait(&set, nullptr, &soon) == -1 ? errno : 0;
    }) == EAGAIN);
    CHECK(now_ns() - begin >= 5'000'000);
    CHECK_FALSE(reader.is_done());
    CHECK(write_byte(pipe.writer(), 'r'));
    CHECK(reader.finish() == 'r');
    CHECK(g_handled == 0);
}

namespace {

constexpr std::size_t kStackSize = 64 << 10;
thread_local sigjmp_buf t_escape;
thread_local char* t_stack;
std::atomic<int> g_on_stack;

void note_stack(int signo, siginfo_t* info, void*) {
    const char here = 0;
    if (t_stack != nullptr && &here >= t_stack && &here < t_stack + kStackSize) ++g_on_stack;
    record(signo, info, nullptr);
    if (signo == SIGSEGV) siglongjmp(t_escape, 1);
}

}  // namespace

TEST_CASE("alternate stacks and faults are a thread's own") {
    std::deque<Worker> workers(3);
    std::deque<Mapping> stacks;
    g_on_stack = 0;
    handle_with(note_stack, SIGUSR1, SA_ONSTACK);
    handle_with(note_stack, SIGSEGV, SA_ONSTACK);
    int handled = 0;
    for (Worker& worker : workers) {
        char* const memory = stacks.emplace_back(kStackSize).data();
        CHECK(worker.run([&] {
            stack_t before{};
            const stack_t stack{memory, 0, kStackSize};
            t_stack = memory;
            return sigaltstack(nullptr, &before) == 0 && before.ss_flags == SS_DISABLE &&
                   sigaltstack(&stack, nullptr) == 0;
        }) == 1);
    }
    for (Worker& worker : workers) {
        CHECK(pthread_kill(worker.handle(), SIGUSR1) == 0);
        CHECK(await_handled(++handled, worker.tid()));
        CHECK(g_on_stack == handled);
    }
    CHECK(pthread_kill(pthread_self(), SIGUSR1) == 0);
    CHECK(await_handled(++handled, gettid()));
    CHECK(g_on_stack == handled - 1);
    for (Worker& worker : workers) {
        const Mapping none(kPageSize, PROT_NONE);
        CHECK(worker.run([&] {
            if (sigsetjmp(t_escape, 1) == 0) touch(none.data());
            return g_handled_info.si_addr == none.data() && g_handled_info.si_code == SEGV_ACCERR;
        }) == 1);
        CHECK(await_handled(++handled, worker.tid()));
        CHECK(worker.run([] { return sigsetjmp(t_escape, 1) == 0 ? dig(0) : 17; }) == 17);  // into its guard page
        CHECK(await_handled(++handled, worker.tid()));
        CHECK(g_on_stack == handled - 1);
    }
    CHECK(child_signal([] {  // that another thread would take it does not help
              Thread faults([] {
                  mask(SIG_BLOCK, {SIGSEGV});
                  touch(nullptr);
                  return 0;
              });
              return static_cast<int>(faults.join());
          }) == SIGSEGV);
    dispose(SIGUSR1, SIG_DFL);
    dispose(SIGSEGV, SIG_DFL);
}

TEST_CASE("a fatal signal ends all threads, whichever gets it") {
    Pipe pipe, ready;
    const auto end_of = [&](auto end) {
        const int status = child_status([&] {
            Thread reads([&] { return read_byte(pipe.reader()); });
            Thread waits([] {
                Word word{0};
                return futex(&word, FUTEX_WAIT, 0);
            });
            Thread runs([] {
                for (;;) sched_yield();
                return 0;
            });
            if (!sleeps(reads.tid()) || !sleeps(waits.tid())) return 1;
            Thread ends([&] {
                end(waits.handle());
                return pause();
            });
            return static_cast<int>(ends.join());
        });
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
    };
    CHECK(end_of([](pthread_t other) { pthread_kill(other, SIGTERM); }) == SIGTERM);
    CHECK(end_of([](pthread_t other) { pthread_kill(other, SIGKILL); }) == SIGKILL);
    CHECK(end_of([](pthread_t) { kill(getpid(), SIGRTMAX); }) == SIGRTMAX);
    CHECK(end_of([](pthread_t) { touch(nullptr); }) == SIGSEGV);
    CHECK(end_of([](pthread_t) { std::abort(); }) == SIGABRT);
    CHECK(end_of([](pthread_t) {  // all but one block it
              mask(SIG_BLOCK, {SIGTERM});
              kill(getpid(), SIGTERM);
          }) == SIGTERM);
    // Also where the leader has ended already.
    const pid_t child = start_child([&] {
        static Thread last([&] {
            write_byte(ready.writer(), 'l');
            return pause();
        });
        return static_cast<int>(syscall(SYS_exit, 3));
    });
    CHECK(await_byte(ready.reader()) == 'l');
    await([&] { return state_of(child, child) == 'Z'; });
    CHECK(waitpid(child, nullptr, WNOHANG) == 0);
    CHECK(kill(child, SIGUSR2) == 0);
    CHECK(wait_status(child) == SIGUSR2);
}

TEST_CASE("all threads stop and continue together, and the parent hears of it once") {
    struct Counters {
        std::atomic<pid_t> tid[3];
        std::atomic<long> turns;
        std::atomic<bool> over;
    };
    for (const bool leader_ends : {false, true}) {
        CAPTURE(leader_ends);
        const Shared<Counters> shared;
        const pid_t child = start_child([&, counters = &*shared] {
            static std::deque<Thread> threads;
            threads.emplace_back([counters] {
                while (!counters->over) {
                    ++counters->turns;
                    sched_yield();
                }
                return 0;
            });
            threads.emplace_back([] {
                sleep_ms(1);
                Word word{0};
                return futex(&word, FUTEX_WAIT, 0);  // for ever, and never interrupted
            });
            threads.emplace_back([counters] {
                await([&] { return counters->tid[1] != 0; });
                const bool slept = sleeps(counters->tid[1]);
                threads[0].join();
                syscall(SYS_exit_group, slept && sleeps(counters->tid[1]) ? 42 : 1);
                return 0;
            });
            for (std::size_t i = 0; i < 3; ++i) counters->tid[i] = threads[i].tid();
            if (leader_ends) syscall(SYS_exit, 0);
            return static_cast<int>(threads[2].join());
        });
        await([&] { return shared->tid[2] != 0 && shared->turns > 10; });
        if (leader_ends) await([&] { return state_of(child, child) == 'Z'; });
        const auto all_in = [&](char state) {
            return std::all_of(std::begin(shared->tid), std::end(shared->tid),
                               [&](pid_t tid) { return state_of(tid, child) == state; });
        };
        for (int round = 0; round < 2; ++round) {
            CHECK(error(SYS_tgkill, child, shared->tid[1].load(), SIGSTOP) == 0);
            int status = 0;
            CHECK(waitpid(child, &status, WUNTRACED) == child);
            CHECK(status == W_STOPCODE(SIGSTOP));
            CHECK(all_in('T'));
            CHECK((leader_ends || state_of(child, child) == 'T'));
            const long turns = shared->turns;
            CHECK(kill(child, SIGSTOP) == 0);  // they are stopped already
            CHECK(waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
            CHECK(shared->turns == turns);
            CHECK(kill(child, SIGCONT) == 0);
            CHECK(waitpid(child, &status, WCONTINUED) == child);
            CHECK(WIFCONTINUED(status));
            CHECK(waitpid(child, &status, WCONTINUED | WNOHANG) == 0);
            await([&] { return shared->turns > turns; });
        }
        shared->over = true;
        CHECK(wait_status(child) == W_EXITCODE(42, 0));
    }
    const pid_t child = start_child([] {
        Thread waits([] { return pause(); });
        raise(SIGSTOP);
        return static_cast<int>(waits.join());
    });
    int status = 0;
    CHECK(waitpid(child, &status, WUNTRACED) == child);
    CHECK(status == W_STOPCODE(SIGSTOP));
    CHECK(kill(child, SIGTERM) == 0);  // waits until they go on
    CHECK(waitpid(child, &status, WNOHANG) == 0);
    CHECK(kill(child, SIGCONT) == 0);
    CHECK(wait_status(child) == SIGTERM);
}

TEST_CASE("handlers in threads that wait: what goes on, and what is interrupted") {
    const Recorded recorded{SIGUSR1};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    pthread_barrier_t barrier;
    REQUIRE(pthread_barrier_init(&barrier, nullptr, 2) == 0);
    Pipe pipe;
    sem_t semaphore;
    REQUIRE(sem_init(&semaphore, 0, 0) == 0);
    Word word{0};
    Worker worker;
    block(worker, SIG_UNBLOCK, {SIGUSR1});
    // Whether `call` is still at it after three signals; if it is, `end` ends it. What it gave.
    const auto interrupt = [&](bool goes_on, auto call, auto end) {
        g_handled = 0;
        worker.start([&] { return call(); });
        const int signals = goes_on ? 3 : 1;
        for (int i = 1; i <= signals; ++i) {
            CHECK(sleeps(worker.tid()));
            CHECK(pthread_kill(worker.handle(), SIGUSR1) == 0);
            CHECK(await_handled(i, worker.tid()));
        }
        if (goes_on) {
            CHECK(sleeps(worker.tid()));
            CHECK_FALSE(worker.is_done());
            end();
        }
        return worker.finish();
    };
    for (const int flags : {0, SA_RESTART}) {
        CAPTURE(flags);
        handle_with(record, SIGUSR1, flags);
        const bool restarts = flags == SA_RESTART;
        const long interrupted = restarts ? 0 : EINTR;
        CHECK(interrupt(
                  restarts, [&] { return read_byte(pipe.reader()) == 'r' ? 0 : errno; },
                  [&] { write_byte(pipe.writer(), 'r'); }) == interrupted);
        CHECK(interrupt(
                  restarts, [&] { return -futex(&word, FUTEX_WAIT, 0); }, [&] { futex(&word, FUTEX_WAKE, 1); }) ==
              interrupted);
        CHECK(interrupt(
                  restarts, [&] { return sem_wait(&semaphore) == 0 ? 0 : errno; }, [&] { sem_post(&semaphore); }) ==
              interrupted);
        const timespec long_time{1000, 0};  // with a limit of time it does not begin again
        CHECK(interrupt(false, [&] { return -futex(&word, FUTEX_WAIT, 0, &long_time); }, [] {}) == EINTR);
        CHECK(interrupt(false, [&] { return nanosleep(&long_time, nullptr) == 0 ? 0 : errno; }, [] {}) == EINTR);
        // The library hides it.
        REQUIRE(pthread_mutex_lock(&mutex) == 0);
        CHECK(interrupt(true, [&] { return pthread_mutex_lock(&mutex); }, [&] { pthread_mutex_unlock(&mutex); }) == 0);
        CHECK(interrupt(
                  true, [&] { return pthread_cond_wait(&condition, &mutex); },
                  [&] {
                      pthread_mutex_lock(&mutex);
                      pthread_cond_signal(&condition);
                      pthread_mutex_unlock(&mutex);
                  }) == 0);
        CHECK(worker.run([&] { return pthread_mutex_unlock(&mutex); }) == 0);
        CHECK(interrupt(
                  true, [&] { return pthread_barrier_wait(&barrier) > 0; }, [&] { pthread_barrier_wait(&barrier); }) ==
              0);
    }
    pthread_barrier_destroy(&barrier);
    sem_destroy(&semaphore);
}
