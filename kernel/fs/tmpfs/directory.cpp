// SPDX-License-Identifier: MIT
#include "kernel/fs/tmpfs/directory.hpp"

#include <cstring>

#include "kernel/fs/tmpfs/symlink.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

// Unmounting frees a whole tree. The entries of a subdirectory that dies with this one are taken over and freed here, not
// by recursion: the tree may be deeper than the kernel stack.
TmpfsDirectory::~TmpfsDirectory() {
    names_.clear();
    while (!positions_.empty()) {
        Entry& entry = *positions_.begin();
        positions_.erase(positions_.begin());
        // acquire: sees what the holders of the other references, now gone, did to the directory; pairs with drop_reference().
        if (entry.inode->is_directory() && entry.inode->reference_count(std::memory_order_acquire) == 1) {
            auto& child = static_cast<TmpfsDirectory&>(*entry.inode);
            child.names_.clear();
            while (!child.positions_.empty()) {
                Entry& taken = *child.positions_.begin();
                child.positions_.erase(child.positions_.begin());
                taken.position = next_position_++;
                positions_.push_back(taken);
            }
        }
        destroy(&entry);
    }
}

Result<TmpfsDirectory::Entry*> TmpfsDirectory::make_entry(std::string_view name, InodeRef inode) {
    void* memory = mm::kmalloc(sizeof(Entry) + name.size());
    if (memory == nullptr) return fail(Errno::kENOMEM);
    Entry* entry = new (memory) Entry;
    entry->inode = std::move(inode);
    entry->name_size = name.size();
    std::memcpy(entry->name_bytes, name.data(), name.size());
    return entry;
}

void TmpfsDirectory::destroy(Entry* entry) {
    entry->~Entry();
    mm::kfree(entry);
}

// ---- the life of a directory

Result<> TmpfsDirectory::reserve_place() {
    u32 seen = count_.load();
    do
        if (seen == kDead) return fail(Errno::kENOENT);
    while (!count_.compare_exchange_weak(seen, seen + 1));
    return {};
}

Result<> TmpfsDirectory::kill_if_empty() {
    u32 expected = 0;
    if (!count_.compare_exchange_strong(expected, kDead)) return fail(Errno::kENOTEMPTY);
    links = 0;
    return {};
}

// ---- entries

void TmpfsDirectory::insert(Entry& entry) {
    entry.position = next_position_++;
    names_.insert(entry);
    positions_.push_back(entry);
    touch_modified();
}

Result<> TmpfsDirectory::add(std::string_view name, InodeRef inode) {
    Entry* entry = TRY(make_entry(name, std::move(inode)));
    if (const auto reserved = reserve_place(); !reserved) {
        destroy(entry);
        return reserved;
    }
    insert(*entry);
    return {};
}

InodeRef TmpfsDirectory::erase(std::string_view name) {
    Entry& entry = *names_.find(name);
    names_.erase(names_.iterator_to(entry));
    positions_.erase(positions_.iterator_to(entry));
    --count_;
    InodeRef inode = std::move(entry.inode);
    destroy(&entry);
    touch_modified();
    return inode;
}

Result<InodeRef> TmpfsDirectory::lookup(std::string_view name) {
    const auto found = names_.find(name);
    if (found == names_.end()) return fail(Errno::kENOENT);
    return found->inode;
}

Result<InodeRef> TmpfsDirectory::create(std::string_view name, InodeKind kind_wanted, u32 mode_wanted,
                                        u64 device_wanted, const Credentials& by) {
    auto& system = static_cast<TmpfsSystem&>(file_system);
    InodeRef inode = TRY(system.make_inode(kind_wanted, mode_wanted, device_wanted, *this, by));
    TRY(add(name, inode));
    if (inode->is_directory()) ++links;  // its ".."
    return inode;
}

Result<InodeRef> TmpfsDirectory::symlink(std::string_view name, std::string_view target, const Credentials& by) {
    InodeRef inode = TRY(TmpfsSymlink::make(file_system, target));
    inode->uid = by.fsuid;
    inode->gid = (mode & abi::kS_ISGID) != 0 ? gid.load() : by.fsgid;
    TRY(add(name, inode));
    return inode;
}

Result<> TmpfsDirectory::link(std::string_view name, Inode& target) {
    sync::MutexGuard guard(target.lock);
    if (target.links == 0) return fail(Errno::kENOENT);  // linkat(2): the last name is gone
    TRY(add(name, InodeRef(&target)));
    ++target.links;
    target.touch_changed();
    return {};
}

Result<> TmpfsDirectory::unlink(std::string_view name, Inode& target) {
    erase(name);
    sync::MutexGuard guard(target.lock);
    --target.links;
    target.touch_changed();
    return {};
}

Result<> TmpfsDirectory::rmdir(std::string_view name, Inode& target) {
    TRY(static_cast<TmpfsDirectory&>(target).kill_if_empty());
    erase(name);
    --links;
    return {};
}

Result<> TmpfsDirectory::rename(std::string_view old_name, Inode& moved, Inode& new_directory,
                                std::string_view new_name, Inode* replaced) NO_THREAD_SAFETY_ANALYSIS {
    auto& to = static_cast<TmpfsDirectory&>(new_directory);
    if (replaced == nullptr) {
        TRY(to.add(new_name, InodeRef(&moved)));
    } else {
        if (replaced->is_directory()) {
            TRY(static_cast<TmpfsDirectory*>(replaced)->kill_if_empty());
            --to.links;
        } else {
            sync::MutexGuard guard(replaced->lock);
            --replaced->links;
            replaced->touch_changed();
        }
        to.names_.find(new_name)->inode = InodeRef(&moved);  // the caller's dentry keeps the old one for now
        to.touch_modified();
    }
    erase(old_name);
    if (moved.is_directory()) {
        --links;
        ++to.links;
    } else {  // a directory's lock would be a third one of its rank: its ctime stays
        sync::MutexGuard guard(moved.lock);
        moved.touch_changed();
    }
    return {};
}

Result<> TmpfsDirectory::read_directory(u64 position, DirentSink& sink) {
    for (auto entry = positions_.lower_bound(position); entry != positions_.end(); ++entry)
        if (!sink.entry(entry->name(), entry->inode->number, entry->inode->kind, entry->position + 1)) break;
    return {};
}

u64 TmpfsDirectory::size() const {
    const u32 count = count_.load();
    return count == kDead ? 0 : u64{20} * (count + 2);  // as Linux's tmpfs counts: 20 bytes an entry
}

}  // namespace hd::fs
