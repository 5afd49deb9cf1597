// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/mount.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/fs/vfs/path.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

constinit core::Spinlock g_tree_lock{core::Rank::Mounts};
constinit sync::Mutex g_move_lock{core::Rank::FileSystemRename};
constinit Mount* g_first GUARDED_BY(g_tree_lock) = nullptr;
constinit std::atomic<u32> g_last_id{0};

// Text that grows to the front.
class BackwardText {
public:
    explicit BackwardText(std::span<char> buffer) : buffer_(buffer), start_(buffer.size()) {}
    void prepend(std::string_view text) {
        overflow_ |= text.size() > start_;
        if (overflow_) return;
        start_ -= text.size();
        std::memcpy(buffer_.data() + start_, text.data(), text.size());
    }
    std::string_view view() const { return {buffer_.data() + start_, buffer_.size() - start_}; }
    bool overflow() const { return overflow_; }

private:
    std::span<char> buffer_;
    usize start_;
    bool overflow_ = false;
};

}  // namespace

Mount::Mount(RefPtr<FileSystem> file_system_in, DentryRef root_in, DentryRef point_in, std::string_view source_in)
    : file_system(std::move(file_system_in)),
      root(std::move(root_in)),
      point(std::move(point_in)),
      id(g_last_id.fetch_add(1, std::memory_order_relaxed) + 1) {  // only distinct
    const usize size = std::min(source_in.size(), sizeof source - 1);
    std::memcpy(source, source_in.data(), size);
    source[size] = '\0';
}

core::Spinlock& MountTable::lock() { return g_tree_lock; }

sync::Mutex& MountTable::move_lock() { return g_move_lock; }

Result<> MountTable::attach(RefPtr<FileSystem> file_system, DentryRef point, std::string_view source) {
    if (point && !point->inode->is_directory()) return fail(Errno::kENOTDIR);
    InodeRef root_inode = TRY(file_system->root());
    DentryRef root = TRY(Dentry::make(std::move(root_inode)));
    RefPtr<Mount> mount = TRY(mm::make_ref<Mount>(std::move(file_system), root, point, source));

    const auto link = [&]() -> Result<> {
        core::LockGuard guard(g_tree_lock);
        if (point) {
            if (point->is_mount_point()) return fail(Errno::kEBUSY);
            point->mounted_.store(root.get(), std::memory_order_relaxed);  // crossing reads it again under the lock
        }
        root->mount_ = mount.get();
        Mount** last = &g_first;
        while (*last != nullptr) last = &(*last)->next_;
        *last = mount.release();
        return {};
    };
    if (!point || point->is_root()) return link();  // a root is not an entry that could go away
    // Against rmdir and rename of the mount point, which hold its directory's lock.
    sync::MutexGuard moves(g_move_lock);
    const DentryRef directory = point->parent();
    if (!directory->inode->cacheable()) return fail(Errno::kEINVAL);
    sync::MutexGuard guard(directory->inode->lock);
    if (point->unlinked()) return fail(Errno::kENOENT);
    return link();
}

Result<> MountTable::detach(DentryRef root, bool lazy) {
    if (!lazy) DentryCache::drop_unused();
    RefPtr<Mount> mount;  // freed after the lock
    core::LockGuard guard(g_tree_lock);
    if (root->mount_ == nullptr || !root->mount_->point) return fail(Errno::kEINVAL);
    Mount** link = nullptr;
    for (Mount** at = &g_first; *at != nullptr; at = &(*at)->next_) {
        if (*at == root->mount_)
            link = at;
        else if ((*at)->point && &(*at)->point->inode->file_system == root->mount_->file_system.get())
            return fail(Errno::kEBUSY);
    }
    ASSERT(link != nullptr, "a mounted root is not in the list of mounts");
    // The Mount's reference and the caller's. A new one could only come through the mount point, under this lock.
    if (!lazy && root->reference_count() != 2) return fail(Errno::kEBUSY);
    mount = RefPtr<Mount>(kAdoptRef, *link);
    *link = mount->next_;
    mount->point->mounted_.store(nullptr, std::memory_order_relaxed);  // as in attach()
    root->mount_ = nullptr;
    return {};
}

DentryRef MountTable::cross(DentryRef dentry) {
    core::LockGuard guard(g_tree_lock);
    Dentry* at = dentry.get();
    while (Dentry* mounted = at->mounted_.load(std::memory_order_relaxed)) at = mounted;
    return DentryRef(at);
}

RefPtr<Mount> MountTable::nth(usize index) {
    core::LockGuard guard(g_tree_lock);
    Mount* mount = g_first;
    while (mount != nullptr && index-- != 0) mount = mount->next_;
    return RefPtr<Mount>(mount);
}

bool MountTable::is_mounted(const Dentry& root) {
    core::LockGuard guard(g_tree_lock);
    return root.mount_ != nullptr;
}

DentryRef root_dentry() {
    core::LockGuard guard(g_tree_lock);
    return g_first != nullptr ? g_first->root : DentryRef{};
}

Result<std::string_view> path_of(const Dentry& dentry, const Dentry& root, std::span<char> buffer) {
    BackwardText text(buffer);
    if (dentry.unlinked()) text.prepend(" (deleted)");
    core::LockGuard guard(g_tree_lock);
    const Dentry* at = &dentry;
    bool any = false;
    while (at != &root && !text.overflow()) {
        if (at->parent_ != nullptr) {
            text.prepend(at->name());
            text.prepend("/");
            any = true;
            at = at->parent_;
        } else if (at->mount_ != nullptr && at->mount_->point) {
            at = at->mount_->point.get();
        } else {
            break;  // the topmost root, outside of `root`; or detached
        }
    }
    if (!any && at->parent_ == nullptr && at->mount_ == nullptr) {
        char name[48];
        BufferSink sink(name);
        at->inode->source_path(sink);
        text.prepend(sink.view());
    } else if (!any) {
        text.prepend("/");
    }
    if (text.overflow()) return fail(Errno::kENAMETOOLONG);
    return text.view();
}

}  // namespace hd::fs
