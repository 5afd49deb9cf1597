// SPDX-License-Identifier: MIT
// The system calls that change an inode's attributes, with their permission checks. Task context, no lock held.
#pragma once
#include "kernel/fs/vfs/inode.hpp"

namespace hd::fs {

// chmod(2). EPERM unless `who` owns it or is root; EROFS.
Result<> change_mode(Inode& inode, u32 mode, const Credentials& who);
// chown(2); ~0 keeps an id. An ordinary owner may only choose another group that it is in. Clears set-id bits. EPERM, EROFS.
Result<> change_owner(Inode& inode, u32 uid, u32 gid, const Credentials& who);
// What a write by another than root takes away: the set-id bits.
void drop_set_id(Inode& inode, const Credentials& who);
// utimensat(2); kUTIME_NOW and kUTIME_OMIT in tv_nsec. EPERM, EACCES, EINVAL, EROFS.
Result<> change_times(Inode& inode, abi::Timespec accessed, abi::Timespec modified, const Credentials& who);
// truncate(2) after check_access(), ftruncate(2) on a writable file. EISDIR, EINVAL, EFBIG.
Result<> change_size(Inode& inode, u64 size);

inline constexpr u64 kMaxFileSize = (u64{1} << 44) - 1;

}  // namespace hd::fs
