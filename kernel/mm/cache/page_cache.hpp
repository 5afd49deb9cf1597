// SPDX-License-Identifier: MIT
// The pages of a file that are in memory, by page index. For tmpfs these are the file.
//
// Each page in the cache holds one reference to its frame; what find() and get_or_create() return is another one.
// Locking: lock_ (Spinlock, rank PageCache) for the tree, never held while a page is allocated or cleared. Context:
// task, or preemption off; never sleeps. Keeping truncate() apart from get_or_create() of the same pages is the owner's
// business (the inode's lock): here the later one wins.
#pragma once
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/radix_tree.hpp"
#include "kernel/mm/cache/page_source.hpp"

namespace hd::mm {

class PageCache {
public:
    PageCache() = default;
    PageCache(const PageCache&) = delete;
    PageCache& operator=(const PageCache&) = delete;
    ~PageCache() { truncate(0); }

    // Empty if there is none.
    FrameRef find(u64 index);
    // A new page is zero; `made` is set if it is new. ENOMEM.
    Result<FrameRef> get_or_create(u64 index, bool* made = nullptr);
    // Drops the pages from that index on. True: somebody refers to one of them still, so it may be mapped.
    bool truncate(u64 from);
    u64 page_count();

private:
    struct Nodes {
        static RadixNode* allocate();
        static void free(RadixNode* node);
    };
    FrameRef find_locked(u64 index) REQUIRES(lock_);

    core::Spinlock lock_{core::Rank::PageCache};
    RadixTree<Frame, Nodes> pages_ GUARDED_BY(lock_);
};

// Pages in all caches together, for /proc/meminfo; exact while nobody changes them.
u64 cached_pages();

}  // namespace hd::mm
