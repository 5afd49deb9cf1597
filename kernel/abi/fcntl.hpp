// SPDX-License-Identifier: MIT
// open(2), fcntl(2), lseek(2), rename(2) and the *at calls: flags and commands, x86-64 (asm-generic/fcntl.h, linux/fcntl.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kO_RDONLY = 0, kO_WRONLY = 1, kO_RDWR = 2, kO_ACCMODE = 3;
inline constexpr u32 kO_CREAT = 0100, kO_EXCL = 0200, kO_NOCTTY = 0400, kO_TRUNC = 01000, kO_APPEND = 02000,
                     kO_NONBLOCK = 04000, kO_DIRECT = 040000, kO_LARGEFILE = 0100000, kO_DIRECTORY = 0200000,
                     kO_NOFOLLOW = 0400000, kO_NOATIME = 01000000, kO_CLOEXEC = 02000000, kO_PATH = 010000000,
                     kO_TMPFILE = 020200000;

inline constexpr i32 kAT_FDCWD = -100;
inline constexpr u32 kAT_SYMLINK_NOFOLLOW = 0x100, kAT_EACCESS = 0x200, kAT_REMOVEDIR = 0x200,
                     kAT_SYMLINK_FOLLOW = 0x400, kAT_NO_AUTOMOUNT = 0x800, kAT_EMPTY_PATH = 0x1000;

inline constexpr u32 kF_DUPFD = 0, kF_GETFD = 1, kF_SETFD = 2, kF_GETFL = 3, kF_SETFL = 4, kF_DUPFD_CLOEXEC = 1030,
                     kF_GETPIPE_SZ = 1032;
inline constexpr u32 kFD_CLOEXEC = 1;

inline constexpr int kSEEK_SET = 0, kSEEK_CUR = 1, kSEEK_END = 2, kSEEK_DATA = 3, kSEEK_HOLE = 4;

inline constexpr u32 kR_OK = 4, kW_OK = 2, kX_OK = 1;

inline constexpr u32 kRENAME_NOREPLACE = 1;

inline constexpr usize kNAME_MAX = 255, kPATH_MAX = 4096, kPIPE_BUF = 4096;

}  // namespace hd::abi
