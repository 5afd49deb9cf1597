// SPDX-License-Identifier: MIT
// timerfd_create(2): a timer whose expirations are read from a file. A periodic one is not re-armed when it goes off but when it is read:
// how often it would have gone off meanwhile is a division, and nobody is interrupted for what nobody reads.
//
// Locking: File::position_lock (sleeping) around settings, since a timer is armed and cancelled by one at a time; `lock_` (an
// IrqSpinlock, rank Expiry) guards what the timer's callback changes.
#pragma once
#include <optional>

#include "kernel/ipc/anonymous_file.hpp"
#include "kernel/time/timer.hpp"

namespace hd::ipc {

class TimerFd final : public AnonymousFile {
public:
    static constexpr char kTag = 0;

    // What is left, and how often after that; all 0: not set.
    struct Setting {
        Nanoseconds value{}, interval{};
    };

    explicit TimerFd(bool wall, u32 flags_in)
        : AnonymousFile(AnonymousKind::TimerFd, abi::kO_RDWR | flags_in), wall_clock(wall), timer_(*this) {}
    ~TimerFd() override { timer_.cancel(); }

    const bool wall_clock;  // of CLOCK_REALTIME: only what an absolute time means depends on it

    // It goes off at `deadline` of the monotonic clock first, which may be long past; without one it is not set. Returns what was
    // set before.
    Setting set(std::optional<Nanoseconds> deadline, Nanoseconds interval);
    Setting get();

    Result<u64> read_at(fs::IoBuffer& buffer, u64) override;
    u32 poll(fs::PollTable* table) override;
    const void* type_tag() const override { return &kTag; }

private:
    struct OwnTimer : time::Timer {
        explicit OwnTimer(TimerFd& of) : Timer(&TimerFd::expire), owner(of) {}
        TimerFd& owner;
    };
    static void expire(time::Timer& timer);
    Setting get_locked(Nanoseconds now) REQUIRES(lock_);

    core::IrqSpinlock lock_{core::Rank::Expiry};
    bool expired_ GUARDED_BY(lock_) = false;                 // since it was read or set last
    std::optional<Nanoseconds> deadline_ GUARDED_BY(lock_);  // when it goes off, or went off; nullopt: it is not set
    Nanoseconds interval_ GUARDED_BY(lock_){};
    OwnTimer timer_;
    sync::WaitQueue went_off_;
};

}  // namespace hd::ipc
