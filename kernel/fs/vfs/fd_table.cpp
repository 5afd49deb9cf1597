// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/fd_table.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <utility>

#include "kernel/fs/vfs/file_lock.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

// A file that leaves the table; given back after the table's lock, as closing may sleep. The process's record locks on it go,
// whatever other descriptors of it there are (fcntl(2)).
struct Closing {
    explicit Closing(const FdTable& of) : table(of) {}
    ~Closing() {
        if (!file) return;
        file->on_close();
        if (!file->path_only() && file->inode->locks.load(std::memory_order_acquire) != nullptr) [[unlikely]]
            release_record_locks(*file->inode, &table);
    }
    const FdTable& table;
    FileRef file;
};

}  // namespace

Result<RefPtr<FdTable>> FdTable::create() { return mm::make_ref<FdTable>(); }

FdTable::~FdTable() {
    for (u32 fd = 0; fd < end_; ++fd)
        if (File* const file = file_of(words_[fd])) Closing(*this).file = FileRef(kAdoptRef, file);
    if (words_ != inline_words_) delete[] words_;
}

Result<RefPtr<FdTable>> FdTable::copy() NO_THREAD_SAFETY_ANALYSIS {
    RefPtr<FdTable> table = TRY(create());  // nobody else knows it
    for (;;) {
        u32 needed;
        {
            core::LockGuard guard(lock_);
            needed = capacity_;
            if (table->capacity_ >= needed) {
                for (u32 fd = next_open_locked(0); fd < end_; fd = next_open_locked(fd + 1)) {
                    file_of(words_[fd])->ref();
                    table->words_[fd] = words_[fd];
                    table->end_ = fd + 1;
                }
                return table;
            }
        }
        TRY(table->grow(needed));
    }
}

// Makes room for at least `needed` descriptors. The old array is kept by nobody: a table's one thread is here itself, and
// all others take the lock. ENOMEM.
Result<> FdTable::grow(u32 needed) {
    const u32 capacity = std::bit_ceil(needed);
    std::unique_ptr<Word[]> words(new (std::nothrow) Word[capacity]());
    if (!words) return fail(Errno::kENOMEM);
    core::LockGuard guard(lock_);
    if (capacity <= capacity_) return {};
    std::copy_n(words_, capacity_, words.get());
    Word* const old = std::exchange(words_, words.release());
    if (old != inline_words_) words.reset(old);  // freed after the lock
    capacity_ = capacity;
    return {};
}

FdTable::Word* FdTable::open_word(int fd) {
    return static_cast<u32>(fd) < capacity_ && file_of(words_[fd]) != nullptr ? &words_[fd] : nullptr;
}

// The lowest open descriptor >= fd, or end_ or more.
u32 FdTable::next_open_locked(u32 fd) {
    while (fd < end_ && file_of(words_[fd]) == nullptr) ++fd;
    return fd;
}

FileRef FdTable::take_locked(u32 fd) {
    lowest_free_ = std::min(lowest_free_, fd);
    return FileRef(kAdoptRef, file_of(std::exchange(words_[fd], 0)));
}

Result<FileRef> FdTable::find_locking(int fd, u32 refused) {
    core::LockGuard guard(lock_);
    return look(fd, refused);
}

Result<int> FdTable::reserve(bool close_on_exec, int from, u32 limit) {
    limit = std::min(limit, kHardLimit);
    const u32 first = static_cast<u32>(from);
    for (;;) {
        u32 fd;
        {
            core::LockGuard guard(lock_);
            fd = std::max(first, lowest_free_);
            while (fd < end_ && words_[fd] != 0) ++fd;
            if (fd >= limit) return fail(Errno::kEMFILE);
            if (fd < capacity_) {
                if (first <= lowest_free_) lowest_free_ = fd + 1;
                end_ = std::max(end_, fd + 1);
                words_[fd] = kReserved | (close_on_exec ? kCloseOnExec : 0);
                return static_cast<int>(fd);
            }
        }
        TRY(grow(fd + 1));
    }
}

void FdTable::fill(int fd, FileRef file) {
    core::LockGuard guard(lock_);
    words_[fd] = word_of(std::move(file), (words_[fd] & kCloseOnExec) != 0);
}

void FdTable::give_back(int fd) {
    core::LockGuard guard(lock_);
    (void)take_locked(static_cast<u32>(fd));  // it has no file
}

Result<int> FdTable::install(FileRef file, bool close_on_exec, int from, u32 limit) {
    const int fd = TRY(reserve(close_on_exec, from, limit));
    fill(fd, std::move(file));
    return fd;
}

Result<> FdTable::install_at(int fd, FileRef file, bool close_on_exec, u32 limit) {
    const u32 wanted = static_cast<u32>(fd);
    if (wanted >= std::min(limit, kHardLimit)) return fail(Errno::kEBADF);
    for (;;) {
        {
            Closing replaced(*this);
            core::LockGuard guard(lock_);
            if (wanted < capacity_) {
                if ((words_[fd] & kReserved) != 0) return fail(Errno::kEBUSY);
                replaced.file = take_locked(wanted);
                words_[fd] = word_of(std::move(file), close_on_exec);
                end_ = std::max(end_, wanted + 1);
                return {};
            }
        }
        TRY(grow(wanted + 1));
    }
}

Result<> FdTable::close(int fd) {
    Closing closed(*this);
    core::LockGuard guard(lock_);
    if (open_word(fd) == nullptr) return fail(Errno::kEBADF);
    closed.file = take_locked(static_cast<u32>(fd));
    return {};
}

void FdTable::close_range(u32 first, u32 last, bool only_set_cloexec) {
    for (u32 fd = first; fd <= last; ++fd) {
        Closing closed(*this);
        core::LockGuard guard(lock_);
        fd = next_open_locked(fd);
        if (fd >= end_ || fd > last) return;
        if (only_set_cloexec)
            words_[fd] |= kCloseOnExec;
        else
            closed.file = take_locked(fd);
    }
}

void FdTable::close_on_exec() {
    for (u32 fd = 0;; ++fd) {
        Closing closed(*this);
        core::LockGuard guard(lock_);
        fd = next_open_locked(fd);
        if (fd >= end_) return;
        if ((words_[fd] & kCloseOnExec) != 0) closed.file = take_locked(fd);
    }
}

Result<bool> FdTable::cloexec(int fd) {
    core::LockGuard guard(lock_);
    const Word* word = open_word(fd);
    if (word == nullptr) return fail(Errno::kEBADF);
    return (*word & kCloseOnExec) != 0;
}

Result<> FdTable::set_cloexec(int fd, bool on) {
    core::LockGuard guard(lock_);
    Word* word = open_word(fd);
    if (word == nullptr) return fail(Errno::kEBADF);
    *word = on ? *word | kCloseOnExec : *word & ~kCloseOnExec;
    return {};
}

int FdTable::next_open(int fd) {
    core::LockGuard guard(lock_);
    const u32 next = next_open_locked(static_cast<u32>(fd));
    return next < end_ ? static_cast<int>(next) : -1;
}

u32 FdTable::open_count() {
    core::LockGuard guard(lock_);
    u32 count = 0;
    for (u32 fd = next_open_locked(0); fd < end_; fd = next_open_locked(fd + 1)) ++count;
    return count;
}

}  // namespace hd::fs
