// SPDX-License-Identifier: MIT
// The C++ library's locks and condition variables: exclusion, sharing, recursion, giving up in time on both clocks,
// several locks at once, and the monitors that are built from them.
#include <algorithm>
#include <array>
#include <barrier>
#include <condition_variable>
#include <deque>
#include <latch>
#include <optional>
#include <shared_mutex>
#include <stop_token>

#include "tests/guest/cxx.hpp"

using namespace guest;

namespace {

// Another thread that has `Guard`'s lock for as long as the object lives: some locks know their owners.
template <class Guard>
class HeldElsewhere {
public:
    explicit HeldElsewhere(typename Guard::mutex_type& mutex)
        : thread_([this, &mutex] {
              const Guard guard(mutex);
              held_.count_down();
              released_.wait();
          }) {
        held_.wait();
    }
    ~HeldElsewhere() { released_.count_down(); }

private:
    std::latch held_{1}, released_{1};
    std::jthread thread_;
};

// Whether `attempt`, a try with a deadline, fails, and not before its time on the clock that it is told to go by.
template <class Clock, class Attempt>
bool gives_up_in_time(Attempt attempt) {
    const auto deadline = Clock::now() + kShort;
    return !attempt(deadline) && Clock::now() >= deadline;
}

// Whether `attempt` succeeds although the lock is taken when it begins.
template <class Guard, class Attempt>
bool gets_it_later(typename Guard::mutex_type& mutex, Attempt attempt) {
    std::optional<HeldElsewhere<Guard>> holder(std::in_place, mutex);
    const std::jthread releaser([&] {
        std::this_thread::sleep_for(1ms);
        holder.reset();
    });
    return attempt();
}

template <class Mutex>
bool refused_elsewhere(Mutex& mutex) {
    bool refused = false;
    std::jthread([&] {
        refused = !mutex.try_lock();
        if (!refused) mutex.unlock();
    }).join();
    return refused;
}

}  // namespace

// ---- one lock

TEST_CASE("every kind of mutex lets in one at a time") {
    std::mutex plain;
    std::recursive_mutex recursive;
    std::timed_mutex timed;
    std::recursive_timed_mutex recursive_timed;
    std::shared_mutex shared;
    std::shared_timed_mutex shared_timed;
    CHECK(lost_updates(plain, 6, 200) == 0);
    CHECK(lost_updates(recursive, 6, 100) == 0);
    CHECK(lost_updates(timed, 6, 100) == 0);
    CHECK(lost_updates(recursive_timed, 6, 100) == 0);
    CHECK(lost_updates(shared, 6, 100) == 0);
    CHECK(lost_updates(shared_timed, 6, 100) == 0);
}

TEST_CASE("a taken mutex refuses others; a recursive one is its owner's until the last unlock") {
    std::mutex plain;
    CHECK(plain.try_lock());
    CHECK(refused_elsewhere(plain));
    plain.unlock();
    CHECK(!refused_elsewhere(plain));

    std::recursive_timed_mutex recursive;
    constexpr int kDepth = 20;
    for (int i = 0; i < kDepth; ++i) CHECK((i % 2 == 0 ? recursive.try_lock() : recursive.try_lock_for(kEver)));
    for (int i = 0; i < kDepth; ++i) {
        CHECK(refused_elsewhere(recursive));
        recursive.unlock();
    }
    CHECK(!refused_elsewhere(recursive));
}

TEST_CASE("timed mutexes give up in time, on both clocks, or get the lock when it is free") {
    const auto check = [](auto& mutex) {
        using Guard = std::unique_lock<std::remove_reference_t<decltype(mutex)>>;
        const auto until = [&](auto deadline) { return mutex.try_lock_until(deadline); };
        {
            const HeldElsewhere<Guard> held(mutex);
            CHECK(!mutex.try_lock_for(-1ms));
            CHECK(gives_up_in_time<Steady>([&](auto) { return mutex.try_lock_for(kShort); }));
            CHECK(gives_up_in_time<Steady>(until));
            CHECK(gives_up_in_time<Realtime>(until));
        }
        CHECK(gets_it_later<Guard>(mutex, [&] { return until(Steady::now() + kEver); }));
        mutex.unlock();
        CHECK(gets_it_later<Guard>(mutex, [&] { return until(Realtime::now() + kEver); }));
        CHECK(refused_elsewhere(mutex));
        mutex.unlock();
    };
    std::timed_mutex timed;
    std::recursive_timed_mutex recursive_timed;
    std::shared_timed_mutex shared_timed;
    check(timed);
    check(recursive_timed);
    check(shared_timed);
}

