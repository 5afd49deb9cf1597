// SPDX-License-Identifier: MIT
// See pi_futex.hpp.
#include "kernel/ipc/pi_futex.hpp"

#include <boost/intrusive/list.hpp>

#include "kernel/abi/futex.hpp"
#include "kernel/ipc/futex_queue.hpp"
#include "kernel/mm/slab/object_cache.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

namespace {

constinit core::Spinlock g_pi_lock{core::Rank::Futex};
using PiGuard = core::LockGuard<core::Spinlock>;

u32 tid_of(const task::Thread& thread) { return static_cast<u32>(thread.number()); }

}  // namespace

// A thread's place at a lock; on its stack. Guarded by g_pi_lock, but for `granted` and `refused`, which are only set, under it.
class PiWaiter : public boost::intrusive::list_base_hook<> {
public:
    explicit PiWaiter(task::Thread& who) : thread(who) {}

    task::Thread& thread;
    PiFutex* futex = nullptr;  // where it waits or waited; null: nowhere yet
    u8 slot = 0;               // its priority when it was put in its place
    bool owner_died = false;   // the lock that was granted comes from a thread that ended
    std::atomic<bool> granted{false};
    std::atomic<bool> refused{false};  // a deadlock is broken here
};

// A lock that somebody waits for, or that is unsettled. Guarded by g_pi_lock.
class PiFutex : public mm::CachedBy<PiFutex> {
public:
    static constexpr const char* kCacheName = "pi_futex";

    mm::MemoryIdentity where;
    task::Thread* owner = nullptr;  // alive: before it goes it leaves its locks
    boost::intrusive::list<PiWaiter, boost::intrusive::constant_time_size<false>> waiters;  // highest priority first
    bool unsettled = false;         // the word is still to be written
    PiFutex* next_owned = nullptr;  // of the same owner
    PiFutex* next = nullptr;        // in the table's chain
};

