// SPDX-License-Identifier: MIT
// See sysv_sem.hpp.
#include "kernel/ipc/sysv_sem.hpp"

#include <algorithm>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/sync/wait_queue.hpp"
#include "kernel/task/life.hpp"

namespace hd::ipc {

namespace {

using abi::SemBuf;
// One operation, the usual number, is code of its own, without loops.
template <usize Extent> using OperationsOf = std::span<const SemBuf, Extent>;
using Operations = OperationsOf<std::dynamic_extent>;

constinit SysvTable g_sets{abi::kSEMMNI};

i32 my_pid() { return task::current_process().pid(); }

struct Semaphore {
    i32 value = 0;
    i32 last_pid = 0;  // of the last operation
};

struct OfSet;
struct OfUndoer;

struct SemaphoreSet;

// What the end of a process does to a set.
struct Undo : task::HookOf<OfSet>, task::HookOf<OfUndoer> {
    RefPtr<SemaphoreSet> set;
    const i32 pid = my_pid();
    std::unique_ptr<i16[]> adjust;  // one a semaphore; guarded by the set's lock
};

struct Waiter : boost::intrusive::list_base_hook<> {
    Waiter(Operations wanted, Undo* record) : operations(wanted), undo(record) {}

    const Operations operations;
    Undo* const undo;  // null: none of them is to be undone
    const i32 pid = my_pid();
    sched::Entity& thread = sched::current();
    u16 blocked_on = 0;  // the operation that cannot be done yet
    Errno result = kNoError;
    // Done: served, and about to be woken. Let go: the waker is done with it.
    enum class Phase : u8 { Waits, Done, LetGo };
    std::atomic<Phase> phase{Phase::Waits};
};

struct SemaphoreSet final : SysvObject {
    SemaphoreSet(i32 key, u32 mode, std::unique_ptr<Semaphore[]> semaphores_in, u32 count_in)
        : SysvObject(key, mode), count(count_in), semaphores(std::move(semaphores_in)) {}

