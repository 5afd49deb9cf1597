// SPDX-License-Identifier: MIT
// The C++ library's threads: who they are and how they end, stop requests, what is done once, what belongs to one
// thread, futures of every kind, and exceptions in many threads and from one to another.
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <latch>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>

#include "tests/guest/cxx.hpp"

using namespace guest;

// ---- threads

namespace {

// The signal by which `body` ends a child; what the library has to say about it is not for the test's output.
int ended_by(void (*body)()) {
    return child_signal([body] {
        const rlimit no_core{};
        setrlimit(RLIMIT_CORE, &no_core);
        close(STDERR_FILENO);
        body();
        return 0;
    });
}

}  // namespace

TEST_CASE("threads have identities, share one process and run where it may") {
    constexpr int kThreads = 8;
    std::thread::id ids[kThreads + 1]{std::this_thread::get_id()};
    pid_t tids[kThreads + 1]{gettid()};
    std::atomic<int> wrong = 0;
    std::latch all_here(kThreads);  // the identities of those that are gone may be given again
    std::vector<std::thread> threads;
    for (int i = 1; i <= kThreads; ++i)
        threads.emplace_back([&, i] {
            ids[i] = std::this_thread::get_id();
            tids[i] = gettid();
            if (getpid() != tids[0]) ++wrong;
            all_here.arrive_and_wait();
        });
    for (std::size_t i = 0; i < kThreads; ++i) {
        const std::thread::id id = threads[i].get_id();
        threads[i].join();
        CHECK(ids[i + 1] == id);
        CHECK(!threads[i].joinable());
    }
    CHECK(wrong == 0);
    CHECK(std::set(std::begin(ids), std::end(ids)).size() == kThreads + 1);
    CHECK(std::set(std::begin(tids), std::end(tids)).size() == kThreads + 1);
    int sum = 0;
    for (int i = 0; i < 40; ++i) std::thread([](int& to, int what) { to += what; }, std::ref(sum), i).join();
    CHECK(sum == 780);  // on stacks that are used again
    cpu_set_t allowed;
    REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    CHECK(std::thread::hardware_concurrency() >= static_cast<unsigned>(CPU_COUNT(&allowed)));
    CHECK(std::thread::hardware_concurrency() == static_cast<unsigned long>(sysconf(_SC_NPROCESSORS_ONLN)));
}

TEST_CASE("detached threads end by themselves; forgotten ones, and exceptions that nobody catches, end the process") {
    std::promise<pid_t> promise;
    std::future<pid_t> tid = promise.get_future();
    std::thread([&] { promise.set_value(gettid()); }).detach();
    const pid_t gone = tid.get();
    while (tgkill(getpid(), gone, 0) == 0) std::this_thread::yield();
    CHECK(errno == ESRCH);

    CHECK(ended_by([] { const std::thread forgotten([] { pause(); }); }) == SIGABRT);
    CHECK(ended_by([] {
              const std::jthread bystander([] { pause(); });
              std::thread([] { throw std::runtime_error("nobody's"); }).join();
          }) == SIGABRT);
}

TEST_CASE("threads sleep for as long as they asked, all at the same time") {
    std::atomic<int> early = 0;
    in_threads(10, [&](int i) {
        const auto duration = (i + 1) * 1ms;
        const auto begin = Steady::now();
        std::this_thread::sleep_for(duration);
        if (Steady::now() < begin + duration) ++early;
        const auto deadline = Realtime::now() + duration;
        std::this_thread::sleep_until(deadline);
        if (Realtime::now() < deadline) ++early;
        std::this_thread::sleep_until(begin);  // past: no wait at all
    });
    CHECK(early == 0);
}

// ---- stop requests

TEST_CASE("a jthread is asked to stop and joined when it goes out of scope") {
    bool stopped = false;
    {
        const std::jthread thread([&](const std::stop_token& token) {
            while (!token.stop_requested()) std::this_thread::yield();
            std::this_thread::sleep_for(1ms);
            stopped = true;
        });
    }
    CHECK(stopped);
    std::stop_source source;
    std::atomic<int> first = 0;
    in_threads(6, [&](int) { first += source.request_stop(); });
    CHECK(first == 1);
}