namespace {

// ---- the table

constinit PiFutex* g_table[64] GUARDED_BY(g_pi_lock) = {};
// How many are in it. relaxed: who reads it without the lock wants to know of what happened long before.
constinit std::atomic<u32> g_count{0};

PiFutex*& chain_of(const mm::MemoryIdentity& where) REQUIRES(g_pi_lock) {
    const u64 mixed = (reinterpret_cast<u64>(where.object) ^ where.offset) * 0x9e37'79b9'7f4a'7c15;
    return g_table[mixed >> 58];
}

PiFutex* find_locked(const mm::MemoryIdentity& where) REQUIRES(g_pi_lock) {
    for (PiFutex* futex = chain_of(where); futex != nullptr; futex = futex->next)
        if (futex->where == where) return futex;
    return nullptr;
}

template <PiFutex* PiFutex::* Next> void unchain(PiFutex** link, const PiFutex& futex) {
    while (*link != &futex) link = &((*link)->*Next);
    *link = futex.*Next;
}

void set_owner_locked(PiFutex& futex, task::Thread* owner) REQUIRES(g_pi_lock) {
    if (futex.owner != nullptr) unchain<&PiFutex::next_owned>(&futex.owner->owned_pi_futexes, futex);
    futex.owner = owner;
    if (owner != nullptr) futex.next_owned = std::exchange(owner->owned_pi_futexes, &futex);
}

// Once nobody waits, the word tells everything.
void drop_if_idle_locked(PiFutex& futex) REQUIRES(g_pi_lock) {
    if (!futex.waiters.empty() || futex.unsettled) return;
    set_owner_locked(futex, nullptr);
    unchain<&PiFutex::next>(&chain_of(futex.where), futex);
    g_count.fetch_sub(1, std::memory_order_relaxed);
    delete &futex;
}

// ---- priorities

void put_in_place_locked(PiFutex& futex, PiWaiter& waiter) REQUIRES(g_pi_lock) {
    waiter.slot = sched::realtime_slot(waiter.thread);
    auto before = futex.waiters.end();
    while (before != futex.waiters.begin() && std::prev(before)->slot < waiter.slot) --before;
    futex.waiters.insert(before, waiter);
}

// From a thread whose locks or waiters have changed, as far along the chain as that makes a difference.
void settle_chain_locked(task::Thread* thread) REQUIRES(g_pi_lock) {
    while (thread != nullptr) {
        u8 lent = 0;
        for (const PiFutex* futex = thread->owned_pi_futexes; futex != nullptr; futex = futex->next_owned)
            if (!futex->waiters.empty()) lent = std::max(lent, futex->waiters.front().slot);
        sched::lend_priority(*thread, lent);
        PiWaiter* const waiter = thread->pi_waiter;
        if (waiter == nullptr || waiter->slot == sched::realtime_slot(*thread)) return;
        PiFutex& futex = *waiter->futex;
        futex.waiters.erase(futex.waiters.iterator_to(*waiter));
        put_in_place_locked(futex, *waiter);
        thread = futex.owner;
    }
}

// ---- waiting and granting

// EDEADLK: `waiter` would wait for itself.
Result<> enqueue_locked(PiFutex& futex, PiWaiter& waiter) REQUIRES(g_pi_lock) {
    for (const task::Thread* thread = futex.owner; thread != nullptr;) {
        if (thread == &waiter.thread) return fail(Errno::kEDEADLK);
        thread = thread->pi_waiter != nullptr ? thread->pi_waiter->futex->owner : nullptr;
    }
    waiter.futex = &futex;
    waiter.thread.pi_waiter = &waiter;
    put_in_place_locked(futex, waiter);
    settle_chain_locked(futex.owner);
    return {};
}

void leave_locked(PiWaiter& waiter) REQUIRES(g_pi_lock) {
    PiFutex& futex = *waiter.futex;
    task::Thread* const owner = futex.owner;
    futex.waiters.erase(futex.waiters.iterator_to(waiter));
    waiter.thread.pi_waiter = nullptr;
    drop_if_idle_locked(futex);
    settle_chain_locked(owner);
}

void set_granted_locked(PiWaiter& waiter) REQUIRES(g_pi_lock) {
    waiter.granted.store(true);  // seq_cst: the event, before the wake-up (kernel/sync/wait_queue.hpp)
    sched::wake(waiter.thread);
}

// To the first of those who wait. `died`: the owner has ended, and the new one writes the word.
void hand_over_locked(PiFutex& futex, bool died) REQUIRES(g_pi_lock) {
    task::Thread* const old = futex.owner;
    PiWaiter& next = futex.waiters.front();
    futex.waiters.pop_front();
    next.thread.pi_waiter = nullptr;
    next.owner_died = futex.unsettled = died;
    set_owner_locked(futex, &next.thread);
    settle_chain_locked(old);
    settle_chain_locked(&next.thread);
    set_granted_locked(next);
    drop_if_idle_locked(futex);
}

// ---- one attempt to take a lock, for the caller or for somebody who is moved to it

class Attempt {
public:
    enum class Outcome : u8 { Taken, Wait, Again };

    explicit Attempt(FutexWord word, const mm::MemoryIdentity& where) : word_(word), where_(where) {}

    // What cannot be done under the lock: memory, the page, finding the owner by its number. ENOMEM, EFAULT.
    Result<> prepare() {
        if (!spare_) spare_.reset(new (std::nothrow) PiFutex);
        if (!spare_) return fail(Errno::kENOMEM);
        TRY(mm::make_user_word_writable(word_.address));
        owner_id_ = TRY(mm::load_user_word(word_.address)) & abi::kFUTEX_TID_MASK;
        owner_ = owner_id_ != 0 ? task::find_thread(Pid{static_cast<i32>(owner_id_)}) : RefPtr<task::Thread>();
        return {};
    }

