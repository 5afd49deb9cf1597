// SPDX-License-Identifier: MIT
// Futexes with priority inheritance (futex(2), "Priority-inheritance futexes"). The word holds its owner's thread id, or 0: a free lock
// is taken and given up in user mode. The kernel comes in when somebody has to wait; then it marks the word FUTEX_WAITERS, so
// that the owner's unlock comes here as well, and knows of the lock as long as somebody waits for it:
//
//     PiFutex ──owner──► Thread A ──pi_waiter──► PiWaiter ──futex──► PiFutex ──owner──► Thread B        A waits for B
//        ▲                                          (A's place)         ▲
//        └─futex── PiWaiter (C, priority 70)                            └─futex── PiWaiter (D, priority 30)
//
// The rule: a thread runs with the highest of its own real-time priority and those of all who wait for locks that it owns. C
// lends its 70 to A, and since A waits itself, at its place for B, to B as well. Whatever changes at one place is carried on
// along the chain (settle_chain()). The chain never closes: whoever would close it is refused with EDEADLK before it waits,
// so following it ends.
//
// A lock is handed over: unlocking gives it to the waiter of highest priority, who has waited longest among equals, and writes
// the new owner into the word; nobody can come in between. An owner that ends cannot write the word of a lock that another
// process waits for (it does not know its address), so there the new owner does, before it returns to user mode; until then
// the PiFutex is `unsettled` and kept.
//
// Locking: one spinlock, g_pi_lock (rank Futex), guards all of this: a chain leads through any number of locks. It is taken
// only where a thread has to wait or was waited for, which costs a context switch anyway, and when a thread ends. The word is
// read and changed with the lock held; if that would fault, the lock is dropped, the page fetched, and all begins again.
// Context: task.
#pragma once
#include "kernel/ipc/futex.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/task/thread.hpp"

namespace hd::ipc {

// FUTEX_LOCK_PI, FUTEX_LOCK_PI2. EDEADLK; ESRCH: the word names a thread that is no more; EINVAL: the word and what the kernel
// knows differ; ENOMEM; EFAULT; ETIMEDOUT; kERESTARTNOINTR: a signal.
Result<> pi_lock(FutexWord word, Nanoseconds deadline);
// FUTEX_TRYLOCK_PI. EAGAIN: it is locked; and as above.
Result<> pi_try_lock(FutexWord word);
// FUTEX_UNLOCK_PI. EPERM: the word does not name the caller; EINVAL, EFAULT.
Result<> pi_unlock(FutexWord word);

// FUTEX_WAIT_REQUEUE_PI: waits on `word` until somebody moves the caller to the lock `target`, and then until it owns that. EAGAIN: the
// word differs, or a signal came after the move; ETIMEDOUT; EINVAL, EFAULT; kERESTARTNOINTR.
Result<> futex_wait_requeue_pi(FutexWord word, u32 expected, u32 bits, Nanoseconds deadline, FutexWord target);
// FUTEX_CMP_REQUEUE_PI: moves one waiter of `from`, who gets the lock `to` if it is free, and up to `move` more. Returns how many that
// were. EAGAIN: `from` is not as expected; EINVAL: somebody waits there for something else; and as pi_lock().
Result<u32> futex_requeue_pi(FutexWord from, FutexWord to, u32 move, u32 expected);

// Does somebody wait for it as a lock with priority inheritance? Then it is nothing else.
bool is_pi_futex(const mm::MemoryIdentity& where);
// A thread ends, or executes another program: its locks go to their next owners. For good: nobody may wait for it any more.
void leave_pi_futexes(task::Thread& self, bool for_good);
// Who owns the lock that the thread waits for; 0: it waits for none.
i32 pi_owner(const task::Thread& waiter);
// Ends the thread's pi_lock() with EDEADLK, if it is still waiting there.
void refuse_pi_wait(task::Thread& waiter);
// The thread's own priority was changed: so does its place where it waits, and what it lends.
void pi_priority_changed(task::Thread& thread);

}  // namespace hd::ipc