// ---- readers and writers

TEST_CASE("readers are in together; a writer is alone") {
    const auto check = [](auto& mutex) {
        using Mutex = std::remove_reference_t<decltype(mutex)>;
        constexpr int kReaders = 4, kWriters = 2, kRounds = 40;
        {
            std::barrier together(kReaders);
            in_threads(kReaders, [&](int) {
                const std::shared_lock lock(mutex);
                together.arrive_and_wait();  // nobody passes unless all have the lock
            });
        }
        long first = 0, second = 0;
        std::atomic<int> inside = 0, wrong = 0;
        in_threads(kReaders + kWriters, [&](int i) {
            for (int round = 0; round < kRounds; ++round) {
                if (i < kWriters) {
                    const std::unique_lock lock(mutex);
                    if (inside.fetch_add(100) != 0) ++wrong;
                    ++first;
                    std::this_thread::yield();
                    ++second;
                    inside -= 100;
                } else {
                    const std::shared_lock lock(mutex);
                    if (inside.fetch_add(1) >= 100 || first != second) ++wrong;
                    if (round % 8 == 0) std::this_thread::yield();
                    --inside;
                }
            }
        });
        CHECK(wrong == 0);
        CHECK(first == kWriters * kRounds);
        CHECK(second == first);

        {
            const HeldElsewhere<std::shared_lock<Mutex>> reader(mutex);
            CHECK(!mutex.try_lock());
            CHECK(mutex.try_lock_shared());
            mutex.unlock_shared();
        }
        const HeldElsewhere<std::unique_lock<Mutex>> writer(mutex);
        CHECK(!mutex.try_lock_shared());
    };
    std::shared_mutex shared;
    std::shared_timed_mutex shared_timed;
    check(shared);
    check(shared_timed);
}

TEST_CASE("shared_timed_mutex: readers and writers give up in time, on both clocks") {
    std::shared_timed_mutex mutex;
    using Reader = std::shared_lock<std::shared_timed_mutex>;
    using Writer = std::unique_lock<std::shared_timed_mutex>;
    const auto shared_until = [&](auto deadline) { return mutex.try_lock_shared_until(deadline); };
    const auto until = [&](auto deadline) { return mutex.try_lock_until(deadline); };
    {
        const HeldElsewhere<Writer> held(mutex);
        CHECK(gives_up_in_time<Steady>(shared_until));
        CHECK(gives_up_in_time<Realtime>(shared_until));
    }
    {
        const HeldElsewhere<Reader> held(mutex);
        CHECK(gives_up_in_time<Steady>(until));
        CHECK(shared_until(Steady::now() + kEver));  // no writer waits any more
        mutex.unlock_shared();
    }
    CHECK(gets_it_later<Writer>(mutex, [&] { return shared_until(Realtime::now() + kEver); }));
    mutex.unlock_shared();
    CHECK(gets_it_later<Reader>(mutex, [&] { return until(Steady::now() + kEver); }));
    mutex.unlock();
}

// ---- several locks

TEST_CASE("several locks are taken together, in whatever order they are named") {
    struct Account {
        std::mutex mutex;
        long balance = 1000;
    };
    std::array<Account, 4> accounts;
    in_threads(6, [&](int i) {
        for (unsigned round = 0; round < 100; ++round) {
            Account& from = accounts[(static_cast<unsigned>(i) + round) % 4];
            Account& to = accounts[(static_cast<unsigned>(i) * 3 + round * 2 + 1) % 4];
            if (&from == &to) continue;
            const std::scoped_lock both(from.mutex, to.mutex);
            from.balance -= i + 1;
            if (round % 16 == 0) std::this_thread::yield();
            to.balance += i + 1;
        }
    });
    const std::scoped_lock all(accounts[3].mutex, accounts[2].mutex, accounts[1].mutex, accounts[0].mutex);
    CHECK(accounts[0].balance + accounts[1].balance + accounts[2].balance + accounts[3].balance == 4000);
}

// ---- condition variables

