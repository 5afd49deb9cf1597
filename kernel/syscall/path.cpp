// SPDX-License-Identifier: MIT
// System calls of names and attributes: all that takes a path, and the same by descriptor.
#include <algorithm>
#include <cstring>

#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/syscall/helpers.hpp"

namespace hd::syscall {

namespace {

using fs::FollowLast;

u32 masked(Mode mode) { return mode & 07777 & ~process().fs->umask(); }

FollowLast follow(Flags flags) { return (flags & abi::kAT_SYMLINK_NOFOLLOW) != 0 ? FollowLast::No : FollowLast::Yes; }

Result<fs::DentryRef> dentry_at(DirFd directory, Path path, FollowLast last) {
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load(path));
    return fs::walk(TRY(walk_start(directory, name)), name, last);
}

// What an *at call means: the path, or with AT_EMPTY_PATH and "" the descriptor itself.
Result<fs::InodeRef> inode_at(DirFd directory, Path path, Flags flags) {
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load_maybe_empty(path));
    if (name.empty()) {
        if ((flags & abi::kAT_EMPTY_PATH) == 0) return fail(Errno::kENOENT);
        if (directory == abi::kAT_FDCWD) return process().fs->working_directory()->inode;
        return TRY(process().files->get_any(directory))->inode;
    }
    return TRY(fs::walk(TRY(walk_start(directory, name)), name, follow(flags)))->inode;
}

Result<> check_flags(Flags flags, Flags allowed) { return (flags & ~allowed) == 0 ? Result<>() : fail(Errno::kEINVAL); }

Result<> store_stat(fs::Inode& inode, Out<abi::Stat> result) {
    abi::Stat stat;
    inode.fill_stat(stat);
    return result.store(stat);
}

Result<> set_working_directory(const fs::DentryRef& dentry) {
    if (!dentry || !dentry->inode->is_directory()) return fail(Errno::kENOTDIR);
    TRY(dentry->inode->check_access(me(), fs::kMayExecute));
    process().fs->set_working_directory(dentry);
    return {};
}

// The two paths of one call: both are copied in before either is looked at.
struct TwoPaths {
    PathArgument old_buffer, new_buffer;
    std::string_view old_path, new_path;
    fs::WalkStart old_start, new_start;
    Result<> load(DirFd old_directory, Path old_name, DirFd new_directory, Path new_name) {
        old_path = TRY(old_buffer.load(old_name));
        new_path = TRY(new_buffer.load(new_name));
        old_start = TRY(walk_start(old_directory, old_path));
        new_start = TRY(walk_start(new_directory, new_path));
        return {};
    }
};

}  // namespace

// ---- attributes

Answer sys_newfstatat(DirFd directory, Path path, Out<abi::Stat> result, Flags flags) {
    TRY(check_flags(flags, abi::kAT_SYMLINK_NOFOLLOW | abi::kAT_NO_AUTOMOUNT | abi::kAT_EMPTY_PATH));
    return store_stat(*TRY(inode_at(directory, path, flags)), result);
}

Answer sys_fstat(Fd fd, Out<abi::Stat> result) {
    const fs::FileRef file = TRY(process().files->get_any(fd));
    return store_stat(*file->inode, result);
}

// access(2) asks for the real ids, because set-user-ID programs ask it on their caller's behalf.
Answer sys_faccessat2(DirFd directory, Path path, Mode mode, Flags flags) {
    TRY(check_flags(flags, abi::kAT_EACCESS | abi::kAT_SYMLINK_NOFOLLOW | abi::kAT_EMPTY_PATH));
    if ((mode & ~(abi::kR_OK | abi::kW_OK | abi::kX_OK)) != 0) return fail(Errno::kEINVAL);
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load_maybe_empty(path));
    fs::Credentials who = me();
    if ((flags & abi::kAT_EACCESS) == 0) {
        who.euid = who.uid;
        who.egid = who.gid;
    }
    fs::InodeRef inode;
    if (name.empty()) {
        inode = TRY(inode_at(directory, path, flags));
    } else {
        fs::WalkStart start = TRY(walk_start(directory, name));
        start.who = &who;
        inode = TRY(fs::walk(start, name, follow(flags)))->inode;
    }
    return mode != 0 ? inode->check_access(who, mode) : Result<>();
}

Answer sys_fchmodat(DirFd directory, Path path, Mode mode) {
    return fs::change_mode(*TRY(inode_at(directory, path, 0)), mode & 07777, me());
}

