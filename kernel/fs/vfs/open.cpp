// SPDX-License-Identifier: MIT
// open(2), and looking without changing: walk(), statfs(2).
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/fs/vfs/mount.hpp"
#include "kernel/fs/vfs/walker.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

// The rights that the descriptor will give are checked here, once.
u32 wanted_access(u32 flags) {
    constexpr u32 kByMode[] = {kMayRead, kMayWrite, kMayRead | kMayWrite};
    return kByMode[flags & abi::kO_ACCMODE] | ((flags & abi::kO_TRUNC) != 0 ? kMayWrite : 0);
}

// Makes the missing last component. Somebody may be faster: then `created` stays false, and the answer is what they made.
Result<DentryRef> create_file(Walker& walker, u32 mode, bool& created) {
    Dentry& directory = *walker.at();
    sync::MutexGuard guard(directory.inode->lock);
    if (auto found = DentryCache::find_or_load(directory, walker.last()); found || found.error() != Errno::kENOENT)
        return found;
    TRY(directory.inode->check_access(walker.who(), kMayWrite | kMayExecute));
    InodeRef inode = TRY(directory.inode->create(walker.last(), InodeKind::Regular, mode & 07777, 0, walker.who()));
    created = true;
    return DentryCache::insert(directory, walker.last(), std::move(inode));
}

Result<DentryRef> find_or_create(Walker& walker, std::string_view path, u32 flags, u32 mode, bool& created) {
    TRY(walker.parent(path));
    for (;;) {
        const bool there = walker.last().empty() || walker.last_is_dots();  // "/", or what a magic link led to, is at()
        if (there && (flags & abi::kO_EXCL) != 0) return fail(Errno::kEEXIST);
        if (walker.last().empty()) return walker.take();
        if (there || walker.trailing_slash()) return fail(Errno::kEISDIR);
        auto found = walker.child();
        if (!found && found.error() == Errno::kENOENT) found = create_file(walker, mode, created);
        if (!found || created) return found;
        if ((flags & abi::kO_EXCL) != 0) return fail(Errno::kEEXIST);
        if ((*found)->inode->kind != InodeKind::Symlink) return MountTable::topmost(std::move(*found));
        if ((flags & abi::kO_NOFOLLOW) != 0) return fail(Errno::kELOOP);
        TRY(walker.parent_through(**found));
    }
}

Result<FileRef> open_checked(DentryRef dentry, u32 flags) {
    const InodeRef inode = dentry->inode;
    FileRef file = TRY(inode->open(std::move(dentry), flags));
    if (inode->kind != InodeKind::Regular || (wanted_access(flags) & kMayWrite) == 0) return file;
    TRY(inode->begin_use(FileUse::Written));
    file->counted_as_writer = true;
    if ((flags & abi::kO_TRUNC) != 0) {
        sync::MutexGuard guard(inode->lock);
        TRY(inode->truncate(0));
        inode->touch_modified();
    }
    return file;
}

}  // namespace

Result<DentryRef> walk(const WalkStart& start, std::string_view path, FollowLast follow) {
    Walker walker(start);
    TRY(walker.all(path, follow));
    return walker.take();
}

Result<FileRef> open_dentry(DentryRef dentry, u32 flags, const Credentials& who) {
    Inode& inode = *dentry->inode;
    if ((flags & abi::kO_DIRECTORY) != 0 && !inode.is_directory()) return fail(Errno::kENOTDIR);
    if ((flags & abi::kO_PATH) != 0) return mm::make_ref<File>(dentry->inode, dentry, flags);
    if (inode.kind == InodeKind::Symlink) return fail(Errno::kELOOP);
    const u32 wanted = wanted_access(flags);
    if (inode.is_directory() && ((wanted & kMayWrite) != 0 || (flags & abi::kO_CREAT) != 0))
        return fail(Errno::kEISDIR);
    TRY(inode.check_access(who, wanted));
    if ((flags & abi::kO_NOATIME) != 0 && !who.is_root() && who.fsuid != inode.uid) return fail(Errno::kEPERM);
    return open_checked(std::move(dentry), flags);
}

Result<FileRef> open(const WalkStart& start, std::string_view path, u32 flags, u32 mode) {
    if ((flags & abi::kO_PATH) != 0) flags &= abi::kO_PATH | abi::kO_DIRECTORY | abi::kO_NOFOLLOW | abi::kO_CLOEXEC;
    if ((flags & abi::kO_TMPFILE & ~abi::kO_DIRECTORY) != 0) return fail(Errno::kEOPNOTSUPP);
    if ((flags & abi::kO_ACCMODE) == abi::kO_ACCMODE) return fail(Errno::kEINVAL);
    if ((flags & abi::kO_DIRECT) != 0) return fail(Errno::kEINVAL);  // open(2): where the file system does not have it
    if ((flags & abi::kO_PATH) == 0) flags |= abi::kO_LARGEFILE;     // as every 64-bit program sees it in F_GETFL
    Walker walker(start);
    if ((flags & abi::kO_CREAT) == 0) {
        TRY(walker.all(path, (flags & abi::kO_NOFOLLOW) != 0 ? FollowLast::No : FollowLast::Yes));
        return open_dentry(walker.take(), flags, *start.who);
    }
    if ((flags & abi::kO_DIRECTORY) != 0) return fail(Errno::kEINVAL);
    bool created = false;
    DentryRef dentry = TRY(find_or_create(walker, path, flags, mode, created));
    // The creator gets what it asked for, even if the file's mode would not allow it (open(2)).
    return created ? open_checked(std::move(dentry), flags) : open_dentry(std::move(dentry), flags, *start.who);
}

void fill_statfs(const Dentry& dentry, abi::Statfs& statfs) {
    FileSystem& file_system = dentry.inode->file_system;
    statfs = {};
    statfs.f_bsize = statfs.f_frsize = static_cast<i64>(mm::kPageSize);
    statfs.f_namelen = static_cast<i64>(abi::kNAME_MAX);
    statfs.f_fsid[0] = static_cast<i32>(file_system.device_minor);
    statfs.f_flags = abi::kST_VALID | abi::kST_RELATIME | static_cast<i64>(file_system.flags.load());
    file_system.fill_statfs(statfs);
}

}  // namespace hd::fs
