// SPDX-License-Identifier: MIT
// Frame records and the allocator's front: a cache of single frames for each CPU, refilled from and emptied to the
// buddy allocator kBatch frames at a time, so that most page faults and exits share nothing with other CPUs.
//
// A cached frame carries a poison word that allocation checks: whoever writes to the start of a page after giving it up
// is found when the page is given out again.
//
// Locking: a cache belongs to its CPU and is touched with interrupts off; g_lock guards the buddy allocator. Up to
// kCapacity frames a CPU are out of the other CPUs' reach when memory runs out; they count as free all the same.
#include "kernel/mm/phys/frame.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/phys/buddy.hpp"
#include "kernel/mm/phys/early.hpp"

namespace hd::mm {

using core::IrqSpinlock;
using core::LockGuard;

constinit std::span<Frame> detail::g_frames;

namespace {

constinit EarlyMemory g_early;
constinit PhysAddr g_memory_end;  // the highest usable address
constinit Frame* g_zero_frame = nullptr;

constinit IrqSpinlock g_lock{core::Rank::FrameAllocator};
constinit Late<Buddy> g_buddy GUARDED_BY(g_lock);

constexpr u64 kPoison = 0xdead'f4a3'dead'f4a3;

class FrameCache {
public:
    // Of a cache that is not empty. The frame is Allocated then.
    Frame& pop() {
        const u32 count = this->count();
        Frame& frame = *frames_[count - 1];
        set_count(count - 1);
        ASSERT(frame.state.load(std::memory_order_relaxed) == FrameState::Cached && poison_of(frame) == kPoison,
               "a frame was written to after it had been freed");
        frame.state.store(FrameState::Allocated, std::memory_order_relaxed);
        return frame;
    }

    void push(Frame& frame) {
        u32 count = this->count();
        if (count == kCapacity) [[unlikely]]
            count = flush(kCapacity - kBatch);
        frame.state.store(FrameState::Cached, std::memory_order_relaxed);
        poison_of(frame) = kPoison;
        frames_[count] = &frame;
        set_count(count + 1);
    }

    // Of an empty cache. False: there is no memory.
    [[gnu::noinline]] bool refill() {
        usize got = 0;
        {
            LockGuard<IrqSpinlock> guard(g_lock);
            got = g_buddy->allocate_singles({frames_, kBatch});
        }
        for (usize i = 0; i < got; ++i) poison_of(*frames_[i]) = kPoison;
        set_count(static_cast<u32>(got));
        return got != 0;
    }

    // Gives all but `keep` frames back. Returns how many are left.
    [[gnu::noinline]] u32 flush(u32 keep) {
        LockGuard<IrqSpinlock> guard(g_lock);
        u32 count = this->count();
        while (count > keep) g_buddy->free(*frames_[--count], 0);
        set_count(count);
        return count;
    }

    u32 count() const { return count_.load(std::memory_order_relaxed); }  // relaxed: other CPUs read it for statistics

private:
    static constexpr u32 kCapacity = 64, kBatch = 32;

    static u64& poison_of(Frame& frame) { return *reinterpret_cast<u64*>(bytes_of(frame)); }
    void set_count(u32 count) { count_.store(count, std::memory_order_relaxed); }