    // Taken: `who` owns the lock. Wait: `futex()` is it. Again: prepare() and try once more. `marked`: others will wait for it.
    Result<Outcome> run_locked(task::Thread& who, bool marked) REQUIRES(g_pi_lock) {
        const u32 me = tid_of(who);
        for (;;) {
            const std::optional<u32> seen = mm::try_load_user_word(word_.address);
            if (!seen) return Outcome::Again;
            const u32 owner = *seen & abi::kFUTEX_TID_MASK;
            futex_ = find_locked(where_);
            if (owner == me || (futex_ != nullptr && futex_->owner == &who)) return fail(Errno::kEDEADLK);
            if (futex_ != nullptr) {
                // Its owner may be on its way out, and have left the word by its robust list already.
                const bool left = owner == 0 && (*seen & abi::kFUTEX_OWNER_DIED) != 0;
                if (!left && !futex_->unsettled && owner != tid_of(*futex_->owner)) return fail(Errno::kEINVAL);
                return Outcome::Wait;
            }
            if (owner != 0 && owner != owner_id_) return Outcome::Again;
            if (owner != 0 && !owner_) return fail(Errno::kESRCH);
            const u32 wanted = owner != 0 ? *seen | abi::kFUTEX_WAITERS
                                          : (*seen & abi::kFUTEX_OWNER_DIED) | me | (marked ? abi::kFUTEX_WAITERS : 0);
            const std::optional<u32> before = mm::try_exchange_user_word(word_.address, *seen, wanted);
            if (!before) return Outcome::Again;
            if (*before != *seen) continue;
            if (owner == 0) return Outcome::Taken;
            // It has left its locks, this one among them unless the word lies.
            if (owner_->left_pi_futexes) return fail(Errno::kESRCH);
            begin_locked(*owner_);
            return Outcome::Wait;
        }
    }
    // The kernel begins to know of the lock.
    void begin_locked(task::Thread& owner) REQUIRES(g_pi_lock) {
        futex_ = spare_.release();
        futex_->where = where_;
        g_count.fetch_add(1, std::memory_order_relaxed);
        PiFutex*& chain = chain_of(where_);
        futex_->next = std::exchange(chain, futex_);
        set_owner_locked(*futex_, &owner);
    }
    PiFutex& futex() const { return *futex_; }

private:
    const FutexWord word_;
    const mm::MemoryIdentity where_;
    std::unique_ptr<PiFutex> spare_;
    u32 owner_id_ = 0;
    RefPtr<task::Thread> owner_;
    PiFutex* futex_ = nullptr;
};

// The word of a lock that came from a dead owner gets its new one: the caller. EFAULT: it is the caller's all the same.
Result<> settle(PiFutex& futex, FutexWord word, const task::Thread& self) {
    Result<> reachable;
    for (;;) {
        {
            PiGuard guard(g_pi_lock);
            std::optional<u32> seen = reachable ? mm::try_load_user_word(word.address) : u32{0};
            while (reachable && seen) {
                const u32 marks = abi::kFUTEX_OWNER_DIED | (futex.waiters.empty() ? 0 : abi::kFUTEX_WAITERS);
                const auto before = mm::try_exchange_user_word(word.address, *seen, tid_of(self) | marks);
                if (before == seen) break;
                seen = before;
            }
            if (seen) {
                futex.unsettled = false;
                drop_if_idle_locked(futex);
                return reachable;
            }
        }
        reachable = mm::make_user_word_writable(word.address);
    }
}

// The end of a wait, however it came: granted, or given up.
Result<> finish(PiWaiter& self, FutexWord word, sync::WaitResult result, Errno interrupted) {
    {
        PiGuard guard(g_pi_lock);
        if (!self.granted.load(std::memory_order_relaxed)) {
            leave_locked(self);
            if (self.refused.load(std::memory_order_relaxed)) return fail(Errno::kEDEADLK);
            return fail(result == sync::WaitResult::TimedOut ? Errno::kETIMEDOUT : interrupted);
        }
    }
    return self.owner_died ? settle(*self.futex, word, self.thread) : Result<>();
}

// Somebody who waits for the word to change, not for the lock: the program mixes what does not go together.
bool has_plain_waiter(const mm::MemoryIdentity& where) {
    sync::WaitQueue& bucket = bucket_of(where);
    if (!bucket.someone_waits()) return false;
    core::LockGuard guard(bucket.lock());
    for (auto* node = bucket.first_locked(); node != nullptr; node = bucket.next_locked(*node))
        if (static_cast<FutexWaiter*>(node)->where == where) return true;
    return false;
}

Result<> lock(FutexWord word, bool try_only, Nanoseconds deadline) {
    const mm::MemoryIdentity where = TRY(identify(word));
    PiWaiter self(task::current_thread());
    Attempt attempt(word, where);
    for (;;) {
        TRY(attempt.prepare());
        PiGuard guard(g_pi_lock);
        if (has_plain_waiter(where)) return fail(Errno::kEINVAL);
        const Attempt::Outcome outcome = TRY(attempt.run_locked(self.thread, false));
        if (outcome == Attempt::Outcome::Taken) return {};
        if (outcome == Attempt::Outcome::Again) continue;
        const auto entered = try_only ? Result<>(fail(Errno::kEAGAIN)) : enqueue_locked(attempt.futex(), self);
        if (entered) break;
        drop_if_idle_locked(attempt.futex());
        return entered;
    }
    const auto ended = [](const void* waiter) {
        const auto& it = *static_cast<const PiWaiter*>(waiter);
        return it.granted.load() || it.refused.load();
    };
    const auto result = sync::sleep_on(ended, &self, sched::SleepKind::Interruptible, "futex", deadline);
    return finish(self, word, result, Errno::kERESTARTNOINTR);
}

}  // namespace

