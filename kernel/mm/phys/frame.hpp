// SPDX-License-Identifier: MIT
// Physical memory, frame by frame. Every frame up to the highest usable address has a record; who holds a reference
// keeps the frame. The last unref() gives it back to the allocator: per-CPU caches of single frames (frame.cpp) in
// front of a buddy allocator (buddy.hpp).
//
// Context: any but NMI. Takes an IrqSpinlock of rank FrameAllocator, for a single frame only when this CPU's cache is
// empty or full. Never sleeps: ENOMEM at once.
#pragma once
#include <atomic>
#include <boost/intrusive/list_hook.hpp>
#include <span>

#include "arch/boot.hpp"
#include "arch/paging.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/lib/result.hpp"

namespace hd::mm {

inline constexpr u64 kPageSize = arch::kPageSize;
inline constexpr u32 kMaxOrder = 10;  // the largest block: 4 MiB

// Of the first frame of a block; every other frame of it, and what was never given to the allocator, is Reserved.
enum class FrameState : u8 { Reserved, Free, Cached, Allocated };

struct Frame {
    // Links a free block into its buddy list; the owner's to use while allocated (a slab, an LRU).
    boost::intrusive::list_member_hook<> link;
    // References: 1 from allocation on; a mapping, a page cache and a transient user hold one each. relaxed increments
    // by holders, acq_rel decrement: as RefCounted.
    std::atomic<u32> references{0};
    // The allocator's. To and from Free under the buddy allocator's lock; an owner's other changes are relaxed, because
    // the buddy allocator, looking at its neighbour, only asks whether it is Free.
    std::atomic<FrameState> state{FrameState::Reserved};
    u8 order = 0;                         // of the block that starts here
    std::atomic<bool> table_lock{false};  // a page table's lock (kernel/mm/vm/page_table)
    u8 flags = 0;
    u64 owner_data = 0;  // the owner's: a slab's state, a page table's count of present entries

    void ref() { references.fetch_add(1, std::memory_order_relaxed); }  // the caller holds one already
    void unref();
};
static_assert(sizeof(Frame) == 32, "one record a frame: its size is memory that nobody else gets");
using FrameRef = RefPtr<Frame>;

enum class Zero : bool { No, Yes };

// Blocks of 2^order frames, contiguous, aligned to their size, one reference held on the first, whose owner_data is 0;
// the others' records are not touched. ENOMEM.
Result<Frame*> allocate_frames(u32 order, Zero zero);
Result<Frame*> allocate_frame(Zero zero);

// Is the caller's reference the only one? acquire pairs with the release in others' unref(): what they wrote to the
// frame is seen by whoever now treats it as its own. The answer stays true while nobody can find the frame otherwise.
inline bool sole_owner(const Frame& frame) { return frame.references.load(std::memory_order_acquire) == 1; }

namespace detail {
extern constinit std::span<Frame> g_frames;  // by frame number; set by frames_init(), constant from then on
}

inline PhysAddr phys_of(const Frame& frame) {
    return PhysAddr{static_cast<u64>(&frame - detail::g_frames.data()) * kPageSize};
}
inline bool is_ram(PhysAddr address) {  // has a record; so have holes below the highest usable address
    return address.raw / kPageSize < detail::g_frames.size();
}
inline Frame& frame_at(PhysAddr address) {
    ASSERT(is_ram(address), "a physical address past the end of memory");
    return detail::g_frames[address.raw / kPageSize];
}
inline void* direct_map(PhysAddr address) { return reinterpret_cast<void*>((arch::kDirectMap + address.raw).raw); }
inline u8* bytes_of(const Frame& frame) { return static_cast<u8*>(direct_map(phys_of(frame))); }
inline Frame& frame_of_direct_map(const void* pointer) {
    return frame_at(PhysAddr{virt_of(pointer) - arch::kDirectMap});
}

// The zero frame: shared by everybody who only reads fresh memory. Never freed; mappings of it hold no reference.
Frame& zero_frame();

// Numbers for /proc/meminfo and the leak check, in frames. `total` is what the allocator was given at boot.
struct FrameCounts {
    u64 total, free;  // free: the cached ones too
    u64 cached;       // in per-CPU caches
    u64 free_blocks[kMaxOrder + 1];
};
FrameCounts frame_counts();  // exact while no CPU allocates or frees

// Boot, in this order. Single CPU.
//   early: hands out zeroed frames from the memory map before the records exist (page tables, the records themselves),
//          lowest first, never below 1 MiB; ends the boot when there are none;
//   init: makes the records; everything usable and not yet handed out goes to the buddy allocator. Leaves the per-CPU
//         caches alone: the other CPUs' are copied from the boot CPU's;
//   release: gives memory that boot used (the initramfs archive) to the allocator, later: every frame that it touches.
void early_init(const arch::BootInfo& boot);
PhysAddr early_frames(usize count);
void frames_init();
void release_range(arch::PhysRange range);

// Gives this CPU's cached frames back: for the leak check and for offline tests.
void drain_frame_cache();

}  // namespace hd::mm