TEST_CASE("stop callbacks run in the thread that asks, and who removes one waits for it") {
    std::stop_source source;
    std::latch entered(1);
    std::thread::id caller;
    int removed_calls = 0;
    bool finished = false;
    const auto slow = [&] {
        entered.count_down();
        std::this_thread::sleep_for(1ms);
        finished = true;
    };
    const std::stop_callback first(source.get_token(), [&] { caller = std::this_thread::get_id(); });
    {
        const std::stop_callback removed(source.get_token(), [&] { ++removed_calls; });
    }
    std::optional<std::stop_callback<decltype(slow)>> in_progress(std::in_place, source.get_token(), slow);
    std::jthread asker([&] { source.request_stop(); });
    const std::thread::id asker_id = asker.get_id();
    entered.wait();
    in_progress.reset();
    CHECK(finished);
    asker.join();
    CHECK(caller == asker_id);
    CHECK(removed_calls == 0);
}

// ---- once

namespace {

std::atomic<int> g_tries;

struct MadeAtThirdTry {
    MadeAtThirdTry() {
        const int attempt = ++g_tries;
        std::this_thread::sleep_for(1ms);
        if (attempt < 3) throw std::runtime_error("not yet");
        value = attempt;
    }
    int value;
};

int third() {
    static const MadeAtThirdTry object;
    return object.value;
}

}  // namespace

TEST_CASE("what is done once is waited for; who throws leaves it to the next") {
    std::once_flag flag;
    int attempts = 0;  // plain: one at a time, and before all who come later
    std::atomic<int> wrong = 0, thrown = 0, static_thrown = 0;
    in_threads(8, [&](int) {
        try {
            std::call_once(flag, [&] {
                std::this_thread::sleep_for(1ms);
                if (++attempts < 4) throw std::runtime_error("again");
            });
            if (attempts != 4) ++wrong;
        } catch (const std::runtime_error&) {
            ++thrown;
        }
        try {
            if (third() != 3) ++wrong;
        } catch (const std::runtime_error&) {
            ++static_thrown;
        }
    });
    CHECK(wrong == 0);
    CHECK(attempts == 4);
    CHECK(thrown == 3);
    CHECK(g_tries == 3);
    CHECK(static_thrown == 2);
}

// ---- what belongs to one thread

namespace {

// Where this thread's objects write: small letters when they are made, capitals when they are destroyed.
thread_local std::string* t_log;

struct Tracked {
    explicit Tracked(char small) : name(small) { *t_log += name; }
    ~Tracked() { *t_log += static_cast<char>(name - 'a' + 'A'); }
    char name;
};

alignas(64) thread_local int t_number = 7;
thread_local char t_zeros[3000];

}  // namespace

TEST_CASE("thread-local data starts anew in each thread, and objects are destroyed backwards before it is joined") {
    constexpr int kThreads = 6;
    std::latch all_here(kThreads);
    std::atomic<int> wrong = 0;
    std::string logs[kThreads];
    in_threads(kThreads, [&](int i) {
        const auto is_mine = [&](int change) {
            return t_number == 7 + change && std::accumulate(t_zeros, t_zeros + sizeof t_zeros, 0) == change;
        };
        if (!is_mine(0) || reinterpret_cast<std::uintptr_t>(&t_number) % 64 != 0) ++wrong;
        t_number += i;
        t_zeros[i * 100] = static_cast<char>(i);
        all_here.arrive_and_wait();  // each has written before any reads
        if (!is_mine(i)) ++wrong;
        t_log = &logs[i];
        if (i == 0) return;  // makes none
        thread_local const Tracked a('a'), b('b');
        if (a.name != 'a' || b.name != 'b') ++wrong;
    });
    CHECK(wrong == 0);
    CHECK(t_number == 7);
    CHECK(logs[0].empty());
    for (int i = 1; i < kThreads; ++i) CHECK(logs[i] == "abBA");
}

TEST_CASE("what is announced at a thread's exit comes after its objects are gone") {
    std::string log;
    std::promise<int> promise;
    std::mutex mutex;
    std::condition_variable changed;
    bool leaving = false;
    const std::jthread thread([&] {
        t_log = &log;
        thread_local const Tracked slow_to_go('x');
        promise.set_value_at_thread_exit(slow_to_go.name);
        std::unique_lock lock(mutex);
        leaving = true;
        std::notify_all_at_thread_exit(changed, std::move(lock));  // keeps the lock until then
        std::this_thread::sleep_for(1ms);
    });
    CHECK(promise.get_future().get() == 'x');
    CHECK(log == "xX");
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return leaving; });
}

// ---- exceptions