Result<> pi_lock(FutexWord word, Nanoseconds deadline) { return lock(word, false, deadline); }

Result<> pi_try_lock(FutexWord word) { return lock(word, true, Nanoseconds::max()); }

Result<> pi_unlock(FutexWord word) {
    task::Thread& self = task::current_thread();
    const u32 me = tid_of(self);
    if ((TRY(mm::load_user_word(word.address)) & abi::kFUTEX_TID_MASK) != me) return fail(Errno::kEPERM);
    const mm::MemoryIdentity where = TRY(identify(word));
    for (;;) {
        TRY(mm::make_user_word_writable(word.address));
        PiGuard guard(g_pi_lock);
        PiFutex* const futex = find_locked(where);
        if (futex != nullptr && futex->owner != &self) return fail(Errno::kEINVAL);
        const std::optional<u32> seen = mm::try_load_user_word(word.address);
        if (!seen) continue;
        if ((*seen & abi::kFUTEX_TID_MASK) != me) return fail(Errno::kEPERM);
        u32 wanted = 0;
        if (futex != nullptr) {
            wanted = tid_of(futex->waiters.front().thread);
            if (&futex->waiters.front() != &futex->waiters.back()) wanted |= abi::kFUTEX_WAITERS;
        }
        if (mm::try_exchange_user_word(word.address, *seen, wanted) != seen) continue;
        if (futex != nullptr) hand_over_locked(*futex, false);
        return {};
    }
}

// ---- requeueing

namespace {

// On the stack of a thread that waits to be moved; `pi.futex` and `moved` are set under g_pi_lock.
struct MovableWaiter : FutexWaiter {
    MovableWaiter(task::Thread& thread, const mm::MemoryIdentity& to) : pi(thread), target(to) { movable = true; }

    PiWaiter pi;
    const mm::MemoryIdentity target;
    std::atomic<bool> moved{false};  // set before it is taken off its bucket
};

// Waiters of `where` in their bucket, in their order.
MovableWaiter* first_locked(sync::WaitQueue& bucket, const mm::MemoryIdentity& where) REQUIRES(bucket.lock()) {
    for (auto* node = bucket.first_locked(); node != nullptr; node = bucket.next_locked(*node))
        if (static_cast<FutexWaiter*>(node)->where == where) return static_cast<MovableWaiter*>(node);
    return nullptr;
}

enum class Progress : u8 { Done, Again };

// As many as may and can; counts them in `moved`. Again: the target's page or owner has to be looked for.
Result<Progress> move_waiters_locked(sync::WaitQueue& bucket, const mm::MemoryIdentity& source, Attempt& attempt,
                                     const mm::MemoryIdentity& target, u32 most, u32& moved)
    REQUIRES(g_pi_lock, bucket.lock()) {
    while (moved < most) {
        MovableWaiter* const waiter = first_locked(bucket, source);
        if (waiter == nullptr) break;
        if (!waiter->movable || !(waiter->target == target)) return fail(Errno::kEINVAL);
        const Attempt::Outcome outcome = TRY(attempt.run_locked(waiter->pi.thread, false));
        if (outcome == Attempt::Outcome::Again) return Progress::Again;
        if (outcome == Attempt::Outcome::Wait) {
            if (const auto entered = enqueue_locked(attempt.futex(), waiter->pi); !entered) {
                drop_if_idle_locked(attempt.futex());
                return fail(entered.error());
            }
        }
        waiter->moved.store(true);
        bucket.take_off_locked(*waiter);
        ++moved;
        if (outcome == Attempt::Outcome::Taken) {
            set_granted_locked(waiter->pi);
            return Progress::Again;  // the lock has an owner now, who is not known yet
        }
    }
    return Progress::Done;
}

}  // namespace

