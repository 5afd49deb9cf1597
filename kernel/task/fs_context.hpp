// SPDX-License-Identifier: MIT
// Root directory, working directory and umask: what clone(CLONE_FS) shares.
// Locking: a Spinlock of rank FsContext; references are dropped outside of it, as the last one may free a dentry.
#pragma once
#include "kernel/core/spinlock.hpp"
#include "kernel/fs/vfs/path.hpp"

namespace hd::task {

class FsContext final : public RefCounted<FsContext> {
public:
    FsContext(fs::DentryRef root, fs::DentryRef working_directory, u32 umask)
        : root_(std::move(root)), working_directory_(std::move(working_directory)), umask_(umask) {}
    Result<RefPtr<FsContext>> copy() const;

    fs::DentryRef root() const;
    fs::DentryRef working_directory() const;
    void set_root(fs::DentryRef directory);
    void set_working_directory(fs::DentryRef directory);
    u32 umask() const { return umask_.load(std::memory_order_relaxed); }  // a word of its own: nothing is ordered by it
    u32 set_umask(u32 mask) { return umask_.exchange(mask & 0777, std::memory_order_relaxed); }  // as above

private:
    mutable core::Spinlock lock_{core::Rank::FsContext};
    fs::DentryRef root_ GUARDED_BY(lock_);
    fs::DentryRef working_directory_ GUARDED_BY(lock_);
    std::atomic<u32> umask_;
};

}  // namespace hd::task
