// SPDX-License-Identifier: MIT
// A process's descriptors: an array of files with two bitmaps, used and close-on-exec; it grows by doubling.
//
// Locking: a Spinlock of rank FileTable for every change. While only one thread uses the table, that thread's get() needs no
// lock: nobody else changes the table (readers from outside, /proc/PID/fd, change nothing). clone(2) calls mark_shared()
// before a second thread can run with the table; there is no way back.
#pragma once
#include "kernel/core/spinlock.hpp"
#include "kernel/fs/vfs/file.hpp"

namespace hd::fs {

class FdTable : public RefCounted<FdTable> {
public:
    static constexpr u32 kHardLimit = 4096;  // as Linux's INR_OPEN_MAX: the default hard limit of RLIMIT_NOFILE

    static Result<RefPtr<FdTable>> create();
    Result<RefPtr<FdTable>> copy();  // fork(2)
    ~FdTable();

    void mark_shared() { shared_.store(true, std::memory_order_relaxed); }  // the new thread's start orders it

    // A reference to the file, for a thread that uses the table. EBADF: not open, or open with O_PATH only, which most
    // calls refuse.
    Result<FileRef> get(int fd) { return find(fd, abi::kO_PATH); }
    // The same with O_PATH files: for *at calls, fstat, fchdir, dup, fcntl. EBADF.
    Result<FileRef> get_any(int fd) { return find(fd, 0); }
    // For readers from outside, whatever the file was opened for. EBADF.
    Result<FileRef> get_from_outside(int fd) { return get_shared(fd, 0); }

    // The lowest free descriptor >= `from`. EMFILE at `limit` (RLIMIT_NOFILE), ENOMEM.
    Result<int> install(FileRef file, bool close_on_exec, int from, u32 limit);
    Result<> install_at(int fd, FileRef file, bool close_on_exec, u32 limit);  // dup2: closes what was there. EBADF
    Result<> close(int fd);                                                    // EBADF
    void close_range(u32 first, u32 last, bool only_set_cloexec);
    void close_on_exec();  // execve(2)
    Result<bool> cloexec(int fd);
    Result<> set_cloexec(int fd, bool on);
    // For /proc/PID/fd: the lowest open descriptor >= fd, or -1.
    int next_open(int fd);
    u32 open_count();
    u32 capacity() const { return capacity_; }  // a hint

private:
    static constexpr u32 kInlineCapacity = 64;  // as many as one word of the bitmaps has

    Result<FileRef> find(int fd, u32 refused) {
        if (shared_.load(std::memory_order_relaxed)) [[unlikely]]
            return get_shared(fd, refused);
        File* file = static_cast<u32>(fd) < capacity_ ? files_[fd] : nullptr;
        if (file == nullptr || (file->status_flags() & refused) != 0) [[unlikely]]
            return fail(Errno::kEBADF);
        return FileRef(file);
    }
    Result<FileRef> get_shared(int fd, u32 refused);
    Result<> grow(u32 needed) EXCLUDES(lock_);
    FileRef take_locked(u32 fd) REQUIRES(lock_);
    void put_locked(u32 fd, File* file, bool close_on_exec) REQUIRES(lock_);

    core::Spinlock lock_{core::Rank::FileTable};
    std::atomic<bool> shared_{false};
    // Changed under lock_; read without it by the one thread of a table that is not shared.
    u32 capacity_ = kInlineCapacity;  // a multiple of 64
    File** files_ = inline_files_;    // each owns a reference
    u64* used_ = &inline_used_;
    u64* cloexec_ = &inline_cloexec_;
    File* inline_files_[kInlineCapacity] = {};
    u64 inline_used_ = 0, inline_cloexec_ = 0;
};

}  // namespace hd::fs
