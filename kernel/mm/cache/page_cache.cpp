// SPDX-License-Identifier: MIT
#include "kernel/mm/cache/page_cache.hpp"

#include "kernel/core/percpu.hpp"
#include "kernel/mm/slab/slab_cache.hpp"

namespace hd::mm {

using core::LockGuard;
using core::Spinlock;

namespace {

constinit SlabCache g_node_cache{"radix_node", sizeof(RadixNode), alignof(RadixNode)};

// A CPU's share of the count may be negative; only the sum means something.
HD_PERCPU core::PerCpu<std::atomic<i64>> g_pages;

// Preemption off. relaxed: only this CPU writes it.
void count_pages(i64 change) {
    std::atomic<i64>& mine = g_pages.get();
    mine.store(mine.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
}

}  // namespace

RadixNode* PageCache::Nodes::allocate() { return static_cast<RadixNode*>(g_node_cache.allocate()); }

void PageCache::Nodes::free(RadixNode* node) { g_node_cache.free(node); }

FrameRef PageCache::find_locked(u64 index) { return FrameRef(pages_.find(index)); }

FrameRef PageCache::find(u64 index) {
    LockGuard<Spinlock> guard(lock_);
    return find_locked(index);
}

Result<FrameRef> PageCache::get_or_create(u64 index, bool* made) {
    if (FrameRef found = find(index)) return found;
    FrameRef fresh(kAdoptRef, TRY(allocate_frame(Zero::Yes)));

    LockGuard<Spinlock> guard(lock_);
    if (FrameRef other = find_locked(index)) return other;  // somebody was faster; ours goes back
    TRY(pages_.insert(index, fresh.get()));
    fresh->ref();
    count_pages(1);
    if (made != nullptr) *made = true;
    return fresh;
}

bool PageCache::truncate(u64 from) {
    bool referenced = false;
    // A few at a time: the lock turns preemption off.
    constexpr usize kBatch = 32;
    for (usize dropped = kBatch; dropped == kBatch;) {
        Frame* frames[kBatch];
        {
            LockGuard<Spinlock> guard(lock_);
            dropped = pages_.take(from, frames);
            count_pages(-static_cast<i64>(dropped));
        }
        for (usize i = 0; i < dropped; ++i) {
            referenced |= !sole_owner(*frames[i]);
            frames[i]->unref();
        }
    }
    return referenced;
}

u64 PageCache::page_count() {
    LockGuard<Spinlock> guard(lock_);
    return pages_.size();
}

u64 cached_pages() {
    i64 sum = 0;
    // relaxed: a sum of what each CPU counted a moment ago.
    core::online_cpus().for_each([&](CpuId cpu) { sum += g_pages.on(cpu).load(std::memory_order_relaxed); });
    return sum < 0 ? 0 : static_cast<u64>(sum);
}

}  // namespace hd::mm
