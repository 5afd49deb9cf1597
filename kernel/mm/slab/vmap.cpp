// SPDX-License-Identifier: MIT
// A stack has a slot of twice its size, aligned to itself: the stack is its upper half, its lower half is never mapped.
// Locking: a CPU's free stacks are its own, preemption off; g_lock guards the rest.
#include "kernel/mm/slab/vmap.hpp"

#include <atomic>
#include <boost/intrusive/slist.hpp>
#include <memory>

#include "arch/context.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/phys/frame.hpp"

namespace hd::mm {

namespace {

using core::LockGuard;
using core::Spinlock;

constexpr u64 kSlotSize = 2 * arch::kKernelStackSize;
constexpr usize kStackPages = arch::kKernelStackSize / kPageSize;
constexpr VirtAddr kDevices = arch::kVmapBase + (arch::kVmapEnd - arch::kVmapBase) / 2;
// All of a stack is mapped by one last-level table, so mapping it either fails at its first page or not at all.
static_assert(arch::span_of_level(1) % kSlotSize == 0 && arch::kVmapBase.is_aligned(kSlotSize));

// At the top of a stack that nobody uses.
struct FreeStack {
    boost::intrusive::slist_member_hook<> link;
    u64 mark;  // kFree; a stack in use has something else there
    static constexpr u64 kFree = 0xf4ee'57ac'f4ee'57ac;
};
using StackList = boost::intrusive::slist<
    FreeStack, boost::intrusive::member_hook<FreeStack, boost::intrusive::slist_member_hook<>, &FreeStack::link>,
    boost::intrusive::constant_time_size<false>>;

struct StackCache {
    static constexpr u32 kCapacity = 8;
    u32 count = 0;
    FreeStack* stacks[kCapacity] = {};
};
HD_PERCPU core::PerCpu<StackCache> g_cache;

constinit Spinlock g_lock{core::Rank::VmapArea};
constinit Late<StackList> g_free_stacks GUARDED_BY(g_lock);
constinit VirtAddr g_next_device GUARDED_BY(g_lock);
// Written under g_lock. relaxed everywhere: just numbers.
constinit std::atomic<u64> g_stack_count{0};
constinit std::atomic<u64> g_table_count{0};

FreeStack& free_stack_at(VirtAddr top) { return *reinterpret_cast<FreeStack*>(top.raw - sizeof(FreeStack)); }

Result<PhysAddr> take_table() {
    Frame& frame = *TRY(allocate_frame(Zero::Yes));
    g_table_count.fetch_add(1, std::memory_order_relaxed);
    return phys_of(frame);
}

Result<VirtAddr> map_new_stack() {
    FrameRef frames[kStackPages];
    for (FrameRef& frame : frames) frame = FrameRef(kAdoptRef, TRY(allocate_frame(Zero::No)));

    LockGuard<Spinlock> guard(g_lock);
    const u64 number = g_stack_count.load(std::memory_order_relaxed);
    const VirtAddr slot = arch::kVmapBase + number * kSlotSize;
    if (slot >= kDevices) return fail(Errno::kENOMEM);
    for (usize i = 0; i < kStackPages; ++i) {
        const VirtAddr page = slot + arch::kKernelStackSize + i * kPageSize;
        TRY(arch::map_kernel_page(page, phys_of(*frames[i]), {.write = true}, take_table));
    }
    for (FrameRef& frame : frames) (void)frame.release();  // the mapping's from now on
    g_stack_count.store(number + 1, std::memory_order_relaxed);
    free_stack_at(slot + kSlotSize).mark = 0;  // the frames come with what their last owners left in them
    return slot + kSlotSize;
}

}  // namespace

void vmap_init() {
    LockGuard<Spinlock> guard(g_lock);
    g_free_stacks.construct();
    g_next_device = kDevices;
    g_stack_count.store(0, std::memory_order_relaxed);
    g_table_count.store(0, std::memory_order_relaxed);
}

Result<VirtAddr> allocate_kernel_stack() {
    {
        core::PreemptGuard guard;
        StackCache& cache = g_cache.get();
        if (cache.count == 0) {
            LockGuard<Spinlock> list_guard(g_lock);
            while (cache.count < StackCache::kCapacity / 2 && !g_free_stacks->empty()) {
                cache.stacks[cache.count++] = &g_free_stacks->front();
                g_free_stacks->pop_front();
            }
        }
        if (cache.count != 0) {
            FreeStack& stack = *cache.stacks[--cache.count];
            ASSERT(stack.mark == FreeStack::kFree, "a kernel stack was used after it had been freed");
            stack.mark = 0;
            return virt_of(&stack + 1);
        }
    }
    return map_new_stack();
}

void free_kernel_stack(VirtAddr top) {
    ASSERT(
        top.is_aligned(kSlotSize) && top > arch::kVmapBase && top <= arch::kVmapBase + kernel_stack_count() * kSlotSize,
        "what is freed is not a kernel stack");
    FreeStack& stack = free_stack_at(top);
    ASSERT(stack.mark != FreeStack::kFree, "a kernel stack is freed twice");
    std::construct_at(&stack)->mark = FreeStack::kFree;

    core::PreemptGuard guard;
    StackCache& cache = g_cache.get();
    if (cache.count == StackCache::kCapacity) {
        LockGuard<Spinlock> list_guard(g_lock);
        while (cache.count > StackCache::kCapacity / 2) g_free_stacks->push_front(*cache.stacks[--cache.count]);
    }
    cache.stacks[cache.count++] = &stack;
}

u64 kernel_stack_count() { return g_stack_count.load(std::memory_order_relaxed); }

u64 vmap_frames() { return kernel_stack_count() * kStackPages + g_table_count.load(std::memory_order_relaxed); }

Result<VirtAddr> map_device(PhysAddr base, usize bytes) {
    const PhysAddr first = base.align_down(kPageSize);
    const u64 size = align_up(base - first + bytes, kPageSize);
    LockGuard<Spinlock> guard(g_lock);
    const VirtAddr start = g_next_device;
    if (size >= arch::kVmapEnd - start) return fail(Errno::kENOMEM);
    g_next_device = start + size + kPageSize;  // an unmapped page between any two
    for (u64 offset = 0; offset < size; offset += kPageSize)
        TRY(arch::map_kernel_page(start + offset, first + offset, {.write = true, .uncached = true}, take_table));
    return start + (base - first);
}

bool is_stack_guard(VirtAddr address) {
    const VirtAddr end = arch::kVmapBase + kernel_stack_count() * kSlotSize;
    return address >= arch::kVmapBase && address < end && address.raw % kSlotSize < arch::kKernelStackSize;
}

}  // namespace hd::mm
