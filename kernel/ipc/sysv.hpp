// SPDX-License-Identifier: MIT
// What System V's three kinds of objects have in common (sysvipc(7)): they are found by a key or by an id, belong to somebody, and stay
// until they are removed.
//
//     id = sequence number * 32768 + index in the table: an id of a removed object does not come back soon
//
// Locking: changes of a table under its lock (rank SysvTable), then an object's (rank SysvObject). Looking up by id takes no lock
// (kernel/sync/epoch.hpp). Whoever has an object may find that it was removed meanwhile (`removed`): EIDRM. Context: task.
#pragma once
#include "kernel/abi/sysv.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/sync/epoch.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

class SysvObject : public RefCounted<SysvObject> {
public:
    SysvObject(i32 key, u32 mode);  // the current process's
    virtual ~SysvObject() = default;

    i32 id = -1;  // constant once it is in a table

    mutable core::Spinlock lock{core::Rank::SysvObject};
    abi::IpcPerm permissions GUARDED_BY(lock){};
    i64 changed_at GUARDED_BY(lock);  // seconds since 1970, like all times here
    bool removed GUARDED_BY(lock) = false;

    // `wanted`: read and write bits, at any of the three places. EACCES.
    Result<> check_access_locked(u32 wanted) const REQUIRES(lock) {
        return allows_locked(wanted) ? Result<>() : fail(Errno::kEACCES);
    }
    bool allows_locked(u32 wanted) const REQUIRES(lock) {
        return task::current_process().credentials.is_root() || has_rights_locked(wanted);
    }
    // IPC_SET and IPC_RMID are for the owner, the creator, and root. EPERM.
    Result<> check_owner_locked() const REQUIRES(lock);
    void set_owner_locked(const abi::IpcPerm& wanted) REQUIRES(lock);  // uid, gid and mode of it

private:
    bool has_rights_locked(u32 wanted) const REQUIRES(lock);
};

i64 seconds_now();

class SysvTable {
public:
    constexpr explicit SysvTable(u32 limit) : limit_(limit) {}

    // Of shmget(2) and relatives. `make()`: a new object, as a Result<RefPtr<SysvObject>>; `accept(object)`: does what is there fit?
    // The id. ENOENT, EEXIST, EACCES, ENOSPC, ENOMEM.
    template <class Make, class Accept> Result<i32> get(i32 key, u32 flags, Make make, Accept accept) {
        if (key != abi::kIPC_PRIVATE) {
            if (const RefPtr<SysvObject> found = find_by_key(key)) {
                if ((flags & abi::kIPC_CREAT) != 0 && (flags & abi::kIPC_EXCL) != 0) return fail(Errno::kEEXIST);
                TRY(accept(*found));
                core::LockGuard guard(found->lock);
                if (found->removed) return fail(Errno::kEIDRM);
                TRY(found->check_access_locked(flags));
                return found->id;
            }
            if ((flags & abi::kIPC_CREAT) == 0) return fail(Errno::kENOENT);
        }
        const RefPtr<SysvObject> made = TRY(make());
        const Result<i32> id = add(made);
        // Somebody made one with the same key meanwhile: this is where the second one finds it.
        return !id && id.error() == Errno::kEEXIST ? get(key, flags, make, accept) : id;
    }
    // The object, until the caller's EpochGuard ends, or null.
    SysvObject* look_up(i32 id) const NO_THREAD_SAFETY_ANALYSIS {
        const Slots* const slots =
            slots_.load(std::memory_order_acquire);  // pairs with grow_locked(): the slots are filled
        const u32 index = static_cast<u32>(id) % kIndexes;
        if (id < 0 || slots == nullptr || index >= slots->capacity) return nullptr;
        // acquire pairs with add(): the object is whole. Its id tells it from those that had the slot before.
        SysvObject* const object = slots->objects()[index].load(std::memory_order_acquire);
        return object != nullptr && object->id == id ? object : nullptr;
    }
    Result<RefPtr<SysvObject>> find(i32 id);              // EINVAL
    Result<RefPtr<SysvObject>> find_by_index(i32 index);  // for *_STAT; EINVAL
    // Takes it out. The caller has set `removed`, and was the first to do so. Waits for readers; no spinlock held.
    void remove(SysvObject& object);
    u32 count();
    i32 highest_index();  // 0 if the table is empty, as *_INFO has it
    template <class Visit> void for_each(Visit visit) {
        core::LockGuard guard(lock_);
        for (u32 i = 0; i < capacity_locked(); ++i)
            if (SysvObject* const object = at_locked(i)) visit(*object);
    }

private:
    static constexpr u32 kIndexes = 32768;

    // In one piece of memory with the slots themselves, each of which is null or has a reference.
    struct alignas(std::atomic<SysvObject*>) Slots {
        const u32 capacity;
        std::atomic<SysvObject*>* objects() { return reinterpret_cast<std::atomic<SysvObject*>*>(this + 1); }
        const std::atomic<SysvObject*>* objects() const {
            return reinterpret_cast<const std::atomic<SysvObject*>*>(this + 1);
        }
    };

    // relaxed: the lock orders its holders.
    u32 capacity_locked() const REQUIRES(lock_) {
        const Slots* const slots = slots_.load(std::memory_order_relaxed);
        return slots != nullptr ? slots->capacity : 0;
    }
    SysvObject* at_locked(u32 index) const REQUIRES(lock_) {
        return index < capacity_locked()
                   ? slots_.load(std::memory_order_relaxed)->objects()[index].load(std::memory_order_relaxed)
                   : nullptr;
    }
    RefPtr<SysvObject> find_by_key(i32 key);
    SysvObject* find_by_key_locked(i32 key) REQUIRES(lock_);
    Result<Slots*> grow_locked()
        REQUIRES(lock_);  // the old ones, which go when their readers have gone; null: there were none
    Result<i32> add(const RefPtr<SysvObject>& object);  // EEXIST: the key is in use

    core::Spinlock lock_{core::Rank::SysvTable};
    const u32 limit_;
    std::atomic<Slots*> slots_{nullptr};  // changed under lock_
    u32 used_ GUARDED_BY(lock_) = 0;
    u16 sequence_ GUARDED_BY(lock_) = 0;
};

i64 wall_seconds(Nanoseconds monotonic);  // since 1970

template <class T> Result<RefPtr<T>> find_sysv(SysvTable& table, i32 id) {
    return RefPtr<T>(kAdoptRef, static_cast<T*>(TRY(table.find(id)).release()));
}
template <class T> Result<RefPtr<T>> find_sysv_by_index(SysvTable& table, i32 index) {
    return RefPtr<T>(kAdoptRef, static_cast<T*>(TRY(table.find_by_index(index)).release()));
}

}  // namespace hd::ipc
