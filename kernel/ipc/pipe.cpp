// SPDX-License-Identifier: MIT
#include "kernel/ipc/pipe.hpp"

#include "kernel/abi/ioctl.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::ipc {

using fs::IoBuffer;
using sched::WakeHint;
using sync::WaitResult;

namespace {

constexpr u64 kAtomicSize = abi::kPIPE_BUF;  // what a write(2) of up to this size finds or waits for, whole

constexpr bool reads(u32 flags) { return (flags & abi::kO_ACCMODE) != abi::kO_WRONLY; }
constexpr bool writes(u32 flags) { return (flags & abi::kO_ACCMODE) != abi::kO_RDONLY; }

// The home of pipes without a name. Never mounted.
class PipeSystem final : public fs::FileSystem {
public:
    PipeSystem() : FileSystem("pipe") {}
    Result<fs::InodeRef> root() override { return fail(Errno::kENODEV); }
    void fill_statfs(abi::Statfs& statfs) const override { statfs.f_type = abi::kPIPEFS_MAGIC; }
};
constinit Late<PipeSystem> g_pipe_system{};

}  // namespace

class PipeFile final : public fs::File {
public:
    PipeFile(RefPtr<PipeInode> pipe, fs::DentryRef dentry_in, u32 flags_in)
        : File(pipe, std::move(dentry_in), flags_in), pipe_(*pipe) {}
    ~PipeFile() override {
        if (attached) pipe_.detach(status_flags());
    }

    Result<u64> read_at(IoBuffer& buffer, u64) override { return pipe_.read(buffer, nonblocking()); }
    Result<u64> write_at(IoBuffer& buffer, u64, bool) override { return pipe_.write(buffer, nonblocking()); }
    bool seekable() const override { return false; }
    Result<u64> ioctl(u32 request, u64 argument) override {
        if (request != abi::kFIONREAD) return fail(Errno::kENOTTY);
        TRY(mm::UserPtr<i32>(argument).store(static_cast<i32>(pipe_.bytes_waiting())));
        return 0;
    }
    u32 poll(fs::PollTable* table) override { return pipe_.poll(table, readable(), writable(), known_opens); }

    bool can_be_waited_for() const override { return true; }

    bool attached = false;
    // How many writers had ever come when this end was opened without one: only a later one's leaving is a hang-up.
    u64 known_opens = 0;

private:
    PipeInode& pipe_;  // kept by File::inode
};

PipeInode::PipeInode(fs::FileSystem& owner, u32 mode_in, u64 number_in)
    : Inode(owner, fs::InodeKind::Fifo, mode_in, number_in) {}

PipeInode::~PipeInode() { free_pages(0); }

void PipeInode::free_pages(usize first) {
    for (usize i = first; i < kPages; ++i)
        if (u8* page = std::exchange(pages_[i], nullptr)) mm::frame_of_direct_map(page).unref();
}

// ---- opening and closing

void PipeInode::attach(u32 flags) {
    if (reads(flags)) ++readers_, ++reader_opens_;
    if (writes(flags)) ++writers_, ++writer_opens_;
}

void PipeInode::detach(u32 flags) {
    {
        sync::MutexGuard guard(lock);
        if (reads(flags)) --readers_;
        if (writes(flags)) --writers_;
        if (readers_ == 0 && writers_ == 0) {
            head_ = tail_ = 0;
            free_pages(0);
            return;
        }
        if (readers_ != 0 && writers_ != 0) return;
    }
    // Whoever is left finds end of file or EPIPE.
    read_queue_.wake_all();
    write_queue_.wake_all();
    poll_queue_.wake_all();
}

Result<fs::FileRef> PipeInode::open(fs::DentryRef dentry, u32 flags) {
    const bool reader = reads(flags), writer = writes(flags);
    // A pipe without a name, opened again through /proc/PID/fd/N: both ends have been there, and whoever left is gone for
    // good. So nobody is waited for, and the new end finds end of file or EPIPE (Linux: fifo_open()).
    const bool anonymous = &file_system == &*g_pipe_system;
    RefPtr<PipeFile> file = TRY(mm::make_ref<PipeFile>(RefPtr<PipeInode>(this), std::move(dentry), flags));
    sync::MutexGuard guard(lock);
    if (!anonymous && (flags & abi::kO_NONBLOCK) != 0) {
        if (!reader && readers_ == 0) return fail(Errno::kENXIO);
        if (!writer && writers_ == 0) file->known_opens = writer_opens_;
    }
    attach(flags);
    file->attached = true;
    open_queue_.wake_all();
    if (anonymous || (reader && writer) || (flags & abi::kO_NONBLOCK) != 0) return file;
    // The other side may have come and gone by the time this thread runs: it met us all the same.
    const u64& opens = reader ? writer_opens_ : reader_opens_;
    const u64 before = opens;
    const bool alone = (reader ? writers_ : readers_) == 0;
    if (alone &&
        open_queue_.wait_interruptible("fifo_open", guard, [&] { return opens != before; }) != WaitResult::Ready)
        return fail(Errno::kERESTARTSYS);
    return file;
}

