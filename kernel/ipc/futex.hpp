// SPDX-License-Identifier: MIT
// Futexes: sleeping on a word of user memory (futex(2)). The kernel knows a futex only while somebody waits on it: a waiter stands in
// a hash bucket, which is a wait queue, under the identity of the memory.
//
//        waiter, in one section under the bucket's lock     waker, after it has changed the word
//        W1  enter the bucket: its count goes up            K1  look at the count: 0? then nobody waits
//        W2  load the word: not as expected? then leave     K2  else take the lock, wake who is there
//        W3  sleep until taken out
//
// No wake-up is lost. If the waker takes the lock, its section comes first, and W2 sees the change, or second, and K2 finds the
// waiter. If it does not, its look at the count, a read-modify-write, came before W1's, so W2, after W1, sees what was
// written before K1: the change (WaitQueue::someone_waits()). To load the word first and enter then, though in one section,
// would lose the wake-up of a waker that looks at the count between the two.
//
// Somebody who finds another value has been in the bucket while its lock was held only, so no wake-up is spent on him.
// The word is loaded with the lock held, where a page fault cannot be served: if the load fails, the lock is dropped, the
// page fetched, and all begins again.
//
// Context of everything here: task. Locks: a bucket's (rank WaitQueue), two of them in the order of their addresses.
#pragma once
#include <optional>
#include <span>

#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::ipc {

enum class FutexScope : u8 { Private, Shared };  // Shared: other address spaces may map the same memory

struct FutexWord {
    u64 address;
    FutexScope scope;
};

// Sleeps if the word is `expected`, until a wake with a bit of `bits` comes. EAGAIN: the word differs; ETIMEDOUT; EFAULT;
// EINVAL: not aligned, or no bits; kERESTARTSYS: a signal; kNoError: it came. `deadline` is of the monotonic clock.
Errno futex_wait(FutexWord word, u32 expected, u32 bits, Nanoseconds deadline);
// futex_waitv(2): on several words at once; the index of one that was woken.
struct FutexExpectation {
    FutexWord word;
    u32 expected;
};
Result<u32> futex_wait_any(std::span<const FutexExpectation> words, Nanoseconds deadline);

// Wakes up to `most` waiters, the longest waiting first. Returns how many.
Result<u32> futex_wake(FutexWord word, u32 most, u32 bits);
// Wakes up to `wake` waiters of `from`, and lets up to `move` others wait on `to`. Returns how many both were. EAGAIN: `from` is not
// as expected.
Result<u32> futex_requeue(FutexWord from, FutexWord to, u32 wake, u32 move, std::optional<u32> expected);
// Changes `second` by `operation` (FUTEX_OP), wakes waiters of `first`, and if the old value compares, of `second`. Returns how
// many both were. ENOSYS: no such operation or comparison.
Result<u32> futex_wake_op(FutexWord first, FutexWord second, u32 wake, u32 wake_second, u32 operation);

void init_futexes();  // boot

}  // namespace hd::ipc
