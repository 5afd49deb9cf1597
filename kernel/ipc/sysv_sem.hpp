// SPDX-License-Identifier: MIT
// System V semaphores (semop(2), semctl(2)). A call names several operations of one set, and all of them happen or none.
//
// Who has to wait stands in the set's queue with its operations. Whoever changes the set looks through the queue and carries out
// what has become possible, on the waiters' behalf: a waiter that is woken owns its result. A small request may so pass an
// earlier one that wants more (as on Linux).
//
// SEM_UNDO: the process has a record for the set that adds up the opposite of what it did; at its end, the record is applied. A record
// belongs to the process's list (its undo_lock) and to the set's list (the set's lock), and lives until the process ends or
// the set is removed.
//
// Locking: a set's `lock` (rank SysvObject), after a process's undo_lock (rank SysvUndo). Waiting: the queue is a list of records on
// the waiters' stacks, guarded by the set's lock. Who is served waits until the waker has let go of the record.
#pragma once
#include <boost/intrusive/list.hpp>
#include <memory>
#include <span>

#include "kernel/ipc/sysv.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

Result<i32> sem_get(i32 key, i32 count, u32 flags);
// kNoError, EFBIG, EACCES, EAGAIN (IPC_NOWAIT, or the deadline), EIDRM, EINTR, EINVAL, ENOMEM, ERANGE. At least one operation. (A
// plain number, as packing a Result and taking it apart is a tenth of the call.)
Errno sem_operate(i32 id, std::span<const abi::SemBuf> operations, Nanoseconds deadline);
Result<i32> sem_control(i32 id, i32 number, i32 command, u64 argument);

// What a thread waits for in semop(2): which semaphore of the set, and up to `holders.size()` processes that hold units of it which
// their end would give back. `count`: how many those are, all counted. False: it does not wait there.
struct SemaphoreWait {
    u16 number = 0;
    u32 count = 0;
};
bool find_semaphore_wait(i32 id, const sched::Entity& thread, SemaphoreWait& wait, std::span<i32> holders);

void init_semaphores();  // boot

}  // namespace hd::ipc
