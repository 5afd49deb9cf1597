// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/fd_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

constexpr u64 bit(u32 fd) { return u64{1} << fd % 64; }

// The lowest number >= from whose bit is `wanted`, or `end`.
u32 find_bit(const u64* bits, u32 from, u32 end, bool wanted) {
    for (u32 word = from / 64; word * 64 < end; ++word) {
        u64 candidates = wanted ? bits[word] : ~bits[word];
        if (word == from / 64) candidates &= ~u64{0} << from % 64;
        if (candidates != 0) return word * 64 + static_cast<u32>(std::countr_zero(candidates));
    }
    return end;
}

}  // namespace

Result<RefPtr<FdTable>> FdTable::create() { return mm::make_ref<FdTable>(); }

FdTable::~FdTable() {
    for (u32 fd = find_bit(used_, 0, capacity_, true); fd < capacity_; fd = find_bit(used_, fd + 1, capacity_, true))
        files_[fd]->unref();
    if (files_ != inline_files_) mm::kfree(static_cast<void*>(files_));
}

Result<RefPtr<FdTable>> FdTable::copy() {
    RefPtr<FdTable> table = TRY(create());
    for (;;) {
        u32 needed;
        {
            core::LockGuard guard(lock_);
            needed = capacity_;
            if (table->capacity_ >= needed) {
                for (u32 fd = find_bit(used_, 0, needed, true); fd < needed;
                     fd = find_bit(used_, fd + 1, needed, true)) {
                    files_[fd]->ref();
                    table->files_[fd] = files_[fd];
                }
                std::memcpy(table->used_, used_, needed / 8);
                std::memcpy(table->cloexec_, cloexec_, needed / 8);
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
    const usize bitmap = capacity / 8;
    u8* memory = static_cast<u8*>(mm::kmalloc(capacity * sizeof(File*) + 2 * bitmap));
    if (memory == nullptr) return fail(Errno::kENOMEM);
    std::memset(memory, 0, capacity * sizeof(File*) + 2 * bitmap);
    File** files = reinterpret_cast<File**>(memory);
    u64* used = reinterpret_cast<u64*>(memory + capacity * sizeof(File*));
    u64* cloexec = used + bitmap / 8;

    void* unneeded = memory;
    {
        core::LockGuard guard(lock_);
        if (capacity > capacity_) {
            std::copy_n(files_, capacity_, files);
            std::memcpy(used, used_, capacity_ / 8);
            std::memcpy(cloexec, cloexec_, capacity_ / 8);
            unneeded = files_ == inline_files_ ? nullptr : static_cast<void*>(files_);
            files_ = files;
            used_ = used;
            cloexec_ = cloexec;
            capacity_ = capacity;
        }
    }
    mm::kfree(unneeded);
    return {};
}

Result<FileRef> FdTable::get_shared(int fd, u32 refused) {
    core::LockGuard guard(lock_);
    File* file = static_cast<u32>(fd) < capacity_ ? files_[fd] : nullptr;
    if (file == nullptr || (file->status_flags() & refused) != 0) return fail(Errno::kEBADF);
    return FileRef(file);
}

Result<int> FdTable::install(FileRef file, bool close_on_exec, int from, u32 limit) {
    limit = std::min(limit, kHardLimit);
    for (u32 first = static_cast<u32>(from);;) {
        if (first >= limit) return fail(Errno::kEMFILE);
        {
            core::LockGuard guard(lock_);
            const u32 fd = find_bit(used_, first, capacity_, false);
            if (fd >= limit) return fail(Errno::kEMFILE);
            if (fd < capacity_) {
                put_locked(fd, file.release(), close_on_exec);
                return static_cast<int>(fd);
            }
            first = std::max(first, fd);
        }
        TRY(grow(first + 1));
    }
}

Result<> FdTable::install_at(int fd, FileRef file, bool close_on_exec, u32 limit) {
    const u32 wanted = static_cast<u32>(fd);
    if (wanted >= std::min(limit, kHardLimit)) return fail(Errno::kEBADF);
    for (;;) {
        {
            FileRef replaced;  // given back after the lock: closing may sleep
            core::LockGuard guard(lock_);
            if (wanted < capacity_) {
                replaced = take_locked(wanted);
                put_locked(wanted, file.release(), close_on_exec);
                return {};
            }
        }
        TRY(grow(wanted + 1));
    }
}

void FdTable::put_locked(u32 fd, File* file, bool close_on_exec) {
    files_[fd] = file;
    used_[fd / 64] |= bit(fd);
    if (close_on_exec) cloexec_[fd / 64] |= bit(fd);
}

FileRef FdTable::take_locked(u32 fd) {
    used_[fd / 64] &= ~bit(fd);
    cloexec_[fd / 64] &= ~bit(fd);
    return FileRef(kAdoptRef, std::exchange(files_[fd], nullptr));
}

Result<> FdTable::close(int fd) {
    FileRef closed;
    core::LockGuard guard(lock_);
    if (static_cast<u32>(fd) >= capacity_ || files_[fd] == nullptr) return fail(Errno::kEBADF);
    closed = take_locked(static_cast<u32>(fd));
    return {};
}

void FdTable::close_range(u32 first, u32 last, bool only_set_cloexec) {
    for (u32 fd = first; fd <= last; ++fd) {
        FileRef closed;
        core::LockGuard guard(lock_);
        fd = find_bit(used_, std::min(fd, capacity_), capacity_, true);
        if (fd >= capacity_ || fd > last) return;
        if (only_set_cloexec)
            cloexec_[fd / 64] |= bit(fd);
        else
            closed = take_locked(fd);
    }
}

void FdTable::close_on_exec() {
    for (u32 fd = 0;; ++fd) {
        FileRef closed;
        core::LockGuard guard(lock_);
        fd = find_bit(cloexec_, std::min(fd, capacity_), capacity_, true);
        if (fd >= capacity_) return;
        closed = take_locked(fd);
    }
}

Result<bool> FdTable::cloexec(int fd) {
    core::LockGuard guard(lock_);
    if (static_cast<u32>(fd) >= capacity_ || files_[fd] == nullptr) return fail(Errno::kEBADF);
    return (cloexec_[fd / 64] & bit(static_cast<u32>(fd))) != 0;
}

Result<> FdTable::set_cloexec(int fd, bool on) {
    core::LockGuard guard(lock_);
    if (static_cast<u32>(fd) >= capacity_ || files_[fd] == nullptr) return fail(Errno::kEBADF);
    u64& word = cloexec_[fd / 64];
    word = on ? word | bit(static_cast<u32>(fd)) : word & ~bit(static_cast<u32>(fd));
    return {};
}

int FdTable::next_open(int fd) {
    core::LockGuard guard(lock_);
    const u32 next = find_bit(used_, std::min(static_cast<u32>(fd), capacity_), capacity_, true);
    return next < capacity_ ? static_cast<int>(next) : -1;
}

u32 FdTable::open_count() {
    core::LockGuard guard(lock_);
    u32 count = 0;
    for (u32 word = 0; word < capacity_ / 64; ++word) count += static_cast<u32>(std::popcount(used_[word]));
    return count;
}

}  // namespace hd::fs
