// SPDX-License-Identifier: MIT
// A crew of kernel threads for in-kernel tests: each runs the same function with its number; run() returns when all have ended.
#pragma once
#include <atomic>

#include "kernel/core/ktest.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/sync/semaphore.hpp"

namespace hd::test {

template <class Function> class Crew {
public:
    explicit Crew(Function function) : function_(function) {}

    // `size` threads; `pinned`: thread n may run on the nth online CPU only (modulo their number).
    void run(u32 size, bool pinned = false) {
        u32 started = 0;
        for (u32 n = 0; n < size; ++n) {
            const CpuMask where = pinned ? nth_cpu(n) : CpuMask::all();
            const auto thread = sched::spawn_kernel_thread("crew", &Crew::body, this, where);
            KERNEL_CHECK(thread.has_value());
            if (thread) ++started;
        }
        for (; started > 0; --started) done_.acquire();
    }

private:
    static CpuMask nth_cpu(u32 n) {
        const CpuMask online = core::online_cpus();
        CpuMask found = online;
        u32 i = n % online.count();
        online.for_each([&](CpuId cpu) {
            if (i-- == 0) found = CpuMask::of(cpu);
        });
        return found;
    }
    static void body(void* argument) {
        Crew& crew = *static_cast<Crew*>(argument);
        crew.function_(crew.next_.fetch_add(1));
        crew.done_.release();
    }

    Function function_;
    std::atomic<u32> next_{0};
    sync::Semaphore done_{0};
};

}  // namespace hd::test
