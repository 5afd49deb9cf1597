// SPDX-License-Identifier: MIT
// The C++ library's atomic objects and what waits on them: semaphores, latches, barriers, wait and notify; then the
// orders of memory that a machine of several CPUs has to keep, and locks made by hand of nothing else.
// Who spins yields each time: with one CPU, what is waited for comes from somebody who does not run.
#include <array>
#include <barrier>
#include <cstdint>
#include <latch>
#include <semaphore>

#include "tests/guest/cxx.hpp"

using namespace guest;

namespace {

template <class Condition>
void spin_until(Condition condition) {
    while (!condition()) std::this_thread::yield();
}

// acquire() of libstdc++ 12 may sleep on a count that is not zero when several take at a time: it compares with the
// count that it saw before it tried. What waits with an end looks again.
template <class Semaphore>
void acquire(Semaphore& semaphore) {
    while (!semaphore.try_acquire_for(10ms)) continue;
}

}  // namespace

// ---- semaphores, latches, barriers

TEST_CASE("a counting semaphore lets in as many as it counts") {
    std::counting_semaphore<100> seats(3);
    std::atomic<int> inside = 0, wrong = 0;
    in_threads(8, [&](int) {
        for (int round = 0; round < 20; ++round) {
            acquire(seats);
            if (++inside > 3) ++wrong;
            std::this_thread::yield();
            --inside;
            seats.release();
        }
    });
    CHECK(wrong == 0);
    for (int i = 0; i < 3; ++i) CHECK(seats.try_acquire());
    const auto begin = Steady::now();
    CHECK(!seats.try_acquire_for(kShort));
    CHECK(Steady::now() - begin >= kShort);
    const auto deadline = Realtime::now() + kShort;
    CHECK(!seats.try_acquire_until(deadline));
    CHECK(Realtime::now() >= deadline);
    std::atomic<int> woken = 0;
    const std::jthread releaser([&] {
        std::this_thread::sleep_for(1ms);
        seats.release(5);
    });
    in_threads(5, [&](int) {
        acquire(seats);
        ++woken;
    });
    CHECK(woken == 5);
    CHECK(!seats.try_acquire());
}

TEST_CASE("two binary semaphores take turns") {
    constexpr int kRounds = 200;
    std::binary_semaphore ping(1), pong(0);
    std::vector<int> order;
    in_threads(2, [&](int i) {
        for (int round = 0; round < kRounds; ++round) {
            (i == 0 ? ping : pong).acquire();  // one takes, one gives: plain acquire() is safe
            order.push_back(i);
            (i == 0 ? pong : ping).release();
        }
    });
    REQUIRE(order.size() == 2 * kRounds);
    for (unsigned i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<int>(i % 2));
}

TEST_CASE("a latch opens when all have come") {
    constexpr int kThreads = 8;
    int written[kThreads]{};
    std::latch done(kThreads + 1);
    std::atomic<int> wrong = 0;
    const std::jthread last([&] {
        std::this_thread::sleep_for(1ms);
        if (done.try_wait()) ++wrong;
        done.count_down();
    });
    in_threads(kThreads, [&](int i) {
        written[i] = i + 1;
        done.arrive_and_wait();
        for (int other = 0; other < kThreads; ++other)
            if (written[other] != other + 1) ++wrong;
    });
    CHECK(wrong == 0);
}

TEST_CASE("a barrier holds back each phase until all have come, and completes it once") {
    constexpr int kThreads = 6, kRounds = 20;
    int cells[kThreads]{};
    int completions = 0;  // plain, as the cells are: the barrier is what orders them
    std::atomic<int> wrong = 0;
    const auto complete = [&]() noexcept {
        ++completions;
        for (const int cell : cells)
            if (cell != (completions + 1) / 2) ++wrong;
    };
    std::barrier barrier(kThreads, complete);
    in_threads(kThreads, [&](int i) {
        for (int round = 1; round <= kRounds; ++round) {
            ++cells[i];
            barrier.arrive_and_wait();
            if (completions != 2 * round - 1) ++wrong;
            auto arrival = barrier.arrive();
            std::this_thread::yield();
            barrier.wait(std::move(arrival));
        }
    });
    CHECK(wrong == 0);
    CHECK(completions == 2 * kRounds);

    int phases = 0;
    const auto count = [&]() noexcept { ++phases; };
    std::barrier shrinking(kThreads, count);
    in_threads(kThreads, [&](int i) {
        for (int phase = 0; phase < i; ++phase) shrinking.arrive_and_wait();
        shrinking.arrive_and_drop();  // is not waited for any more
    });
    CHECK(phases == kThreads);
}

// ---- waiting for a value

