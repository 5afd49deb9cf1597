// SPDX-License-Identifier: MIT
// The system calls that change directories: mkdir, mknod, symlink, link, unlink, rmdir, rename, mount.
//
// Each takes the directory's lock, looks the name up again, checks, lets the file system act and changes the name cache,
// all in one critical section. References that may be the last ones are dropped after it.
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/fs/vfs/mount.hpp"
#include "kernel/fs/vfs/walker.hpp"

namespace hd::fs {

namespace {

// The locked directory's entry for the walker's last component. ENOENT.
Result<DentryRef> find_entry(const Walker& walker) NO_THREAD_SAFETY_ANALYSIS {
    TRY(walker.at()->inode->check_access(walker.who(), kMayExecute));
    if (walker.last().size() > abi::kNAME_MAX) return fail(Errno::kENAMETOOLONG);
    return DentryCache::find_or_load(*walker.at(), walker.last());
}

// May the last component be made in the locked directory? EEXIST comes before EACCES, as Linux has it.
Result<> check_new(const Walker& walker) {
    if (const auto found = find_entry(walker))
        return fail(Errno::kEEXIST);
    else if (found.error() != Errno::kENOENT)
        return fail(found.error());
    return walker.at()->inode->check_access(walker.who(), kMayWrite | kMayExecute);
}

// unlink(2), rename(2): write permission, and in a sticky directory to be the owner of the entry or of the directory.
Result<> check_remove(const Walker& walker, const Dentry& entry) {
    const Inode& directory = *walker.at()->inode;
    const Credentials& who = walker.who();
    TRY(directory.check_access(who, kMayWrite | kMayExecute));
    if ((directory.mode & abi::kS_ISVTX) != 0 && !who.is_root() && who.fsuid != entry.inode->uid &&
        who.fsuid != directory.uid)
        return fail(Errno::kEPERM);
    return {};
}

}  // namespace

Result<DentryRef> make_node(const WalkStart& start, std::string_view path, InodeKind kind, u32 mode, u64 device) {
    Walker walker(start);
    TRY(walker.parent(path));
    if (walker.last().empty() || walker.last_is_dots()) return fail(Errno::kEEXIST);
    Inode& directory = *walker.at()->inode;
    sync::MutexGuard guard(directory.lock);
    TRY(check_new(walker));
    if (walker.trailing_slash() && kind != InodeKind::Directory) return fail(Errno::kENOENT);
    const bool is_device = kind == InodeKind::CharacterDevice || kind == InodeKind::BlockDevice;
    if (is_device && !start.who->is_root()) return fail(Errno::kEPERM);
    mode &= kind == InodeKind::Directory ? u32{01777} : u32{07777};
    InodeRef inode = TRY(directory.create(walker.last(), kind, mode, device, *start.who));
    return DentryCache::insert(*walker.at(), walker.last(), std::move(inode));
}

Result<> make_symlink(const WalkStart& start, std::string_view target, std::string_view path) {
    if (target.empty()) return fail(Errno::kENOENT);
    if (target.size() >= abi::kPATH_MAX) return fail(Errno::kENAMETOOLONG);
    Walker walker(start);
    TRY(walker.parent(path));
    if (walker.last().empty() || walker.last_is_dots()) return fail(Errno::kEEXIST);
    Inode& directory = *walker.at()->inode;
    sync::MutexGuard guard(directory.lock);
    TRY(check_new(walker));
    if (walker.trailing_slash()) return fail(Errno::kENOENT);
    TRY(directory.symlink(walker.last(), target, *start.who));
    return {};
}

Result<> link(const WalkStart& from, std::string_view old_path, FollowLast follow, const WalkStart& to,
              std::string_view new_path) {
    const DentryRef old = TRY(walk(from, old_path, follow));
    Walker walker(to);
    TRY(walker.parent(new_path));
    if (walker.last().empty() || walker.last_is_dots()) return fail(Errno::kEEXIST);
    Inode& directory = *walker.at()->inode;
    sync::MutexGuard guard(directory.lock);
    TRY(check_new(walker));
    if (walker.trailing_slash()) return fail(Errno::kENOENT);
    if (&old->inode->file_system != &directory.file_system) return fail(Errno::kEXDEV);
    if (old->inode->is_directory()) return fail(Errno::kEPERM);
    return directory.link(walker.last(), *old->inode);
}

Result<> unlink(const WalkStart& start, std::string_view path) {
    Walker walker(start);
    TRY(walker.parent(path));
    if (walker.last().empty() || walker.last_is_dots()) return fail(Errno::kEISDIR);
    Inode& directory = *walker.at()->inode;
    DentryRef entry;
    sync::MutexGuard guard(directory.lock);
    entry = TRY(find_entry(walker));
    TRY(check_remove(walker, *entry));
    if (entry->inode->is_directory()) return fail(Errno::kEISDIR);
    if (walker.trailing_slash()) return fail(Errno::kENOTDIR);
    if (entry->is_mount_point()) return fail(Errno::kEBUSY);
    TRY(directory.unlink(walker.last(), *entry->inode));
    DentryCache::remove(*entry);
    return {};
}

Result<> remove_directory(const WalkStart& start, std::string_view path) {
    Walker walker(start);
    TRY(walker.parent(path));
    if (walker.last().empty()) return fail(Errno::kEBUSY);
    if (walker.last() == ".") return fail(Errno::kEINVAL);
    if (walker.last() == "..") return fail(Errno::kENOTEMPTY);
    Inode& directory = *walker.at()->inode;
    DentryRef entry;
    sync::MutexGuard guard(directory.lock);
    entry = TRY(find_entry(walker));
    TRY(check_remove(walker, *entry));
    if (!entry->inode->is_directory()) return fail(Errno::kENOTDIR);
    if (entry->is_mount_point()) return fail(Errno::kEBUSY);
    TRY(directory.rmdir(walker.last(), *entry->inode));
    DentryCache::remove(*entry);
    return {};
}

namespace {

// rename(2) with both directories locked, and no other entry moving between directories if these are two.
Result<> rename_locked(const Walker& from, const Walker& to, u32 flags, DentryRef& moved, DentryRef& replaced)
    NO_THREAD_SAFETY_ANALYSIS {
    moved = TRY(find_entry(from));
    if (auto found = find_entry(to))
        replaced = std::move(*found);
    else if (found.error() != Errno::kENOENT)
        return fail(found.error());
    if (replaced && (flags & abi::kRENAME_NOREPLACE) != 0) return fail(Errno::kEEXIST);

    const bool same_directory = from.at() == to.at();
    const bool is_directory = moved->inode->is_directory();
    if (!is_directory && (from.trailing_slash() || to.trailing_slash())) return fail(Errno::kENOTDIR);
    if (!same_directory && is_directory && DentryCache::is_ancestor(*moved, *to.at())) return fail(Errno::kEINVAL);
    if (!same_directory && replaced && DentryCache::is_ancestor(*replaced, *from.at())) return fail(Errno::kENOTEMPTY);
    if (replaced && replaced->inode == moved->inode) return {};  // two names of one file: rename(2) does nothing

    TRY(check_remove(from, *moved));
    if (replaced) {
        TRY(check_remove(to, *replaced));
        if (is_directory && !replaced->inode->is_directory()) return fail(Errno::kENOTDIR);
        if (!is_directory && replaced->inode->is_directory()) return fail(Errno::kEISDIR);
        if (replaced->is_mount_point()) return fail(Errno::kEBUSY);
    } else {
        TRY(to.at()->inode->check_access(to.who(), kMayWrite | kMayExecute));
    }
    if (moved->is_mount_point()) return fail(Errno::kEBUSY);
    if (is_directory && !same_directory) TRY(moved->inode->check_access(from.who(), kMayWrite));  // its ".." changes

    auto storage = TRY(DentryCache::reserve_name(to.last()));
    TRY(from.at()->inode->rename(from.last(), *moved->inode, *to.at()->inode, to.last(),
                                 replaced ? replaced->inode.get() : nullptr));
    if (replaced) DentryCache::remove(*replaced);
    DentryCache::move(*moved, *to.at(), to.last(), std::move(storage));
    return {};
}

}  // namespace

Result<> rename(const WalkStart& from, std::string_view old_path, const WalkStart& to, std::string_view new_path,
                u32 flags) NO_THREAD_SAFETY_ANALYSIS {
    if ((flags & ~abi::kRENAME_NOREPLACE) != 0) return fail(Errno::kEINVAL);
    Walker old_walker(from), new_walker(to);
    TRY(old_walker.parent(old_path));
    TRY(new_walker.parent(new_path));
    Inode& old_directory = *old_walker.at()->inode;
    Inode& new_directory = *new_walker.at()->inode;
    if (&old_directory.file_system != &new_directory.file_system) return fail(Errno::kEXDEV);
    if (old_walker.last().empty() || old_walker.last_is_dots()) return fail(Errno::kEBUSY);
    if (new_walker.last().empty() || new_walker.last_is_dots())
        return fail((flags & abi::kRENAME_NOREPLACE) != 0 ? Errno::kEEXIST : Errno::kEBUSY);
    DentryRef moved, replaced;
    std::optional<sync::MutexGuard> moves;
    if (&old_directory != &new_directory) moves.emplace(MountTable::move_lock());
    sync::MutexPairGuard guard(old_directory.lock, new_directory.lock);
    return rename_locked(old_walker, new_walker, flags, moved, replaced);
}

Result<> mount(const WalkStart& start, std::string_view source, std::string_view target, std::string_view type,
               u64 flags, std::string_view options) {
    constexpr u64 kKept = abi::kMS_RDONLY | abi::kMS_NOSUID | abi::kMS_NODEV | abi::kMS_NOEXEC;
    if (!start.who->is_root()) return fail(Errno::kEPERM);
    // Access times are relative whatever is asked for, and nothing is written later than at once.
    constexpr u64 kNoEffect = abi::kMS_SILENT | abi::kMS_RELATIME | abi::kMS_NOATIME | abi::kMS_NODIRATIME |
                              abi::kMS_STRICTATIME | abi::kMS_SYNCHRONOUS;
    if ((flags & ~(kKept | kNoEffect | abi::kMS_REMOUNT)) != 0) return fail(Errno::kEINVAL);
    DentryRef point = TRY(walk(start, target, FollowLast::Yes));
    if ((flags & abi::kMS_REMOUNT) != 0) {
        if (!MountTable::is_mounted(*point)) return fail(Errno::kEINVAL);
        point->inode->file_system.flags.store(flags & kKept);
        return {};
    }
    const FileSystemType* found = find_file_system(type);
    if (found == nullptr) return fail(Errno::kENODEV);
    RefPtr<FileSystem> file_system = TRY(found->make(options));
    file_system->flags.store(flags & kKept);
    return MountTable::attach(std::move(file_system), std::move(point), source);
}

Result<> unmount(const WalkStart& start, std::string_view target, u32 flags) {
    if (!start.who->is_root()) return fail(Errno::kEPERM);
    if ((flags & ~(abi::kMNT_FORCE | abi::kMNT_DETACH | abi::kUMOUNT_NOFOLLOW)) != 0) return fail(Errno::kEINVAL);
    const bool no_follow = (flags & abi::kUMOUNT_NOFOLLOW) != 0;
    DentryRef root = TRY(walk(start, target, no_follow ? FollowLast::No : FollowLast::Yes));
    return MountTable::detach(std::move(root), (flags & abi::kMNT_DETACH) != 0);
}

}  // namespace hd::fs
