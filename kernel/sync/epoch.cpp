// SPDX-License-Identifier: MIT
// See epoch.hpp.
#include "kernel/sync/epoch.hpp"

#include "kernel/core/call_function.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/sync/wait_queue.hpp"

namespace hd::sync {

namespace {

// In the interrupt: was this CPU in a section? Its count is that of what was interrupted, and the interrupt's own.
void look(void* outside) {
    if (core::preempt_count() == core::kInterruptUnit || sched::this_cpu_polls())
        static_cast<std::atomic<u64>*>(outside)->fetch_or(CpuMask::of(core::this_cpu()).bits(),
                                                          std::memory_order_acq_rel);
}

CpuMask without_this_cpu(CpuMask cpus) {
    const core::PreemptGuard guard;
    return cpus.without(core::this_cpu());
}

void pause_briefly() {
    constexpr Nanoseconds kPause{50'000};
    const auto never = [](const void*) { return false; };
    (void)sleep_on(never, nullptr, sched::SleepKind::Uninterruptible, "epoch", time::now() + kPause);
}

}  // namespace

void wait_for_readers() {
    core::assert_may_sleep();
    for (CpuMask inside = core::online_cpus();;) {
        // This CPU runs the caller, who is in no section; so none is open here now. That is so in each round, and the caller may be on
        // another CPU in each: on one that it has waited for.
        inside = without_this_cpu(inside);
        if (inside.empty()) return;
        std::atomic<u64> outside{0};
        core::call_on(inside, look, &outside);
        inside = inside.without(CpuMask(outside.load(std::memory_order_acquire)));
        if (!inside.empty()) pause_briefly();
    }
}

}  // namespace hd::sync
