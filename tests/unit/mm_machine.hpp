// SPDX-License-Identifier: MIT
// A simulated machine with its memory allocators freshly initialised: 64 MiB less the first two, as boot would leave
// them.
#pragma once
#include "arch/boot.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/mm/phys/frame.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/slab/vmap.hpp"
#include "tests/unit/fake_arch/machine.hpp"

namespace hd::test {

struct MmMachine {
    explicit MmMachine(u32 cpus = 1) {
        fake::reset(cpus);
        mm::early_init(arch::g_boot_info);
        mm::frames_init();
        mm::slab_init();
        mm::vmap_init();
        free_at_start_ = mm::frame_counts().free;
    }

    // Frames that are not back where they were, with every cache of every CPU emptied. What stacks and their page
    // tables hold is not lost. Call it on CPU 0; the others must be at rest.
    i64 frames_lost() const {
        for (u32 cpu = core::cpu_count(); cpu-- > 0;) {
            fake::become_cpu(CpuId{cpu});
            mm::drain_slabs();
        }
        return static_cast<i64>(free_at_start_) - static_cast<i64>(mm::frame_counts().free + mm::vmap_frames());
    }

private:
    u64 free_at_start_ = 0;
};

}  // namespace hd::test
