// SPDX-License-Identifier: MIT
// stat(2): the structure and the file mode's bits, x86-64 (asm/stat.h, linux/stat.h); utimensat(2)'s special times;
// device numbers as user space packs them (linux/kdev_t.h, new_encode_dev).
#pragma once
#include "kernel/abi/time.hpp"
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kS_IFMT = 0170000, kS_IFSOCK = 0140000, kS_IFLNK = 0120000, kS_IFREG = 0100000, kS_IFBLK = 0060000,
                     kS_IFDIR = 0040000, kS_IFCHR = 0020000, kS_IFIFO = 0010000;
inline constexpr u32 kS_ISUID = 04000, kS_ISGID = 02000, kS_ISVTX = 01000;

inline constexpr i64 kUTIME_NOW = (1 << 30) - 1, kUTIME_OMIT = (1 << 30) - 2;

constexpr u64 makedev(u32 major, u32 minor) {
    return (minor & 0xff) | u64{major & 0xfff} << 8 | u64{minor & ~0xffu} << 12 | u64{major & ~0xfffu} << 32;
}
constexpr u32 major_of(u64 device) { return static_cast<u32>((device >> 8 & 0xfff) | (device >> 32 & ~u64{0xfff})); }
constexpr u32 minor_of(u64 device) { return static_cast<u32>((device & 0xff) | (device >> 12 & ~u64{0xff})); }
static_assert(makedev(5, 1) == 0x501 && minor_of(makedev(3, 0x12345)) == 0x12345 &&
              major_of(makedev(0x1234, 5)) == 0x1234);

struct Stat {
    u64 st_dev = 0;
    u64 st_ino = 0;
    u64 st_nlink = 0;
    u32 st_mode = 0;
    u32 st_uid = 0;
    u32 st_gid = 0;
    u32 padding = 0;
    u64 st_rdev = 0;
    i64 st_size = 0;
    i64 st_blksize = 0;
    i64 st_blocks = 0;  // of 512 bytes
    Timespec st_atim{};
    Timespec st_mtim{};
    Timespec st_ctim{};
    i64 reserved[3] = {};
};
static_assert(sizeof(Stat) == 144);

}  // namespace hd::abi
