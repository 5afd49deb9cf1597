// SPDX-License-Identifier: MIT
// See robust_list.hpp.
#include "kernel/ipc/robust_list.hpp"

#include <utility>

#include "kernel/abi/futex.hpp"
#include "kernel/ipc/futex.hpp"
#include "kernel/mm/vm/user_ptr.hpp"

namespace hd::ipc {

namespace {

constexpr u64 kInherits = 1;  // bit 0 of a pointer in the list

enum class Entered : u8 { Yes, Pending };

void wake_one(u64 address) { (void)futex_wake({address, FutexScope::Shared}, 1, abi::kFUTEX_BITSET_MATCH_ANY); }

// The lock at `address`, which the list says is held by `owner`; false: not user memory.
bool release_dead(u64 address, u32 owner, bool inherits, Entered entered) {
    if (address % sizeof(u32) != 0) return false;
    Result<u32> seen = mm::load_user_word(address);
    for (;;) {
        if (!seen) return false;
        // The thread had released the lock, but died before it could wake the next one.
        if (entered == Entered::Pending && !inherits && *seen == 0) wake_one(address);
        if ((*seen & abi::kFUTEX_TID_MASK) != owner) return true;
        const u32 dead = (*seen & abi::kFUTEX_WAITERS) | abi::kFUTEX_OWNER_DIED;
        const Result<u32> before = mm::exchange_user_word(address, *seen, dead);
        if (before && *before == *seen) break;
        seen = before;
    }
    if (!inherits && (*seen & abi::kFUTEX_WAITERS) != 0) wake_one(address);
    return true;
}

}  // namespace

void leave_robust_list(task::Thread& self) {
    const u64 address = std::exchange(self.robust_list, 0);
    if (address == 0) return;
    const auto head = mm::UserPtr<abi::RobustListHead>(address).load();
    if (!head) return;
    const u32 owner = static_cast<u32>(self.number());
    const auto futex_of = [&](u64 entry) { return (entry & ~kInherits) + static_cast<u64>(head->futex_offset); };
    u64 entry = head->next;
    for (u32 steps = 0; (entry & ~kInherits) != address && steps < abi::kROBUST_LIST_LIMIT; ++steps) {
        // The next one first: once the lock is free, another thread may take it and put the entry on its own list.
        const Result<u64> next = mm::UserPtr<u64>(entry & ~kInherits).load();
        const bool pending = (entry & ~kInherits) == (head->pending & ~kInherits);
        if (!pending && !release_dead(futex_of(entry), owner, (entry & kInherits) != 0, Entered::Yes)) return;
        if (!next) return;
        entry = *next;
    }
    if ((head->pending & ~kInherits) != 0)
        (void)release_dead(futex_of(head->pending), owner, (head->pending & kInherits) != 0, Entered::Pending);
}

}  // namespace hd::ipc
