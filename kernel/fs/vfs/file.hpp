// SPDX-License-Identifier: MIT
// File: an open file description (open(2)) - what descriptors refer to, shared by dup(2) and fork(2). Pipes, terminals and
// devices derive from it.
//
// Locking: `position_lock` (sleeping, rank FilePosition) around read, write and seek that use the shared offset.
#pragma once
#include "kernel/abi/fcntl.hpp"
#include "kernel/abi/poll.hpp"
#include "kernel/fs/vfs/dentry.hpp"
#include "kernel/fs/vfs/io_buffer.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/sync/wait_queue.hpp"

namespace hd::fs {

// How poll, select and (later) epoll learn that a file may have become ready: the file adds its wait queues.
class PollTable {
public:
    // The queue lasts as long as the file, unless `lasting` is false: then as long as the current thread waits here.
    virtual void add(sync::WaitQueue& queue) = 0;
    // Goes on watching after the call (epoll).
    virtual bool lasting() const { return false; }

protected:
    ~PollTable() = default;
};

struct Watch;
extern void (*g_forget_watchers)(File& file);  // set by kernel/ipc/epoll

class File : public RefCounted<File> {
public:
    File(InodeRef inode, DentryRef dentry, u32 flags);
    virtual ~File();

    const InodeRef inode;
    const DentryRef dentry;  // may be null: a pipe
    // O_ACCMODE, O_APPEND, O_NONBLOCK, O_PATH …; fcntl(F_SETFL) changes some. Relaxed: each access is about one bit.
    std::atomic<u32> flags;
    bool counted_as_writer = false;  // set by open(2): FileUse::Written ends with this file
    sync::Mutex position_lock{core::Rank::FilePosition};
    u64 position GUARDED_BY(position_lock) = 0;

    u32 status_flags() const { return flags.load(std::memory_order_relaxed); }
    bool path_only() const { return (status_flags() & abi::kO_PATH) != 0; }
    bool readable() const { return (status_flags() & (abi::kO_WRONLY | abi::kO_PATH)) == 0; }
    bool writable() const {
        return (status_flags() & abi::kO_ACCMODE) - 1 < 2 && !path_only();  // O_WRONLY or O_RDWR
    }
    bool nonblocking() const { return (status_flags() & abi::kO_NONBLOCK) != 0; }

    // At `offset` (pread, pwrite; for seekable files) - read() and write() of the shared position are built on these. Return
    // the bytes moved. EAGAIN with O_NONBLOCK, kERESTARTSYS when a signal came before anything was moved. The caller has
    // checked readable() or writable().
    virtual Result<u64> read_at(IoBuffer& buffer, u64 offset);
    virtual Result<u64> write_at(IoBuffer& buffer, u64 offset, bool append);  // append: at the end instead
    virtual bool seekable() const { return true; }                            // false: ESPIPE, and offset is not used
    virtual Result<u64> seek(i64 offset, int whence);
    virtual Result<u64> ioctl(u32 request, u64 argument);  // ENOTTY but for FIONREAD of regular files
    // What is possible now, in poll(2)'s bits; registers with `table` if it is not null.
    virtual u32 poll(PollTable* table);
    // The current process closes a descriptor of it, perhaps not the last one. No lock is held.
    virtual void on_close() {}
    // Does waiting for it make sense? Not for regular files and directories, which are always ready (epoll_ctl(2), EPERM).
    virtual bool can_be_waited_for() const { return false; }
    // Is it of a class that the caller knows by its tag? For system calls that want an epoll, an eventfd, a socket …
    virtual const void* type_tag() const { return nullptr; }
    // poll(), with the bits that are always set together.
    u32 ready_events(PollTable* table) {
        const u32 state = poll(table);
        return state | ((state & abi::kPOLLIN) != 0 ? abi::kPOLLRDNORM : 0) |
               ((state & abi::kPOLLOUT) != 0 ? abi::kPOLLWRNORM : 0);
    }
    // What mmap(2) maps: this file; nullptr for anonymous memory (/dev/zero). ENODEV.
    virtual Result<mm::PageSource*> map_source();

    // Epolls that watch it (kernel/ipc/epoll.cpp, which also says what guards them); told before the file goes.
    std::atomic<Watch*> watchers{nullptr};
    void last_reference() {
        if (watchers.load(std::memory_order_acquire) != nullptr) [[unlikely]]
            g_forget_watchers(*this);
        delete this;
    }

    // read(2), write(2), getdents64(2). EBADF; ENOTDIR, EINVAL (not even one entry fits).
    Result<u64> read(IoBuffer& buffer);
    Result<u64> write(IoBuffer& buffer);
    Result<u64> read_entries(IoBuffer& buffer);
};

// The file as a T, or nullptr if it is none.
template <class T> T* file_cast(File& file) { return file.type_tag() == &T::kTag ? static_cast<T*>(&file) : nullptr; }

// The inode's bytes from `offset` on: fewer than asked at its end. ENODEV: it has no pages, like a device.
Result<u64> read_pages(Inode& inode, IoBuffer& buffer, u64 offset);

// For files whose contents are made when they are read: the errors of lseek(2) over `position`, for an end at `size`.
Result<u64> seek_target(u64 position, u64 size, i64 offset, int whence);

}  // namespace hd::fs
