// SPDX-License-Identifier: MIT
// System calls of open files: reading, writing, descriptors.
#include <algorithm>
#include <cstring>

#include "kernel/abi/ioctl.hpp"
#include "kernel/fs/vfs/file_lock.hpp"
#include "kernel/ipc/pipe.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/syscall/pieces.hpp"
#include "kernel/task/livelock.hpp"

namespace hd::syscall {

namespace {

fs::IoBuffer user_buffer(Buffer buffer, Size count) {
    return fs::IoBuffer::user(buffer.address, std::min(count, kMaxTransfer));
}

// A file that another than root writes to loses its set-id bits, so that nobody puts code of their own behind them (Linux:
// file_remove_privs()).
Result<u64> after_write(const fs::File& file, Result<u64> result) {
    if (result && (file.inode->mode & (abi::kS_ISUID | abi::kS_ISGID)) != 0) [[unlikely]]
        fs::drop_set_id(*file.inode, me());
    return result;
}

// pread(2) and pwrite(2) on a file that can do it.
Result<u64> read_at(Fd fd, fs::IoBuffer buffer, Offset offset) {
    if (offset < 0) return fail(Errno::kEINVAL);
    const fs::FileRef file = TRY(file_of(fd));
    if (!file->seekable()) return fail(Errno::kESPIPE);
    if (!file->readable()) return fail(Errno::kEBADF);
    if (file->inode->is_directory()) return fail(Errno::kEISDIR);
    return file->read_at(buffer, static_cast<u64>(offset));
}

Result<u64> write_at(Fd fd, fs::IoBuffer buffer, Offset offset) {
    if (offset < 0) return fail(Errno::kEINVAL);
    const fs::FileRef file = TRY(file_of(fd));
    if (!file->seekable()) return fail(Errno::kESPIPE);
    if (!file->writable()) return fail(Errno::kEBADF);
    return after_write(*file,
                       file->write_at(buffer, static_cast<u64>(offset), (file->status_flags() & abi::kO_APPEND) != 0));
}

}  // namespace

// ---- reading and writing

Answer sys_read(Fd fd, Buffer buffer, Size count) {
    const fs::FileRef file = TRY(file_of(fd));
    fs::IoBuffer to = user_buffer(buffer, count);
    return file->read(to);
}

Answer sys_write(Fd fd, Buffer buffer, Size count) {
    const fs::FileRef file = TRY(file_of(fd));
    fs::IoBuffer from = user_buffer(buffer, count);
    return after_write(*file, file->write(from));
}

Answer sys_pread64(Fd fd, Buffer buffer, Size count, Offset offset) {
    return read_at(fd, user_buffer(buffer, count), offset);
}

Answer sys_pwrite64(Fd fd, Buffer buffer, Size count, Offset offset) {
    return write_at(fd, user_buffer(buffer, count), offset);
}

Answer sys_readv(Fd fd, In<abi::IoVec> from, Int count) {
    const fs::FileRef file = TRY(file_of(fd));
    Pieces pieces;
    fs::IoBuffer to = TRY(pieces.load(from, count));
    return file->read(to);
}

Answer sys_writev(Fd fd, In<abi::IoVec> from, Int count) {
    const fs::FileRef file = TRY(file_of(fd));
    Pieces pieces;
    fs::IoBuffer source = TRY(pieces.load(from, count));
    return after_write(*file, file->write(source));
}

Answer sys_preadv(Fd fd, In<abi::IoVec> from, Int count, Offset offset) {
    Pieces pieces;
    return read_at(fd, TRY(pieces.load(from, count)), offset);
}

Answer sys_pwritev(Fd fd, In<abi::IoVec> from, Int count, Offset offset) {
    Pieces pieces;
    return write_at(fd, TRY(pieces.load(from, count)), offset);
}

Answer sys_lseek(Fd fd, Offset offset, Int whence) {
    const fs::FileRef file = TRY(file_of(fd));
    return file->seek(offset, whence);
}

Answer sys_getdents64(Fd fd, Buffer buffer, UInt count) {
    const fs::FileRef file = TRY(file_of(fd));
    fs::IoBuffer to = user_buffer(buffer, count);
    return file->read_entries(to);
}

// A page at a time through the kernel. What was read and could not be written is not taken from `in`.
Answer sys_sendfile(Fd out, Fd in, InOut<i64> offset, Size count) {
    const fs::FileRef source = TRY(file_of(in)), target = TRY(file_of(out));
    if (!source->readable() || !target->writable()) return fail(Errno::kEBADF);
    if (source->inode->kind != fs::InodeKind::Regular || (target->status_flags() & abi::kO_APPEND) != 0)
        return fail(Errno::kEINVAL);
    const auto page = TRY(mm::make_array<u8>(mm::kPageSize));
    i64 position = offset ? TRY(offset.load()) : static_cast<i64>(TRY(source->seek(0, abi::kSEEK_CUR)));
    if (position < 0) return fail(Errno::kEINVAL);
    u64 done = 0;
    Result<u64> moved = 0;
    while (done < std::min(count, kMaxTransfer)) {
        fs::IoBuffer to = fs::IoBuffer::kernel(page.get(), std::min<u64>(count - done, mm::kPageSize));
        moved = source->read_at(to, static_cast<u64>(position));
        if (!moved || *moved == 0) break;
        fs::IoBuffer from = fs::IoBuffer::kernel(page.get(), *moved);
        moved = after_write(*target, target->write(from));
        if (!moved) break;
        done += *moved;
        position += static_cast<i64>(*moved);
    }
    if (done == 0) return moved;
    if (offset)
        TRY(offset.store(position));
    else
        TRY(source->seek(position, abi::kSEEK_SET));
    return done;
}

// ---- opening and closing

Answer sys_openat(DirFd directory, Path path, Flags flags, Mode mode) {
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load(path));
    const u32 permissions = mode & 07777 & ~process().fs->umask();
    const fs::WalkStart start = TRY(walk_start(directory, name));
    // The descriptor comes first: who gets none must not have made or truncated a file.
    fs::FdTable& table = *process().files;
    const int fd = TRY(table.reserve((flags & abi::kO_CLOEXEC) != 0, 0, descriptor_limit()));
    auto file = fs::open(start, name, flags, permissions);
    if (!file) {
        table.give_back(fd);
        return fail(file.error());
    }
    table.fill(fd, std::move(*file));
    return fd;
}

