// SPDX-License-Identifier: MIT
// readv(2), writev(2): struct iovec (linux/uio.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

struct IoVec {
    u64 iov_base = 0;
    u64 iov_len = 0;
};
inline constexpr usize kUIO_MAXIOV = 1024;

}  // namespace hd::abi
