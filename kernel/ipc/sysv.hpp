// SPDX-License-Identifier: MIT
// What System V's three kinds of objects have in common (sysvipc(7)): they are found by a key or by an id, belong to somebody, and stay
// until they are removed.
//
//     id = sequence number * 32768 + index in the table: an id of a removed object does not come back soon
//
// Locking: a table's lock (rank SysvTable), then an object's (rank SysvObject). Whoever holds a reference may find that the object
// was removed meanwhile (`removed`): EIDRM. Context: task.
#pragma once
#include "kernel/abi/sysv.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/lib/result.hpp"

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
    Result<> check_access_locked(u32 wanted) const REQUIRES(lock);
    // IPC_SET and IPC_RMID are for the owner, the creator, and root. EPERM.
    Result<> check_owner_locked() const REQUIRES(lock);
    void set_owner_locked(const abi::IpcPerm& wanted) REQUIRES(lock);  // uid, gid and mode of it
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
    Result<RefPtr<SysvObject>> find(i32 id);              // EINVAL
    Result<RefPtr<SysvObject>> find_by_index(i32 index);  // for *_STAT; EINVAL
    // Takes it out. The caller has set `removed`, and was the first to do so.
    void remove(SysvObject& object);
    u32 count();
    i32 highest_index();  // 0 if the table is empty, as *_INFO has it
    template <class Visit> void for_each(Visit visit) {
        core::LockGuard guard(lock_);
        for (u32 i = 0; i < capacity_; ++i)
            if (slots_[i] != nullptr) visit(*slots_[i]);
    }

private:
    static constexpr i32 kIndexes = 32768;

    RefPtr<SysvObject> find_by_key(i32 key);
    SysvObject* find_by_key_locked(i32 key) REQUIRES(lock_);
    Result<> grow_locked() REQUIRES(lock_);
    Result<i32> add(const RefPtr<SysvObject>& object);  // EEXIST: the key is in use

    core::Spinlock lock_{core::Rank::SysvTable};
    const u32 limit_;
    SysvObject** slots_ GUARDED_BY(lock_) = nullptr;  // each with a reference
    u32 capacity_ GUARDED_BY(lock_) = 0, used_ GUARDED_BY(lock_) = 0;
    u16 sequence_ GUARDED_BY(lock_) = 0;
};

template <class T> Result<RefPtr<T>> find_sysv(SysvTable& table, i32 id) {
    return RefPtr<T>(kAdoptRef, static_cast<T*>(TRY(table.find(id)).release()));
}
template <class T> Result<RefPtr<T>> find_sysv_by_index(SysvTable& table, i32 index) {
    return RefPtr<T>(kAdoptRef, static_cast<T*>(TRY(table.find_by_index(index)).release()));
}

}  // namespace hd::ipc