Answer sys_close(Fd fd) { return process().files->close(fd); }

Answer sys_close_range(UInt first, UInt last, Flags flags) {
    constexpr u32 kUnshare = 2, kCloexec = 4;
    if (first > last || (flags & ~(kUnshare | kCloexec)) != 0) return fail(Errno::kEINVAL);
    if ((flags & kUnshare) != 0 && process().files->reference_count() != 1) {
        RefPtr<fs::FdTable> own = TRY(process().files->copy());
        const core::LockGuard<core::Spinlock> guard(task::g_tree_lock);
        std::swap(process().files, own);
    }
    process().files->close_range(first, last, (flags & kCloexec) != 0);
    return 0;
}

Answer sys_pipe2(Out<i32> fds, Flags flags) {
    if ((flags & ~(abi::kO_CLOEXEC | abi::kO_NONBLOCK)) != 0) return fail(Errno::kEINVAL);
    ipc::PipeEnds ends = TRY(ipc::make_pipe(flags & abi::kO_NONBLOCK, me()));
    const bool cloexec = (flags & abi::kO_CLOEXEC) != 0;
    fs::FdTable& table = *process().files;
    i32 pair[2] = {TRY(table.reserve(cloexec, 0, descriptor_limit())), -1};
    const auto writer = table.reserve(cloexec, 0, descriptor_limit());
    if (writer) pair[1] = *writer;
    const Result<> stored = writer ? mm::copy_to_user(fds.address(), pair, sizeof pair) : fail(writer.error());
    if (!stored) {
        table.give_back(pair[0]);
        if (writer) table.give_back(pair[1]);
        return fail(stored.error());
    }
    table.fill(pair[0], std::move(ends.reader));
    table.fill(pair[1], std::move(ends.writer));
    return 0;
}

// ---- descriptors

Answer sys_dup(Fd fd) { return install(TRY(process().files->get_any(fd)), false); }

Answer sys_dup3(Fd old_fd, Fd new_fd, Flags flags) {
    if ((flags & ~abi::kO_CLOEXEC) != 0 || old_fd == new_fd) return fail(Errno::kEINVAL);
    fs::FileRef file = TRY(process().files->get_any(old_fd));
    TRY(process().files->install_at(new_fd, std::move(file), (flags & abi::kO_CLOEXEC) != 0, descriptor_limit()));
    return new_fd;
}

Answer sys_dup2(Fd old_fd, Fd new_fd) {
    if (old_fd != new_fd) return sys_dup3(old_fd, new_fd, 0);
    TRY(process().files->get_any(old_fd));
    return new_fd;
}

// ---- advisory locks

