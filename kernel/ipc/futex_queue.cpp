// SPDX-License-Identifier: MIT
// See futex_queue.hpp.
#include "kernel/ipc/futex_queue.hpp"

#include <algorithm>

#include "kernel/abi/futex.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

namespace {

// Each on a cache line of its own: two futexes that are used at once do not slow each other down.
struct alignas(64) Bucket {
    sync::WaitQueue queue;
};
constinit Bucket g_buckets[256];

}  // namespace

sync::WaitQueue& bucket_of(const mm::MemoryIdentity& where) {
    const u64 mixed = (reinterpret_cast<u64>(where.object) ^ where.offset) * 0x9e37'79b9'7f4a'7c15;
    return g_buckets[mixed >> 56].queue;
}

Errno enter_if(FutexWaiter& waiter, FutexWord word, u32 expected) {
    sync::WaitQueue& bucket = bucket_of(waiter.where);
    for (;;) {
        {
            core::LockGuard guard(bucket.lock());
            bucket.announce_locked(waiter);
            const std::optional<u32> seen = mm::try_load_user_word(word.address);
            if (seen && *seen == expected) return kNoError;
            bucket.take_off_locked(waiter);
            if (seen) return Errno::kEAGAIN;
        }
        if (const auto there = mm::load_user_word(word.address); !there) return there.error();
    }
}

Result<u32> wake(const mm::MemoryIdentity& where, u32 most, u32 bits) {
    sync::WaitQueue& bucket = bucket_of(where);
    if (!bucket.someone_waits()) return 0;
    core::LockGuard guard(bucket.lock());
    return wake_locked(bucket, where, most, bits);
}

Result<u32> wake_locked(sync::WaitQueue& bucket, const mm::MemoryIdentity& where, u32 most, u32 bits) {
    u32 woken = 0;
    most = static_cast<u32>(std::max(static_cast<i32>(most), 1));  // Linux: at least one

    for (sync::WaitNode *node = bucket.first_locked(), *next; node != nullptr && woken < most; node = next) {
        next = bucket.next_locked(*node);
        const auto& waiter = static_cast<const FutexWaiter&>(*node);
        if (!(waiter.where == where)) continue;
        if (waiter.movable) return fail(Errno::kEINVAL);
        if ((waiter.bits & bits) == 0) continue;
        bucket.wake_locked(*node);
        ++woken;
    }
    return woken;
}

Result<u32> move_locked(sync::WaitQueue& bucket, const mm::MemoryIdentity& where, sync::WaitQueue& other,
                        const mm::MemoryIdentity& there, u32 most) {
    u32 moved = 0;
    for (sync::WaitNode *node = bucket.first_locked(), *next; node != nullptr && moved < most; node = next) {
        next = bucket.next_locked(*node);
        auto& waiter = static_cast<FutexWaiter&>(*node);
        if (!(waiter.where == where)) continue;
        if (waiter.movable) return fail(Errno::kEINVAL);
        waiter.where = there;
        if (&other != &bucket) bucket.move_locked(waiter, other);
        ++moved;
    }
    return moved;
}

// Both buckets are locked from the look at the word to the end: whoever changes the word and then wakes comes before all of it or after
// it, and finds each waiter in one of the two buckets.
Result<u32> requeue(const mm::MemoryIdentity& from, u64 address, const mm::MemoryIdentity& to, u32 wake, u32 move,
                    std::optional<u32> expected) {
    sync::WaitQueue& bucket = bucket_of(from);
    sync::WaitQueue& other = bucket_of(to);
    for (;;) {
        {
            sync::WaitQueuePairGuard guard(bucket, other);
            const std::optional<u32> seen = expected ? mm::try_load_user_word(address) : u32{0};
            if (seen) {
                if (expected && *seen != *expected) return fail(Errno::kEAGAIN);
                u32 woken = 0;
                if (wake != 0) woken = TRY(wake_locked(bucket, from, wake, abi::kFUTEX_BITSET_MATCH_ANY));
                return woken + TRY(move_locked(bucket, from, other, to, move));
            }
        }
        TRY(mm::load_user_word(address));
    }
}

}  // namespace hd::ipc
