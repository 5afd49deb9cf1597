// SPDX-License-Identifier: MIT
// Futexes on simulated CPUs: a lock as the C library has it, made of one word, must never leave a sleeper behind a free word. A
// copy of entering that looks at the word first, and so loses wake-ups, must be found out.
#include <catch2/catch.hpp>

#include "kernel/ipc/futex_queue.hpp"
#include "tests/unit/simulation.hpp"

namespace {

using namespace hd;
using namespace hd::test;

constexpr u32 kAnyBits = ~u32{0};

// 0: free; 1: taken; 2: taken, and somebody may sleep. One at a time: it is also what the hook gives.
std::atomic<u32> g_word{0};

Errno look_first(ipc::FutexWaiter& waiter, u32 expected) {
    sync::WaitQueue& bucket = ipc::bucket_of(waiter.where);
    core::LockGuard guard(bucket.lock());
    u32 seen = 0;
    arch::user_load_u32(0, seen);
    if (seen != expected) return Errno::kEAGAIN;
    bucket.announce_locked(waiter);
    return kNoError;
}

enum class Entering : u8 { AsItIs, LookingFirst };

const mm::MemoryIdentity kWhere{&g_word, 0};

void wait_while(u32 expected, Entering how) {
    ipc::FutexWaiter waiter;
    waiter.where = kWhere;
    waiter.bits = kAnyBits;
    const Errno entered = how == Entering::AsItIs ? ipc::enter_if(waiter, {0, ipc::FutexScope::Private}, expected)
                                                  : look_first(waiter, expected);
    if (entered != kNoError) return;
    sync::sleep_on(waiter, sched::SleepKind::Interruptible, "futex");
    waiter.retract();
}

void lock(Entering how) {
    u32 free = 0;
    if (g_word.compare_exchange_strong(free, 1)) return;
    while (g_word.exchange(2) != 0) wait_while(2, how);
}

void unlock() {
    if (g_word.exchange(0) == 2) (void)ipc::wake(kWhere, 1, kAnyBits);
}

std::string run_lock(u32 seeds, Entering how) {
    return simulate(seeds, [how](Simulation& sim) {
        g_word = 0;
        auto inside = std::make_shared<Inside>();
        for (int i = 0; i < 3; ++i)
            sim.spawn([=] {
                fake::g_hooks.user_memory = [](u64) {
                    return reinterpret_cast<u8*>(&g_word);
                };  // each run begins without
                for (int round = 0; round < 4; ++round) {
                    lock(how);
                    fake::expect(inside->enter() == 1, "two threads have the lock");
                    fake::step();
                    inside->leave();
                    unlock();
                }
            });
    });
}

}  // namespace

TEST_CASE("a lock made of a futex excludes, and nobody sleeps for ever", "[ipc]") {
    CHECK(run_lock(3000, Entering::AsItIs) == "");
    fake::g_hooks.user_memory = nullptr;
}

TEST_CASE("a waiter who looks at the word before entering loses wake-ups, and the explorer finds it", "[ipc]") {
    CHECK(run_lock(3000, Entering::LookingFirst) != "");
    std::construct_at(&ipc::bucket_of(kWhere));  // a run that failed has left its waiters there
    fake::g_hooks.user_memory = nullptr;
}
