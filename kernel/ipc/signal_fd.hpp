// SPDX-License-Identifier: MIT
// signalfd(2): the signals of a mask, pending for whoever reads, as records of a file. Blocked they should be, or handlers take them.
#pragma once
#include "kernel/abi/signal.hpp"
#include "kernel/ipc/anonymous_file.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

class SignalFd final : public AnonymousFile {
public:
    static constexpr char kTag = 0;

    SignalFd(u64 mask_in, u32 flags_in)
        : AnonymousFile(AnonymousKind::SignalFd, abi::kO_RDWR | flags_in),
          mask(mask_in),
          creator_(&task::current_process()) {}

    std::atomic<u64> mask;  // changed by another call of signalfd(2)

    Result<u64> read_at(fs::IoBuffer& buffer, u64) override;
    u32 poll(fs::PollTable* table) override;
    const void* type_tag() const override { return &kTag; }

private:
    u64 wanted() const { return mask.load(std::memory_order_relaxed); }

    // An epoll watches this process's signals, whoever waits (Linux: those of the process that added the file to it).
    const RefPtr<task::Process> creator_;
};

}  // namespace hd::ipc
