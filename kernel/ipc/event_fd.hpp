// SPDX-License-Identifier: MIT
// eventfd(2): a number that write(2) adds to and read(2) takes: all of it, or 1 as a semaphore. Readers wait while it is 0, writers
// while it would overflow.
//
// Locking: `lock_` (rank OpenFile). User memory is touched without it.
#pragma once
#include "kernel/ipc/anonymous_file.hpp"

namespace hd::ipc {

class EventFd final : public AnonymousFile {
public:
    // `flags`: O_NONBLOCK.
    EventFd(u64 initial, bool semaphore, u32 flags_in)
        : AnonymousFile(AnonymousKind::EventFd, abi::kO_RDWR | flags_in), semaphore_(semaphore), count_(initial) {}

    Result<u64> read_at(fs::IoBuffer& buffer, u64) override;
    Result<u64> write_at(fs::IoBuffer& buffer, u64, bool) override;
    u32 poll(fs::PollTable* table) override;

private:
    static constexpr u64 kMost = ~u64{0} - 1;

    const bool semaphore_;
    core::Spinlock lock_{core::Rank::OpenFile};
    std::atomic<u64> count_;   // changed under lock_; poll() reads it without, after it was told of a change
    sync::WaitQueue changed_;  // readers, writers, poll(2): who is woken in vain looks again
};

}  // namespace hd::ipc
