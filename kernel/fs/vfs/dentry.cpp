// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/dentry.hpp"

#include <bit>

#include "kernel/fs/vfs/mount.hpp"
#include "kernel/fs/vfs/path.hpp"

namespace hd::fs {

namespace {

constexpr usize kBuckets = 1024;
constexpr u64 kMostCached = 8192;  // a dentry and its inode are some 400 bytes

struct Bucket {
    core::Spinlock lock{core::Rank::Dentry};
    Dentry* first GUARDED_BY(lock) = nullptr;
};

constinit Bucket g_buckets[kBuckets]{};
constinit std::atomic<u64> g_cached{0};  // relaxed everywhere: a measure for eviction

Bucket& bucket_of(const Dentry* directory, u64 hash) {
    constexpr u64 kGolden = 0x9e3779b97f4a7c15;  // spreads both over the upper bits (Knuth, 6.4)
    return g_buckets[(hash + reinterpret_cast<u64>(directory)) * kGolden >> (64 - std::countr_zero(kBuckets))];
}

u64 hash_of(std::string_view name) {
    u64 hash = DentryCache::kHashStart;
    for (const char c : name) hash = DentryCache::hash_step(hash, c);
    return hash;
}

}  // namespace

// ---- one dentry

Dentry::~Dentry() {
    if (name_ != inline_name_) delete[] name_;
}

// A chain of removed directories may be held by its last element alone: destroyed in a loop, not by recursion, since the
// chain may be longer than the kernel stack is deep.
void Dentry::last_reference() {
    Dentry* dying = this;
    while (dying != nullptr) {
        Dentry* parent = dying->parent_;
        delete dying;
        dying = parent != nullptr && parent->drop_reference() ? parent : nullptr;
    }
}

void Dentry::set_name(std::string_view name, std::unique_ptr<char[]> storage) {
    if (name_ != inline_name_) delete[] name_;
    name_ = storage ? storage.release() : inline_name_;
    name_size_ = static_cast<u8>(name.size());
    name.copy(name_, name.size());
}

Result<DentryRef> Dentry::make(InodeRef inode, DentryRef parent, std::string_view name) {
    auto storage = TRY(DentryCache::reserve_name(name));
    Dentry* dentry = new (std::nothrow) Dentry(std::move(inode), std::move(parent));
    if (dentry == nullptr) return fail(Errno::kENOMEM);
    dentry->set_name(name, std::move(storage));
    return DentryRef(kAdoptRef, dentry);
}

DentryRef Dentry::parent(const Dentry* root) {
    core::LockGuard guard(MountTable::lock());
    Dentry* at = this;
    while (at->parent_ == nullptr) {
        if (at->mount_ == nullptr || !at->mount_->point) return DentryRef(at);
        at = at->mount_->point.get();
        if (at == root) return DentryRef(at);
    }
    return DentryRef(at->parent_);
}

void Dentry::source_path(TextSink& sink) const {
    char buffer[512];  // /proc/PID/maps cuts a longer path off
    const auto path = path_of(*this, *root_dentry(), buffer);
    sink.put(path ? *path : "(too long)");
}

// ---- the cache

DentryRef DentryCache::find(Dentry& directory, std::string_view name) { return find(directory, name, hash_of(name)); }

DentryRef DentryCache::find(Dentry& directory, std::string_view name, u64 hash) {
    Bucket& bucket = bucket_of(&directory, hash);
    core::LockGuard guard(bucket.lock);
    for (Dentry* dentry = bucket.first; dentry != nullptr; dentry = dentry->next_)
        if (dentry->parent_ == &directory && dentry->name() == name) return DentryRef(dentry);
    return {};
}

Result<DentryRef> DentryCache::find_or_load(Dentry& directory, std::string_view name) NO_THREAD_SAFETY_ANALYSIS {
    if (DentryRef found = find(directory, name)) return found;
    DentryRef dentry = TRY(Dentry::make(TRY(directory.inode->lookup(name)), DentryRef(&directory), name));
    insert(*dentry);
    return dentry;
}

void DentryCache::insert(Dentry& dentry) {
    if (!dentry.parent_->inode->cacheable()) return;
    dentry.ref();  // the table's own
    link(dentry);
    if (g_cached.load(std::memory_order_relaxed) > kMostCached) evict_some();
}

void DentryCache::link(Dentry& dentry) {
    Bucket& bucket = bucket_of(dentry.parent_, hash_of(dentry.name()));
    core::LockGuard guard(bucket.lock);
    dentry.next_ = std::exchange(bucket.first, &dentry);
    dentry.hashed_ = true;
    g_cached.fetch_add(1, std::memory_order_relaxed);
}

// True if it was hashed; the table's reference is the caller's then.
bool DentryCache::unlink(Dentry& dentry) {
    Bucket& bucket = bucket_of(dentry.parent_, hash_of(dentry.name()));
    core::LockGuard guard(bucket.lock);
    if (!dentry.hashed_) return false;
    Dentry** link = &bucket.first;
    while (*link != &dentry) link = &(*link)->next_;
    *link = dentry.next_;
    dentry.hashed_ = false;
    g_cached.fetch_sub(1, std::memory_order_relaxed);
    return true;
}

void DentryCache::remove(Dentry& dentry) {
    dentry.unlinked_.store(true, std::memory_order_relaxed);  // read as a hint, or under the directory's lock
    if (unlink(dentry)) dentry.unref();
}

Result<std::unique_ptr<char[]>> DentryCache::reserve_name(std::string_view name) {
    if (name.size() <= Dentry::kInlineName) return std::unique_ptr<char[]>();
    std::unique_ptr<char[]> storage(new (std::nothrow) char[name.size()]);
    if (!storage) return fail(Errno::kENOMEM);
    return storage;
}

void DentryCache::move(Dentry& dentry, Dentry& directory, std::string_view name, std::unique_ptr<char[]> storage) {
    Dentry* unneeded = &directory;
    directory.ref();
    {
        core::LockGuard guard(MountTable::lock());
        const bool hashed = unlink(dentry);
        // Only written if it changes: is_ancestor() may read it.
        if (dentry.parent_ != &directory) unneeded = std::exchange(dentry.parent_, &directory);
        dentry.set_name(name, std::move(storage));
        if (hashed) link(dentry);
    }
    // From here on a walk finds the new name; one that looked in between waits for the directory's lock.
    unneeded->unref();
}

bool DentryCache::is_ancestor(const Dentry& ancestor, const Dentry& dentry) {
    for (const Dentry* at = &dentry; at != nullptr; at = at->parent_)
        if (at == &ancestor) return true;
    return false;
}

// Takes what only the table holds off one bucket. No new reference can come meanwhile: one is made from the table, under
// the bucket's lock, or from another reference, and there is none.
bool DentryCache::evict_bucket(usize index) {
    Bucket& bucket = g_buckets[index];
    Dentry* evicted = nullptr;
    {
        core::LockGuard guard(bucket.lock);
        for (Dentry** link = &bucket.first; *link != nullptr;) {
            Dentry* dentry = *link;
            if (dentry->reference_count() != 1) {
                link = &dentry->next_;
                continue;
            }
            *link = dentry->next_;
            dentry->hashed_ = false;
            dentry->next_ = std::exchange(evicted, dentry);
            g_cached.fetch_sub(1, std::memory_order_relaxed);
        }
    }
    const bool any = evicted != nullptr;
    while (evicted != nullptr) std::exchange(evicted, evicted->next_)->unref();
    return any;
}

void DentryCache::evict_some() {
    static constinit std::atomic<usize> hand{0};
    for (usize i = 0; i < kBuckets / 64; ++i)
        evict_bucket(hand.fetch_add(1, std::memory_order_relaxed) % kBuckets);  // any order will do
}

void DentryCache::drop_unused() {
    // Directories become unused when their entries are gone, so as long as something was dropped there may be more.
    for (bool any = true; any;) {
        any = false;
        for (usize i = 0; i < kBuckets; ++i) any |= evict_bucket(i);
    }
}

u64 DentryCache::size() { return g_cached.load(std::memory_order_relaxed); }

}  // namespace hd::fs