TEST_CASE("notify_one lets one of many through, notify_all the rest") {
    constexpr int kWaiters = 6;
    std::mutex mutex;
    std::condition_variable go, changed;
    int waiting = 0, permits = 0, passed = 0;
    std::vector<std::jthread> waiters;
    for (int i = 0; i < kWaiters; ++i)
        waiters.emplace_back([&] {
            std::unique_lock lock(mutex);
            ++waiting;
            changed.notify_one();
            go.wait(lock, [&] { return permits > 0; });
            --permits;
            ++passed;
            changed.notify_one();
        });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == kWaiters; });  // and all of them have let go of the mutex: they wait
    for (int i = 1; i <= 3; ++i) {
        permits = 1;
        go.notify_one();
        changed.wait(lock, [&] { return passed == i; });
        CHECK(permits == 0);
    }
    lock.unlock();
    go.notify_all();  // for nothing: there is no permit
    std::this_thread::sleep_for(2ms);
    lock.lock();
    CHECK(passed == 3);
    permits = kWaiters - 3;
    go.notify_all();
    changed.wait(lock, [&] { return passed == kWaiters; });
    CHECK(permits == 0);
}

TEST_CASE("waiting on a condition ends with its time, on both clocks, or before it when there is reason") {
    const auto check = [](auto& condition, auto& mutex) {
        std::unique_lock lock(mutex);
        const auto until = [&](auto deadline) {
            while (condition.wait_until(lock, deadline) != std::cv_status::timeout) continue;  // woken for nothing
            return false;
        };
        CHECK(gives_up_in_time<Steady>(until));
        CHECK(gives_up_in_time<Realtime>(until));
        CHECK(lock.owns_lock());
        const auto never = [] { return false; };
        CHECK(gives_up_in_time<Steady>([&](auto) { return condition.wait_for(lock, kShort, never); }));
        CHECK(gives_up_in_time<Realtime>([&](auto when) { return condition.wait_until(lock, when, never); }));
        CHECK(condition.wait_for(lock, -1s, [] { return true; }));

        int turn = 0;
        const std::jthread teller([&] {
            std::unique_lock told(mutex);
            for (; turn < 5; condition.notify_all()) {
                condition.wait(told, [&] { return turn % 2 == 0; });
                ++turn;
            }
        });
        for (; turn < 5; condition.notify_all()) {
            const auto my_turn = [&] { return turn % 2 == 1; };
            CHECK((turn < 3 ? condition.wait_until(lock, Realtime::now() + kEver, my_turn)
                            : condition.wait_until(lock, Steady::now() + kEver, my_turn)));
            ++turn;
        }
    };
    std::mutex mutex;
    std::recursive_timed_mutex recursive;
    std::condition_variable plain;
    std::condition_variable_any any;
    check(plain, mutex);
    check(any, mutex);
    check(any, recursive);
}

TEST_CASE("condition_variable_any: readers wait together, and a stop request ends a wait") {
    std::shared_mutex mutex;
    std::condition_variable_any changed, came;
    std::stop_source source;
    constexpr int kReaders = 4;
    int waiting = 0;
    bool published = false;
    std::atomic<int> saw = 0, stopped = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < kReaders; ++i) {
        threads.emplace_back([&] {
            std::shared_lock lock(mutex);
            changed.wait(lock, [&] { return published; });
            ++saw;
        });
        threads.emplace_back([&, i, token = source.get_token()] {
            std::unique_lock lock(mutex);
            ++waiting;
            came.notify_one();
            const auto never = [] { return false; };
            const bool holds =
                i % 2 == 0 ? changed.wait(lock, token, never) : changed.wait_for(lock, token, kEver, never);
            if (!holds && token.stop_requested() && lock.owns_lock()) ++stopped;
        });
    }
    {
        std::unique_lock lock(mutex);
        came.wait(lock, [&] { return waiting == kReaders; });
        published = true;
    }
    changed.notify_all();  // of no use to those whose condition never holds
    std::this_thread::sleep_for(2ms);
    CHECK(stopped == 0);
    source.request_stop();
    threads.clear();
    CHECK(saw == kReaders);
    CHECK(stopped == kReaders);
    std::unique_lock lock(mutex);
    CHECK(!changed.wait(lock, source.get_token(), [] { return false; }));  // asked before: no wait
}

// ---- monitors

