// SPDX-License-Identifier: MIT
// What a sleeping thread waits for, and whose act would end that. Nothing is noted down when a thread goes to sleep, so waits cost
// nothing more; it is read off afterwards, from the system call that the thread is in:
//
//     futex, FUTEX_WAIT       a mutex of glibc or musl, if the word and its surroundings look like a locked one: the owner's thread
//                             id stands there. Or a join: the word is the one that the kernel clears when that thread ends
//     futex, FUTEX_LOCK_PI    the owner, whom the kernel knows
//     semop, semtimedop       the processes that hold units of the semaphore which their end would give back (SEM_UNDO)
//     fcntl, F_SETLKW         the process that holds the record lock
//     read, write of a pipe   the processes that have the other end open
//     wait4, waitid           the children
//
// Everything else may end by itself, as may each of these with a time limit, or of a process that has set a timer. What is read
// means nothing if the thread goes on meanwhile: lasts() tells.
#pragma once
#include "kernel/fs/vfs/file.hpp"
#include "kernel/ipc/deadlock/graph.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

enum class WaitKind : u8 {
    None,  // it does not sleep
    Other,
    Futex,  // of unknown owner
    Mutex,
    PriorityMutex,
    Join,
    Semaphore,
    RecordLock,
    PipeInput,
    PipeRoom,
    Child
};

struct ThreadWait : GraphNode, mm::CachedBy<ThreadWait> {
    static constexpr const char* kCacheName = "thread_wait";

    explicit ThreadWait(
        task::Thread& whose);  // as it is now; task context, takes locks up to a process's table, may sleep

    RefPtr<task::Thread> who;
    WaitKind kind = WaitKind::None;
    u64 sleep = 0;         // which of the thread's sleeps
    u64 object = 0;        // the word's address, the semaphore set's id, the descriptor
    u32 part = 0;          // the semaphore's number in its set
    fs::InodeRef pipe;     // PipeInput, PipeRoom; its providers come with find_pipe_providers()
    bool may_end = false;  // by itself, or by somebody who is not among the providers

    // Is the thread still at the same wait?
    bool lasts() const;
    // Nothing but its providers ends it, as far as can be known.
    bool depends() const { return !may_end && provider_count != 0; }
};
using WaitList = WaitGraph::List;

// Adds the processes at the other ends of the pipes that some of them wait for, in one round over all descriptors. Task context.
void find_pipe_providers(WaitList& waits);

// "a mutex (0x4c5310)", "semaphore 0 of set 32768" …
void describe_object(TextSink& sink, const ThreadWait& wait);
// "waits for a mutex (0x4c5310), held by thread 12"
void describe_wait(TextSink& sink, const ThreadWait& wait);
// A line for each thread of the process: /proc/PID/waits.
void describe_waits(TextSink& sink, task::Process& process);

}  // namespace hd::ipc
