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

inline constexpr u32 kFALLOC_FL_KEEP_SIZE = 1;  // linux/falloc.h
inline constexpr i32 kAT_FDCWD = -100;
inline constexpr u32 kAT_SYMLINK_NOFOLLOW = 0x100, kAT_EACCESS = 0x200, kAT_REMOVEDIR = 0x200,
                     kAT_SYMLINK_FOLLOW = 0x400, kAT_NO_AUTOMOUNT = 0x800, kAT_EMPTY_PATH = 0x1000;

inline constexpr u32 kF_DUPFD = 0, kF_GETFD = 1, kF_SETFD = 2, kF_GETFL = 3, kF_SETFL = 4, kF_DUPFD_CLOEXEC = 1030,
                     kF_GETPIPE_SZ = 1032;
inline constexpr u32 kFD_CLOEXEC = 1;
inline constexpr u32 kF_GETLK = 5, kF_SETLK = 6, kF_SETLKW = 7, kF_OFD_GETLK = 36, kF_OFD_SETLK = 37,
                     kF_OFD_SETLKW = 38;
inline constexpr u32 kF_ADD_SEALS = 1033, kF_GET_SEALS = 1034;
inline constexpr u32 kF_SEAL_SEAL = 1, kF_SEAL_SHRINK = 2, kF_SEAL_GROW = 4, kF_SEAL_WRITE = 8,
                     kF_SEAL_FUTURE_WRITE = 16, kF_ALL_SEALS = 31;
inline constexpr u32 kMFD_CLOEXEC = 1, kMFD_ALLOW_SEALING = 2;
inline constexpr i16 kF_RDLCK = 0, kF_WRLCK = 1, kF_UNLCK = 2;
inline constexpr u32 kLOCK_SH = 1, kLOCK_EX = 2, kLOCK_NB = 4, kLOCK_UN = 8;

struct Flock {
    i16 type, whence;
    i32 padding;
    i64 start, length;
    i32 pid, padding2;
};
static_assert(sizeof(Flock) == 32);

inline constexpr int kSEEK_SET = 0, kSEEK_CUR = 1, kSEEK_END = 2, kSEEK_DATA = 3, kSEEK_HOLE = 4;

inline constexpr u32 kR_OK = 4, kW_OK = 2, kX_OK = 1;

inline constexpr u32 kRENAME_NOREPLACE = 1;

inline constexpr usize kNAME_MAX = 255, kPATH_MAX = 4096, kPIPE_BUF = 4096;

}  // namespace hd::abi
