// SPDX-License-Identifier: MIT
// What only several CPUs can get wrong: cross-calls, timers, allocators, migration.
#include <atomic>

#include "kernel/core/call_function.hpp"
#include "kernel/mm/phys/frame.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/sync/completion.hpp"
#include "kernel/time/timer.hpp"
#include "tests/kernel/crew.hpp"

namespace hd::test {

KERNEL_TEST(cross_calls_from_everybody_to_everybody) {
    static constinit std::atomic<u32> calls{0};
    calls = 0;
    // An emulated CPU's interrupt costs its host a thread switch, so the total is bounded, not each CPU's share.
    const u32 cpus = core::cpu_count(), rounds = 400 / (cpus * cpus) + 2;
    Crew crew([rounds](u32) {
        for (u32 i = 0; i < rounds; ++i) core::call_on(core::online_cpus(), [](void*) { calls.fetch_add(1); }, nullptr);
    });
    crew.run(cpus, true);
    KERNEL_CHECK(calls.load() == cpus * cpus * rounds);
}

KERNEL_TEST(timers_fire_once_and_in_time) {
    struct Alarm : time::Timer {
        Alarm() : Timer([](time::Timer& timer) { static_cast<Alarm&>(timer).fired(); }) {}
        void fired() {
            early = time::now() < deadline();
            done.complete();
        }
        sync::Completion done;
        bool early = false;
    };
    Crew crew([](u32 n) {
        for (u32 i = 0; i < 50; ++i) {
            Alarm alarm;
            alarm.arm(time::now() + microseconds(50 + (n * 37 + i * 61) % 500));
            if (i % 4 == 3) {
                alarm.cancel();  // whether or not it was in time, nothing may touch the timer after this
            } else {
                alarm.done.wait();
                KERNEL_CHECK(!alarm.early);
                alarm.cancel();
            }
        }
    });
    crew.run(core::cpu_count() * 2);
}

KERNEL_TEST(frames_and_objects_survive_a_storm) {
    const auto frames_before = mm::frame_counts().free;
    Crew crew([](u32 n) {
        u32 random = n * 2654435761u + 1;
        void* objects[32] = {};
        mm::Frame* frames[32] = {};
        for (u32 i = 0; i < 4000; ++i) {
            random = random * 1664525u + 1013904223u;
            const u32 slot = random >> 8 & 31, size = 16 + (random >> 16 & 2047);
            if ((random & 1) != 0) {
                if (objects[slot] != nullptr) {
                    KERNEL_CHECK(*static_cast<u32*>(objects[slot]) == (n << 8 | slot));
                    mm::kfree(objects[slot]);
                }
                objects[slot] = mm::kmalloc(size);
                if (objects[slot] != nullptr) *static_cast<u32*>(objects[slot]) = n << 8 | slot;
            } else {
                if (frames[slot] != nullptr) {
                    KERNEL_CHECK(*reinterpret_cast<u32*>(mm::bytes_of(*frames[slot])) == (n << 8 | slot));
                    frames[slot]->unref();
                }
                frames[slot] = mm::allocate_frames(random >> 20 & 3, mm::Zero::No).value_or(nullptr);
                if (frames[slot] != nullptr) *reinterpret_cast<u32*>(mm::bytes_of(*frames[slot])) = n << 8 | slot;
            }
        }
        for (void* object : objects) mm::kfree(object);
        for (mm::Frame* frame : frames)
            if (frame != nullptr) frame->unref();
    });
    crew.run(core::cpu_count() * 2);
    // Slabs may keep frames for next time, so this is a bound on leaks, not an equality.
    KERNEL_CHECK(mm::frame_counts().free + 256 + core::cpu_count() * 64 >= frames_before);
}

KERNEL_TEST(affinity_is_obeyed) {
    Crew crew([](u32 n) {
        const CpuMask online = core::online_cpus();
        for (u32 i = 0; i < 50; ++i) {
            u32 index = (n + i) % online.count();
            CpuId target{0};
            online.for_each([&](CpuId cpu) {
                if (index-- == 0) target = cpu;
            });
            KERNEL_CHECK(sched::set_affinity(sched::current(), CpuMask::of(target)).has_value());
            core::PreemptGuard guard;
            KERNEL_CHECK(core::this_cpu() == target);
        }
    });
    crew.run(core::cpu_count() * 2);
}

}  // namespace hd::test
