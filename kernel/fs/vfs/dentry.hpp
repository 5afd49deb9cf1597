// SPDX-License-Identifier: MIT
// Dentry: a name in a directory, or the root of a mounted file system, or (detached) the only name of an anonymous inode
// such as a pipe. The name cache finds a directory's entry by name with one hash probe.
//
// Invariants. A dentry's inode never changes and is never null: names that do not exist are not cached. A hashed dentry
// says what its directory says: names are hashed, unhashed and moved only with the directory's inode lock held. The hash
// table owns one reference to each hashed dentry; one that has no other reference may be evicted.
//
// Locking: a bucket's Spinlock (rank Dentry) guards its chain, and the parents and names of the dentries in it; the tree lock
// (rank Mounts) guards all parents, names and mount points. rename() holds both, so that either is enough to read.
// A walk reads one component under one bucket's lock and keeps references only, so that it can become lock-free: what is
// left for that is to free dentries after a grace period.
#pragma once
#include <memory>

#include "kernel/fs/vfs/inode.hpp"

namespace hd::fs {

class Mount;

class Dentry final : public mm::PageSource {
public:
    // A dentry that is not in the cache: a root or a detached one (no parent, no name), or an entry of a directory whose names
    // are not cached. ENOMEM.
    static Result<DentryRef> make(InodeRef inode, DentryRef parent = {}, std::string_view name = {});

    ~Dentry() override;

    InodeRef inode;  // set before others see the dentry

    // The directory that this is in; for a mounted root, the directory that the mount point is in; for the topmost root and
    // for detached ones, itself.
    // Over mount points; not above `root`, which may itself be mounted over.
    DentryRef parent(const Dentry* root = nullptr);
    bool is_root() const { return parent_ == nullptr; }  // of a mounted file system, or detached: never changes
    bool unlinked() const { return unlinked_.load(std::memory_order_relaxed); }
    // Is something mounted here? A hint unless the lock of the directory that this is in is held.
    bool is_mount_point() const { return mounted_.load(std::memory_order_relaxed) != nullptr; }

    // What a mapping of this file takes its pages from: the inode, with a path.
    Result<mm::FrameRef> page(u64 index, mm::PageUse use) override { return inode->page(index, use); }
    const void* identity() const override { return inode->identity(); }  // the same through every hard link
    Description describe_source() const override { return inode->describe_source(); }
    void source_path(TextSink& sink) const override;

    // The caller holds the lock of the directory that this is in, or a lock as said above.
    std::string_view name() const { return {name_, name_size_}; }

    void last_reference() override;

private:
    friend class DentryCache;
    friend class MountTable;
    friend Result<std::string_view> path_of(const Dentry& dentry, const Dentry& root, std::span<char> buffer);
    Dentry(InodeRef inode_in, DentryRef parent_in) : inode(std::move(inode_in)), parent_(parent_in.release()) {}
    void set_name(std::string_view name, std::unique_ptr<char[]> storage);

    static constexpr usize kInlineName = 31;

    Dentry* parent_;          // owns a reference; null or not for good
    Dentry* next_ = nullptr;  // in the bucket's chain
    char* name_ = inline_name_;
    u8 name_size_ = 0;
    bool hashed_ = false;  // guarded by the bucket's lock
    std::atomic<bool> unlinked_{false};
    std::atomic<Dentry*> mounted_{nullptr};  // the root of what is mounted here, which the Mount owns
    Mount* mount_ = nullptr;                 // of a mounted root: what it is the root of
    char inline_name_[kInlineName];
};

// The name cache. Task context.
class DentryCache {
public:
    // A name's hash, FNV-1a; a walk computes it while it looks for the name's end.
    static constexpr u64 kHashStart = 0xcbf29ce484222325;
    static constexpr u64 hash_step(u64 hash, char c) { return (hash ^ static_cast<u8>(c)) * 0x100000001b3; }

    // The cached entry `name` of `directory`, or null.
    static DentryRef find(Dentry& directory, std::string_view name, u64 hash);
    static DentryRef find(Dentry& directory, std::string_view name);
    // The same, asking the file system if need be. The caller holds directory.inode->lock. ENOENT, ENOMEM.
    static Result<DentryRef> find_or_load(Dentry& directory, std::string_view name);

    // For whoever changes a directory; the caller holds directory.inode->lock.
    static void insert(Dentry& dentry);  // a new one, whose name is not cached
    static void remove(Dentry& dentry);  // the name is gone: unlink, rmdir, replaced by rename
    // rename(2): memory for the new name first, then what cannot fail. Both directories are locked.
    static Result<std::unique_ptr<char[]>> reserve_name(std::string_view name);  // ENOMEM
    static void move(Dentry& dentry, Dentry& directory, std::string_view name, std::unique_ptr<char[]> storage);

    // Is `ancestor` above `dentry` in the same file system, or the same? The caller holds MountTable::move_lock(), under which
    // alone parents change.
    static bool is_ancestor(const Dentry& ancestor, const Dentry& dentry);
    // Drops what only the cache holds: for unmount, and for the tests' leak check.
    static void drop_unused();
    static u64 size();

private:
    static void link(Dentry& dentry);
    static bool unlink(Dentry& dentry);
    static bool evict_bucket(usize index);
    static void evict_some();
};

}  // namespace hd::fs
