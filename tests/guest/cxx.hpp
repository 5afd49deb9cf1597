// SPDX-License-Identifier: MIT
// What the tests of the C++ library's threads share (cxx_*.cpp). Catch2's checks are for one thread only: what runs in
// others counts what is wrong, and the test checks the count once they are joined.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/guest/guest.hpp"

namespace guest {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;
using Realtime = std::chrono::system_clock;

// A timeout that is meant to pass: only that it was waited for is checked, never how much longer it took.
inline constexpr auto kShort = 4ms;
// A timeout that is not: a wait that ends only with it has lost what it waited for.
inline constexpr auto kEver = 24h;

// Runs `body(number)` in `count` threads and waits for all of them.
inline void in_threads(int count, const std::function<void(int)>& body) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([&body, i] { body(i); });
}

// How many additions to a plain counter `lock` fails to protect. Now and then one is interrupted in its middle: the
// others come to a lock that is taken, on one CPU as well.
template <class Lock>
int lost_updates(Lock& lock, int threads, int rounds) {
    int counter = 0;
    in_threads(threads, [&](int) {
        for (int round = 0; round < rounds; ++round) {
            const std::lock_guard guard(lock);
            const int before = counter;
            if (round % 16 == 0) std::this_thread::yield();
            counter = before + 1;
        }
    });
    return threads * rounds - counter;
}

}  // namespace guest
