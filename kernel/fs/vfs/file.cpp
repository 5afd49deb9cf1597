// SPDX-License-Identifier: MIT
// What every File does unless it says otherwise: reading and writing regular files page by page, straight between the file's
// frames and the caller's memory; and the calls that move the shared position.
#include "kernel/fs/vfs/file.hpp"

#include <cstring>

#include "kernel/abi/ioctl.hpp"
#include "kernel/fs/vfs/file_lock.hpp"

namespace hd::fs {

namespace {

// What decides about a path's meaning only while it is opened is no status of the file.
constexpr u32 kOpenOnly = abi::kO_CREAT | abi::kO_EXCL | abi::kO_NOCTTY | abi::kO_TRUNC | abi::kO_CLOEXEC;

// Records of getdents64(2), put straight into the caller's buffer.
class RecordSink final : public DirentSink {
public:
    explicit RecordSink(IoBuffer& buffer) : buffer_(buffer) {}

    bool entry(std::string_view name, u64 inode, InodeKind kind, u64 next) override {
        struct {
            abi::Dirent64 header;
            char text[abi::kNAME_MAX + 1 + 8];
        } record;
        const usize size = align_up(sizeof record.header + name.size() + 1, usize{8});
        full_ = size > buffer_.remaining();
        if (full_ || failed_) return false;
        record.header = {inode, static_cast<i64>(next), static_cast<u16>(size), static_cast<u8>(kind)};
        std::memcpy(record.text, name.data(), name.size());
        std::memset(record.text + name.size(), 0, size - sizeof record.header - name.size());
        failed_ = !buffer_.put({reinterpret_cast<const u8*>(&record), size}).has_value();
        if (!failed_) next_ = next;
        return !failed_;
    }

