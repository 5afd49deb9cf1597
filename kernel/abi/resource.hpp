// SPDX-License-Identifier: MIT
// Linux's resource limits, resource usage and wait(2) options (getrlimit(2), getrusage(2), wait(2); asm-generic/resource.h).
#pragma once
#include "kernel/abi/time.hpp"
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kRLIMIT_CPU = 0, kRLIMIT_FSIZE = 1, kRLIMIT_DATA = 2, kRLIMIT_STACK = 3, kRLIMIT_CORE = 4,
                     kRLIMIT_RSS = 5, kRLIMIT_NPROC = 6, kRLIMIT_NOFILE = 7, kRLIMIT_MEMLOCK = 8, kRLIMIT_AS = 9,
                     kRLIMIT_LOCKS = 10, kRLIMIT_SIGPENDING = 11, kRLIMIT_MSGQUEUE = 12, kRLIMIT_NICE = 13,
                     kRLIMIT_RTPRIO = 14, kRLIMIT_RTTIME = 15, kRLimitCount = 16;
inline constexpr u64 kRLIM_INFINITY = ~u64{0};

struct RLimit {
    u64 rlim_cur = kRLIM_INFINITY;
    u64 rlim_max = kRLIM_INFINITY;
};

inline constexpr i32 kRUSAGE_SELF = 0, kRUSAGE_CHILDREN = -1, kRUSAGE_THREAD = 1;
inline constexpr i32 kPRIO_PROCESS = 0, kPRIO_PGRP = 1, kPRIO_USER = 2;

struct RUsage {
    Timeval ru_utime, ru_stime;
    i64 ru_maxrss = 0;  // KiB
    i64 ru_ixrss = 0, ru_idrss = 0, ru_isrss = 0;
    i64 ru_minflt = 0, ru_majflt = 0, ru_nswap = 0;
    i64 ru_inblock = 0, ru_oublock = 0;
    i64 ru_msgsnd = 0, ru_msgrcv = 0, ru_nsignals = 0;
    i64 ru_nvcsw = 0, ru_nivcsw = 0;
};
static_assert(sizeof(RUsage) == 144);

inline constexpr u32 kWNOHANG = 1, kWUNTRACED = 2, kWSTOPPED = 2, kWEXITED = 4, kWCONTINUED = 8, kWNOWAIT = 0x0100'0000,
                     k__WNOTHREAD = 0x2000'0000, k__WALL = 0x4000'0000, k__WCLONE = 0x8000'0000;
inline constexpr i32 kP_ALL = 0, kP_PID = 1, kP_PGID = 2, kP_PIDFD = 3;

}  // namespace hd::abi
