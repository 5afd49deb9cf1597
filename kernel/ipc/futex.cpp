// SPDX-License-Identifier: MIT
// See futex.hpp.
#include "kernel/ipc/futex.hpp"

#include <memory>

#include "kernel/abi/futex.hpp"
#include "kernel/ipc/futex_queue.hpp"
#include "kernel/ipc/pi_futex.hpp"
#include "kernel/ipc/robust_list.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/life.hpp"

namespace hd::ipc {

namespace {

Result<u32> wake_plain(const mm::MemoryIdentity& where, u32 most, u32 bits) {
    return is_pi_futex(where) ? fail(Errno::kEINVAL) : wake(where, most, bits);
}

void wake_at_thread_exit(u64 address) {
    if (const auto where = identify({address, FutexScope::Shared}))
        (void)wake_plain(*where, 1, abi::kFUTEX_BITSET_MATCH_ANY);
}

void leave_futexes(task::Thread& self, bool for_good) {
    leave_robust_list(self);
    leave_pi_futexes(self, for_good);
}

Errno outcome(sync::WaitResult result) {
    return result == sync::WaitResult::TimedOut ? Errno::kETIMEDOUT : Errno::kERESTARTSYS;
}

// ---- FUTEX_WAKE_OP

constexpr i32 sign_extend_12(u32 bits) { return static_cast<i32>(bits << 20) >> 20; }

Result<u32> apply(u32 operation, u32 old) {
    const u32 code = operation >> 28;
    u32 operand = static_cast<u32>(sign_extend_12(operation >> 12));
    if ((code & abi::kFUTEX_OP_ARG_SHIFT) != 0) operand = u32{1} << (operand & 31);
    switch (code & ~abi::kFUTEX_OP_ARG_SHIFT) {
    case abi::kFUTEX_OP_SET: return operand;
    case abi::kFUTEX_OP_ADD: return old + operand;
    case abi::kFUTEX_OP_OR: return old | operand;
    case abi::kFUTEX_OP_ANDN: return old & ~operand;
    case abi::kFUTEX_OP_XOR: return old ^ operand;
    default: return fail(Errno::kENOSYS);
    }
}

Result<bool> compare(u32 operation, u32 old) {
    const i32 left = static_cast<i32>(old), right = sign_extend_12(operation);
    switch (operation >> 24 & 15) {
    case abi::kFUTEX_OP_CMP_EQ: return left == right;
    case abi::kFUTEX_OP_CMP_NE: return left != right;
    case abi::kFUTEX_OP_CMP_LT: return left < right;
    case abi::kFUTEX_OP_CMP_LE: return left <= right;
    case abi::kFUTEX_OP_CMP_GT: return left > right;
    case abi::kFUTEX_OP_CMP_GE: return left >= right;
    default: return fail(Errno::kENOSYS);
    }
}

// The old value; nullopt: the page is not there now.
Result<std::optional<u32>> exchange(u64 address, u32 operation) {
    std::optional<u32> old = mm::try_load_user_word(address);
    while (old) {
        const u32 seen = *old;
        old = mm::try_exchange_user_word(address, seen, TRY(apply(operation, seen)));
        if (old && *old == seen) break;
    }
    return old;
}

}  // namespace

Errno futex_wait(FutexWord word, u32 expected, u32 bits, Nanoseconds deadline) {
    if (bits == 0) return Errno::kEINVAL;
    FutexWaiter self;
    self.bits = bits;
    if (const Errno error = identify(word, self.where); error != kNoError) return error;
    if (const Errno error = enter_if(self, word, expected); error != kNoError) return error;
    const auto result = sync::sleep_on(self, sched::SleepKind::Interruptible, "futex", deadline);
    return self.retract() ? outcome(result) : kNoError;
}

Result<u32> futex_wait_any(std::span<const FutexExpectation> words, Nanoseconds deadline) {
    struct Waiters {
        std::unique_ptr<FutexWaiter[]> list;
        u32 count = 0;
        ~Waiters() { (void)leave(); }
        std::optional<u32> leave() {  // the index of one that was taken out by a wake-up
            std::optional<u32> woken;
            while (count != 0)
                if (!list[--count].retract()) woken = count;
            return woken;
        }
        bool taken() const {
            for (u32 i = 0; i < count; ++i)
                if (!list[i].queued()) return true;
            return false;
        }
    } waiters{.list = TRY(mm::make_array<FutexWaiter>(words.size()))};
    for (const FutexExpectation& each : words) {
        FutexWaiter& waiter = waiters.list[waiters.count];
        waiter.where = TRY(identify(each.word));
        waiter.bits = abi::kFUTEX_BITSET_MATCH_ANY;
        if (const Errno error = enter_if(waiter, each.word, each.expected); error != kNoError) {
            if (const auto woken = waiters.leave()) return *woken;
            return fail(error);
        }
        ++waiters.count;
    }
    const auto taken = [](const void* all) { return static_cast<const Waiters*>(all)->taken(); };
    const auto result = sync::sleep_on(taken, &waiters, sched::SleepKind::Interruptible, "futex", deadline);
    if (const auto woken = waiters.leave()) return *woken;
    return fail(outcome(result));
}

Result<u32> futex_wake(FutexWord word, u32 most, u32 bits) {
    if (bits == 0) return fail(Errno::kEINVAL);
    mm::MemoryIdentity where;
    if (const Errno error = identify(word, where); error != kNoError) return fail(error);
    return wake_plain(where, most, bits);
}

Result<u32> futex_requeue(FutexWord from, FutexWord to, u32 wake, u32 move, std::optional<u32> expected) {
    const mm::MemoryIdentity source = TRY(identify(from)), target = TRY(identify(to));
    if (is_pi_futex(source)) return fail(Errno::kEINVAL);
    return requeue(source, from.address, target, wake, move, expected);
}

Result<u32> futex_wake_op(FutexWord first, FutexWord second, u32 wake, u32 wake_second, u32 operation) {
    const mm::MemoryIdentity here = TRY(identify(first)), there = TRY(identify(second));
    sync::WaitQueue& bucket = bucket_of(here);
    sync::WaitQueue& other = bucket_of(there);
    TRY(compare(operation, 0));  // before anything is changed
    for (;;) {
        {
            sync::WaitQueuePairGuard guard(bucket, other);
            if (const std::optional<u32> old = TRY(exchange(second.address, operation))) {
                u32 woken = TRY(wake_locked(bucket, here, wake, abi::kFUTEX_BITSET_MATCH_ANY));
                if (TRY(compare(operation, *old)))
                    woken += TRY(wake_locked(other, there, wake_second, abi::kFUTEX_BITSET_MATCH_ANY));
                return woken;
            }
        }
        TRY(mm::make_user_word_writable(second.address));
    }
}

void init_futexes() {
    task::g_wake_futex = wake_at_thread_exit;
    task::g_leave_futexes = leave_futexes;
}

}  // namespace hd::ipc
