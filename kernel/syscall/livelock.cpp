// SPDX-License-Identifier: MIT
// What a system call means to the watch for livelock (kernel/task/livelock.hpp): does it get a thread further, is it one of the calls
// that are made around locks and say nothing, or was it in vain?
#include "kernel/task/livelock.hpp"
#include "kernel/abi/fcntl.hpp"
#include "kernel/abi/futex.hpp"
#include "kernel/syscall/dispatch.hpp"
#include "kernel/syscall/types.hpp"

namespace hd::syscall {

namespace {

namespace number {
#define SYSCALL(number, name, parameters) constexpr u64 name = number;
#include "kernel/syscall/table.def"
}  // namespace number

using task::Step;

Step futex_step(const arch::TrapFrame& frame) {
    const auto result = static_cast<i64>(frame.result());
    const u64 command = frame.syscall_argument(1) & ~u64{abi::kFUTEX_PRIVATE_FLAG | abi::kFUTEX_CLOCK_REALTIME};
    const bool waits = command == abi::kFUTEX_WAIT || command == abi::kFUTEX_WAIT_BITSET;
    if (result == -static_cast<i64>(Errno::kEAGAIN)) return waits ? Step::FutexChanged : Step::FutexBusy;
    if (result < 0) return Step::Neutral;  // time passed, or a signal came, which is a step of its own
    if (waits || result > 0) return Step::HandOver;
    return Step::Neutral;  // nobody was there to be woken, or a lock with priority inheritance was free
}

Step record_lock_step(const arch::TrapFrame& frame) {
    switch (frame.syscall_argument(1)) {
    case abi::kF_GETLK:
    case abi::kF_SETLK:
    case abi::kF_SETLKW:
    case abi::kF_OFD_GETLK:
    case abi::kF_OFD_SETLK:
    case abi::kF_OFD_SETLKW: return Step::FileLockBusy;
    default: return Step::Progress;
    }
}

// The kind of a call; of the last ones only if it was in vain, else it is neutral.
Step step_of(const arch::TrapFrame& frame) {
    switch (frame.syscall_number()) {
    case number::sched_yield: return Step::Yield;
    case number::nanosleep:
    case number::clock_nanosleep: return Step::Nap;
    case number::futex: return futex_step(frame);
    case number::flock: return Step::FileLockBusy;
    case number::fcntl: return record_lock_step(frame);
    case number::semop:
    case number::semtimedop: return Step::SemaphoreBusy;
    case number::clock_gettime:
    case number::gettimeofday:
    case number::time:
    case number::getpid:
    case number::gettid:
    case number::getcpu:
    case number::rt_sigprocmask: return Step::Neutral;
    default: return Step::Progress;
    }
}

}  // namespace

// What a loop changes when it gets further is likely to be in a register or a variable of the functions that it runs in.
void watch_return(const arch::TrapFrame& frame) {
    if (!frame.is_system_call()) return;
    const Step step = step_of(frame);
    task::ProgramState state = {};
    constexpr usize kStackBytes = (std::size(state) - arch::TrapFrame::kPreserved) * sizeof state[0];
    if (step >= Step::Yield) {
        frame.copy_preserved(state);
        // Whatever cannot be read stays 0.
        std::ignore = mm::copy_from_user(state + arch::TrapFrame::kPreserved, frame.sp().raw, kStackBytes);
    }
    task::livelock_step(step, state);
}

}  // namespace hd::syscall
