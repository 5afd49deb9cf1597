// SPDX-License-Identifier: MIT
// A process's descriptors: an array of words, which grows by doubling. A word is a File's address and two bits: the file is
// closed on exec; the descriptor is taken, though it has no file yet.
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
    Result<FileRef> get_from_outside(int fd) { return find_locking(fd, 0); }

    // Takes the lowest free descriptor >= `from`, so that open(2) knows that it will get one before it changes anything.
    // It is not open until it is given a file; or given back. EMFILE at `limit` (RLIMIT_NOFILE), ENOMEM.
    Result<int> reserve(bool close_on_exec, int from, u32 limit);
    void fill(int fd, FileRef file);
    void give_back(int fd);
    Result<int> install(FileRef file, bool close_on_exec, int from, u32 limit);  // reserve() and fill()
    // dup2: closes what was there. EBADF: past `limit`; EBUSY: taken by another thread's open(2); ENOMEM.
    Result<> install_at(int fd, FileRef file, bool close_on_exec, u32 limit);
    Result<> close(int fd);  // EBADF
    void close_range(u32 first, u32 last, bool only_set_cloexec);
    void close_on_exec();  // execve(2)
    Result<bool> cloexec(int fd);
    Result<> set_cloexec(int fd, bool on);
    // For /proc/PID/fd: the lowest open descriptor >= fd, or -1.
    int next_open(int fd);
    u32 open_count();
    u32 capacity() const { return capacity_; }  // a hint

private:
    using Word = u64;
    static constexpr Word kCloseOnExec = 1, kReserved = 2;
    static constexpr u32 kInlineCapacity = 64;

    static File* file_of(Word word) { return reinterpret_cast<File*>(word & ~(kCloseOnExec | kReserved)); }
    static Word word_of(FileRef file, bool close_on_exec) {
        return reinterpret_cast<Word>(file.release()) | (close_on_exec ? kCloseOnExec : 0);
    }

    Result<FileRef> find(int fd, u32 refused) {
        if (shared_.load(std::memory_order_relaxed)) [[unlikely]]
            return find_locking(fd, refused);
        return look(fd, refused);
    }
    Result<FileRef> find_locking(int fd, u32 refused);
    Result<FileRef> look(int fd, u32 refused) const {
        File* file = static_cast<u32>(fd) < capacity_ ? file_of(words_[fd]) : nullptr;
        if (file == nullptr || (file->status_flags() & refused) != 0) [[unlikely]]
            return fail(Errno::kEBADF);
        return FileRef(file);
    }
    Result<> grow(u32 needed) EXCLUDES(lock_);
    // The word of an open descriptor, or null.
    Word* open_word(int fd) REQUIRES(lock_);
    u32 next_open_locked(u32 fd) REQUIRES(lock_);
    FileRef take_locked(u32 fd) REQUIRES(lock_);

    core::Spinlock lock_{core::Rank::FileTable};
    std::atomic<bool> shared_{false};
    // Changed under lock_; read without it by the one thread of a table that is not shared.
    u32 capacity_ = kInlineCapacity;
    Word* words_ = inline_words_;            // each with a file owns a reference
    u32 lowest_free_ GUARDED_BY(lock_) = 0;  // no descriptor below it is free
    u32 end_ GUARDED_BY(lock_) = 0;          // from here on none was ever used
    Word inline_words_[kInlineCapacity] = {};
};

}  // namespace hd::fs
