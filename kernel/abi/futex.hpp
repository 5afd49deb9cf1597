// SPDX-License-Identifier: MIT
// futex(2), futex_waitv(2), set_robust_list(2): operations, flags and structures (linux/futex.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kFUTEX_WAIT = 0, kFUTEX_WAKE = 1, kFUTEX_REQUEUE = 3, kFUTEX_CMP_REQUEUE = 4, kFUTEX_WAKE_OP = 5,
                     kFUTEX_LOCK_PI = 6, kFUTEX_UNLOCK_PI = 7, kFUTEX_TRYLOCK_PI = 8, kFUTEX_WAIT_BITSET = 9,
                     kFUTEX_WAKE_BITSET = 10, kFUTEX_WAIT_REQUEUE_PI = 11, kFUTEX_CMP_REQUEUE_PI = 12,
                     kFUTEX_LOCK_PI2 = 13;
inline constexpr u32 kFUTEX_PRIVATE_FLAG = 128, kFUTEX_CLOCK_REALTIME = 256;
inline constexpr u32 kFUTEX_BITSET_MATCH_ANY = ~u32{0};

// In a word that has an owner: its thread id and two marks.
inline constexpr u32 kFUTEX_TID_MASK = 0x3fff'ffff, kFUTEX_OWNER_DIED = 0x4000'0000, kFUTEX_WAITERS = 0x8000'0000;

// FUTEX_WAKE_OP's fourth argument, from the top: 4 bits of operation, 4 of comparison, 12 of each one's operand.
inline constexpr u32 kFUTEX_OP_SET = 0, kFUTEX_OP_ADD = 1, kFUTEX_OP_OR = 2, kFUTEX_OP_ANDN = 3, kFUTEX_OP_XOR = 4;
inline constexpr u32 kFUTEX_OP_ARG_SHIFT = 8;  // with the operation: 1 << operand instead of the operand
inline constexpr u32 kFUTEX_OP_CMP_EQ = 0, kFUTEX_OP_CMP_NE = 1, kFUTEX_OP_CMP_LT = 2, kFUTEX_OP_CMP_LE = 3,
                     kFUTEX_OP_CMP_GT = 4, kFUTEX_OP_CMP_GE = 5;

struct FutexWaitv {
    u64 value;
    u64 address;
    u32 flags;
    u32 reserved;
};
inline constexpr u32 kFUTEX_32 = 2, kFUTEX_WAITV_MAX = 128;  // of FutexWaitv::flags, beside kFUTEX_PRIVATE_FLAG

// A chain through user memory: each `next` points to the next one's `next`, the last to the head. Bit 0 of a pointer: that
// futex has priority inheritance.
struct RobustListHead {
    u64 next;
    i64 futex_offset;  // from an entry to its futex
    u64 pending;       // an entry that is being put in or taken out
};
inline constexpr u32 kROBUST_LIST_LIMIT = 2048;

}  // namespace hd::abi
