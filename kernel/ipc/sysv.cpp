// SPDX-License-Identifier: MIT
// See sysv.hpp.
#include "kernel/ipc/sysv.hpp"

#include <algorithm>
#include <new>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

i64 seconds_now() { return time::wall_clock().raw / 1'000'000'000; }

SysvObject::SysvObject(i32 key, u32 mode) : changed_at(seconds_now()) {
    const fs::Credentials& who = task::current_process().credentials;
    permissions.key = key;
    permissions.uid = permissions.cuid = who.euid;
    permissions.gid = permissions.cgid = who.egid;
    permissions.mode = mode & 0777;
}

Result<> SysvObject::check_access_locked(u32 wanted) const {
    const fs::Credentials& who = task::current_process().credentials;
    wanted = (wanted >> 6 | wanted >> 3 | wanted) & 7;
    u32 granted = permissions.mode;
    if (who.euid == permissions.cuid || who.euid == permissions.uid)
        granted >>= 6;
    else if (who.in_group(permissions.cgid) || who.in_group(permissions.gid))
        granted >>= 3;
    return (wanted & ~granted) == 0 || who.is_root() ? Result<>() : fail(Errno::kEACCES);
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
    for (u32 i = 0; i < capacity_; ++i)
        if (slots_[i] != nullptr && key_of(*slots_[i]) == key) return slots_[i];
    return nullptr;
}

RefPtr<SysvObject> SysvTable::find_by_key(i32 key) {
    core::LockGuard guard(lock_);
    return RefPtr<SysvObject>(find_by_key_locked(key));
}

Result<> SysvTable::grow_locked() {
    const u32 capacity = std::max(capacity_ * 2, u32{16});
    auto* const slots = new (std::nothrow) SysvObject*[capacity]();
    if (slots == nullptr) return fail(Errno::kENOMEM);
    std::copy_n(slots_, capacity_, slots);
    delete[] std::exchange(slots_, slots);
    capacity_ = capacity;
    return {};
}

Result<i32> SysvTable::add(const RefPtr<SysvObject>& object) NO_THREAD_SAFETY_ANALYSIS {
    core::LockGuard guard(lock_);
    const i32 key = object->permissions.key;  // nobody else knows the object yet
    if (key != abi::kIPC_PRIVATE && find_by_key_locked(key) != nullptr) return fail(Errno::kEEXIST);
    if (used_ == limit_) return fail(Errno::kENOSPC);
    if (used_ == capacity_) TRY(grow_locked());
    const auto free = std::find(slots_, slots_ + capacity_, nullptr);
    object->permissions.seq = sequence_;
    object->id = sequence_ * kIndexes + static_cast<i32>(free - slots_);
    ++sequence_;
    ++used_;
    *free = RefPtr<SysvObject>(object).release();
    return object->id;
}

Result<RefPtr<SysvObject>> SysvTable::find(i32 id) {
    core::LockGuard guard(lock_);
    const u32 index = static_cast<u32>(id) % kIndexes;
    if (id < 0 || index >= capacity_ || slots_[index] == nullptr || slots_[index]->id != id)
        return fail(Errno::kEINVAL);
    return RefPtr<SysvObject>(slots_[index]);
}

Result<RefPtr<SysvObject>> SysvTable::find_by_index(i32 index) {
    core::LockGuard guard(lock_);
    if (index < 0 || static_cast<u32>(index) >= capacity_ || slots_[index] == nullptr) return fail(Errno::kEINVAL);
    return RefPtr<SysvObject>(slots_[index]);
}

void SysvTable::remove(SysvObject& object) {
    RefPtr<SysvObject> dropped;
    core::LockGuard guard(lock_);
    const u32 index = static_cast<u32>(object.id) % kIndexes;
    dropped = RefPtr<SysvObject>(kAdoptRef, std::exchange(slots_[index], nullptr));
    if (--used_ != 0) return;
    delete[] std::exchange(slots_, nullptr);
    capacity_ = 0;
}

u32 SysvTable::count() {
    core::LockGuard guard(lock_);
    return used_;
}

i32 SysvTable::highest_index() {
    core::LockGuard guard(lock_);
    i32 highest = 0;
    for (u32 i = 0; i < capacity_; ++i)
        if (slots_[i] != nullptr) highest = static_cast<i32>(i);
    return highest;
}

}  // namespace hd::ipc