    std::optional<u64> next() const { return next_; }  // empty: no entry was taken
    bool failed() const { return failed_; }
    bool full() const { return full_; }

private:
    IoBuffer& buffer_;
    std::optional<u64> next_;
    bool failed_ = false, full_ = false;
};

}  // namespace

void (*g_forget_watchers)(File& file) = nullptr;

File::File(InodeRef inode_in, DentryRef dentry_in, u32 flags_in)
    : inode(std::move(inode_in)), dentry(std::move(dentry_in)), flags(flags_in & ~kOpenOnly) {}

File::~File() {
    if (inode->locks.load(std::memory_order_acquire) != nullptr) [[unlikely]]
        release_file_locks(*this);
    if (counted_as_writer) inode->end_use(FileUse::Written);
}

Result<u64> read_pages(Inode& inode, IoBuffer& buffer, u64 offset) {
    const u64 start = buffer.done();
    const u64 size = inode.size();
    if (offset >= size) return 0;
    Result<> result;
    for (u64 left = std::min(buffer.remaining(), size - offset); left != 0 && result;) {
        const u64 in_page = offset % mm::kPageSize;
        const u64 count = std::min({left, mm::kPageSize - in_page, buffer.contiguous()});
        const auto frame = inode.page(offset / mm::kPageSize, mm::PageUse::Read);
        if (!frame && frame.error() == Errno::kENXIO) break;  // truncated meanwhile
        if (!frame)
            result = fail(frame.error());
        else
            result = *frame ? buffer.put({bytes_of(**frame) + in_page, count}) : buffer.put_zeros(count);
        offset += count;
        left -= count;
    }
    return buffer.moved_since(start, result);
}

Result<u64> File::read_at(IoBuffer& buffer, u64 offset) {
    if (inode->is_directory()) return fail(Errno::kEISDIR);
    const u64 count = TRY(read_pages(*inode, buffer, offset));
    if (count != 0 && (status_flags() & abi::kO_NOATIME) == 0) inode->note_access();
    return count;
}

Result<u64> File::write_at(IoBuffer& buffer, u64 offset, bool append) {
    const u64 start = buffer.done();
    sync::MutexGuard guard(inode->lock);
    if (append) offset = inode->size();
    if (buffer.remaining() == 0) return 0;
    if (offset >= kMaxFileSize) return fail(Errno::kEFBIG);
    TRY(inode->check_write(offset + buffer.remaining()));
    Result<> result;
    for (u64 left = std::min(buffer.remaining(), kMaxFileSize - offset); left != 0 && result;) {
        const u64 in_page = offset % mm::kPageSize;
        const u64 count = std::min({left, mm::kPageSize - in_page, buffer.contiguous()});
        const auto frame = inode->page_for_write(offset / mm::kPageSize);
        if (!frame) {
            result = fail(frame.error());
            break;
        }
        u8* to = bytes_of(**frame) + in_page;
        result = buffer.get({to, count});
        if (result) {
            offset += count;
            left -= count;
            inode->extend(offset);
        } else if (const u64 size = inode->size(); offset + count > size) {
            // A fault in the middle of the copy: what lies past the end must read as zero when the file grows over it.
            const u64 keep = size > offset ? size - offset : 0;
            std::memset(to + keep, 0, count - keep);
        }
    }
    if (buffer.done() != start) inode->touch_modified();
    return buffer.moved_since(start, result);
}

Result<u64> seek_target(u64 position, u64 size, i64 offset, int whence) {
    u64 base = 0;
    switch (whence) {
    case abi::kSEEK_SET: break;
    case abi::kSEEK_CUR: base = position; break;
    case abi::kSEEK_END: base = size; break;
    case abi::kSEEK_DATA:
    case abi::kSEEK_HOLE:  // lseek(2): a file system may say that a file is all data, with the one hole at its end
        if (offset < 0 || static_cast<u64>(offset) >= size) return fail(Errno::kENXIO);
        return whence == abi::kSEEK_DATA ? static_cast<u64>(offset) : size;
    default: return fail(Errno::kEINVAL);
    }
    i64 target;
    if (__builtin_add_overflow(static_cast<i64>(base), offset, &target)) return fail(Errno::kEOVERFLOW);
    if (target < 0) return fail(Errno::kEINVAL);
    return static_cast<u64>(target);
}

Result<u64> File::seek(i64 offset, int whence) {
    if (!seekable()) return fail(Errno::kESPIPE);
    sync::MutexGuard guard(position_lock);
    position = TRY(seek_target(position, inode->size(), offset, whence));
    return position;
}

Result<u64> File::ioctl(u32 request, u64 argument) {
    if (request != abi::kFIONREAD || inode->kind != InodeKind::Regular) return fail(Errno::kENOTTY);
    const sync::MutexGuard guard(position_lock);
    const u64 size = inode->size();
    TRY(mm::UserPtr<i32>(argument).store(static_cast<i32>(size - std::min(size, position))));
    return 0;
}

u32 File::poll(PollTable*) {
    return abi::kPOLLIN | abi::kPOLLOUT;  // poll(2): regular files are always ready
}

Result<mm::PageSource*> File::map_source() {
    if (inode->kind != InodeKind::Regular) return fail(Errno::kENODEV);
    if (dentry) return dentry.get();
    return inode.get();
}

Result<u64> File::read(IoBuffer& buffer) {
    if (!readable()) return fail(Errno::kEBADF);
    if (!seekable()) return read_at(buffer, 0);
    sync::MutexGuard guard(position_lock);
    const u64 count = TRY(read_at(buffer, position));
    position += count;
    return count;
}

Result<u64> File::write(IoBuffer& buffer) {
    if (!writable()) return fail(Errno::kEBADF);
    if (!seekable()) return write_at(buffer, 0, false);
    sync::MutexGuard guard(position_lock);
    const bool append = (status_flags() & abi::kO_APPEND) != 0;
    const u64 count = TRY(write_at(buffer, position, append));
    // Where exactly the bytes went is known to write_at() only; the end is right unless somebody else appends as well.
    position = append ? inode->size() : position + count;
    return count;
}

Result<u64> File::read_entries(IoBuffer& buffer) {
    if (!readable()) return fail(Errno::kEBADF);
    if (!inode->is_directory()) return fail(Errno::kENOTDIR);
    const u64 start = buffer.done();
    RecordSink sink(buffer);
    sync::MutexGuard position_guard(position_lock);
    {
        const DentryRef parent = dentry->parent();
        sync::MutexGuard guard(inode->lock);
        if (dentry->unlinked()) return fail(Errno::kENOENT);
        u64 at = position;
        if (at == 0 && sink.entry(".", inode->number, InodeKind::Directory, 1)) at = 1;
        if (at == 1 && sink.entry("..", parent->inode->number, InodeKind::Directory, 2)) at = 2;
        if (at >= 2) TRY(inode->read_directory(at, sink));
        if (sink.next()) position = *sink.next();
    }
    inode->note_access();
    const u64 moved = buffer.done() - start;
    if (moved == 0 && sink.failed()) return fail(Errno::kEFAULT);
    if (moved == 0 && sink.full()) return fail(Errno::kEINVAL);
    return moved;
}

}  // namespace hd::fs
