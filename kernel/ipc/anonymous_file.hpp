// SPDX-License-Identifier: MIT
// Files that are neither in a file system nor pipes: eventfd, epoll and the like. All of one kind share an inode, which has only
// a name: "anon_inode:[eventfd]".
#pragma once
#include "kernel/fs/vfs/file.hpp"

namespace hd::ipc {

enum class AnonymousKind : u8 { EventFd, EventPoll, TimerFd, SignalFd, PidFd, kCount };

class AnonymousFile : public fs::File {
public:
    AnonymousFile(AnonymousKind kind, u32 flags);

    bool seekable() const override { return false; }
    bool can_be_waited_for() const override { return true; }
    Result<u64> read_at(fs::IoBuffer&, u64) override { return fail(Errno::kEINVAL); }
    Result<u64> write_at(fs::IoBuffer&, u64, bool) override { return fail(Errno::kEINVAL); }
};

void init_anonymous_files();  // boot

}  // namespace hd::ipc
