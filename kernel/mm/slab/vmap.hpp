// SPDX-License-Identifier: MIT
// Kernel address ranges that are mapped page by page: kernel stacks between guard pages, and device registers.
// The lower half of the area holds stacks, the upper half devices. Nothing is ever unmapped: stacks are used again, so
// no other CPU can have a stale translation of one and no flush is needed, at the price that the most stacks ever in
// use at the same time keep their frames (vmap_frames() says how many).
//
// Context: task context or boot; Spinlock of rank VmapArea. ENOMEM.
#pragma once
#include "arch/paging.hpp"
#include "kernel/lib/result.hpp"

namespace hd::mm {

void vmap_init();

// A kernel stack of arch::kKernelStackSize bytes with an unmapped guard page below it. Returns its top. Freed stacks
// are kept in per-CPU caches, mapped, so that most allocations touch no page table and need no TLB flush. Freed stacks
// may be freed by any thread but the one that runs on them.
Result<VirtAddr> allocate_kernel_stack();
void free_kernel_stack(VirtAddr top);
u64 kernel_stack_count();  // in use and cached, for /proc/meminfo
u64 vmap_frames();         // held by stacks and by the page tables of the area, for the leak check

// Maps device memory, uncached, for good.
Result<VirtAddr> map_device(PhysAddr base, usize bytes);

// Is the address in the guard page of a kernel stack? For the double-fault report.
bool is_stack_guard(VirtAddr address);

}  // namespace hd::mm
