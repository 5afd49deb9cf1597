// SPDX-License-Identifier: MIT
// mmap(2) and relatives: protections, flags, advice (asm-generic/mman.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kPROT_READ = 1, kPROT_WRITE = 2, kPROT_EXEC = 4, kPROT_SEM = 8;
inline constexpr u32 kMAP_SHARED = 1, kMAP_PRIVATE = 2, kMAP_SHARED_VALIDATE = 3, kMAP_TYPE = 0xf, kMAP_FIXED = 0x10,
                     kMAP_ANONYMOUS = 0x20, kMAP_GROWSDOWN = 0x100, kMAP_LOCKED = 0x2000, kMAP_NORESERVE = 0x4000,
                     kMAP_POPULATE = 0x8000, kMAP_HUGETLB = 0x40000, kMAP_FIXED_NOREPLACE = 0x100000;
inline constexpr i32 kMADV_NORMAL = 0, kMADV_RANDOM = 1, kMADV_SEQUENTIAL = 2, kMADV_WILLNEED = 3, kMADV_DONTNEED = 4,
                     kMADV_FREE = 8, kMADV_HUGEPAGE = 14, kMADV_NOHUGEPAGE = 15, kMADV_DONTDUMP = 16, kMADV_DODUMP = 17;
inline constexpr u32 kMREMAP_MAYMOVE = 1;
inline constexpr i32 kMS_ASYNC = 1, kMS_INVALIDATE = 2, kMS_SYNC = 4;

inline constexpr u32 kMLOCK_ONFAULT = 1, kMCL_CURRENT = 1, kMCL_FUTURE = 2, kMCL_ONFAULT = 4;

// membarrier(2): commands, each a bit of what QUERY answers.
inline constexpr i32 kMEMBARRIER_CMD_QUERY = 0, kMEMBARRIER_CMD_GLOBAL = 1, kMEMBARRIER_CMD_GLOBAL_EXPEDITED = 2,
                     kMEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 4, kMEMBARRIER_CMD_PRIVATE_EXPEDITED = 8,
                     kMEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 16;

}  // namespace hd::abi
