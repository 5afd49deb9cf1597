// SPDX-License-Identifier: MIT
// See sysv.hpp.
#include "kernel/ipc/sysv.hpp"

#include <algorithm>
#include <new>

#include "kernel/mm/slab/slab.hpp"

namespace hd::ipc {

i64 wall_seconds(Nanoseconds monotonic) { return (time::wall_clock() + monotonic - time::now()).raw / 1'000'000'000; }

i64 seconds_now() { return wall_seconds(time::now()); }

SysvObject::SysvObject(i32 key, u32 mode) : changed_at(seconds_now()) {
    const fs::Credentials& who = task::current_process().credentials;
    permissions.key = key;
    permissions.uid = permissions.cuid = who.euid;
    permissions.gid = permissions.cgid = who.egid;
    permissions.mode = mode & 0777;
}

bool SysvObject::has_rights_locked(u32 wanted) const {
    const fs::Credentials& who = task::current_process().credentials;
    wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
    u32 granted = permissions.mode;
    if (who.euid == permissions.cuid || who.euid == permissions.uid)
        granted >>= 6;
    else if (who.in_group(permissions.cgid) || who.in_group(permissions.gid))
        granted >>= 3;
    return (wanted & ~granted) == 0;
}

Result<> SysvObject::check_owner_locked() const {
    const fs::Credentials& who = task::current_process().credentials;
    const bool owner = who.euid == permissions.cuid || who.euid == permissions.uid || who.is_root();
    return owner ? Result<>() : fail(Errno::kEPERM);
}

void SysvObject::set_owner_locked(const abi::IpcPerm& wanted) {
    permissions.uid = wanted.uid;
    permissions.gid = wanted.gid;
    permissions.mode = (permissions.mode & ~u32{0777}) | (wanted.mode & 0777);
    changed_at = seconds_now();
}

SysvObject* SysvTable::find_by_key_locked(i32 key) {
    // The key never changes, so it is read without the object's lock.
    const auto key_of = [](const SysvObject& object) NO_THREAD_SAFETY_ANALYSIS { return object.permissions.key; };
    for (u32 i = 0; i < capacity_locked(); ++i)
        if (SysvObject* const object = at_locked(i); object != nullptr && key_of(*object) == key) return object;
    return nullptr;
}

RefPtr<SysvObject> SysvTable::find_by_key(i32 key) {
    core::LockGuard guard(lock_);
    return RefPtr<SysvObject>(find_by_key_locked(key));
}

Result<SysvTable::Slots*> SysvTable::grow_locked() {
    const u32 old_capacity = capacity_locked(), capacity = std::max(old_capacity * 2, u32{16});
    void* const memory = mm::kmalloc(sizeof(Slots) + capacity * sizeof(std::atomic<SysvObject*>));
    if (memory == nullptr) return fail(Errno::kENOMEM);
    auto* const slots = new (memory) Slots{capacity};
    for (u32 i = 0; i < capacity; ++i) new (&slots->objects()[i]) std::atomic<SysvObject*>(at_locked(i));
    // release: whoever reads the pointer finds the slots filled.
    return slots_.exchange(slots, std::memory_order_release);
}

Result<i32> SysvTable::add(const RefPtr<SysvObject>& object) NO_THREAD_SAFETY_ANALYSIS {
    Slots* old = nullptr;
    {
        core::LockGuard guard(lock_);
        const i32 key = object->permissions.key;  // nobody else knows the object yet
        if (key != abi::kIPC_PRIVATE && find_by_key_locked(key) != nullptr) return fail(Errno::kEEXIST);
        if (used_ == limit_) return fail(Errno::kENOSPC);
        if (used_ == capacity_locked()) old = TRY(grow_locked());
        u32 free = 0;
        while (at_locked(free) != nullptr) ++free;
        object->permissions.seq = sequence_;
        object->id = sequence_ * static_cast<i32>(kIndexes) + static_cast<i32>(free);
        ++sequence_;
        ++used_;
        // release: whoever finds the object finds it whole.
        slots_.load(std::memory_order_relaxed)
            ->objects()[free]
            .store(RefPtr<SysvObject>(object).release(), std::memory_order_release);
    }
    if (old != nullptr) sync::wait_for_readers();
    mm::kfree(old);
    return object->id;
}

Result<RefPtr<SysvObject>> SysvTable::find(i32 id) {
    const sync::EpochGuard guard;
    SysvObject* const object = look_up(id);
    if (object == nullptr) return fail(Errno::kEINVAL);
    return RefPtr<SysvObject>(object);
}

Result<RefPtr<SysvObject>> SysvTable::find_by_index(i32 index) {
    core::LockGuard guard(lock_);
    SysvObject* const object = index >= 0 ? at_locked(static_cast<u32>(index)) : nullptr;
    if (object == nullptr) return fail(Errno::kEINVAL);
    return RefPtr<SysvObject>(object);
}

void SysvTable::remove(SysvObject& object) {
    Slots* empty = nullptr;
    RefPtr<SysvObject> dropped;
    {
        core::LockGuard guard(lock_);
        Slots* const slots = slots_.load(std::memory_order_relaxed);
        auto& slot = slots->objects()[static_cast<u32>(object.id) % kIndexes];
        dropped = RefPtr<SysvObject>(kAdoptRef, slot.exchange(nullptr, std::memory_order_relaxed));
        if (--used_ == 0) empty = slots_.exchange(nullptr, std::memory_order_relaxed);
    }
    sync::wait_for_readers();
    mm::kfree(empty);
}

u32 SysvTable::count() {
    core::LockGuard guard(lock_);
    return used_;
}

i32 SysvTable::highest_index() {
    core::LockGuard guard(lock_);
    i32 highest = 0;
    for (u32 i = 0; i < capacity_locked(); ++i)
        if (at_locked(i) != nullptr) highest = static_cast<i32>(i);
    return highest;
}

}  // namespace hd::ipc
