// SPDX-License-Identifier: MIT
// FUTEX_CMP_REQUEUE on simulated CPUs, as condition variables use it: a broadcast wakes one waiter and moves the others to the mutex,
// whose owners then wake them one by one. Nobody may sleep for ever, whatever comes between. A copy that moves a waiter with one
// bucket locked at a time must be found out: for a moment it is in neither, and who unlocks the mutex then finds nobody.
#include <catch2/catch.hpp>

#include "kernel/ipc/futex_queue.hpp"
#include "tests/unit/simulation.hpp"

namespace {

using namespace hd;
using namespace hd::test;

constexpr u32 kAnyBits = ~u32{0};
constexpr int kWaiters = 3;

// The program's memory. What the mutex's word means: 0: free; 1: taken; 2: taken, and somebody may sleep.
enum Word : u64 { kCondition, kMutex, kWords };
std::atomic<u32> g_words[kWords];
constexpr u64 address_of(Word word) { return 0x1000 + word * sizeof(u32); }
mm::MemoryIdentity identity_of(Word word) { return {&g_words, word}; }

void wait_while(Word word, u32 expected, Nanoseconds deadline = Nanoseconds::max()) {
    ipc::FutexWaiter waiter;
    waiter.where = identity_of(word);
    waiter.bits = kAnyBits;
    if (ipc::enter_if(waiter, {address_of(word), ipc::FutexScope::Private}, expected) != kNoError) return;
    sync::sleep_on(waiter, sched::SleepKind::Interruptible, "futex", deadline);
    waiter.retract();
}

// Who comes from the condition leaves the mark of sleepers: others may have been moved.
void lock(bool from_condition) {
    u32 free = 0;
    if (!from_condition && g_words[kMutex].compare_exchange_strong(free, 1)) return;
    while (g_words[kMutex].exchange(2) != 0) wait_while(kMutex, 2);
}

void unlock() {
    if (g_words[kMutex].exchange(0) == 2) (void)ipc::wake(identity_of(kMutex), 1, kAnyBits);
}

using Requeue = Result<u32> (*)(u32 wake, u32 move, u32 expected);

Result<u32> as_it_is(u32 wake, u32 move, u32 expected) {
    return ipc::requeue(identity_of(kCondition), address_of(kCondition), identity_of(kMutex), wake, move, expected);
}

Result<u32> one_lock_at_a_time(u32 wake, u32 move, u32 expected) {
    const mm::MemoryIdentity from = identity_of(kCondition), to = identity_of(kMutex);
    sync::WaitQueue& bucket = ipc::bucket_of(from);
    sync::WaitQueue& other = ipc::bucket_of(to);
    REQUIRE(&bucket != &other);
    {
        core::LockGuard guard(bucket.lock());
        if (g_words[kCondition] != expected) return fail(Errno::kEAGAIN);
        (void)ipc::wake_locked(bucket, from, wake, kAnyBits);
    }
    for (u32 moved = 0; moved < move; ++moved) {
        ipc::FutexWaiter* waiter;
        {
            core::LockGuard guard(bucket.lock());
            waiter = static_cast<ipc::FutexWaiter*>(bucket.first_locked());
            if (waiter == nullptr) break;
            bucket.take_off_locked(*waiter);
        }
        core::LockGuard guard(other.lock());
        waiter->where = to;
        other.announce_locked(*waiter);
    }
    return 0;
}

std::string run(u32 seeds, Requeue requeue, bool with_time_limits) {
    return simulate(
        seeds,
        [=](Simulation& sim) {
            for (auto& word : g_words) word = 0;
            auto inside = std::make_shared<Inside>();
            auto open = std::make_shared<bool>(false);
            auto passed = std::make_shared<int>(0);
            const auto enter = [=](bool from_condition) {
                fake::g_hooks.user_memory = [](u64 address) {
                    return reinterpret_cast<u8*>(g_words) + (address - address_of(kCondition));
                };
                lock(from_condition);
                fake::expect(inside->enter() == 1, "two threads have the mutex");
            };
            const auto leave = [=] {
                inside->leave();
                unlock();
            };
            for (int i = 0; i < kWaiters; ++i) {
                const Nanoseconds limit{static_cast<i64>(sim.random(20'000))};
                sim.spawn([=] {
                    Nanoseconds deadline = with_time_limits ? time::now() + limit : Nanoseconds::max();
                    enter(false);
                    while (!*open) {
                        const u32 seen = g_words[kCondition];
                        leave();
                        wait_while(kCondition, seen, std::exchange(deadline, Nanoseconds::max()));
                        enter(true);
                    }
                    ++*passed;
                    leave();
                });
            }
            sim.spawn([=] {
                nap(microseconds(2));
                enter(false);
                *open = true;
                // Within the mutex, as its owner may, so that it is unlocked while the others are moved.
                const u32 now = ++g_words[kCondition];
                leave();
                while (!requeue(1, kWaiters, now)) fake::step();
            });
            sim.at_end([=] { fake::expect(*passed == kWaiters && g_words[kMutex] == 0, "not everybody has passed"); });
        },
        2);
}

}  // namespace

TEST_CASE("a broadcast that moves waiters to the mutex leaves nobody asleep", "[ipc]") {
    CHECK(run(1500, as_it_is, false) == "");
    CHECK(run(1500, as_it_is, true) == "");
    fake::g_hooks.user_memory = nullptr;
}

TEST_CASE("moving waiters with one bucket locked at a time loses some, and the explorer finds it", "[ipc]") {
    CHECK(run(5000, one_lock_at_a_time, false) != "");
    for (const Word word : {kCondition, kMutex})  // where a run that failed has left its waiters
        std::construct_at(&ipc::bucket_of(identity_of(word)));
    fake::g_hooks.user_memory = nullptr;
}