Answer sys_fchmod(Fd fd, Mode mode) { return fs::change_mode(*TRY(file_of(fd))->inode, mode & 07777, me()); }

Answer sys_fchownat(DirFd directory, Path path, UInt uid, UInt gid, Flags flags) {
    TRY(check_flags(flags, abi::kAT_SYMLINK_NOFOLLOW | abi::kAT_EMPTY_PATH));
    return fs::change_owner(*TRY(inode_at(directory, path, flags)), uid, gid, me());
}

Answer sys_fchown(Fd fd, UInt uid, UInt gid) { return fs::change_owner(*TRY(file_of(fd))->inode, uid, gid, me()); }

// A null path means the descriptor itself: futimens(3).
Answer sys_utimensat(DirFd directory, Path path, In<abi::Timespec> times, Flags flags) {
    TRY(check_flags(flags, abi::kAT_SYMLINK_NOFOLLOW | abi::kAT_EMPTY_PATH));
    abi::Timespec accessed{0, abi::kUTIME_NOW}, modified{0, abi::kUTIME_NOW};
    if (times) {
        accessed = TRY(times.load());
        modified = TRY((times + 1).load());
    }
    if (accessed.tv_nsec == abi::kUTIME_OMIT && modified.tv_nsec == abi::kUTIME_OMIT) return 0;
    fs::InodeRef inode;
    if (path.address == 0) {
        if (flags != 0) return fail(Errno::kEINVAL);
        if (directory == abi::kAT_FDCWD) return fail(Errno::kEFAULT);
        inode = TRY(file_of(directory))->inode;
    } else {
        inode = TRY(inode_at(directory, path, flags));
    }
    return fs::change_times(*inode, accessed, modified, me());
}

Answer sys_truncate(Path path, Offset size) {
    if (size < 0) return fail(Errno::kEINVAL);
    const fs::InodeRef inode = TRY(inode_at(abi::kAT_FDCWD, path, 0));
    if (inode->is_directory()) return fail(Errno::kEISDIR);
    if (inode->kind != fs::InodeKind::Regular) return fail(Errno::kEINVAL);
    TRY(inode->check_access(me(), fs::kMayWrite));
    TRY(inode->begin_use(fs::FileUse::Written));
    const Result<> changed = fs::change_size(*inode, static_cast<u64>(size));
    inode->end_use(fs::FileUse::Written);
    TRY(changed);
    fs::drop_set_id(*inode, me());
    return 0;
}

Answer sys_umask(Mode mask) { return process().fs->set_umask(mask); }

// ---- directories as places

Answer sys_chdir(Path path) { return set_working_directory(TRY(dentry_at(abi::kAT_FDCWD, path, FollowLast::Yes))); }

Answer sys_fchdir(Fd fd) { return set_working_directory(TRY(process().files->get_any(fd))->dentry); }

Answer sys_chroot(Path path) {
    const fs::DentryRef dentry = TRY(dentry_at(abi::kAT_FDCWD, path, FollowLast::Yes));
    if (!dentry->inode->is_directory()) return fail(Errno::kENOTDIR);
    TRY(dentry->inode->check_access(me(), fs::kMayExecute));
    TRY(check_root());
    process().fs->set_root(dentry);
    return 0;
}

Answer sys_getcwd(Buffer buffer, Size size) {
    const auto text = TRY(mm::make_array<char>(abi::kPATH_MAX));
    const fs::DentryRef directory = process().fs->working_directory(), root = process().fs->root();
    if (directory->unlinked()) return fail(Errno::kENOENT);
    // One byte less, so that a NUL fits behind the path at the buffer's end.
    const std::string_view path = TRY(fs::path_of(*directory, *root, {text.get(), abi::kPATH_MAX - 1}));
    text[abi::kPATH_MAX - 1] = 0;
    if (path.size() + 1 > size) return fail(Errno::kERANGE);
    TRY(mm::copy_to_user(buffer.address, path.data(), path.size() + 1));
    return path.size() + 1;
}

// ---- making and removing names

Answer sys_mkdirat(DirFd directory, Path path, Mode mode) {
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load(path));
    TRY(fs::make_node(TRY(walk_start(directory, name)), name, {fs::InodeKind::Directory, masked(mode)}));
    return 0;
}

