// SPDX-License-Identifier: MIT
// Contract: the few words of per-CPU state that entry code and every kernel path touch. Each CPU has one CpuLocal; the
// architecture finds it in one instruction (x86-64: the GS base points to it) and reads or changes single members in
// one instruction, so that these accesses are right even while preemption is on.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

// Members are touched by their own CPU only, except `id`, which never changes. A cache line each.
struct alignas(64) CpuLocal {
    CpuLocal* self = nullptr;
    void* current = nullptr;     // the running sched::Entity
    u32 preempt_count = 0;       // the context ladder: see kernel/core/context.hpp
    u32 need_resched = 0;        // not 0: reschedule at the next point where preemption is allowed
    u64 kernel_stack_top = 0;    // where entry from user mode starts pushing
    u64 user_stack_scratch = 0;  // holds the user's stack pointer for the first instructions of a system call
    u64 percpu_offset = 0;       // this CPU's copy of the per-CPU section, relative to the section itself
    CpuId id{};
    u32 sleeping_rank =
        0;  // the rank of the innermost sleeping lock of the running thread (kernel/core/held_locks.hpp)
};

// The entry code reads a u32 at this place of what `current` points to: not 0 means work before the return to user
// mode.
inline constexpr usize kEntityUserWorkOffset = 0;

}  // namespace hd::arch

// Gives: CpuLocal& cpu_local();
//        template <auto Member> T local_load();           one instruction each
//        template <auto Member> void local_store(T);
//        template <auto Member> void local_add(T);
//        template <auto Member> bool local_sub_is_zero(T);  subtracts; is the result 0?
#include <arch_impl/cpu_local.hpp>
