// SPDX-License-Identifier: MIT
// futex(2). WAIT and WAKE with and without a bit set; the other operations are refused with ENOSYS, which callers expect
// of kernels that do not have them.
#include "kernel/ipc/futex.hpp"

#include "kernel/abi/futex.hpp"
#include "kernel/abi/time.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/thread.hpp"
#include "kernel/time/timer.hpp"

namespace hd::syscall {

namespace {

// FUTEX_WAIT's timeout is relative, so after a stop it goes on with the end that it had.
Result<u64> relative_wait(task::RestartBlock& block) {
    const auto scope = block.arguments[2] != 0 ? ipc::FutexScope::Private : ipc::FutexScope::Shared;
    const Result<> waited = ipc::futex_wait(block.arguments[0], scope, static_cast<u32>(block.arguments[1]),
                                            abi::kFUTEX_BITSET_MATCH_ANY, block.deadline);
    if (waited) return 0;
    return fail(waited.error() == Errno::kERESTARTSYS ? Errno::kERESTART_RESTARTBLOCK : waited.error());
}

}  // namespace

Answer sys_futex(Address word, UInt operation, UInt value, In<abi::Timespec> timeout, Address, UInt bits) {
    const bool is_private = (operation & abi::kFUTEX_PRIVATE_FLAG) != 0;
    const bool wall = (operation & abi::kFUTEX_CLOCK_REALTIME) != 0;
    const auto scope = is_private ? ipc::FutexScope::Private : ipc::FutexScope::Shared;
    const u32 command = operation & ~(abi::kFUTEX_PRIVATE_FLAG | abi::kFUTEX_CLOCK_REALTIME);
    if (wall && command != abi::kFUTEX_WAIT_BITSET) return fail(Errno::kENOSYS);
    switch (command) {
    case abi::kFUTEX_WAKE: return ipc::futex_wake(word, scope, value, abi::kFUTEX_BITSET_MATCH_ANY);
    case abi::kFUTEX_WAKE_BITSET: return ipc::futex_wake(word, scope, value, bits);
    case abi::kFUTEX_WAIT: {
        if (timeout) {
            task::RestartBlock& block = task::current_thread().restart;
            block = {relative_wait, deadline_after(TRY(duration_from(timeout))), {word, value, is_private}};
            return relative_wait(block);
        }
        return ipc::futex_wait(word, scope, value, abi::kFUTEX_BITSET_MATCH_ANY, Nanoseconds::max());
    }
    case abi::kFUTEX_WAIT_BITSET: {
        Nanoseconds deadline = Nanoseconds::max();
        if (timeout) {
            deadline = TRY(duration_from(timeout));
            if (wall) deadline = deadline - time::wall_clock() + time::now();
        }
        return ipc::futex_wait(word, scope, value, bits, deadline);
    }
    default: return fail(Errno::kENOSYS);
    }
}

}  // namespace hd::syscall