// EINVAL, EOVERFLOW.
static Result<fs::LockRange> lock_range(fs::File& file, const abi::Flock& wanted) {
    i64 start = 0;
    switch (wanted.whence) {
    case abi::kSEEK_SET: break;
    case abi::kSEEK_CUR: {
        sync::MutexGuard guard(file.position_lock);
        start = static_cast<i64>(file.position);
        break;
    }
    case abi::kSEEK_END: start = static_cast<i64>(file.inode->size()); break;
    default: return fail(Errno::kEINVAL);
    }
    if (__builtin_add_overflow(start, wanted.start, &start)) return fail(Errno::kEOVERFLOW);
    if (start < 0) return fail(Errno::kEINVAL);
    i64 end = INT64_MAX;
    if (wanted.length > 0) {
        if (__builtin_add_overflow(start, wanted.length - 1, &end)) return fail(Errno::kEOVERFLOW);
    } else if (wanted.length < 0) {
        end = start - 1;
        start += wanted.length;
        if (start < 0) return fail(Errno::kEINVAL);
    }
    return fs::LockRange{static_cast<u64>(start), end == INT64_MAX ? ~u64{0} : static_cast<u64>(end)};
}

static Answer record_lock(fs::File& file, u32 command, InOut<abi::Flock> argument) {
    constexpr fs::LockType kTypes[] = {fs::LockType::Shared, fs::LockType::Exclusive, fs::LockType::None};
    abi::Flock wanted = TRY(argument.load());
    if (wanted.type < abi::kF_RDLCK || wanted.type > abi::kF_UNLCK) return fail(Errno::kEINVAL);
    const fs::LockType type = kTypes[wanted.type];
    const fs::LockRange range = TRY(lock_range(file, wanted));
    const bool by_file = command >= abi::kF_OFD_GETLK;
    if (by_file && wanted.pid != 0) return fail(Errno::kEINVAL);
    const fs::LockOwner owner =
        by_file ? fs::LockOwner{&file, -1} : fs::LockOwner{process().files.get(), process().pid()};
    if (command == abi::kF_GETLK || command == abi::kF_OFD_GETLK) {
        if (type == fs::LockType::None) return fail(Errno::kEINVAL);
        const fs::FoundLock found = fs::find_record_lock(*file.inode, owner, type, range);
        wanted.type = abi::kF_UNLCK;
        if (found.type != fs::LockType::None) {
            wanted.type = found.type == fs::LockType::Shared ? abi::kF_RDLCK : abi::kF_WRLCK;
            wanted.whence = abi::kSEEK_SET;
            wanted.start = static_cast<i64>(found.range.begin);
            wanted.length = found.range.end == ~u64{0} ? 0 : static_cast<i64>(found.range.end - found.range.begin + 1);
            wanted.pid = found.pid;
        }
        return argument.store(wanted);
    }
    if ((type == fs::LockType::Shared && !file.readable()) || (type == fs::LockType::Exclusive && !file.writable()))
        return fail(Errno::kEBADF);
    const bool wait = command == abi::kF_SETLKW || command == abi::kF_OFD_SETLKW;
    return task::note_if_busy(fs::set_record_lock(*file.inode, owner, type, range, wait));
}

Answer sys_flock(Fd fd, UInt operation) {
    const fs::FileRef file = TRY(file_of(fd));
    const bool wait = (operation & abi::kLOCK_NB) == 0;
    switch (operation & ~abi::kLOCK_NB) {
    case abi::kLOCK_SH: return task::note_if_busy(fs::set_whole_lock(*file, fs::LockType::Shared, wait));
    case abi::kLOCK_EX: return task::note_if_busy(fs::set_whole_lock(*file, fs::LockType::Exclusive, wait));
    case abi::kLOCK_UN: return fs::set_whole_lock(*file, fs::LockType::None, wait);
    default: return fail(Errno::kEINVAL);
    }
}

