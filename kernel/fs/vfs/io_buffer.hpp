// SPDX-License-Identifier: MIT
// Where read(2) and write(2) move bytes: user memory, in one piece or several (readv), or kernel memory (exec, the initramfs). One
// type, so that a file system is written once. Copies go straight between the file's memory and the buffer, and move it on.
// Context: task; user memory may fault and sleep, so no spinlock is held around the copies.
#pragma once
#include <algorithm>
#include <span>

#include "kernel/abi/uio.hpp"
#include "kernel/mm/vm/user_ptr.hpp"

namespace hd::fs {

class IoBuffer {
public:
    static IoBuffer user(u64 address, u64 size) { return {address, size, size, {}, true}; }
    static IoBuffer kernel(void* memory, u64 size) { return {reinterpret_cast<u64>(memory), size, size, {}, false}; }
    // `pieces`: kernel memory that outlives this, copied from the program; their sizes add up to `total`.
    static IoBuffer vector(std::span<const abi::IoVec> pieces, u64 total) { return {0, 0, total, pieces, true}; }

    u64 remaining() const { return size_ - done_; }
    u64 done() const { return done_; }
    // How many bytes lie in one piece of memory from here on. Who moves no more than that at a time counts what went well
    // before a bad piece.
    u64 contiguous();
    // All of the bytes, no more than remaining(), or EFAULT: then the buffer stands where it stood. put: into the reader's
    // buffer; get: out of the writer's.
    Result<> put(std::span<const u8> bytes) {
        if (!user_ || bytes.size() > piece_) [[unlikely]]
            return put_pieces(bytes);
        TRY(mm::copy_to_user(address_, bytes.data(), bytes.size()));
        advance(bytes.size());
        return {};
    }
    Result<> get(std::span<u8> bytes) {
        if (!user_ || bytes.size() > piece_) [[unlikely]]
            return get_pieces(bytes);
        TRY(mm::copy_from_user(bytes.data(), address_, bytes.size()));
        advance(bytes.size());
        return {};
    }
    Result<> put_zeros(u64 count);
    // What read(2) and write(2) answer, from done() == `start` on: an error only if nothing was moved before it.
    Result<u64> moved_since(u64 start, const Result<>& result = {}) const {
        if (!result && done_ == start) return fail(result.error());
        return done_ - start;
    }

private:
    IoBuffer(u64 address, u64 piece, u64 size, std::span<const abi::IoVec> rest, bool is_user)
        : address_(address), piece_(piece), size_(size), rest_(rest), user_(is_user) {}
    void advance(u64 count) {
        address_ += count;
        piece_ -= count;
        done_ += count;
    }
    Result<> put_pieces(std::span<const u8> bytes);
    Result<> get_pieces(std::span<u8> bytes);
    template <class Copy> Result<> move(u64 count, Copy copy);

    u64 address_, piece_;  // what is left of the current piece
    u64 size_, done_ = 0;
    std::span<const abi::IoVec> rest_;
    bool user_;
};

}  // namespace hd::fs
