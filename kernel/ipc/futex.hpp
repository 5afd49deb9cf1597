// SPDX-License-Identifier: MIT
// Futexes: sleeping on a word of user memory (futex(2)). The kernel knows a futex only while somebody waits on it: a waiter stands in
// a hash bucket under the identity of the memory, and looks at the word once more after it has entered.
//
//        waiter                                      waker, after it has changed the word
//        enter the bucket (its lock)                 look into the bucket (its lock)
//        load the word: changed? then leave          wake who is there
//        sleep until woken
//
// Whoever of the two comes to the bucket first decides: either the waker finds the waiter, or the waiter entered after the
// waker looked, so it loads the word after the change, and does not sleep. The word is loaded without the lock, because
// the load may fault.
//
// Context: task. Locks: a bucket's Spinlock (rank Futex).
#pragma once
#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::ipc {

enum class FutexScope : u8 { Private, Shared };  // Shared: other address spaces may map the same memory

// Sleeps if the word is `expected`, until a wake with a bit of `bits` comes. EAGAIN: the word differs; ETIMEDOUT; EFAULT;
// EINVAL: not aligned, or no bits; kERESTARTSYS: a signal. `deadline` is of the monotonic clock.
Result<> futex_wait(u64 address, FutexScope scope, u32 expected, u32 bits, Nanoseconds deadline);
// Wakes up to `most` waiters, the longest waiting first. Returns how many.
Result<u32> futex_wake(u64 address, FutexScope scope, u32 most, u32 bits);

void init_futexes();

}  // namespace hd::ipc