    std::atomic<u32> count_{0};
    Frame* frames_[kCapacity] = {};
};

HD_PERCPU core::PerCpu<FrameCache, core::PerCpuPolicy::kIrqsOff> g_cache;

[[gnu::noinline]] Frame* allocate_block(u32 order) {
    LockGuard<IrqSpinlock> guard(g_lock);
    return g_buddy->allocate(order);
}

[[gnu::noinline]] void free_block(Frame& frame) {
    LockGuard<IrqSpinlock> guard(g_lock);
    g_buddy->free(frame, frame.order);
}

void clear(Frame& frame) {
    // The built-in one with a constant size becomes a string instruction that clears eight bytes a step.
    __builtin_memset(std::assume_aligned<kPageSize>(bytes_of(frame)), 0, kPageSize);
}

}  // namespace

Result<Frame*> allocate_frame(Zero zero) {
    Frame* frame = nullptr;
    {
        core::IrqGuard guard;
        FrameCache& cache = g_cache.unchecked();  // the guard above is what a check would look for
        if (cache.count() == 0 && !cache.refill()) [[unlikely]]
            return fail(Errno::kENOMEM);
        frame = &cache.pop();
    }
    frame->references.store(1, std::memory_order_relaxed);  // nobody else knows the frame yet
    frame->owner_data = 0;
    if (zero == Zero::Yes) clear(*frame);
    return frame;
}

Result<Frame*> allocate_frames(u32 order, Zero zero) {
    if (order == 0) return allocate_frame(zero);
    ASSERT(order <= kMaxOrder, "a block larger than the largest");
    Frame* frame = allocate_block(order);
    if (frame == nullptr) {
        drain_frame_cache();  // its frames may be what keeps a block apart
        frame = allocate_block(order);
    }
    if (frame == nullptr) return fail(Errno::kENOMEM);
    frame->references.store(1, std::memory_order_relaxed);  // as above
    frame->owner_data = 0;
    if (zero == Zero::Yes)
        for (u64 i = 0; i < u64{1} << order; ++i) clear(frame[i]);
    return frame;
}

void Frame::unref() {
    // acq_rel: pairs with the other holders' unref(), so that the frame's next owner comes after all they did to it.
    const u32 before = references.fetch_sub(1, std::memory_order_acq_rel);
    if (before > 1) return;
    ASSERT(before == 1 && state.load(std::memory_order_relaxed) == FrameState::Allocated,
           "a frame is given up that nobody holds");
    if (order != 0) [[unlikely]]
        return free_block(*this);
    core::IrqGuard guard;
    g_cache.unchecked().push(*this);
}

Frame& zero_frame() { return *g_zero_frame; }

void drain_frame_cache() {
    core::IrqGuard guard;
    g_cache->flush(0);
}

FrameCounts frame_counts() {
    FrameCounts counts{};
    core::online_cpus().for_each([&](CpuId cpu) { counts.cached += g_cache.on(cpu).count(); });
    LockGuard<IrqSpinlock> guard(g_lock);
    counts.total = g_buddy->total_frames();
    counts.free = g_buddy->free_frames() + counts.cached;
    for (u32 order = 0; order <= kMaxOrder; ++order) counts.free_blocks[order] = g_buddy->free_blocks(order);
    return counts;
}

void early_init(const arch::BootInfo& boot) {
    g_early = EarlyMemory{};
    g_memory_end = PhysAddr{0};
    for (const arch::MemoryRegion& region : boot.memory()) {
        if (region.kind != arch::MemoryKind::Usable) continue;
        g_early.add(region.range);
        g_memory_end = std::max(g_memory_end, region.range.end);
    }
    // The first megabyte is full of firmware's remains, and the other CPUs start in it.
    g_early.reserve({PhysAddr{0}, PhysAddr{1 << 20}});
    g_early.reserve(arch::kernel_image());
    g_early.reserve(boot.initramfs);
}

PhysAddr early_frames(usize count) {
    const PhysAddr taken = g_early.take(count * kPageSize);
    if (taken == PhysAddr{0}) core::boot_failure("there is too little memory to start with");
    std::memset(direct_map(taken), 0, count * kPageSize);
    return taken;
}

void frames_init() {
    const u64 count = g_memory_end.raw / kPageSize;
    const PhysAddr records = early_frames((count * sizeof(Frame) + kPageSize - 1) / kPageSize);
    // Zero bytes are what a Frame's constructor would leave: Reserved, not linked.
    detail::g_frames = {static_cast<Frame*>(direct_map(records)), count};

    {
        LockGuard<IrqSpinlock> guard(g_lock);
        g_buddy.construct(detail::g_frames);
        for (const arch::PhysRange& range : g_early.ranges())
            g_buddy->add(range.begin.raw / kPageSize, range.size() / kPageSize);
    }
    g_early = EarlyMemory{};

    g_zero_frame = allocate_block(0);
    if (g_zero_frame == nullptr) core::boot_failure("there is too little memory to start with");
    g_zero_frame->references.store(1, std::memory_order_relaxed);  // boot: no other CPU runs
    clear(*g_zero_frame);
}

void release_range(arch::PhysRange range) {
    const u64 first = range.begin.raw / kPageSize;
    const u64 end = range.end.align_up(kPageSize).raw / kPageSize;
    LockGuard<IrqSpinlock> guard(g_lock);
    g_buddy->add(first, end - first);
}

}  // namespace hd::mm