Result<> futex_wait_requeue_pi(FutexWord word, u32 expected, u32 bits, Nanoseconds deadline, FutexWord target) {
    if (bits == 0 || word.address == target.address) return fail(Errno::kEINVAL);
    MovableWaiter self(task::current_thread(), TRY(identify(target)));
    self.where = TRY(identify(word));
    self.bits = bits;
    if (const Errno error = enter_if(self, word, expected); error != kNoError) return fail(error);
    const auto done = [](const void* waiter) {
        const auto& it = *static_cast<const MovableWaiter*>(waiter);
        return it.pi.granted.load() || it.pi.refused.load() || (!it.moved.load() && !it.queued());
    };
    const auto result = sync::sleep_on(done, &self, sched::SleepKind::Interruptible, "futex", deadline);
    if (self.retract()) return fail(result == sync::WaitResult::TimedOut ? Errno::kETIMEDOUT : Errno::kERESTARTNOINTR);
    return finish(self.pi, target, result, Errno::kEAGAIN);
}

Result<u32> futex_requeue_pi(FutexWord from, FutexWord to, u32 move, u32 expected) {
    if (from.address == to.address) return fail(Errno::kEINVAL);
    const mm::MemoryIdentity source = TRY(identify(from)), target = TRY(identify(to));
    sync::WaitQueue& bucket = bucket_of(source);
    Attempt attempt(to, target);
    u32 moved = 0;
    for (;;) {
        TRY(mm::load_user_word(from.address));
        TRY(attempt.prepare());
        PiGuard guard(g_pi_lock);
        core::LockGuard waiting(bucket.lock());
        const std::optional<u32> seen = mm::try_load_user_word(from.address);
        if (!seen) continue;
        if (*seen != expected && moved == 0) return fail(Errno::kEAGAIN);
        const auto progress =
            move_waiters_locked(bucket, source, attempt, target, move == ~u32{0} ? move : move + 1, moved);
        if (!progress && moved == 0) return fail(progress.error());
        if (!progress || *progress == Progress::Done) return moved;
    }
}

bool is_pi_futex(const mm::MemoryIdentity& where) {
    if (g_count.load(std::memory_order_relaxed) == 0) [[likely]]
        return false;
    PiGuard guard(g_pi_lock);
    return find_locked(where) != nullptr;
}

void leave_pi_futexes(task::Thread& self, bool for_good) {
    PiGuard guard(g_pi_lock);
    while (self.owned_pi_futexes != nullptr) hand_over_locked(*self.owned_pi_futexes, true);
    self.left_pi_futexes = for_good;
}

i32 pi_owner(const task::Thread& waiter) {
    PiGuard guard(g_pi_lock);
    const PiWaiter* const place = waiter.pi_waiter;
    return place != nullptr && place->futex->owner != nullptr ? place->futex->owner->number() : 0;
}

void refuse_pi_wait(task::Thread& waiter) {
    PiGuard guard(g_pi_lock);
    if (waiter.pi_waiter == nullptr) return;
    waiter.pi_waiter->refused.store(true);  // seq_cst: the event, before the wake-up
    sched::wake(waiter);
}

void pi_priority_changed(task::Thread& thread) {
    PiGuard guard(g_pi_lock);
    settle_chain_locked(&thread);
}

}  // namespace hd::ipc