namespace {

template <class T>
void check_wait(T from, T to) {
    std::atomic<T> value = from;
    std::atomic<int> gone = 0, wrong = 0;
    {
        std::vector<std::jthread> waiters;
        for (int i = 0; i < 4; ++i)
            waiters.emplace_back([&] {
                value.wait(from);
                if (value != to) ++wrong;
                ++gone;
            });
        std::this_thread::sleep_for(1ms);
        value.notify_all();
        value.notify_one();
        std::this_thread::sleep_for(1ms);
        CHECK(gone == 0);
        value = to;
        value.notify_all();
    }
    CHECK(gone == 4);
    CHECK(wrong == 0);
    value.wait(from);  // is another already
}

// Free, taken, or taken with somebody who may sleep. Before a notify stands a sequentially consistent store:
// libstdc++ 12 looks whether anybody waits with a load that a mere release does not hold back.
class SleepingLock {
public:
    void lock() {
        int seen = kFree;
        if (state_.compare_exchange_strong(seen, kTaken)) return;
        while (state_.exchange(kContended) != kFree) state_.wait(kContended);
    }
    void unlock() {
        if (state_.exchange(kFree) == kContended) state_.notify_one();
    }

private:
    static constexpr int kFree = 0, kTaken = 1, kContended = 2;
    std::atomic<int> state_ = kFree;
};

}  // namespace

TEST_CASE("an atomic is waited for until its value is another, whoever notifies") {
    int somewhere = 0;
    check_wait<int>(0, 1);                     // waits on the word itself
    check_wait<std::uint64_t>(1ULL << 40, 1);  // these, on one that the library keeps for several
    check_wait<bool>(true, false);
    check_wait<char>('a', 'b');
    check_wait<int*>(nullptr, &somewhere);

    constexpr int kRunners = 5, kLaps = 20;
    std::atomic<int> turn = 0;
    std::vector<int> order;
    in_threads(kRunners, [&](int i) {
        for (int lap = 0; lap < kLaps; ++lap) {
            for (int now = turn; now % kRunners != i; now = turn) turn.wait(now);
            order.push_back(i);
            ++turn;
            turn.notify_all();
        }
    });
    REQUIRE(order.size() == kRunners * kLaps);
    for (unsigned i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<int>(i % kRunners));
}

// ---- read, modify, write

TEST_CASE("atomic changes of plain objects are not lost, nor given twice") {
    constexpr int kThreads = 6, kRounds = 300;
    alignas(std::atomic_ref<long>::required_alignment) long sum = 0;
    alignas(std::atomic_ref<double>::required_alignment) double real_sum = 0;
    unsigned char bytes[kThreads]{};  // neighbours in one word
    std::atomic<unsigned> tickets = 0;
    std::array<std::atomic<int>, kThreads * kRounds> given{};
    in_threads(kThreads, [&](int i) {
        std::atomic_ref<unsigned char> mine(bytes[i]);
        for (int round = 0; round < kRounds; ++round) {
            std::atomic_ref(sum).fetch_add(i + 1, std::memory_order_relaxed);
            std::atomic_ref(real_sum).fetch_add(0.5, std::memory_order_relaxed);
            mine.store(static_cast<unsigned char>(mine.load() + 1));
            ++given[tickets.fetch_add(1, std::memory_order_relaxed)];
            if (round % 64 == 0) std::this_thread::yield();
        }
    });
    CHECK(sum == kRounds * kThreads * (kThreads + 1) / 2);
    CHECK(real_sum == kThreads * kRounds / 2.0);
    for (const unsigned char byte : bytes) CHECK(byte == kRounds % 256);
    int wrong = 0;
    for (const std::atomic<int>& ticket : given) wrong += ticket != 1;
    CHECK(wrong == 0);
}

// ---- orders of memory

namespace {

constexpr int kRounds = 1024;

// Where threads meet before each round of few instructions. Yielding takes longer than those: at first, who waits looks
// again; and all delays against each other have their turn, since nobody knows by which one the two fall together.
class Meeting {
public:
    explicit Meeting(int threads) : threads_(threads) {}
    void wait(int thread) {
        const int round = arrived_.fetch_add(1) / threads_;
        for (int looks = 0; arrived_ < (round + 1) * threads_; ++looks)
            if (looks >= 200) std::this_thread::yield();
        for (volatile int left = (thread % 2 == 0 ? round : round / 32) % 32; left > 0;) left = left - 1;
    }

private:
    const int threads_;
    std::atomic<int> arrived_ = 0;
};

struct Round {
    alignas(64) std::atomic<int> x = 0;
    alignas(64) std::atomic<int> y = 0;
    alignas(64) int seen[4]{};
};

// Two threads write one variable each and read the other's: how often neither saw the other's write.
template <std::memory_order kOrder, bool kFence>
int both_too_early() {
    std::vector<Round> rounds(kRounds);
    Meeting meeting(2);
    in_threads(2, [&](int i) {
        for (Round& round : rounds) {
            meeting.wait(i);
            (i == 0 ? round.x : round.y).store(1, kOrder);
            if (kFence) std::atomic_thread_fence(std::memory_order_seq_cst);
            round.seen[i] = (i == 0 ? round.y : round.x).load(kOrder);
        }
    });
    int forbidden = 0;
    for (const Round& round : rounds) forbidden += round.seen[0] == 0 && round.seen[1] == 0;
    return forbidden;
}

}  // namespace

