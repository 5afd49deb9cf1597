// SPDX-License-Identifier: MIT
// See event_fd.hpp.
#include "kernel/ipc/event_fd.hpp"

namespace hd::ipc {

using sync::WaitResult;

Result<u64> EventFd::read_at(fs::IoBuffer& buffer, u64) {
    if (buffer.remaining() < sizeof(u64)) return fail(Errno::kEINVAL);
    u64 value;
    {
        core::LockGuard guard(lock_);
        const auto ready = [&]() REQUIRES(lock_) { return count_ != 0; };
        if (!ready() && nonblocking()) return fail(Errno::kEAGAIN);
        if (changed_.wait_interruptible("eventfd_read", guard, ready) != WaitResult::Ready)
            return fail(Errno::kERESTARTSYS);
        value = semaphore_ ? 1 : count_.load(std::memory_order_relaxed);
        count_.fetch_sub(value, std::memory_order_relaxed);
    }
    changed_.wake_all(sched::WakeHint::None, abi::kPOLLOUT);
    TRY(buffer.put({reinterpret_cast<const u8*>(&value), sizeof value}));
    return sizeof value;
}

Result<u64> EventFd::write_at(fs::IoBuffer& buffer, u64, bool) {
    if (buffer.remaining() < sizeof(u64)) return fail(Errno::kEINVAL);
    u64 value;
    TRY(buffer.get({reinterpret_cast<u8*>(&value), sizeof value}));
    if (value > kMost) return fail(Errno::kEINVAL);
    {
        core::LockGuard guard(lock_);
        const auto fits = [&]() REQUIRES(lock_) { return value <= kMost - count_; };
        if (!fits() && nonblocking()) return fail(Errno::kEAGAIN);
        if (changed_.wait_interruptible("eventfd_write", guard, fits) != WaitResult::Ready)
            return fail(Errno::kERESTARTSYS);
        count_.fetch_add(value, std::memory_order_relaxed);
    }
    changed_.wake_all(sched::WakeHint::None, abi::kPOLLIN);
    return sizeof value;
}

u32 EventFd::poll(fs::PollTable* table) {
    if (table != nullptr) table->add(changed_);
    const u64 count = count_.load(std::memory_order_relaxed);
    return (count != 0 ? abi::kPOLLIN : 0) | (count < kMost ? abi::kPOLLOUT : 0);
}

}  // namespace hd::ipc
