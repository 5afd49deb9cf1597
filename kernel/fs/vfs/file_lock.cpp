// SPDX-License-Identifier: MIT
// See file_lock.hpp.
#include "kernel/fs/vfs/file_lock.hpp"

#include "kernel/lib/late.hpp"
#include "kernel/mm/slab/object_cache.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

struct Lock : boost::intrusive::list_base_hook<>, mm::CachedBy<Lock> {
    static constexpr const char* kCacheName = "file_lock";
    LockOwner owner{};
    LockType type{};
    LockRange range{};
};
using LockList = boost::intrusive::list<Lock, boost::intrusive::constant_time_size<false>>;

bool exclude_each_other(const Lock& held, const LockOwner& owner, LockType type, const LockRange& range) {
    return held.owner.who != owner.who && held.range.overlaps(range) &&
           (held.type == LockType::Exclusive || type == LockType::Exclusive);
}

}  // namespace

// Those of one inode; made with its first lock.
class FileLocks {
public:
    ~FileLocks() {
        records.clear_and_dispose(std::default_delete<Lock>());
        whole.clear_and_dispose(std::default_delete<Lock>());
    }

    core::Spinlock lock{core::Rank::FileLocks};
    LockList records GUARDED_BY(lock), whole GUARDED_BY(lock);
    sync::WaitQueue changed;
};

namespace {

// ---- who waits for whom

struct Wait : boost::intrusive::list_base_hook<> {
    const void* waiter = nullptr;
    LockOwner blocker{};
    sched::Entity& thread = sched::current();
    sync::WaitQueue* queue = nullptr;  // where it sleeps
    bool refused = false;              // a deadlock is broken here
};
constinit core::Spinlock g_waits_lock{core::Rank::FileLockWaits};
// A list that begins empty and lives for ever: its constructor makes a circle of one, which no constant can be.
boost::intrusive::list<Wait, boost::intrusive::constant_time_size<false>>& waits() REQUIRES(g_waits_lock) {
    static constinit Late<boost::intrusive::list<Wait, boost::intrusive::constant_time_size<false>>> list;
    static constinit bool made = false;
    if (!std::exchange(made, true)) list.construct();
    return *list;
}

// The waits of one thread of a process; at most one at a time.
class WaitScope {
public:
    WaitScope(const void* waiter, sync::WaitQueue& queue) {
        wait_.waiter = waiter;
        wait_.queue = &queue;
    }
    ~WaitScope() { leave(); }
    WaitScope(const WaitScope&) = delete;

    // False: that would close a circle, or somebody has found one.
    bool enter(const LockOwner& blocker) {
        core::LockGuard guard(g_waits_lock);
        wait_.blocker = blocker;
        if (!wait_.is_linked()) waits().push_back(wait_);
        return !wait_.refused && !leads_to(blocker.who, wait_.waiter, kMost);
    }
    void leave() {
        core::LockGuard guard(g_waits_lock);
        if (wait_.is_linked()) waits().erase(waits().iterator_to(wait_));
    }

private:
    static constexpr u32 kMost = 10;  // longer chains are not followed (Linux: MAX_DEADLK_ITERATIONS)

