// SPDX-License-Identifier: MIT
// Who waits for which futex: the hash buckets. Each is a wait queue whose nodes are FutexWaiters; those of one futex stand among those
// of others with the same hash. What is known of a futex is its waiters; with none, nothing is.
#pragma once
#include "kernel/ipc/futex.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

// On the waiter's stack. Guarded by the lock of the bucket that it is in.
class FutexWaiter : public sync::WaitNode {
public:
    mm::MemoryIdentity where;
    u32 bits = 0;
    bool movable = false;  // it waits to be moved to a lock with priority inheritance (pi_futex.cpp), for nothing else
};

// EINVAL: not aligned; EFAULT: no user memory (Shared: nothing is mapped there, or without rights). kNoError: `where` is what it is.
inline Errno identify(FutexWord word, mm::MemoryIdentity& where) {
    if (word.address % sizeof(u32) != 0) return Errno::kEINVAL;
    if (!mm::is_user_range(word.address, sizeof(u32))) return Errno::kEFAULT;
    mm::AddressSpace& space = *task::current_process().space;
    where = {&space, word.address};
    if (word.scope == FutexScope::Private) [[likely]]
        return kNoError;
    const auto shared = space.identify(VirtAddr{word.address});
    if (shared) where = *shared;
    return shared ? kNoError : shared.error();
}
inline Result<mm::MemoryIdentity> identify(FutexWord word) {
    mm::MemoryIdentity where;
    const Errno error = identify(word, where);
    return error == kNoError ? Result<mm::MemoryIdentity>(where) : fail(error);
}
sync::WaitQueue& bucket_of(const mm::MemoryIdentity& where);

// Enters the bucket of `waiter.where` if the word is as expected. kNoError, EAGAIN, EFAULT.
Errno enter_if(FutexWaiter& waiter, FutexWord word, u32 expected);

// wake_locked() with the bucket's lock, unless the bucket is seen to be empty.
Result<u32> wake(const mm::MemoryIdentity& where, u32 most, u32 bits);
// Wakes up to `most` waiters of the futex whose bits have one in common with `bits`; how many. EINVAL: one of them waits for
// something else (`movable`).
Result<u32> wake_locked(sync::WaitQueue& bucket, const mm::MemoryIdentity& where, u32 most, u32 bits)
    REQUIRES(bucket.lock());
// Up to `most` waiters of one futex become waiters of another, in the same bucket or not; how many. Both are locked. EINVAL.
Result<u32> move_locked(sync::WaitQueue& bucket, const mm::MemoryIdentity& where, sync::WaitQueue& other,
                        const mm::MemoryIdentity& there, u32 most) REQUIRES(bucket.lock(), other.lock());

// FUTEX_REQUEUE and FUTEX_CMP_REQUEUE: wakes some waiters of `from`, whose word is at that address, and moves some of the others to `to`;
// how many. With `expected`, EAGAIN: the word is another. EFAULT, EINVAL.
Result<u32> requeue(const mm::MemoryIdentity& from, u64 address, const mm::MemoryIdentity& to, u32 wake, u32 move,
                    std::optional<u32> expected);

}  // namespace hd::ipc
