// SPDX-License-Identifier: MIT
// Buffers in pieces, as readv(2) and sendmsg(2) take them.
#pragma once
#include <algorithm>
#include <span>

#include "kernel/fs/vfs/io_buffer.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/syscall/types.hpp"

namespace hd::syscall {

inline constexpr u64 kMaxTransfer = 0x7fff'f000;  // one call moves no more (read(2), "Notes")

// The program's iovec array, checked (readv(2)).
class Pieces {
public:
    Result<fs::IoBuffer> load(In<abi::IoVec> from, Int count) {
        if (static_cast<u32>(count) > abi::kUIO_MAXIOV) return fail(Errno::kEINVAL);
        const usize size = static_cast<usize>(count);
        abi::IoVec* list = small_;
        if (size > std::size(small_)) {
            large_ = TRY(mm::make_array<abi::IoVec>(size));
            list = large_.get();
        }
        TRY(mm::copy_from_user(list, from.address(), size * sizeof(abi::IoVec)));
        u64 total = 0;
        for (abi::IoVec& piece : std::span(list, size)) {
            if (static_cast<i64>(piece.iov_len) < 0) return fail(Errno::kEINVAL);
            piece.iov_len = std::min(piece.iov_len, kMaxTransfer - total);
            total += piece.iov_len;
        }
        return fs::IoBuffer::vector({list, size}, total);
    }

private:
    abi::IoVec small_[8];
    std::unique_ptr<abi::IoVec[]> large_;
};

}  // namespace hd::syscall
