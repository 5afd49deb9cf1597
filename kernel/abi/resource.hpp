// SPDX-License-Identifier: MIT
// Linux's resource limits, resource usage and wait(2) options (getrlimit(2), getrusage(2), wait(2); asm-generic/resource.h).
#pragma once
#include "kernel/abi/time.hpp"
#include "kernel/lib/types.hpp"

namespace hd::abi {

enum Resource : u32 {
    kRLIMIT_CPU,
    kRLIMIT_FSIZE,
    kRLIMIT_DATA,
    kRLIMIT_STACK,
    kRLIMIT_CORE,
    kRLIMIT_RSS,
    kRLIMIT_NPROC,
    kRLIMIT_NOFILE,
    kRLIMIT_MEMLOCK,
    kRLIMIT_AS,
    kRLIMIT_LOCKS,
    kRLIMIT_SIGPENDING,
    kRLIMIT_MSGQUEUE,
    kRLIMIT_NICE,
    kRLIMIT_RTPRIO,
    kRLIMIT_RTTIME,
    kRLimitCount
};
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
