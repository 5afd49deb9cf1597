// SPDX-License-Identifier: MIT
// Names: the walk from a path to a dentry (path_resolution(7)), and the bodies of the system calls that take paths.
// Context: task, no lock held.
#pragma once
#include "kernel/abi/statfs.hpp"
#include "kernel/fs/vfs/dentry.hpp"
#include "kernel/fs/vfs/file.hpp"

namespace hd::fs {

// Where a walk starts, and who walks. Root and working directory belong to the process (kernel/task).
struct WalkStart {
    DentryRef root;
    DentryRef base;  // working directory or the directory of an *at call; an absolute path begins at root
    const Credentials* who;
};

enum class FollowLast : bool { No, Yes };

// The dentry that `path` names. ENOENT, ENOTDIR, EACCES, ELOOP (40 links), ENAMETOOLONG.
Result<DentryRef> walk(const WalkStart& start, std::string_view path, FollowLast follow);

// The system calls' bodies; modes have had the umask applied. Errors as the man pages say.
Result<FileRef> open(const WalkStart& start, std::string_view path, u32 flags, u32 mode);
// Opens what is there already (O_CREAT and O_EXCL do not matter), with checks: execve's file, /proc/PID/fd/N.
Result<FileRef> open_dentry(DentryRef dentry, u32 flags, const Credentials& who);
Result<DentryRef> make_node(const WalkStart& start, std::string_view path, NewNode node);
Result<> link(const WalkStart& from, std::string_view old_path, FollowLast follow, const WalkStart& to,
              std::string_view new_path);
Result<> unlink(const WalkStart& start, std::string_view path);
Result<> remove_directory(const WalkStart& start, std::string_view path);
// flags: RENAME_NOREPLACE; EINVAL for the others.
Result<> rename(const WalkStart& from, std::string_view old_path, const WalkStart& to, std::string_view new_path,
                u32 flags);
Result<> mount(const WalkStart& start, std::string_view source, std::string_view target, std::string_view type,
               u64 flags, std::string_view options = {});
// Boot: mounts at a directory, which is made if it is not there. A failure ends the boot.
void mount_at_boot(const char* type, const char* path, u64 flags);
Result<> unmount(const WalkStart& start, std::string_view target, u32 flags);

// The absolute path of a dentry below `root`, into the end of `buffer` (getcwd(2)). ENAMETOOLONG; an unlinked one gets
// " (deleted)" appended; a detached one is "pipe:[4711]".
Result<std::string_view> path_of(const Dentry& dentry, const Dentry& root, std::span<char> buffer);

// The topmost root, from the first MountTable::attach() on.
DentryRef root_dentry();

void fill_statfs(const Dentry& dentry, abi::Statfs& statfs);

}  // namespace hd::fs
