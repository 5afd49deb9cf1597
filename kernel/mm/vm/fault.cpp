// SPDX-License-Identifier: MIT
// Page faults: what a touched page turns into.
//
//     entry           access   mapping               becomes
//     empty           read     anonymous             the zero frame, read-only
//     empty           write    anonymous             a zeroed frame
//     empty           any      shared file           the file's frame
//     empty           read     private file          the file's frame, read-only, and its neighbours that are in memory
//     empty           write    private file          a copy of it
//     read-only       write    shared                writable
//     read-only       write    private, sole owner   writable: copy-on-write's reuse, no copy
//     read-only       write    private               a copy; the old frame loses a reference
//     parked          allowed  any                   present again (mprotect gave the rights back)
//     fits            any      any                   nothing: another thread was faster, or the TLB was stale
//
// All with the space's lock read-held: several threads may fault at once, even on the same page. The entry is decided under
// its table's lock; whoever comes second finds the work done and drops what it brought.
#include <algorithm>
#include <cstring>

#include "kernel/mm/vm/address_space.hpp"

namespace hd::mm {

namespace {

constexpr u64 kAroundPages = 16;  // fault-around: how many pages of a file one read fault maps at most

bool allows(const Vma& vma, FaultAccess access) {
    if (access.write) return vma.protection.write;
    if (access.execute) return vma.protection.execute;
    return vma.protection.read || vma.protection.write || vma.protection.execute;  // x86 cannot tell read from execute
}

Entry entry_for(const Frame& frame, const Vma& vma, bool writable) {
    return Entry::page(phys_of(frame), {.write = writable, .execute = vma.protection.execute, .user = true});
}

}  // namespace

FaultResult AddressSpace::fault_in(Vma& vma, VirtAddr page, FaultAccess access) {
    if (!allows(vma, access)) return FaultResult::BadAccess;
    const auto owned = table_.own_leaf(page);
    if (!owned) return FaultResult::OutOfMemory;
    const LeafTable table = *owned;
    minor_faults_.fetch_add(1, std::memory_order_relaxed);  // statistics

    const Entry entry = table.load(arch::table_index(page, 0));
    if (entry.empty()) return first_touch(vma, page, access, table);
    if (!entry.present()) {
        TableLock lock(table);
        const Entry parked = table.load(arch::table_index(page, 0));
        if (!parked.empty() && !parked.present())
            table.store(arch::table_index(page, 0),
                        Entry::page(parked.address(), {.execute = vma.protection.execute, .user = true}));
        return FaultResult::Done;  // read-only for now: a write comes back
    }
    if (access.write && !entry.writable()) return write_to_read_only(vma, page, table);
    arch::local_tlb_flush_page(page);
    return FaultResult::Done;
}

// The entry takes the reference to the frame over; no frame stands for the zero frame, read-only. If another thread has entered a
// page there meanwhile, that is as good.
void AddressSpace::enter(LeafTable table, VirtAddr page, FrameRef&& frame, const Vma& vma, bool writable) {
    TableLock lock(table);
    const u32 index = arch::table_index(page, 0);
    if (!table.load(index).empty()) return;
    table.store(index, entry_for(frame ? *frame : zero_frame(), vma, frame && writable));
    table_.count_resident(1);
    (void)frame.release();
}

FaultResult AddressSpace::first_touch(Vma& vma, VirtAddr page, FaultAccess access, LeafTable table) {
    FrameRef found;
    if (vma.source) {
        auto answer = vma.source->page(vma.offset_of(page) / kPageSize, vma.shared ? PageUse::Write : PageUse::Read);
        if (!answer) return answer.error() == Errno::kENOMEM ? FaultResult::OutOfMemory : FaultResult::PastEnd;
        found = std::move(*answer);
        if (vma.shared || !access.write) {
            enter(table, page, std::move(found), vma, vma.shared && vma.protection.write);
            map_around(vma, page, table);
            return FaultResult::Done;
        }
    }
    FrameRef fresh;
    if (access.write) {
        const auto frame = allocate_frame(found ? Zero::No : Zero::Yes);
        if (!frame) return FaultResult::OutOfMemory;
        fresh = FrameRef(kAdoptRef, *frame);
        if (found) std::memcpy(bytes_of(*fresh), bytes_of(*found), kPageSize);
    }
    enter(table, page, std::move(fresh), vma, vma.protection.write);
    return FaultResult::Done;
}

// The neighbours of a file's page are likely to be next, and a fault costs more than an entry.
void AddressSpace::map_around(Vma& vma, VirtAddr page, LeafTable table) {
    const u64 window = kAroundPages * kPageSize;  // a power of two, so it lies in one table
    const VirtAddr begin = std::max(vma.begin, page.align_down(window));
    const VirtAddr end = std::min(vma.end, page.align_down(window) + window);
    for (VirtAddr at = begin; at < end; at += kPageSize) {
        if (at == page) continue;
        if (!table.load(arch::table_index(at, 0)).empty()) continue;
        auto neighbour = vma.source->page(vma.offset_of(at) / kPageSize, PageUse::CachedOnly);
        if (neighbour && *neighbour) enter(table, at, std::move(*neighbour), vma, vma.shared && vma.protection.write);
    }
}

FaultResult AddressSpace::write_to_read_only(Vma& vma, VirtAddr page, LeafTable table) {
    const u32 index = arch::table_index(page, 0);
    Entry seen;
    FrameRef old;  // kept while we read it: another thread's copy may take the entry's reference away
    {
        TableLock lock(table);
        seen = table.load(index);
        if (!seen.present() || seen.writable()) return FaultResult::Done;
        Frame& frame = frame_at(seen.address());
        if (vma.shared || (&frame != &zero_frame() && sole_owner(frame))) {
            table.store(index, seen.with_write(true));
            arch::local_tlb_flush_page(page);  // elsewhere a stale entry costs a spurious fault
            return FaultResult::Done;
        }
        // Everybody maps the zero frame: counting would make it everybody's cache line.
        if (&frame != &zero_frame()) old = FrameRef(&frame);
    }
    const auto fresh = allocate_frame(old ? Zero::No : Zero::Yes);
    if (!fresh) return FaultResult::OutOfMemory;
    FrameRef copy(kAdoptRef, *fresh);
    if (old) std::memcpy(bytes_of(*copy), bytes_of(*old), kPageSize);

    TableLock lock(table);
    if (table.load(index).raw != seen.raw) return FaultResult::Done;
    // Empty first, then flushed, then new: no thread can read the old page after another has seen a write to the new.
    table.store(index, Entry{});
    table_.flush_page(page);
    table.store(index, entry_for(*copy, vma, true));
    (void)copy.release();
    if (old) old->unref();  // the entry's reference; `old` gives up its own
    return FaultResult::Done;
}

}  // namespace hd::mm