namespace {

// notify_all: the condition variables of glibc 2.36 can lose one notify_one of very many (its bug 25847).
class BoundedBuffer {
public:
    void put(int item) {
        std::unique_lock lock(mutex_);
        not_full_.wait(lock, [&] { return items_.size() < kCapacity; });
        items_.push_back(item);
        overfull_ |= items_.size() > kCapacity;
        not_empty_.notify_all();
    }
    std::optional<int> take() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [&] { return closed_ || !items_.empty(); });
        if (items_.empty()) return std::nullopt;
        const int item = items_.front();
        items_.pop_front();
        not_full_.notify_all();
        return item;
    }
    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        not_empty_.notify_all();
    }
    bool was_overfull() const { return overfull_; }

private:
    static constexpr std::size_t kCapacity = 4;
    std::mutex mutex_;
    std::condition_variable not_full_, not_empty_;
    std::deque<int> items_;
    bool closed_ = false, overfull_ = false;
};

constexpr unsigned kPhilosophers = 5;
constexpr int kMeals = 30;

// Runs the dinner; `take` and `put_down` get the seat. Returns how often somebody ate with a fork that was in use.
int dine(const std::function<void(unsigned)>& take, const std::function<void(unsigned)>& put_down) {
    std::array<std::atomic<bool>, kPhilosophers> in_use{};
    std::atomic<int> wrong = 0;
    in_threads(kPhilosophers, [&](int i) {
        const unsigned seat = static_cast<unsigned>(i), next = (seat + 1) % kPhilosophers;
        for (int meal = 0; meal < kMeals; ++meal) {
            take(seat);
            if (in_use[seat].exchange(true) || in_use[next].exchange(true)) ++wrong;
            std::this_thread::yield();
            in_use[seat] = in_use[next] = false;
            put_down(seat);
        }
    });
    return wrong;
}

}  // namespace

TEST_CASE("a bounded buffer passes on everything once, in order, and never holds too much") {
    constexpr int kProducers = 3, kConsumers = 3, kItems = 60;
    BoundedBuffer buffer;
    std::vector<int> got[kConsumers];
    std::vector<std::jthread> consumers;
    for (std::vector<int>& mine : got)
        consumers.emplace_back([&] {
            while (const std::optional<int> item = buffer.take()) mine.push_back(*item);
        });
    in_threads(kProducers, [&](int producer) {
        for (int i = 0; i < kItems; ++i) buffer.put(producer * kItems + i);
    });
    buffer.close();
    consumers.clear();
    std::array<int, kProducers * kItems> times{};
    for (const std::vector<int>& mine : got) {
        int last[kProducers] = {-1, -1, -1};
        for (const int item : mine) {
            CHECK(item > last[item / kItems]);  // a producer's items do not overtake each other
            last[item / kItems] = item;
            ++times[static_cast<unsigned>(item)];
        }
    }
    CHECK(std::all_of(times.begin(), times.end(), [](int count) { return count == 1; }));
    CHECK(!buffer.was_overfull());
}

TEST_CASE("philosophers who take both forks at once, or who ask a monitor, all eat") {
    std::array<std::mutex, kPhilosophers> forks;
    CHECK(dine([&](unsigned seat) { std::lock(forks[seat], forks[(seat + 1) % kPhilosophers]); },
               [&](unsigned seat) {
                   forks[seat].unlock();
                   forks[(seat + 1) % kPhilosophers].unlock();
               }) == 0);

    enum class State { Thinking, Hungry, Eating };
    std::mutex table;
    std::array<State, kPhilosophers> states{};
    std::array<std::condition_variable, kPhilosophers> may_eat;
    const auto serve = [&](unsigned seat) {
        const unsigned left = (seat + kPhilosophers - 1) % kPhilosophers, right = (seat + 1) % kPhilosophers;
        if (states[seat] != State::Hungry || states[left] == State::Eating || states[right] == State::Eating) return;
        states[seat] = State::Eating;
        may_eat[seat].notify_one();
    };
    CHECK(dine(
              [&](unsigned seat) {
                  std::unique_lock lock(table);
                  states[seat] = State::Hungry;
                  serve(seat);
                  may_eat[seat].wait(lock, [&] { return states[seat] == State::Eating; });
              },
              [&](unsigned seat) {
                  const std::lock_guard lock(table);
                  states[seat] = State::Thinking;
                  serve((seat + kPhilosophers - 1) % kPhilosophers);
                  serve((seat + 1) % kPhilosophers);
              }) == 0);
}
