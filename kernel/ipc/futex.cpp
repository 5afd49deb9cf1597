// SPDX-License-Identifier: MIT
#include "kernel/ipc/futex.hpp"

#include "kernel/abi/futex.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/life.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

namespace {

constexpr usize kBuckets = 256;

// On the waiter's stack. Guarded by the bucket's lock, but for `woken`, which is only set, under that lock.
struct Waiter : boost::intrusive::list_base_hook<> {
    mm::MemoryIdentity where;
    u32 bits;
    std::atomic<bool> woken{false};
    sync::WaitQueue sleeper;
};

struct Bucket {
    core::Spinlock lock{core::Rank::Futex};
    boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> waiters GUARDED_BY(lock);
};

constinit Late<Bucket> g_buckets[kBuckets];

Bucket& bucket_of(const mm::MemoryIdentity& where) {
    const u64 mixed = (reinterpret_cast<u64>(where.object) ^ where.offset) * 0x9e37'79b9'7f4a'7c15;
    return *g_buckets[mixed >> 56];
}

Result<mm::MemoryIdentity> identify(u64 address, FutexScope scope) {
    if (address % sizeof(u32) != 0) return fail(Errno::kEINVAL);
    if (!mm::is_user_range(address, sizeof(u32))) return fail(Errno::kEFAULT);
    mm::AddressSpace& space = *task::current_process().space;
    if (scope == FutexScope::Private) return mm::MemoryIdentity{&space, address};
    return space.identify(VirtAddr{address});
}

u32 wake(const mm::MemoryIdentity& where, u32 most, u32 bits) {
    Bucket& bucket = bucket_of(where);
    u32 woken = 0;
    core::LockGuard guard(bucket.lock);
    for (auto it = bucket.waiters.begin(); it != bucket.waiters.end() && woken < most;) {
        Waiter& waiter = *it;
        if (!(waiter.where == where) || (waiter.bits & bits) == 0) {
            ++it;
            continue;
        }
        it = bucket.waiters.erase(it);
        waiter.woken.store(true, std::memory_order_release);
        waiter.sleeper.wake_one();
        ++woken;
    }
    return woken;
}

void wake_at_thread_exit(u64 address) {
    if (const auto where = identify(address, FutexScope::Shared)) wake(*where, 1, abi::kFUTEX_BITSET_MATCH_ANY);
}

}  // namespace

Result<> futex_wait(u64 address, FutexScope scope, u32 expected, u32 bits, Nanoseconds deadline) {
    if (bits == 0) return fail(Errno::kEINVAL);
    Waiter self;
    self.where = TRY(identify(address, scope));
    self.bits = bits;
    Bucket& bucket = bucket_of(self.where);
    {
        core::LockGuard guard(bucket.lock);
        bucket.waiters.push_back(self);
    }
    const Result<u32> seen = mm::load_user_word(address);
    auto result = sync::WaitResult::Ready;
    if (seen && *seen == expected)
        // acquire: pairs with the release in wake(); what the waker did before is seen by the program as well.
        result = self.sleeper.wait_interruptible(
            "futex", [&] { return self.woken.load(std::memory_order_acquire); }, deadline);

    // Under the lock even if woken: the waker may still be inside our Waiter.
    core::LockGuard guard(bucket.lock);
    if (self.woken.load(std::memory_order_relaxed)) return {};
    bucket.waiters.erase(bucket.waiters.iterator_to(self));
    if (!seen) return fail(seen.error());
    if (*seen != expected) return fail(Errno::kEAGAIN);
    return fail(result == sync::WaitResult::TimedOut ? Errno::kETIMEDOUT : Errno::kERESTARTSYS);
}

Result<u32> futex_wake(u64 address, FutexScope scope, u32 most, u32 bits) {
    if (bits == 0) return fail(Errno::kEINVAL);
    return wake(TRY(identify(address, scope)), most, bits);
}

void init_futexes() {
    for (Late<Bucket>& bucket : g_buckets) bucket.construct();
    task::g_wake_futex = wake_at_thread_exit;
}

}  // namespace hd::ipc
