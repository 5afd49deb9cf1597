// SPDX-License-Identifier: MIT
// The order of all locks: this list is the kernel's lock order. A CPU (spinlocks) or thread (sleeping locks) may take a
// lock only if its rank is greater than that of every lock it holds; so no two can wait for each other in a circle.
// Two of the same rank only in pairs ordered by address (sync::MutexPairGuard), or where the second cannot be contended, which is
// then said there. docs/lock-order.md tells the reasons.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::core {

enum class Rank : u8 {
    None,  // no lock: what is below the outermost one
    // Sleeping locks. Taken in task context only, before any spinlock.
    ProcessTimers,     // a process's timers: what is set
    EpollGraph,        // which epoll watches which, and the ends of watched files
    Epoll,             // what an epoll watches
    FilePosition,      // an open file's offset; held while the file or directory is read
    FileSystemRename,  // two directories change at once
    Directory,         // a directory's entries
    Inode,             // a file's contents and size
    Pipe,              // a pipe's buffer
    SocketReceive,     // one receiver at a time
    Terminal,          // a terminal's line discipline: reading side
    AddressSpace,      // the set of a process's mappings
    // From here on spinlocks that interrupt handlers never take.
    ProcessTree,    // parents, children, groups, sessions, the pid table
    FileTable,      // a process's descriptors
    FsContext,      // root, working directory, umask
    SysvUndo,       // what a process's end does to System V semaphores
    SysvTable,      // the System V objects of one kind
    SysvObject,     // one of them
    Mounts,         // mount table
    Dentry,         // name cache
    PageCache,      // an inode's page tree
    PageTable,      // entries of one last-level page table
    Watchers,       // the epolls that watch a file
    SocketNames,    // who is bound to which address
    Socket,         // a socket's state, a listener's queue
    SocketChannel,  // what is on its way to a socket
    FileLocks,      // advisory locks on one file
    FileLockWaits,  // who waits for whose locks
    OpenFile,       // the state of an eventfd
    Futex,          // who waits for which lock with priority inheritance
    KernelThreads,  // the list of the kernel's own threads
    VmapArea,       // kernel address ranges
    // Not a lock, but it stands where one would: a handler runs inside whatever it interrupts, and what it takes is taken inside it.
    Interrupt,
    // Spinlocks taken with interrupts off, as interrupt handlers take them too.
    Signal,          // a process's pending signals and handlers
    TerminalInput,   // characters on their way from the interrupt handler to the line discipline
    Device,          // a device's registers
    Expiry,          // how often a timer went off
    WaitQueue,       // the waiters of one condition
    Timer,           // a CPU's timer queue
    RunQueue,        // a CPU's runnable threads
    CallFunction,    // a CPU's queue of functions to call
    SlabDepot,       // a slab cache's partly used slabs
    FrameAllocator,  // the buddy allocator
    Log,             // the log's ring: everybody logs
    Console,         // a console's queue and registers: the log writes to it, and it does not log
    kCount
};

const char* rank_name(Rank rank);

// The three groups; the constructors of the locks check that a rank is of theirs.
constexpr bool is_sleeping(Rank rank) { return rank < Rank::ProcessTree; }
constexpr bool is_spin(Rank rank) { return !is_sleeping(rank) && rank < Rank::Interrupt; }
constexpr bool is_irq_spin(Rank rank) { return rank > Rank::Interrupt; }

}  // namespace hd::core
