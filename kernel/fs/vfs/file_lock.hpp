// SPDX-License-Identifier: MIT
// Advisory locks on files: record locks of a process and of an open file description (fcntl(2)), and locks on the whole file
// (flock(2)). They hinder nobody but those who ask for locks.
//
//     kind     belongs to (owner)               covers         goes with
//     Record   a descriptor table: a process    bytes          any close(2) of the file by that process
//     Record   an open file description (OFD)   bytes          the last descriptor of it
//     Whole    an open file description         the file       the last descriptor of it
//
// Record locks of both owners exclude each other; Whole ones are a world of their own. One owner's locks of a file do not overlap, and
// neighbours of one type are one lock; so any of them is found and changed by walking the list once.
//
// Deadlock: a process that waits for a record lock names one owner who is in its way. Before it sleeps, and after each time it was
// woken, that chain is followed from owner to owner; if it comes back to the process, the call fails with EDEADLK (fcntl(2)).
// Owners that are open file descriptions are not looked at: anybody may hold their descriptors.
//
// Locking: a file's FileLocks::lock_ (rank FileLocks), then g_waits_lock (rank FileLockWaits), which guards who waits for whom.
// Context: task.
#pragma once
#include <boost/intrusive/list.hpp>

#include "kernel/fs/vfs/file.hpp"

namespace hd::fs {

enum class LockType : u8 { None, Shared, Exclusive };  // None: unlock

struct LockRange {
    u64 begin = 0, end = ~u64{0};  // of bytes; end inclusive, all ones: wherever the file ends
    bool overlaps(const LockRange& other) const { return begin <= other.end && other.begin <= end; }
};

struct LockOwner {
    const void* who;  // an FdTable or a File
    i32 pid;          // as F_GETLK tells it; -1: an open file description
    bool is_process() const { return pid != -1; }
};

struct FoundLock {
    LockType type;  // None: nothing is in the way
    LockRange range;
    i32 pid;
};

// fcntl(2), F_SETLK and F_OFD_SETLK; `wait`: F_SETLKW. EAGAIN, EDEADLK, ENOMEM, kERESTARTSYS.
Result<> set_record_lock(Inode& inode, LockOwner owner, LockType type, LockRange range, bool wait);
// F_GETLK.
FoundLock find_record_lock(Inode& inode, LockOwner owner, LockType type, LockRange range);
// flock(2). EAGAIN, ENOMEM, kERESTARTSYS.
Result<> set_whole_lock(File& file, LockType type, bool wait);

// The process that holds the record lock which the thread waits for; 0: it waits for none, or not for a process's.
i32 record_lock_holder(const sched::Entity& waiter);
// Ends the thread's set_record_lock() with EDEADLK, if it is still waiting there.
void refuse_record_lock(const sched::Entity& waiter);

// The owner closes the file.
void release_record_locks(Inode& inode, const void* owner);
void release_file_locks(File& file);  // those of an open file description, of both kinds

}  // namespace hd::fs
