// SPDX-License-Identifier: MIT
// Mounts: which file system stands on which dentry. Each file system is mounted at most once at a time, so a dentry alone
// says where in the tree it is.
//
// Locking: the tree lock (Spinlock, rank Mounts) guards the list, the dentries' mount points, and all parents and names.
// Context: task.
#pragma once
#include "kernel/core/spinlock.hpp"
#include "kernel/fs/vfs/dentry.hpp"
#include "kernel/fs/vfs/file_system.hpp"

namespace hd::fs {

class Mount : public RefCounted<Mount> {
public:
    Mount(RefPtr<FileSystem> file_system_in, DentryRef root_in, DentryRef point_in, std::string_view source_in);
    const RefPtr<FileSystem> file_system;
    const DentryRef root;
    const DentryRef point;  // null: the topmost
    const u32 id;
    char source[64];  // what mount(2) called it

private:
    friend class MountTable;
    Mount* next_ = nullptr;  // the list owns a reference to each
};

class MountTable {
public:
    static core::Spinlock& lock();
    // Held by whoever moves an entry to another directory, or must keep others from doing so. Rank FileSystemRename.
    static sync::Mutex& move_lock();

    // Mounts on `point`, or makes the topmost root if `point` is null. ENOTDIR; ENOENT: removed; EBUSY: somebody was faster;
    // EINVAL: names of that directory are not cached.
    static Result<> attach(RefPtr<FileSystem> file_system, DentryRef point, std::string_view source);
    // `root` is the caller's only reference to a mounted root. EINVAL: it is not one, or it is the topmost. EBUSY: others use
    // the file system, unless `lazy`; something is mounted below it.
    static Result<> detach(DentryRef root, bool lazy);
    // The root of what is mounted on `dentry`, and on that, and so on: else `dentry` itself.
    static DentryRef topmost(DentryRef dentry) {
        if (dentry->is_mount_point()) [[unlikely]]
            return cross(std::move(dentry));
        return dentry;
    }
    static bool is_mounted(const Dentry& root);  // is it the root of a mount?
    // In the order of mounting; null behind the last. For /proc/mounts.
    static RefPtr<Mount> nth(usize index);

private:
    static DentryRef cross(DentryRef dentry);
};

}  // namespace hd::fs
