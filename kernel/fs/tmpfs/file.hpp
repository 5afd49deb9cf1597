// SPDX-License-Identifier: MIT
// A regular file of tmpfs: a page cache whose pages are the file. What is not in the cache is a hole and reads as zeros.
//
// Invariant: bytes of a cached page behind the end of the file are zero; so the file can grow by moving its end.
// Locking: the inode's `lock` (rank Inode) for changes of size and contents by system calls. page() runs under an address
// space's lock and takes only the cache's own; so a shared mapping may meet a truncation, see there.
#pragma once
#include "kernel/fs/tmpfs/tmpfs.hpp"
#include "kernel/mm/cache/page_cache.hpp"

namespace hd::fs {

class TmpfsFile final : public Inode {
public:
    TmpfsFile(TmpfsSystem& owner, u32 mode_in, u64 number_in) : Inode(owner, InodeKind::Regular, mode_in, number_in) {}
    ~TmpfsFile() override;

    // acquire pairs with the release in set_size(): who sees the size sees the pages below it.
    u64 size() const override { return size_.load(std::memory_order_acquire); }
    Result<mm::FrameRef> page(u64 index, mm::PageUse use) override;
    Result<mm::FrameRef> page_for_write(u64 index) REQUIRES(lock) override;
    void extend(u64 size) REQUIRES(lock) override;
    Result<> truncate(u64 size) REQUIRES(lock) override;
    void fill_stat(abi::Stat& stat) override;

private:
    TmpfsSystem& system() { return static_cast<TmpfsSystem&>(file_system); }
    void set_size(u64 size) { size_.store(size, std::memory_order_release); }
    Result<mm::FrameRef> find_or_add(u64 index);

    mm::PageCache pages_;
    std::atomic<u64> size_{0};
    // Pages that the mount's limit was charged for: those in the cache, give or take what other threads are about to add.
    // Relaxed: a sum.
    std::atomic<u64> charged_{0};
};

}  // namespace hd::fs
