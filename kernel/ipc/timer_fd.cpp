// SPDX-License-Identifier: MIT
// See timer_fd.hpp.
#include "kernel/ipc/timer_fd.hpp"

#include <algorithm>

namespace hd::ipc {

void TimerFd::expire(time::Timer& timer) {
    TimerFd& self = static_cast<OwnTimer&>(timer).owner;
    {
        core::LockGuard guard(self.lock_);
        self.expired_ = true;
    }
    self.went_off_.wake_all(sched::WakeHint::None, abi::kPOLLIN);
}

TimerFd::Setting TimerFd::get_locked(Nanoseconds now) {
    if (!deadline_) return {};
    Nanoseconds rest = *deadline_ - now;
    if (rest.raw <= 0) {
        if (interval_.raw == 0) return {};
        rest = interval_ - Nanoseconds{(now - *deadline_).raw % interval_.raw};
    }
    return {rest, interval_};
}

TimerFd::Setting TimerFd::get() {
    core::LockGuard guard(lock_);
    return get_locked(time::now());
}

TimerFd::Setting TimerFd::set(std::optional<Nanoseconds> deadline, Nanoseconds interval) {
    sync::MutexGuard settings(position_lock);
    timer_.cancel();
    core::LockGuard guard(lock_);
    const Setting old = get_locked(time::now());
    expired_ = false;
    deadline_ = deadline;
    interval_ = interval;
    if (deadline && *deadline != Nanoseconds::max()) timer_.arm(*deadline);
    return old;
}

Result<u64> TimerFd::read_at(fs::IoBuffer& buffer, u64) {
    if (buffer.remaining() < sizeof(u64)) return fail(Errno::kEINVAL);
    u64 count = 0;
    while (count == 0) {
        const auto ready = [&] {
            core::LockGuard guard(lock_);
            return expired_;
        };
        if (!ready() && nonblocking()) return fail(Errno::kEAGAIN);
        if (went_off_.wait_interruptible("timerfd_read", ready) != sync::WaitResult::Ready)
            return fail(Errno::kERESTARTSYS);
        sync::MutexGuard settings(position_lock);
        core::LockGuard guard(lock_);
        if (!expired_) continue;  // another reader was faster, or it was set anew
        expired_ = false;
        count = 1;
        if (interval_.raw == 0) continue;
        count += static_cast<u64>((time::now() - *deadline_).raw / interval_.raw);
        deadline_ = *deadline_ + Nanoseconds{static_cast<i64>(count) * interval_.raw};
        timer_.arm(*deadline_);
    }
    TRY(buffer.put({reinterpret_cast<const u8*>(&count), sizeof count}));
    return sizeof count;
}

u32 TimerFd::poll(fs::PollTable* table) {
    if (table != nullptr) table->add(went_off_);
    core::LockGuard guard(lock_);
    return expired_ ? abi::kPOLLIN : 0;
}

}  // namespace hd::ipc
