// SPDX-License-Identifier: MIT
// getdents64(2): a directory entry's header; the NUL-terminated name follows, the whole is padded to 8 bytes.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

struct [[gnu::packed]] Dirent64 {
    u64 d_ino;
    i64 d_off;  // where the next entry begins: lseek(2)
    u16 d_reclen;
    u8 d_type;
};
static_assert(sizeof(Dirent64) == 19);

inline constexpr u8 kDT_FIFO = 1, kDT_CHR = 2, kDT_DIR = 4, kDT_BLK = 6, kDT_REG = 8, kDT_LNK = 10, kDT_SOCK = 12;

}  // namespace hd::abi
