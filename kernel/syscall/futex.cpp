// SPDX-License-Identifier: MIT
// futex(2), futex_waitv(2). An operation that is not here is refused with ENOSYS, which callers expect of kernels that do not have it.
#include "kernel/ipc/futex.hpp"

#include "kernel/abi/futex.hpp"
#include "kernel/abi/time.hpp"
#include "kernel/ipc/pi_futex.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/livelock.hpp"
#include "kernel/task/thread.hpp"
#include "kernel/time/timer.hpp"

namespace hd::syscall {

namespace {

ipc::FutexScope scope_of(u32 flags) {
    return (flags & abi::kFUTEX_PRIVATE_FLAG) != 0 ? ipc::FutexScope::Private : ipc::FutexScope::Shared;
}

// A wait with a time limit: a handler ends it whatever its flags, but after a stop it goes on with the end that it had.
// arguments: address, expected and the bits above it, flags.
Result<u64> limited_wait(task::RestartBlock& block) {
    const ipc::FutexWord word{block.arguments[0], scope_of(static_cast<u32>(block.arguments[2]))};
    const Errno error = ipc::futex_wait(word, static_cast<u32>(block.arguments[1]),
                                        static_cast<u32>(block.arguments[1] >> 32), block.deadline);
    if (error == kNoError) return 0;
    task::note_failure(error);
    return fail(error == Errno::kERESTARTSYS ? Errno::kERESTART_RESTARTBLOCK : error);
}

Answer begin_wait(ipc::FutexWord word, u32 flags, u32 expected, u32 bits, Nanoseconds deadline) {
    if (deadline == Nanoseconds::max()) return task::note_if_busy(ipc::futex_wait(word, expected, bits, deadline));
    task::RestartBlock& block = task::current_thread().restart;
    block = {limited_wait, deadline, {word.address, expected | u64{bits} << 32, flags}};
    return limited_wait(block);
}

// A point in time on one of the two clocks, as one of the monotonic clock.
Result<Nanoseconds> absolute(In<abi::Timespec> timeout, bool wall) {
    if (!timeout) return Nanoseconds::max();
    const Nanoseconds deadline = TRY(duration_from(timeout));
    return wall ? deadline - time::wall_clock() + time::now() : deadline;
}

}  // namespace

// All but the two that nearly every call is.
[[gnu::noinline]] static Answer futex_operation(Address address, UInt operation, UInt value, Size timeout_or_count,
                                                Address second_address, UInt third) {
    const ipc::FutexWord word{address, scope_of(operation)}, second{second_address, word.scope};
    const In<abi::Timespec> timeout(timeout_or_count);
    const u32 count = static_cast<u32>(timeout_or_count);
    const bool wall = (operation & abi::kFUTEX_CLOCK_REALTIME) != 0;
    const u32 command = operation & ~(abi::kFUTEX_PRIVATE_FLAG | abi::kFUTEX_CLOCK_REALTIME);
    const bool has_clock =
        command == abi::kFUTEX_WAIT_BITSET || command == abi::kFUTEX_WAIT_REQUEUE_PI || command == abi::kFUTEX_LOCK_PI2;
    if (wall && !has_clock) return fail(Errno::kENOSYS);
    switch (command) {
    case abi::kFUTEX_WAKE_BITSET: return ipc::futex_wake(word, value, third);
    case abi::kFUTEX_WAIT: {
        const Nanoseconds deadline = deadline_after(TRY(duration_from(timeout)));
        return begin_wait(word, operation, value, abi::kFUTEX_BITSET_MATCH_ANY, deadline);
    }
    case abi::kFUTEX_WAIT_BITSET: return begin_wait(word, operation, value, third, TRY(absolute(timeout, wall)));
    case abi::kFUTEX_REQUEUE:
    case abi::kFUTEX_CMP_REQUEUE: {
        if (static_cast<i32>(value) < 0 || static_cast<i32>(count) < 0) return fail(Errno::kEINVAL);
        const auto expected = command == abi::kFUTEX_CMP_REQUEUE ? std::optional(third) : std::nullopt;
        return ipc::futex_requeue(word, second, value, count, expected);
    }
    case abi::kFUTEX_WAKE_OP: return ipc::futex_wake_op(word, second, value, count, third);
    case abi::kFUTEX_LOCK_PI: return ipc::pi_lock(word, TRY(absolute(timeout, true)));
    case abi::kFUTEX_LOCK_PI2: return ipc::pi_lock(word, TRY(absolute(timeout, wall)));
    case abi::kFUTEX_TRYLOCK_PI: return task::note_if_busy(ipc::pi_try_lock(word));
    case abi::kFUTEX_UNLOCK_PI: return ipc::pi_unlock(word);
    case abi::kFUTEX_WAIT_REQUEUE_PI:
        return ipc::futex_wait_requeue_pi(word, value, abi::kFUTEX_BITSET_MATCH_ANY, TRY(absolute(timeout, wall)),
                                          second);
    case abi::kFUTEX_CMP_REQUEUE_PI:
        if (value != 1) return fail(Errno::kEINVAL);
        return ipc::futex_requeue_pi(word, second, count, third);
    default: return fail(Errno::kENOSYS);
    }
}

Answer sys_futex(Address address, UInt operation, UInt value, Size timeout_or_count, Address second_address,
                 UInt third) {
    const u32 command = operation & ~abi::kFUTEX_PRIVATE_FLAG;
    if (command == abi::kFUTEX_WAKE)
        return ipc::futex_wake({address, scope_of(operation)}, value, abi::kFUTEX_BITSET_MATCH_ANY);
    if (command == abi::kFUTEX_WAIT && timeout_or_count == 0)
        return ipc::futex_wait({address, scope_of(operation)}, value, abi::kFUTEX_BITSET_MATCH_ANY, Nanoseconds::max());
    return futex_operation(address, operation, value, timeout_or_count, second_address, third);
}

Answer sys_futex_waitv(In<abi::FutexWaitv> list, UInt count, Flags flags, In<abi::Timespec> timeout, Int clock) {
    if (flags != 0 || !list || count == 0 || count > abi::kFUTEX_WAITV_MAX) return fail(Errno::kEINVAL);
    if (timeout && clock != abi::kCLOCK_MONOTONIC && clock != abi::kCLOCK_REALTIME) return fail(Errno::kEINVAL);
    const Nanoseconds deadline = TRY(absolute(timeout, clock == abi::kCLOCK_REALTIME));
    const auto words = TRY(mm::make_array<ipc::FutexExpectation>(count));
    for (u32 i = 0; i < count; ++i) {
        const abi::FutexWaitv each = TRY((list + i).load());
        if ((each.flags & ~abi::kFUTEX_PRIVATE_FLAG) != abi::kFUTEX_32 || each.reserved != 0 || each.value >> 32 != 0)
            return fail(Errno::kEINVAL);
        words[i] = {{each.address, scope_of(each.flags)}, static_cast<u32>(each.value)};
    }
    return ipc::futex_wait_any({words.get(), count}, deadline);
}

}  // namespace hd::syscall
