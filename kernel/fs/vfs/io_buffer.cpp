// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/io_buffer.hpp"

#include <cstring>

namespace hd::fs {

u64 IoBuffer::contiguous() {
    while (piece_ == 0 && remaining() != 0) {
        address_ = rest_.front().iov_base;
        piece_ = rest_.front().iov_len;
        rest_ = rest_.subspan(1);
    }
    return piece_;
}

// Calls copy(address, size) for each stretch of `count` bytes.
template <class Copy> Result<> IoBuffer::move(u64 count, Copy copy) {
    ASSERT(count <= remaining(), "a copy of more bytes than the buffer has");
    const IoBuffer before = *this;
    while (count != 0) {
        const u64 size = std::min(count, contiguous());
        if (const auto copied = copy(address_, size); !copied) {
            *this = before;  // all or nothing: the caller moves on by what done() says
            return copied;
        }
        advance(size);
        count -= size;
    }
    return {};
}

Result<> IoBuffer::put_pieces(std::span<const u8> bytes) {
    const u8* from = bytes.data();
    return move(bytes.size(), [&](u64 address, u64 size) -> Result<> {
        if (user_)
            TRY(mm::copy_to_user(address, from, size));
        else
            std::memcpy(reinterpret_cast<void*>(address), from, size);
        from += size;
        return {};
    });
}

Result<> IoBuffer::get_pieces(std::span<u8> bytes) {
    u8* to = bytes.data();
    return move(bytes.size(), [&](u64 address, u64 size) -> Result<> {
        if (user_)
            TRY(mm::copy_from_user(to, address, size));
        else
            std::memcpy(to, reinterpret_cast<const void*>(address), size);
        to += size;
        return {};
    });
}

Result<> IoBuffer::put_zeros(u64 count) {
    return move(count, [&](u64 address, u64 size) -> Result<> {
        if (!user_) {
            std::memset(reinterpret_cast<void*>(address), 0, size);
            return {};
        }
        core::assert_may_sleep();
        if (!mm::is_user_range(address, size) || arch::clear_user_raw(address, size) != 0) return fail(Errno::kEFAULT);
        return {};
    });
}

}  // namespace hd::fs
