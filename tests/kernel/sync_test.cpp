// SPDX-License-Identifier: MIT
// The sleeping primitives under real contention: every CPU, real interrupts, real preemption.
#include <atomic>

#include "kernel/sync/barrier.hpp"
#include "kernel/sync/completion.hpp"
#include "kernel/sync/monitor.hpp"
#include "kernel/sync/mutex.hpp"
#include "kernel/sync/rw_lock.hpp"
#include "kernel/sync/semaphore.hpp"
#include "tests/kernel/crew.hpp"

namespace hd::test {

namespace {
constexpr u32 kThreads = 8, kRounds = 2000;
}

KERNEL_TEST(mutex_excludes) {
    sync::Mutex mutex{core::Rank::Inode};
    u64 count = 0;  // not atomic: only the mutex protects it
    Crew crew([&](u32) {
        for (u32 i = 0; i < kRounds; ++i) {
            sync::MutexGuard guard(mutex);
            const u64 seen = count;
            if (i % 64 == 0) sched::yield();
            count = seen + 1;
        }
    });
    crew.run(kThreads);
    KERNEL_CHECK(count == u64{kThreads} * kRounds);
}

KERNEL_TEST(semaphore_bounds_and_conserves) {
    sync::Semaphore places{3};
    std::atomic<u32> inside{0}, most{0};
    Crew crew([&](u32) {
        for (u32 i = 0; i < kRounds / 4; ++i) {
            places.acquire();
            const u32 now = inside.fetch_add(1) + 1;
            u32 seen = most.load();
            while (seen < now && !most.compare_exchange_weak(seen, now)) {}
            if (i % 16 == 0) sched::yield();
            inside.fetch_sub(1);
            places.release();
        }
    });
    crew.run(kThreads);
    KERNEL_CHECK(most.load() <= 3);
    KERNEL_CHECK(places.value() == 3);
}

KERNEL_TEST(monitor_bounded_buffer) {
    constexpr u32 kCapacity = 4;
    sync::Mutex mutex{core::Rank::Pipe};
    sync::Monitor not_empty, not_full;
    u32 used = 0;
    u64 produced = 0, consumed = 0;
    Crew crew([&](u32 n) {
        for (u32 i = 0; i < kRounds; ++i) {
            sync::MutexGuard guard(mutex);
            if (n % 2 == 0) {
                not_full.wait(mutex, [&] { return used < kCapacity; });
                ++used, ++produced;
                not_empty.notify_one();
            } else {
                not_empty.wait(mutex, [&] { return used > 0; });
                --used, ++consumed;
                not_full.notify_one();
            }
        }
    });
    crew.run(kThreads);
    KERNEL_CHECK(used == 0);
    KERNEL_CHECK(produced == consumed);
    KERNEL_CHECK(produced == u64{kThreads} / 2 * kRounds);
}

KERNEL_TEST(rw_lock_separates_readers_and_writers) {
    sync::RwLock lock{core::Rank::AddressSpace};
    u64 a = 0, b = 0;  // equal whenever no writer is inside
    std::atomic<u32> torn{0};
    constexpr u32 kShort = 400;  // each contended step is a switch to another, perhaps halted, CPU
    Crew crew([&](u32 n) {
        for (u32 i = 0; i < kShort; ++i) {
            if ((i + n) % 8 == 0) {
                sync::WriteGuard guard(lock);
                ++a;
                if (i % 64 == 0) sched::yield();
                ++b;
            } else {
                sync::ReadGuard guard(lock);
                if (a != b) torn.fetch_add(1);
            }
        }
    });
    crew.run(kThreads);
    KERNEL_CHECK(torn.load() == 0);
    KERNEL_CHECK(a == b);
    KERNEL_CHECK(a == u64{kThreads} * kShort / 8);
}

KERNEL_TEST(barrier_keeps_the_rounds_apart) {
    sync::Barrier barrier{kThreads};
    std::atomic<u32> arrived[3] = {};
    std::atomic<u32> early{0}, leaders{0};
    Crew crew([&](u32) {
        for (u32 i = 0; i < 300; ++i) {
            arrived[i % 3].fetch_add(1);
            if (barrier.arrive_and_wait()) {
                leaders.fetch_add(1);
                arrived[(i + 2) % 3].store(0);  // the round before: everybody has left it
            }
            if (arrived[i % 3].load() != kThreads) early.fetch_add(1);
        }
    });
    crew.run(kThreads);
    KERNEL_CHECK(early.load() == 0);
    KERNEL_CHECK(leaders.load() == 300);
}

KERNEL_TEST(rendezvous_pairs_everybody_once) {
    sync::Rendezvous meeting;
    std::atomic<u64> given{0}, got{0};
    Crew crew([&](u32 n) {
        for (u32 i = 0; i < 500; ++i) {
            const u64 mine = u64{n} * 1000 + i + 1;
            given.fetch_add(mine);
            got.fetch_add(reinterpret_cast<u64>(meeting.exchange(reinterpret_cast<void*>(mine))));
        }
    });
    crew.run(2);
    KERNEL_CHECK(given.load() == got.load());
}

KERNEL_TEST(completion_on_the_waiters_stack) {
    Crew crew([](u32) {
        for (u32 i = 0; i < 200; ++i) {
            sync::Completion done;
            const auto helper = sched::spawn_kernel_thread(
                "completer", [](void* completion) { static_cast<sync::Completion*>(completion)->complete(); }, &done,
                CpuMask::all());
            KERNEL_CHECK(helper.has_value());
            if (helper) done.wait();
        }
    });
    crew.run(4);
}

}  // namespace hd::test