Result<PipeEnds> make_pipe(u32 flags, const fs::Credentials& by) {
    auto pipe = TRY(mm::make_ref<PipeInode>(*g_pipe_system, 0600, g_pipe_system->next_inode_number()));
    pipe->uid = by.euid;
    pipe->gid = by.egid;
    auto reader = TRY(mm::make_ref<PipeFile>(pipe, nullptr, abi::kO_RDONLY | flags));
    auto writer = TRY(mm::make_ref<PipeFile>(pipe, nullptr, abi::kO_WRONLY | flags));
    sync::MutexGuard guard(pipe->lock);
    for (PipeFile* end : {reader.get(), writer.get()}) {
        pipe->attach(end->status_flags());
        end->attached = true;
    }
    return PipeEnds{std::move(reader), std::move(writer)};
}

void pipe_init() { g_pipe_system.construct(); }

// ---- moving bytes

// At least a byte is there, and wanted.
Result<> PipeInode::copy_out(IoBuffer& buffer) {
    u64 left = std::min(buffer.remaining(), used());
    do {
        const u64 in_page = head_ % mm::kPageSize;
        const u64 count = std::min(left, mm::kPageSize - in_page);
        TRY(buffer.put({pages_[head_ / mm::kPageSize % kPages] + in_page, count}));
        head_ += count;
        left -= count;
    } while (left != 0);
    if (used() == 0) {
        if (tail_ > mm::kPageSize) free_pages(1);
        head_ = tail_ = 0;
    }
    return {};
}

// There is room for at least a byte, and one to write.
Result<> PipeInode::copy_in(IoBuffer& buffer) {
    u64 left = std::min(buffer.remaining(), room());
    do {
        u8*& page = pages_[tail_ / mm::kPageSize % kPages];
        if (page == nullptr) [[unlikely]]
            page = bytes_of(*TRY(mm::allocate_frame(mm::Zero::No)));
        const u64 in_page = tail_ % mm::kPageSize;
        const u64 count = std::min(left, mm::kPageSize - in_page);
        TRY(buffer.get({page + in_page, count}));
        tail_ += count;
        left -= count;
    } while (left != 0);
    return {};
}

void PipeInode::wake_readers() {
    read_queue_.wake_one(WakeHint::Sync);  // the writer is likely to wait for an answer
    poll_queue_.wake_all(WakeHint::Sync, abi::kPOLLIN);
}

Result<u64> PipeInode::read(IoBuffer& buffer, bool nonblocking) {
    if (buffer.remaining() == 0) return 0;
    const u64 start = buffer.done();
    Result<> result;
    bool made_room, more;
    {
        sync::MutexGuard guard(lock);
        if (used() == 0 && writers_ != 0) {
            if (nonblocking) return fail(Errno::kEAGAIN);
            const auto ready = [&]() REQUIRES(lock) { return used() != 0 || writers_ == 0; };
            if (read_queue_.wait_interruptible("pipe_read", guard, ready) != WaitResult::Ready)
                return fail(Errno::kERESTARTSYS);
        }
        if (used() == 0) return 0;
        const bool was_full = room() < kAtomicSize;
        result = copy_out(buffer);
        made_room = was_full && room() >= kAtomicSize;
        more = used() != 0;
    }
    if (made_room) {
        write_queue_.wake_one(WakeHint::Sync);
        poll_queue_.wake_all(WakeHint::Sync, abi::kPOLLOUT);
    }
    if (more) read_queue_.wake_one();
    return buffer.moved_since(start, result);
}

// Writers wait for room for kAtomicSize bytes, even if they have more to write, and readers wake them only then: otherwise
// a reader of single bytes would make a large write advance byte by byte (Linux: by page slots, with the same effect).
Result<u64> PipeInode::write(IoBuffer& buffer, bool nonblocking) {
    const u64 start = buffer.done();
    Result<> result;
    bool more_room;
    {
        sync::MutexGuard guard(lock);
        while (result && buffer.remaining() != 0) {
            const u64 needed = std::min(buffer.remaining(), kAtomicSize);
            const auto ready = [&]() REQUIRES(lock) { return room() >= needed || readers_ == 0; };
            if (readers_ == 0) {
                result = fail(Errno::kEPIPE);
            } else if (ready()) {
                result = copy_in(buffer);
            } else if (nonblocking) {
                result = fail(Errno::kEAGAIN);
            } else {
                wake_readers();  // they must make the room
                if (write_queue_.wait_interruptible("pipe_write", guard, ready) != WaitResult::Ready)
                    result = fail(Errno::kERESTARTSYS);
            }
        }
        more_room = room() >= kAtomicSize;
    }
    if (buffer.done() != start) wake_readers();
    if (more_room) write_queue_.wake_one();
    // Also if something was written before the last reader left (Linux: pipe_write()).
    if (!result && result.error() == Errno::kEPIPE) task::signal_self(abi::kSIGPIPE);
    return buffer.moved_since(start, result);
}

u64 PipeInode::bytes_waiting() {
    sync::MutexGuard guard(lock);
    return used();
}

u32 PipeInode::poll(fs::PollTable* table, bool reader, bool writer, u64 known_opens) {
    if (table != nullptr) table->add(poll_queue_);
    sync::MutexGuard guard(lock);
    u32 ready = 0;
    if (reader) {
        if (used() != 0) ready |= abi::kPOLLIN;
        if (writers_ == 0 && writer_opens_ != known_opens) ready |= abi::kPOLLHUP;
    }
    if (writer) {
        if (room() >= kAtomicSize) ready |= abi::kPOLLOUT;
        if (readers_ == 0) ready |= abi::kPOLLERR;
    }
    return ready;
}

}  // namespace hd::ipc
