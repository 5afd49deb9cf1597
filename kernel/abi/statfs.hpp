// SPDX-License-Identifier: MIT
// statfs(2), mount(2), umount2(2): structures, magic numbers and flags (asm-generic/statfs.h, linux/magic.h, linux/mount.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

struct Statfs {
    i64 f_type = 0;
    i64 f_bsize = 0;
    u64 f_blocks = 0;
    u64 f_bfree = 0;
    u64 f_bavail = 0;
    u64 f_files = 0;
    u64 f_ffree = 0;
    i32 f_fsid[2] = {};
    i64 f_namelen = 0;
    i64 f_frsize = 0;
    i64 f_flags = 0;
    i64 f_spare[4] = {};
};
static_assert(sizeof(Statfs) == 120);

inline constexpr i64 kTMPFS_MAGIC = 0x01021994, kPROC_SUPER_MAGIC = 0x9fa0, kPIPEFS_MAGIC = 0x50495045,
                     kANON_INODE_FS_MAGIC = 0x09041934, kMQUEUE_MAGIC = 0x19800202, kSOCKFS_MAGIC = 0x534f434b;

// What f_flags says about every mount here: the kernel fills in the flags, and access times are relative.
inline constexpr i64 kST_VALID = 0x20, kST_RELATIME = 0x1000;

inline constexpr u64 kMS_RDONLY = 1, kMS_NOSUID = 2, kMS_NODEV = 4, kMS_NOEXEC = 8, kMS_REMOUNT = 32,
                     kMS_SYNCHRONOUS = 16, kMS_SILENT = 32768, kMS_NOATIME = 1024, kMS_NODIRATIME = 2048,
                     kMS_RELATIME = 1 << 21, kMS_STRICTATIME = 1 << 24;
inline constexpr u32 kMNT_FORCE = 1, kMNT_DETACH = 2, kUMOUNT_NOFOLLOW = 8;

}  // namespace hd::abi
