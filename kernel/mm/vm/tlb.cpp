// SPDX-License-Identifier: MIT
// TLB shootdown: after a change of page tables, no CPU goes on with what it remembers of them.
//
// A CPU that may remember something of a space is in the space's set of active CPUs: it enters the set before it loads the
// root, and leaves it after it has loaded another. The changer writes the entry, then reads the set. Either the changer
// sees the CPU in the set, and interrupts it; or the CPU entered the set after that read, and then it loads the root after
// the entry was written, so it can only see the new one:
//
//        changer                                  CPU that switches to the space
//        write entry                              enter the set
//        full fence                               (locked instruction: a full fence)
//        read the set                             load the root: from here on it walks the tables
//
// A CPU that runs a kernel thread keeps the space loaded and stays in the set: it costs an interrupt if a shootdown comes,
// and nothing if the same program comes back (lazy TLB).
#include "kernel/core/call_function.hpp"
#include "kernel/core/context.hpp"
#include "kernel/core/percpu.hpp"
#include "kernel/mm/vm/page_table.hpp"

namespace hd::mm {

namespace {

// Beyond this many pages one flush of everything is cheaper than one instruction a page (Linux's tlb_single_page_flush_ceiling
// is 33).
constexpr u64 kFlushAllAbove = 32;

struct Range {
    VirtAddr begin, end;
};

void flush_here(void* argument) {
    const Range& range = *static_cast<const Range*>(argument);
    if (range.end - range.begin > kFlushAllAbove * kPageSize) {
        arch::local_tlb_flush_user();
        return;
    }
    for (VirtAddr page = range.begin; page < range.end; page += kPageSize) arch::local_tlb_flush_page(page);
}

}  // namespace

void PageTable::flush_range(VirtAddr begin, VirtAddr end) {
    Range range{begin, end};
    core::PreemptGuard guard;
    std::atomic_thread_fence(std::memory_order_seq_cst);  // between the write of the entry and the look at the set
    const CpuMask active = active_.load();
    const CpuId here = core::this_cpu();
    if (active.has(here)) flush_here(&range);
    const CpuMask others = active.without(here);
    if (!others.empty()) core::call_on(others, flush_here, &range);
}

void PageTable::flush_page(VirtAddr page) { flush_range(page, page + kPageSize); }

void PageTable::flush_all() { flush_range(VirtAddr{0}, arch::kUserEnd); }

}  // namespace hd::mm