    const u32 count;
    std::unique_ptr<Semaphore[]> semaphores;  // guarded by lock, like all below
    u64 operated_at = 0;                      // in cycles, which cost the least to read; 0: never
    boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> waiters;
    task::ListOf<Undo, OfSet> undos;
};

// ---- carrying out

enum class Attempt : u8 { Done, Blocked, Refused };

inline Attempt apply_locked(SemaphoreSet& set, const SemBuf& operation, const Undo* undo) REQUIRES(set.lock) {
    i32& value = set.semaphores[operation.number].value;
    const i32 after = value + operation.operation;
    if (operation.operation == 0 ? value != 0 : after < 0) return Attempt::Blocked;
    if (after > abi::kSEMVMX) return Attempt::Refused;
    if ((operation.flags & abi::kSEM_UNDO) != 0) {
        const i32 adjust = undo->adjust[operation.number] - operation.operation;
        if (adjust < -abi::kSEMVMX - 1 || adjust > abi::kSEMVMX) return Attempt::Refused;
        undo->adjust[operation.number] = static_cast<i16>(adjust);
    }
    value = after;
    return Attempt::Done;
}

void take_back_locked(SemaphoreSet& set, Operations done, const Undo* undo) REQUIRES(set.lock) {
    for (const SemBuf& operation : done) {
        set.semaphores[operation.number].value -= operation.operation;
        if ((operation.flags & abi::kSEM_UNDO) != 0)
            undo->adjust[operation.number] = static_cast<i16>(undo->adjust[operation.number] + operation.operation);
    }
}

// All of the operations or none. Blocked: `at` is the one that must wait. Refused: ERANGE.
template <usize Extent>
Attempt try_locked(SemaphoreSet& set, OperationsOf<Extent> operations, const Undo* undo, usize& at) REQUIRES(set.lock) {
    Attempt outcome = Attempt::Done;
    for (at = 0; at < operations.size(); ++at) {
        outcome = apply_locked(set, operations[at], undo);
        if (outcome == Attempt::Done) continue;
        if (at != 0) take_back_locked(set, operations.first(at), undo);
        break;
    }
    return outcome;
}

template <usize Extent>
void note_done_locked(SemaphoreSet& set, OperationsOf<Extent> operations, i32 pid) REQUIRES(set.lock) {
    for (const SemBuf& operation : operations) set.semaphores[operation.number].last_pid = pid;
    set.operated_at = arch::cycles();
}

bool alters(Operations operations) {
    return std::ranges::any_of(operations, [](const SemBuf& operation) { return operation.operation != 0; });
}

void release_locked(SemaphoreSet& set, Waiter& waiter, Errno result, sched::WakeHint hint) REQUIRES(set.lock) {
    set.waiters.erase(set.waiters.iterator_to(waiter));
    waiter.result = result;
    waiter.phase.store(Waiter::Phase::Done);  // seq_cst: the event, before the wake-up (kernel/sync/wait_queue.hpp)
    sched::wake(waiter.thread, hint);
    // release pairs with the waiter's acquire: it leaves with its record, after all that was done here.
    waiter.phase.store(Waiter::Phase::LetGo, std::memory_order_release);
}

// A call's operations, and what they are together.
template <usize Extent> struct Request {
    Request(OperationsOf<Extent> list, Nanoseconds until) : operations(list), deadline(until) {
        for (const SemBuf& operation : list) {
            flags |= static_cast<u16>(operation.flags);
            changes |= static_cast<u16>(operation.operation);
            highest = std::max(highest, operation.number);
        }
    }
    const OperationsOf<Extent> operations;
    const Nanoseconds deadline;
    u16 flags = 0;
    u16 changes = 0;  // not 0: one of them changes a value
    u16 highest = 0;  // the semaphore with the highest number
};

// After a change: whoever can go on does, in the order of arrival, until nobody can.
void serve_waiters_locked(SemaphoreSet& set, sched::WakeHint hint) REQUIRES(set.lock) {
    for (auto it = set.waiters.begin(); it != set.waiters.end();) {
        Waiter& waiter = *it++;
        usize at;
        const Attempt outcome = try_locked<std::dynamic_extent>(set, waiter.operations, waiter.undo, at);
        if (outcome == Attempt::Blocked) {
            waiter.blocked_on = static_cast<u16>(at);
            continue;
        }
        if (outcome == Attempt::Done) note_done_locked<std::dynamic_extent>(set, waiter.operations, waiter.pid);
        const bool changed = outcome == Attempt::Done && alters(waiter.operations);
        release_locked(set, waiter, outcome == Attempt::Done ? kNoError : Errno::kERANGE, hint);
        if (changed) it = set.waiters.begin();
    }
}

// ---- undo records

using UndoList = task::ListOf<Undo, OfUndoer>;

UndoList& undos_of(task::Process& process) REQUIRES(process.undo_lock) {
    return *static_cast<UndoList*>(process.semaphore_undos);
}

// The current process's record for the set, made if there is none. Records of removed sets go on the way. ENOMEM.
Result<Undo*> undo_for(SemaphoreSet& set) {
    task::Process& process = task::current_process();
    std::unique_ptr<Undo> fresh(new (std::nothrow) Undo);
    if (!fresh) return fail(Errno::kENOMEM);
    fresh->adjust = TRY(mm::make_array<i16>(set.count));
    std::fill_n(fresh->adjust.get(), set.count, i16{0});
    std::unique_ptr<UndoList> list(new (std::nothrow) UndoList);
    if (!list) return fail(Errno::kENOMEM);
    UndoList stale;
    {
        core::LockGuard guard(process.undo_lock);
        if (process.semaphore_undos == nullptr) process.semaphore_undos = list.release();
        UndoList& undos = undos_of(process);
        for (auto it = undos.begin(); it != undos.end();) {
            Undo& undo = *it++;
            if (undo.set == &set) return &undo;
            core::LockGuard other(undo.set->lock);
            if (!undo.set->removed) continue;
            undos.erase(undos.iterator_to(undo));
            stale.push_back(undo);
        }
        core::LockGuard locked(set.lock);
        if (!set.removed) {
            fresh->set = RefPtr<SemaphoreSet>(&set);
            set.undos.push_back(*fresh);
            undos.push_back(*fresh);
        }
    }
    stale.clear_and_dispose(std::default_delete<Undo>());
    if (!fresh->set) return fail(Errno::kEIDRM);
    return fresh.release();
}

// The process has ended.
void apply_undos(task::Process& process) {
    std::unique_ptr<UndoList> list;
    {
        core::LockGuard guard(process.undo_lock);
        list.reset(static_cast<UndoList*>(std::exchange(process.semaphore_undos, nullptr)));
    }
    if (!list) return;
    while (!list->empty()) {
        std::unique_ptr<Undo> undo(&list->front());
        list->pop_front();
        SemaphoreSet& set = *undo->set;
        core::LockGuard guard(set.lock);
        if (set.removed) continue;
        set.undos.erase(set.undos.iterator_to(*undo));
        for (u32 i = 0; i < set.count; ++i) {
            if (undo->adjust[i] == 0) continue;
            set.semaphores[i].value = std::clamp(set.semaphores[i].value + undo->adjust[i], 0, abi::kSEMVMX);
            set.semaphores[i].last_pid = process.pid();
        }
        set.operated_at = arch::cycles();
        serve_waiters_locked(set, sched::WakeHint::None);
    }
}

void forget_undos_locked(SemaphoreSet& set, u32 number) REQUIRES(set.lock) {
    for (Undo& undo : set.undos) undo.adjust[number] = 0;
}

Result<RefPtr<SemaphoreSet>> find(i32 id) { return find_sysv<SemaphoreSet>(g_sets, id); }

}  // namespace

Result<i32> sem_get(i32 key, i32 count, u32 flags) {
    if (count < 0 || count > abi::kSEMMSL) return fail(Errno::kEINVAL);
    const auto make = [&]() -> Result<RefPtr<SysvObject>> {
        if (count == 0) return fail(Errno::kEINVAL);
        auto semaphores = TRY(mm::make_array<Semaphore>(static_cast<usize>(count)));
        return TRY(mm::make_ref<SemaphoreSet>(key, flags, std::move(semaphores), static_cast<u32>(count)));
    };
    const auto accept = [&](SysvObject& found) -> Result<> {
        const u32 has = static_cast<SemaphoreSet&>(found).count;
        return static_cast<u32>(count) <= has ? Result<>() : fail(Errno::kEINVAL);
    };
    return g_sets.get(key, flags, make, accept);
}

namespace {

// In the queue until it was served, or cannot be. Apart from the rest, whose frame it would burden.
[[gnu::noinline]] Errno wait_locked(SemaphoreSet& set, Operations operations, Undo* undo, usize blocked_on,
                                    Nanoseconds deadline) RELEASE(set.lock) {
    const RefPtr<SemaphoreSet> kept(&set);
    Waiter self(operations, undo);
    self.blocked_on = static_cast<u16>(blocked_on);
    set.waiters.push_back(self);
    set.lock.unlock();
    const auto done = [](const void* waiter) {
        return static_cast<const Waiter*>(waiter)->phase.load() != Waiter::Phase::Waits;
    };
    const auto ended = sync::sleep_on(done, &self, sched::SleepKind::Interruptible, "semop", deadline);
    if (ended != sync::WaitResult::Ready) {
        core::LockGuard guard(set.lock);
        if (self.phase.load(std::memory_order_relaxed) == Waiter::Phase::Waits) {
            set.waiters.erase(set.waiters.iterator_to(self));
            return ended == sync::WaitResult::TimedOut ? Errno::kEAGAIN : Errno::kEINTR;
        }
    }
    // The waker has preemption off, so it is on another CPU and will not be long.
    while (self.phase.load(std::memory_order_acquire) != Waiter::Phase::LetGo) arch::cpu_relax();
    return self.result;
}

template <usize Extent>
[[gnu::always_inline]] inline Errno operate_locked(SemaphoreSet& set, const Request<Extent>& request, Undo* undo)
    RELEASE(set.lock) {
    Errno error = kNoError;
    usize at;
    if (request.highest >= set.count) {
        error = Errno::kEFBIG;
    } else if (set.removed) {
        error = Errno::kEIDRM;
    } else if (!set.allows_locked(request.changes != 0 ? 0222 : 0444)) {
        error = Errno::kEACCES;
    } else if (const Attempt outcome = try_locked<Extent>(set, request.operations, undo, at);
               outcome == Attempt::Done) {
        note_done_locked<Extent>(set, request.operations, my_pid());
        if (!set.waiters.empty() && request.changes != 0) serve_waiters_locked(set, sched::WakeHint::Sync);
    } else if (outcome == Attempt::Refused) {
        error = Errno::kERANGE;
    } else if ((static_cast<u32>(request.operations[at].flags) & abi::kIPC_NOWAIT) != 0) {
        error = Errno::kEAGAIN;
    } else {
        return wait_locked(set, request.operations, undo, at, request.deadline);
    }
    set.lock.unlock();
    return error;
}

template <usize Extent> [[gnu::noinline]] Errno operate_with_undo(i32 id, const Request<Extent>& request) {
    const auto set = find(id);
    if (!set) return set.error();
    if (request.highest >= (*set)->count) return Errno::kEFBIG;  // and no record is made
    const auto undo = undo_for(**set);
    if (!undo) return undo.error();
    (*set)->lock.lock();
    return operate_locked(**set, request, *undo);
}

template <usize Extent> Errno operate(i32 id, OperationsOf<Extent> operations, Nanoseconds deadline) {
    const Request<Extent> request(operations, deadline);
    if ((request.flags & abi::kSEM_UNDO) != 0) return operate_with_undo(id, request);
    core::preempt_disable();  // an epoch section; from its end on the lock keeps the set, which is removed with it held
    auto* const set = static_cast<SemaphoreSet*>(g_sets.look_up(id));
    if (set == nullptr) {
        core::preempt_enable();
        return Errno::kEINVAL;
    }
    set->lock.lock();
    core::preempt_enable();
    return operate_locked(*set, request, nullptr);
}

}  // namespace

Errno sem_operate(i32 id, Operations operations, Nanoseconds deadline) {
    return operations.size() == 1 ? operate<1>(id, operations.first<1>(), deadline)
                                  : operate<std::dynamic_extent>(id, operations, deadline);
}

bool find_semaphore_wait(i32 id, const sched::Entity& thread, SemaphoreWait& wait, std::span<i32> holders) {
    const auto set = find(id);
    if (!set) return false;
    core::LockGuard guard((*set)->lock);
    const auto waiter = std::ranges::find((*set)->waiters, &thread,
                                          [](const Waiter& each) -> const sched::Entity* { return &each.thread; });
    if (waiter == (*set)->waiters.end()) return false;
    const SemBuf& operation = waiter->operations[waiter->blocked_on];
    wait = {operation.number, 0};
    if (operation.operation == 0) return true;  // for zero: whoever takes units ends it
    for (const Undo& undo : (*set)->undos)
        if (undo.adjust[operation.number] > 0 && wait.count++ < holders.size()) holders[wait.count - 1] = undo.pid;
    return true;
}

// ---- semctl(2)

namespace {

Result<> remove(const RefPtr<SemaphoreSet>& set) {
    {
        core::LockGuard guard(set->lock);
        if (set->removed) return fail(Errno::kEIDRM);
        TRY(set->check_owner_locked());
        set->removed = true;
        set->undos.clear();  // the records go with their processes, or at their next call
        while (!set->waiters.empty()) release_locked(*set, set->waiters.front(), Errno::kEIDRM, sched::WakeHint::None);
    }
    g_sets.remove(*set);
    return {};
}

Result<i32> store_all(const RefPtr<SemaphoreSet>& set, u64 address) {
    const auto values = TRY(mm::make_array<u16>(set->count));
    {
        core::LockGuard guard(set->lock);
        if (set->removed) return fail(Errno::kEIDRM);
        TRY(set->check_access_locked(0444));
        for (u32 i = 0; i < set->count; ++i) values[i] = static_cast<u16>(set->semaphores[i].value);
    }
    TRY(mm::copy_to_user(address, values.get(), set->count * sizeof(u16)));
    return 0;
}

Result<i32> set_all(const RefPtr<SemaphoreSet>& set, u64 address) {
    const auto values = TRY(mm::make_array<u16>(set->count));
    {
        core::LockGuard guard(set->lock);
        TRY(set->check_access_locked(0222));
    }
    TRY(mm::copy_from_user(values.get(), address, set->count * sizeof(u16)));
    for (u32 i = 0; i < set->count; ++i)
        if (values[i] > abi::kSEMVMX) return fail(Errno::kERANGE);
    core::LockGuard guard(set->lock);
    if (set->removed) return fail(Errno::kEIDRM);
    for (u32 i = 0; i < set->count; ++i) {
        set->semaphores[i] = {values[i], my_pid()};
        forget_undos_locked(*set, i);
    }
    set->changed_at = seconds_now();
    serve_waiters_locked(*set, sched::WakeHint::None);
    return 0;
}

Result<i32> count_waiters_locked(const SemaphoreSet& set, u32 number, bool for_zero) REQUIRES(set.lock) {
    i32 count = 0;
    for (const Waiter& waiter : set.waiters) {
        const SemBuf& operation = waiter.operations[waiter.blocked_on];
        if (operation.number == number && (operation.operation == 0) == for_zero) ++count;
    }
    return count;
}

// What concerns one semaphore.
Result<i32> control_one(const RefPtr<SemaphoreSet>& set, i32 number, i32 command, i32 value) {
    if (number < 0 || static_cast<u32>(number) >= set->count) return fail(Errno::kEINVAL);
    if (command == abi::kSETVAL && (value < 0 || value > abi::kSEMVMX)) return fail(Errno::kERANGE);
    const u32 index = static_cast<u32>(number);
    core::LockGuard guard(set->lock);
    if (set->removed) return fail(Errno::kEIDRM);
    TRY(set->check_access_locked(command == abi::kSETVAL ? 0222 : 0444));
    Semaphore& semaphore = set->semaphores[index];
    switch (command) {
    case abi::kGETVAL: return semaphore.value;
    case abi::kGETPID: return semaphore.last_pid;
    case abi::kGETNCNT: return count_waiters_locked(*set, index, false);
    case abi::kGETZCNT: return count_waiters_locked(*set, index, true);
    default:
        semaphore = {value, my_pid()};
        forget_undos_locked(*set, index);
        set->changed_at = seconds_now();
        serve_waiters_locked(*set, sched::WakeHint::None);
        return 0;
    }
}

Result<i32> tell_limits(bool usage, u64 address) {
    abi::SemInfo info{abi::kSEMMNS, abi::kSEMMNI, abi::kSEMMNS, abi::kSEMMNS, abi::kSEMMSL,
                      abi::kSEMOPM, abi::kSEMOPM, 20,           abi::kSEMVMX, abi::kSEMVMX};
    if (usage) {
        info.semusz = static_cast<i32>(g_sets.count());
        info.semaem = 0;
        g_sets.for_each([&](const SysvObject& set) {
            info.semaem += static_cast<i32>(static_cast<const SemaphoreSet&>(set).count);
        });
    }
    TRY(mm::copy_to_user(address, &info, sizeof info));
    return g_sets.highest_index();
}

Result<i32> tell_state(const RefPtr<SemaphoreSet>& set, bool checked, i32 result, u64 address) {
    abi::SemidDs state{};
    {
        core::LockGuard guard(set->lock);
        if (set->removed) return fail(Errno::kEIDRM);
        if (checked) TRY(set->check_access_locked(0444));
        state.perm = set->permissions;
        state.otime = set->operated_at != 0 ? wall_seconds(arch::clock_at(set->operated_at)) : 0;
        state.ctime = set->changed_at;
        state.nsems = set->count;
    }
    TRY(mm::copy_to_user(address, &state, sizeof state));
    return result;
}

}  // namespace

Result<i32> sem_control(i32 id, i32 number, i32 command, u64 argument) {
    if (id < 0) return fail(Errno::kEINVAL);
    switch (command) {
    case abi::kIPC_INFO:
    case abi::kSEM_INFO: return tell_limits(command == abi::kSEM_INFO, argument);
    case abi::kIPC_STAT: return tell_state(TRY(find(id)), true, 0, argument);
    case abi::kSEM_STAT:
    case abi::kSEM_STAT_ANY: {
        const auto set = TRY(find_sysv_by_index<SemaphoreSet>(g_sets, id));
        return tell_state(set, command == abi::kSEM_STAT, set->id, argument);
    }
    case abi::kGETALL: return store_all(TRY(find(id)), argument);
    case abi::kSETALL: return set_all(TRY(find(id)), argument);
    case abi::kGETVAL:
    case abi::kGETPID:
    case abi::kGETNCNT:
    case abi::kGETZCNT:
    case abi::kSETVAL: return control_one(TRY(find(id)), number, command, static_cast<i32>(argument));
    case abi::kIPC_SET: {
        abi::SemidDs wanted;
        TRY(mm::copy_from_user(&wanted, argument, sizeof wanted));
        const auto set = TRY(find(id));
        core::LockGuard guard(set->lock);
        if (set->removed) return fail(Errno::kEIDRM);
        TRY(set->check_owner_locked());
        set->set_owner_locked(wanted.perm);
        return 0;
    }
    case abi::kIPC_RMID: TRY(remove(TRY(find(id)))); return 0;
    default: return fail(Errno::kEINVAL);
    }
}

void init_semaphores() { task::g_leave_semaphores = apply_undos; }

}  // namespace hd::ipc