namespace {

struct Payload {
    int value;
};

struct Counted {
    explicit Counted(int& counter) : count(counter) { ++count; }
    ~Counted() { --count; }
    int& count;
};

[[gnu::noinline]] void throw_from(int depth, int& alive, int value) {
    const Counted here(alive);
    if (depth == 0) throw Payload{value};
    throw_from(depth - 1, alive, value);
}

}  // namespace

TEST_CASE("threads throw and catch at the same time, each its own") {
    std::atomic<int> wrong = 0;
    in_threads(8, [&](int i) {
        for (int mine = i * 1000; mine < i * 1000 + 20; ++mine) {
            int alive = 0;
            try {
                throw_from(12, alive, mine);
                ++wrong;
            } catch (const Payload& payload) {
                std::this_thread::yield();
                if (payload.value != mine || alive != 0 || std::uncaught_exceptions() != 0) ++wrong;
            }
            if (std::current_exception()) ++wrong;
        }
    });
    CHECK(wrong == 0);
}

TEST_CASE("an exception goes from thread to thread with what it carries") {
    std::promise<int> promise;
    const std::shared_future<int> shared = promise.get_future().share();
    std::atomic<int> caught = 0;
    const std::jthread thrower([&] {
        std::this_thread::sleep_for(1ms);
        promise.set_exception(std::make_exception_ptr(Payload{17}));
    });
    in_threads(6, [&](int) {
        try {
            shared.get();
        } catch (const Payload& payload) {
            caught += payload.value;
        }
    });
    CHECK(caught == 6 * 17);
}

// ---- futures

TEST_CASE("waiting for a future ends with its time or with its value, from one promise only") {
    std::promise<int> promise;
    const std::shared_future<int> future = promise.get_future().share();
    const auto begin = Steady::now();
    CHECK(future.wait_for(kShort) == std::future_status::timeout);
    CHECK(Steady::now() - begin >= kShort);
    const auto deadline = Realtime::now() + kShort;
    CHECK(future.wait_until(deadline) == std::future_status::timeout);
    CHECK(Realtime::now() >= deadline);
    std::jthread setter([&] {
        std::this_thread::sleep_for(1ms);
        promise.set_value(5);
    });
    std::atomic<int> sum = 0;
    in_threads(6, [&](int i) {
        const auto status = i % 2 == 0 ? future.wait_for(kEver) : future.wait_until(Realtime::now() + kEver);
        if (status == std::future_status::ready) sum += future.get();
    });
    CHECK(sum == 30);
    setter.join();
    CHECK_THROWS_AS(promise.set_value(1), std::future_error);
    std::future<int> orphan = std::promise<int>().get_future();
    CHECK_THROWS_AS(orphan.get(), std::future_error);
}

TEST_CASE("packaged tasks run in a thread that takes them from a queue") {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::deque<std::packaged_task<int(int)>> queue;
    std::vector<std::future<int>> results;
    std::jthread worker([&](const std::stop_token& stop) {
        std::unique_lock lock(mutex);
        for (int turn = 0; changed.wait(lock, stop, [&] { return !queue.empty(); }); ++turn) {
            auto task = std::move(queue.front());
            queue.pop_front();
            lock.unlock();
            task(turn);
            lock.lock();
        }
    });
    for (int i = 0; i < 12; ++i) {
        std::packaged_task<int(int)> task([i](int turn) {
            if (i == 5) throw Payload{turn};
            return i * 100 + turn;
        });
        results.push_back(task.get_future());
        const std::lock_guard lock(mutex);
        queue.push_back(std::move(task));
        changed.notify_one();
    }
    std::vector<int> values;
    for (std::future<int>& result : results) {
        try {
            values.push_back(result.get());
        } catch (const Payload& payload) {
            values.push_back(-payload.value);
        }
    }
    CHECK(values == std::vector<int>{0, 101, 202, 303, 404, -5, 606, 707, 808, 909, 1010, 1111});
}

TEST_CASE("async: elsewhere or later") {
    const auto where = [] { return std::this_thread::get_id(); };
    CHECK(std::async(std::launch::async, where).get() != where());
    std::future<std::thread::id> later = std::async(std::launch::deferred, where);
    CHECK(later.wait_for(0s) == std::future_status::deferred);
    CHECK(later.get() == where());

    std::atomic<bool> done = false;
    {
        const std::future<void> waited_for = std::async(std::launch::async, [&] {
            std::this_thread::sleep_for(2ms);
            done = true;
        });
    }
    CHECK(done);
}