    // Several threads of a process may wait, so each of its waits is followed.
    static bool leads_to(const void* from, const void* target, u32 steps) REQUIRES(g_waits_lock) {
        if (from == target) return true;
        if (steps == 0) return false;
        for (const Wait& wait : waits())
            if (wait.waiter == from && leads_to(wait.blocker.who, target, steps - 1)) return true;
        return false;
    }
    Wait wait_;
};

// ---- lists

Result<FileLocks*> locks_of(Inode& inode) {
    FileLocks* locks = inode.locks.load(std::memory_order_acquire);
    if (locks != nullptr) return locks;
    auto fresh = TRY(mm::make<FileLocks>());
    // release: whoever finds it finds it whole. The loser's goes.
    if (inode.locks.compare_exchange_strong(locks, fresh.get(), std::memory_order_acq_rel)) return fresh.release();
    return locks;
}

// The one that begins first.
const Lock* find_conflict(const LockList& list, const LockOwner& owner, LockType type, const LockRange& range) {
    const Lock* first = nullptr;
    for (const Lock& held : list)
        if (exclude_each_other(held, owner, type, range) && (first == nullptr || held.range.begin < first->range.begin))
            first = &held;
    return first;
}

// The owner's locks become `type` within the range. `spare`: memory for two more; what is not needed stays there, what is given
// up comes to it.
void change(LockList& list, const LockOwner& owner, LockType type, LockRange range, LockList& spare) {
    for (auto it = list.begin(); it != list.end();) {
        Lock& held = *it++;
        if (held.owner.who != owner.who) continue;
        const bool touches = held.range.overlaps(range) || held.range.end + 1 == range.begin ||
                             (range.end != ~u64{0} && range.end + 1 == held.range.begin);
        if (held.type == type && touches) {
            range = {std::min(range.begin, held.range.begin), std::max(range.end, held.range.end)};
        } else if (held.range.overlaps(range)) {
            if (held.range.end > range.end) {
                Lock& rest = spare.front();
                spare.pop_front();
                rest.owner = held.owner;
                rest.type = held.type;
                rest.range = {range.end + 1, held.range.end};
                list.push_front(rest);  // behind us: not looked at again
            }
            if (held.range.begin < range.begin) {
                held.range.end = range.begin - 1;
                continue;
            }
        } else {
            continue;
        }
        list.erase(list.iterator_to(held));
        spare.push_back(held);
    }
    if (type == LockType::None) return;
    Lock& made = spare.front();
    spare.pop_front();
    made.owner = owner;
    made.type = type;
    made.range = range;
    list.push_back(made);
}

// A whole lock of another type goes first, and is lost if the new one cannot be had; others may get it while its owner waits
// (flock(2)), but not before he has looked. True: he has what he wants already.
bool give_up_other(FileLocks& locks, const LockOwner& owner, LockType type, LockList& spare) REQUIRES(locks.lock) {
    for (Lock& held : locks.whole) {
        if (held.owner.who != owner.who) continue;
        if (held.type == type) return true;
        locks.whole.erase(locks.whole.iterator_to(held));
        spare.push_back(held);
        locks.changed.wake_all();
        break;  // he has one at most
    }
    return false;
}

Result<> set(FileLocks& locks, LockList FileLocks::* which, LockOwner owner, LockType type, LockRange range, bool wait,
             bool detect) {
    LockList spare;
    struct Dispose {
        LockList& list;
        ~Dispose() { list.clear_and_dispose(std::default_delete<Lock>()); }
    } const dispose{spare};
    for (int i = 0; i < 2; ++i) spare.push_back(*TRY(mm::make<Lock>()).release());
    {
        WaitScope waiting(owner.who, locks.changed);
        bool deadlock = false;
        core::LockGuard guard(locks.lock);
        if (which == &FileLocks::whole && give_up_other(locks, owner, type, spare)) return {};
        const auto free = [&]() REQUIRES(locks.lock) {
            const Lock* const conflict = find_conflict(locks.*which, owner, type, range);
            if (conflict == nullptr || type == LockType::None) return true;
            deadlock = wait && detect && conflict->owner.is_process() && !waiting.enter(conflict->owner);
            return deadlock;
        };
        if (!free() && !wait) return fail(Errno::kEAGAIN);
        if (locks.changed.wait_interruptible("file_lock", guard, free) != sync::WaitResult::Ready)
            return fail(Errno::kERESTARTSYS);
        if (deadlock) return fail(Errno::kEDEADLK);
        change(locks.*which, owner, type, range, spare);
    }
    locks.changed.wake_all();
    return {};
}

void release(FileLocks& locks, LockList FileLocks::* which, const void* owner) {
    LockList gone;
    {
        core::LockGuard guard(locks.lock);
        LockList& list = locks.*which;
        for (auto it = list.begin(); it != list.end();) {
            Lock& held = *it++;
            if (held.owner.who != owner) continue;
            list.erase(list.iterator_to(held));
            gone.push_back(held);
        }
    }
    if (gone.empty()) return;
    gone.clear_and_dispose(std::default_delete<Lock>());
    locks.changed.wake_all();
}

}  // namespace

void free_locks(FileLocks* locks) { delete locks; }

Result<> set_record_lock(Inode& inode, LockOwner owner, LockType type, LockRange range, bool wait) {
    if (type == LockType::None && inode.locks.load(std::memory_order_acquire) == nullptr) return {};
    return set(*TRY(locks_of(inode)), &FileLocks::records, owner, type, range, wait, owner.is_process());
}

FoundLock find_record_lock(Inode& inode, LockOwner owner, LockType type, LockRange range) {
    FileLocks* const locks = inode.locks.load(std::memory_order_acquire);
    if (locks == nullptr) return {LockType::None, {}, 0};
    core::LockGuard guard(locks->lock);
    const Lock* const found = find_conflict(locks->records, owner, type, range);
    return found != nullptr ? FoundLock{found->type, found->range, found->owner.pid} : FoundLock{LockType::None, {}, 0};
}

Result<> set_whole_lock(File& file, LockType type, bool wait) {
    FileLocks& locks = *TRY(locks_of(*file.inode));
    if (type != LockType::None) return set(locks, &FileLocks::whole, {&file, -1}, type, {}, wait, false);
    release(locks, &FileLocks::whole, &file);
    return {};
}

i32 record_lock_holder(const sched::Entity& waiter) {
    core::LockGuard guard(g_waits_lock);
    for (const Wait& wait : waits())
        if (&wait.thread == &waiter) return wait.blocker.pid;
    return 0;
}

void refuse_record_lock(const sched::Entity& waiter) {
    core::LockGuard guard(g_waits_lock);
    for (Wait& wait : waits()) {
        if (&wait.thread != &waiter) continue;
        wait.refused = true;
        wait.queue->wake_all();  // each looks again; this one finds the mark
    }
}

void release_record_locks(Inode& inode, const void* owner) {
    if (FileLocks* const locks = inode.locks.load(std::memory_order_acquire))
        release(*locks, &FileLocks::records, owner);
}

void release_file_locks(File& file) {
    FileLocks* const locks = file.inode->locks.load(std::memory_order_acquire);
    if (locks == nullptr) return;
    release(*locks, &FileLocks::records, &file);
    release(*locks, &FileLocks::whole, &file);
}

}  // namespace hd::fs
