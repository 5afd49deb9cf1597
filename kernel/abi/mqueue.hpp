// SPDX-License-Identifier: MIT
// POSIX message queues and sigevent (linux/mqueue.h, asm-generic/siginfo.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

struct MqAttr {
    i64 flags, maxmsg, msgsize, curmsgs;
    i64 reserved[4];
};
static_assert(sizeof(MqAttr) == 64);

inline constexpr u32 kMQ_PRIO_MAX = 32768;

inline constexpr i32 kSIGEV_SIGNAL = 0, kSIGEV_NONE = 1, kSIGEV_THREAD = 2, kSIGEV_THREAD_ID = 4;

struct Sigevent {
    u64 value;
    i32 signo, notify;
    i32 thread_id;  // with SIGEV_THREAD_ID
    i32 padding[11];
};
static_assert(sizeof(Sigevent) == 64);

}  // namespace hd::abi
