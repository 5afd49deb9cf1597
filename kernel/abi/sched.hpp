// SPDX-License-Identifier: MIT
// clone(2)'s flags and the scheduling calls' numbers and structures (linux/sched.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u64 kCSIGNAL = 0xff, kCLONE_VM = 0x100, kCLONE_FS = 0x200, kCLONE_FILES = 0x400,
                     kCLONE_SIGHAND = 0x800, kCLONE_PIDFD = 0x1000, kCLONE_VFORK = 0x4000, kCLONE_THREAD = 0x10000,
                     kCLONE_SYSVSEM = 0x40000, kCLONE_SETTLS = 0x80000, kCLONE_PARENT_SETTID = 0x100000,
                     kCLONE_CHILD_CLEARTID = 0x200000, kCLONE_DETACHED = 0x400000, kCLONE_UNTRACED = 0x800000,
                     kCLONE_CHILD_SETTID = 0x1000000, kCLONE_CLEAR_SIGHAND = 0x1'0000'0000;

// clone3(2).
struct CloneArgs {
    u64 flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    u64 set_tid, set_tid_size, cgroup;  // later additions; not supported
};
inline constexpr u64 kCLONE_ARGS_SIZE_VER0 = 64;

inline constexpr i32 kSCHED_OTHER = 0, kSCHED_FIFO = 1, kSCHED_RR = 2, kSCHED_BATCH = 3, kSCHED_IDLE = 5,
                     kSCHED_RESET_ON_FORK = 0x40000000;

struct SchedParam {
    i32 sched_priority = 0;
};

// sched_setattr(2). The times are SCHED_DEADLINE's, which there is not; the last two are hints.
struct SchedAttr {
    u32 size;
    u32 sched_policy;
    u64 sched_flags;
    i32 sched_nice;
    u32 sched_priority;
    u64 sched_runtime, sched_deadline, sched_period;
    u32 sched_util_min, sched_util_max;
};
static_assert(sizeof(SchedAttr) == 56);
inline constexpr u32 kSCHED_ATTR_SIZE_VER0 = 48;
inline constexpr u64 kSCHED_FLAG_RESET_ON_FORK = 1, kSCHED_FLAG_KEEP_POLICY = 8, kSCHED_FLAG_KEEP_PARAMS = 16;

}  // namespace hd::abi