TEST_CASE("store buffering: of two who write and then read, one sees the other") {
    CHECK((both_too_early<std::memory_order_seq_cst, false>()) == 0);
    CHECK((both_too_early<std::memory_order_relaxed, true>()) == 0);
}

TEST_CASE("independent writes are seen in one order by all who read them") {
    std::vector<Round> rounds(kRounds);
    Meeting meeting(4);
    in_threads(4, [&](int i) {
        for (Round& round : rounds) {
            meeting.wait(i);
            if (i < 2) {
                (i == 0 ? round.x : round.y) = 1;
                continue;
            }
            const int first = i == 2 ? round.x : round.y, second = i == 2 ? round.y : round.x;
            round.seen[i] = first == 1 && second == 0;
        }
    });
    int forbidden = 0;
    for (const Round& round : rounds) forbidden += round.seen[2] + round.seen[3] == 2;
    CHECK(forbidden == 0);
}

TEST_CASE("message passing: who sees the flag sees what was written before it, and before that by others") {
    constexpr unsigned kMessages = 300;
    std::vector<unsigned> data(kMessages), forwarded(kMessages);
    std::atomic<unsigned> written = 0, passed_on = 0, behind_fence = 0;
    std::atomic<int> wrong = 0;
    in_threads(4, [&](int i) {
        for (unsigned n = 0; n < kMessages; ++n) {
            if (i == 0) {
                data[n] = n * n + 1;
                written.store(n + 1, std::memory_order_release);
                if (n % 16 == 0) std::this_thread::yield();
            } else if (i == 1) {
                spin_until([&] { return written.load(std::memory_order_acquire) > n; });
                forwarded[n] = data[n] + 1;
                std::atomic_thread_fence(std::memory_order_release);
                behind_fence.store(n + 1, std::memory_order_relaxed);
                passed_on.store(n + 1, std::memory_order_release);
            } else if (i == 2) {
                spin_until([&] { return passed_on.load(std::memory_order_acquire) > n; });
                if (data[n] != n * n + 1 || forwarded[n] != n * n + 2) ++wrong;
            } else {
                spin_until([&] { return behind_fence.load(std::memory_order_relaxed) > n; });
                std::atomic_thread_fence(std::memory_order_acquire);
                if (data[n] != n * n + 1 || forwarded[n] != n * n + 2) ++wrong;
            }
        }
    });
    CHECK(wrong == 0);
}

// ---- by hand

namespace {

class SpinLock {
public:
    void lock() {
        while (taken_.test_and_set(std::memory_order_acquire))
            spin_until([&] { return !taken_.test(std::memory_order_relaxed); });
    }
    void unlock() { taken_.clear(std::memory_order_release); }

private:
    std::atomic_flag taken_;
};

class TicketLock {
public:
    void lock() {
        const unsigned mine = next_.fetch_add(1, std::memory_order_relaxed);
        spin_until([&] { return served_.load(std::memory_order_acquire) == mine; });
    }
    void unlock() { served_.store(served_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

private:
    std::atomic<unsigned> next_ = 0, served_ = 0;
};

// Peterson's: two threads, no instruction that reads and writes. It needs one order of all its operations.
class Peterson {
public:
    void lock(int me) {
        wants_[me] = true;
        last_ = me;
        spin_until([&] { return !wants_[1 - me] || last_ != me; });
    }
    void unlock(int me) { wants_[me] = false; }

private:
    std::array<std::atomic<bool>, 2> wants_{};
    std::atomic<int> last_ = 0;
};

}  // namespace

TEST_CASE("locks made by hand let in one at a time") {
    SpinLock spin;
    TicketLock ticket;
    SleepingLock sleeping;
    CHECK(lost_updates(spin, 4, 200) == 0);
    CHECK(lost_updates(ticket, 4, 100) == 0);
    CHECK(lost_updates(sleeping, 6, 200) == 0);
    Peterson peterson;
    int counter = 0;
    in_threads(2, [&](int me) {
        for (int round = 0; round < 1000; ++round) {
            peterson.lock(me);
            const int before = counter;
            if (round % 16 == 0) std::this_thread::yield();
            counter = before + 1;
            peterson.unlock(me);
        }
    });
    CHECK(counter == 2000);
}