Answer sys_mknodat(DirFd directory, Path path, Mode mode, Long device) {
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load(path));
    const auto kind = (mode & abi::kS_IFMT) == 0 ? fs::InodeKind::Regular : fs::kind_of_mode(mode);
    if (kind == fs::InodeKind::Directory) return fail(Errno::kEPERM);
    if (!kind || kind == fs::InodeKind::Symlink) return fail(Errno::kEINVAL);
    TRY(fs::make_node(TRY(walk_start(directory, name)), name, {*kind, masked(mode), static_cast<u32>(device)}));
    return 0;
}

Answer sys_unlinkat(DirFd directory, Path path, Flags flags) {
    TRY(check_flags(flags, abi::kAT_REMOVEDIR));
    PathArgument buffer;
    const std::string_view name = TRY(buffer.load(path));
    const fs::WalkStart start = TRY(walk_start(directory, name));
    return (flags & abi::kAT_REMOVEDIR) != 0 ? fs::remove_directory(start, name) : fs::unlink(start, name);
}

Answer sys_renameat2(DirFd old_directory, Path old_path, DirFd new_directory, Path new_path, Flags flags) {
    TwoPaths paths;
    TRY(paths.load(old_directory, old_path, new_directory, new_path));
    return fs::rename(paths.old_start, paths.old_path, paths.new_start, paths.new_path, flags);
}

Answer sys_linkat(DirFd old_directory, Path old_path, DirFd new_directory, Path new_path, Flags flags) {
    TRY(check_flags(flags, abi::kAT_SYMLINK_FOLLOW));
    TwoPaths paths;
    TRY(paths.load(old_directory, old_path, new_directory, new_path));
    const FollowLast last = (flags & abi::kAT_SYMLINK_FOLLOW) != 0 ? FollowLast::Yes : FollowLast::No;
    return fs::link(paths.old_start, paths.old_path, last, paths.new_start, paths.new_path);
}

// ---- symbolic links

Answer sys_symlinkat(Path target, DirFd directory, Path path) {
    TwoPaths paths;
    TRY(paths.load(abi::kAT_FDCWD, target, directory, path));
    TRY(fs::make_node(paths.new_start, paths.new_path, {fs::InodeKind::Symlink, 0777, 0, paths.old_path}));
    return 0;
}

Answer sys_readlinkat(DirFd directory, Path path, Buffer buffer, Size size) {
    if (static_cast<i32>(size) <= 0) return fail(Errno::kEINVAL);
    const fs::InodeRef inode = TRY(inode_at(directory, path, abi::kAT_SYMLINK_NOFOLLOW | abi::kAT_EMPTY_PATH));
    if (inode->kind != fs::InodeKind::Symlink)  // an empty path is for a descriptor of a link itself only
        return fail(TRY(In<char>(path.address).load()) == 0 ? Errno::kENOENT : Errno::kEINVAL);
    const auto text = TRY(mm::make_array<char>(abi::kPATH_MAX));
    const usize length = TRY(inode->read_link({text.get(), std::min<u64>(size, abi::kPATH_MAX)}));
    TRY(mm::copy_to_user(buffer.address, text.get(), length));
    return length;
}

// ---- file systems

Answer sys_statfs(Path path, Out<abi::Statfs> result) {
    abi::Statfs statfs;
    fs::fill_statfs(*TRY(dentry_at(abi::kAT_FDCWD, path, FollowLast::Yes)), statfs);
    return result.store(statfs);
}

Answer sys_fstatfs(Fd fd, Out<abi::Statfs> result) {
    abi::Statfs statfs;
    const fs::FileRef file = TRY(process().files->get_any(fd));
    if (file->dentry)
        fs::fill_statfs(*file->dentry, statfs);
    else
        file->inode->file_system.fill_statfs(statfs);
    return result.store(statfs);
}

Answer sys_mount(Path source, Path target, Text type, Size flags, Text options) {
    TRY(check_root());
    if (target.address == 0) return fail(Errno::kEFAULT);
    PathArgument buffers[4];
    std::string_view texts[4];
    const u64 addresses[4] = {source.address, target.address, type.address, options.address};
    for (usize i = 0; i < 4; ++i)
        if (addresses[i] != 0) texts[i] = TRY(buffers[i].load_maybe_empty(Path{addresses[i]}));
    return fs::mount(walk_start(), texts[0], texts[1], texts[2], flags, texts[3]);
}

Answer sys_umount2(Path target, Flags flags) {
    TRY(check_root());
    PathArgument buffer;
    return fs::unmount(walk_start(), TRY(buffer.load(target)), flags);
}

}  // namespace hd::syscall
