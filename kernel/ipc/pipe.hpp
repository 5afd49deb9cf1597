// SPDX-License-Identifier: MIT
// Pipes (pipe(7)) and FIFOs (fifo(7)): 64 KiB of bytes between writers and readers. One inode class is both: pipe(2)'s has no
// name, mkfifo(3)'s is a file of tmpfs.
//
// The bytes from head_ to tail_ lie in a ring of kPages frames, which come when they are written to and go when the pipe is
// empty, but for the first: short messages find it in the CPU's cache. Copies go straight between frame and user memory.
//
// Locking: the inode's `lock` (rank Pipe), also while copying. Wake-ups happen with it held only where the thread then
// sleeps. Sleepers of either side are woken one at a time, and each, when it is done, wakes the next if there is still
// something to do; so a wake-up never gets lost and never wakes a herd. poll(2) has a queue of its own, which gets all.
#pragma once
#include "kernel/fs/vfs/file.hpp"

namespace hd::ipc {

class PipeInode final : public fs::Inode {
public:
    static constexpr usize kPages = 16, kCapacity = kPages * mm::kPageSize;

    PipeInode(fs::FileSystem& file_system, u32 mode, u64 number);
    ~PipeInode() override;

    static bool is_pipe(const fs::Inode& inode) { return inode.kind == fs::InodeKind::Fifo; }

    // fifo(7): waits for the other side, but for O_RDWR. ENXIO with O_WRONLY | O_NONBLOCK and no reader. Also how
    // /proc/PID/fd/N reopens a pipe without a name, which never waits and never fails so.
    Result<fs::FileRef> open(fs::DentryRef dentry, u32 flags) override;

    // For PipeFile.
    void attach(u32 flags) REQUIRES(lock);
    void detach(u32 flags) EXCLUDES(lock);
    Result<u64> read(fs::IoBuffer& buffer, bool nonblocking) EXCLUDES(lock);
    Result<u64> write(fs::IoBuffer& buffer, bool nonblocking) EXCLUDES(lock);
    u32 poll(fs::PollTable* table, bool reader, bool writer, u64 known_opens) EXCLUDES(lock);
    u64 bytes_waiting() EXCLUDES(lock);

private:
    Result<> copy_out(fs::IoBuffer& buffer) REQUIRES(lock);
    Result<> copy_in(fs::IoBuffer& buffer) REQUIRES(lock);
    void free_pages(usize first) REQUIRES(lock);
    void wake_readers();

    u64 used() const REQUIRES(lock) { return tail_ - head_; }
    u64 room() const REQUIRES(lock) { return kCapacity - used(); }

    u64 head_ GUARDED_BY(lock) = 0, tail_ GUARDED_BY(lock) = 0;  // counted in bytes, never wrapping
    u32 readers_ GUARDED_BY(lock) = 0, writers_ GUARDED_BY(lock) = 0;
    u64 reader_opens_ GUARDED_BY(lock) = 0, writer_opens_ GUARDED_BY(lock) = 0;  // ever; what an open(2) waits for
    u8* pages_[kPages] GUARDED_BY(lock) = {};  // frames, by their place in the direct map
    sync::WaitQueue read_queue_, write_queue_, open_queue_, poll_queue_;
};

// Both ends of a new pipe, owned by `by`. `flags`: O_NONBLOCK. ENOMEM.
struct PipeEnds {
    fs::FileRef reader, writer;
};
Result<PipeEnds> make_pipe(u32 flags, const fs::Credentials& by);

void pipe_init();  // boot

}  // namespace hd::ipc