Answer sys_fcntl(Fd fd, UInt command, Address argument) {
    fs::FdTable& table = *process().files;
    const fs::FileRef file = TRY(table.get_any(fd));
    if (file->path_only() && command != abi::kF_DUPFD && command != abi::kF_DUPFD_CLOEXEC && command != abi::kF_GETFD &&
        command != abi::kF_SETFD && command != abi::kF_GETFL)
        return fail(Errno::kEBADF);
    switch (command) {
    case abi::kF_DUPFD:
    case abi::kF_DUPFD_CLOEXEC:
        if (argument >= descriptor_limit()) return fail(Errno::kEINVAL);
        return table.install(file, command == abi::kF_DUPFD_CLOEXEC, static_cast<int>(argument), descriptor_limit());
    case abi::kF_GETFD: return TRY(table.cloexec(fd)) ? abi::kFD_CLOEXEC : 0;
    case abi::kF_SETFD: return table.set_cloexec(fd, (argument & abi::kFD_CLOEXEC) != 0);
    case abi::kF_GETFL:
        return file->status_flags() &
               ~(abi::kO_CREAT | abi::kO_EXCL | abi::kO_NOCTTY | abi::kO_TRUNC | abi::kO_CLOEXEC);
    case abi::kF_SETFL: {
        constexpr u32 kChangeable = abi::kO_APPEND | abi::kO_NONBLOCK | abi::kO_DIRECT | abi::kO_NOATIME;
        u32 old = file->status_flags();
        // relaxed: see File::flags.
        while (!file->flags.compare_exchange_weak(
            old, (old & ~kChangeable) | (static_cast<u32>(argument) & kChangeable), std::memory_order_relaxed)) {}
        return 0;
    }
    case abi::kF_GETPIPE_SZ:
        if (file->inode->kind != fs::InodeKind::Fifo) return fail(Errno::kEBADF);
        return ipc::PipeInode::kCapacity;
    case abi::kF_GETLK:
    case abi::kF_SETLK:
    case abi::kF_SETLKW:
    case abi::kF_OFD_GETLK:
    case abi::kF_OFD_SETLK:
    case abi::kF_OFD_SETLKW: return record_lock(*file, command, InOut<abi::Flock>(argument));
    case abi::kF_GET_SEALS: return file->inode->seals();
    case abi::kF_ADD_SEALS:
        return file->writable() ? file->inode->add_seals(static_cast<u32>(argument)) : fail(Errno::kEPERM);
    default: return fail(Errno::kEINVAL);  // owners: "not recognised by this kernel" (fcntl(2))
    }
}

Answer sys_ioctl(Fd fd, UInt request, Address argument) {
    const fs::FileRef file = TRY(file_of(fd));
    switch (request) {
    case abi::kFIOCLEX: return process().files->set_cloexec(fd, true);
    case abi::kFIONCLEX: return process().files->set_cloexec(fd, false);
    case abi::kFIONBIO:
        if (TRY(In<i32>(argument).load()) != 0)
            file->flags.fetch_or(abi::kO_NONBLOCK, std::memory_order_relaxed);  // see File::flags
        else
            file->flags.fetch_and(~abi::kO_NONBLOCK, std::memory_order_relaxed);
        return 0;
    default: return file->ioctl(request, argument);
    }
}

// ---- sizes and storage

Answer sys_ftruncate(Fd fd, Offset size) {
    if (size < 0) return fail(Errno::kEINVAL);
    const fs::FileRef file = TRY(file_of(fd));
    if (!file->writable() || file->inode->kind != fs::InodeKind::Regular) return fail(Errno::kEINVAL);
    TRY(fs::change_size(*file->inode, static_cast<u64>(size)));
    fs::drop_set_id(*file->inode, me());
    return 0;
}

Answer sys_fallocate(Fd fd, Flags mode, Offset offset, Offset size) {
    if (offset < 0 || size <= 0) return fail(Errno::kEINVAL);
    const fs::FileRef file = TRY(file_of(fd));
    if ((mode & ~abi::kFALLOC_FL_KEEP_SIZE) != 0) return fail(Errno::kEOPNOTSUPP);
    if (!file->writable()) return fail(Errno::kEBADF);
    if (file->inode->kind == fs::InodeKind::Fifo) return fail(Errno::kESPIPE);
    return fs::allocate_range(*file->inode, static_cast<u64>(offset), static_cast<u64>(size), mode != 0);
}

// All files are in memory: they are as safe as they will ever be.
Answer sys_fsync(Fd fd) {
    const fs::FileRef file = TRY(file_of(fd));
    if (file->inode->kind != fs::InodeKind::Regular && !file->inode->is_directory()) return fail(Errno::kEINVAL);
    return 0;
}

Answer sys_sync() { return 0; }

Answer sys_syncfs(Fd fd) {
    TRY(file_of(fd));
    return 0;
}

Answer sys_fadvise64(Fd fd, Offset, Size, Int advice) {
    const fs::FileRef file = TRY(file_of(fd));
    if (file->inode->kind == fs::InodeKind::Fifo) return fail(Errno::kESPIPE);
    return advice >= 0 && advice <= 5 ? Result<>() : fail(Errno::kEINVAL);
}

}  // namespace hd::syscall
