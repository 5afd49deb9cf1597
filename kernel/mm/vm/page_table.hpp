// SPDX-License-Identifier: MIT
// The page tables of one user address space, and the CPUs whose TLBs may hold what they say.
//
// fork() and last-level tables
// ----------------------------
// fork() does not copy page-table entries. Parent and child point to the same last-level tables, each table being a frame with
// a reference for every address space that uses it, and the entries that point to it (level 1) lose their write permission:
//
//        parent, level 1          child, level 1                      parent writes to page A
//        ┌──────────────┐         ┌──────────────┐                    ┌──────────────┐   ┌──────────────┐
//        │ T, read-only │         │ T, read-only │                    │ T', writable │   │ T, read-only │
//        └──────┬───────┘         └──────┬───────┘                    └──────┬───────┘   └──────┬───────┘
//               └───────────┐ ┌──────────┘             ──────►              ▼                  ▼
//                     ┌─────▼─▼─────┐                                 ┌─────────────┐   ┌─────────────┐
//                     │ A  writable │ T: 2 references                 │ A  read-only│   │ A  read-only│ A: 2 references
//                     │ B  read-only│                                 │ B  read-only│   │ B  read-only│ B: 2 references
//                     └─────────────┘                                 └─────────────┘   └─────────────┘
//
// So the cost of fork() grows with the number of mapped 2-MiB regions, not of touched pages. Whoever wants to change an entry
// first needs a table of its own: own_leaf(). If it is the last user, it only gets its write permission back. Else it
// copies the table; from then on both tables refer to the frames, so each frame gets one more reference and the entries
// of both become read-only: the ordinary copy-on-write state, which the write fault resolves page by page.
//
// Invariants:
//   (1) a table with more than one reference is never changed, but for taking write permission out of its entries;
//   (2) a level-1 entry is writable only if its table has one reference;
//   (3) an occupied entry holds one reference to its frame (the zero frame excepted), however many spaces share the table;
//   (4) a writable last-level entry reached through a writable level-1 entry means: private and sole owner, or shared mapping.
//
// Locking: a last-level table's entries change under its own lock (TableLock, rank PageTable). Two spaces that share a table
// meet at that lock, so of two that want it for themselves one copies and the other finds itself the last. Upper levels are
// only ever filled in (by compare-and-swap, under the address space's lock held for reading) or emptied (held for writing).
//
// Stale translations: entering a page where none was needs no flush. Every other change is followed by flush_*() before the old
// frame or table is given up; see tlb.cpp for why the flush is then complete.
#pragma once
#include <algorithm>
#include <atomic>

#include "arch/paging.hpp"
#include "kernel/lib/cpu_mask.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/mm/cache/page_source.hpp"
#include "kernel/mm/phys/frame.hpp"

namespace hd::mm {

using arch::Entry;

class LeafTable {
public:
    LeafTable() = default;
    explicit LeafTable(Frame* frame) : frame_(frame) {}
    explicit operator bool() const { return frame_ != nullptr; }
    Frame& frame() const { return *frame_; }
    Entry load(u32 index) const;
    void store(u32 index, Entry entry) const;  // counts occupied entries
    u64 occupied() const { return frame_->owner_data; }

private:
    Frame* frame_ = nullptr;
};

// The lock of a last-level table. Preemption is off while it is held.
class [[nodiscard]] TableLock {
public:
    explicit TableLock(LeafTable table);
    ~TableLock();
    TableLock(const TableLock&) = delete;
    TableLock& operator=(const TableLock&) = delete;

private:
    Frame& frame_;
};

class PageTable {
public:
    PageTable() = default;
    PageTable(const PageTable&) = delete;
    PageTable& operator=(const PageTable&) = delete;
    ~PageTable();  // every range must have been dropped, and no CPU may have it loaded

    Result<> init();  // ENOMEM
    PhysAddr root() const { return phys_of(*root_); }

    // The last-level table for an address, to be changed: made if there is none, unshared if it is shared. ENOMEM.
    Result<LeafTable> own_leaf(VirtAddr address);
    // The same for looking only; it may be shared. Empty if there is none.
    LeafTable find_leaf(VirtAddr address) const;
    // Makes every last-level table that there is in [begin, end) this space's own. Nothing that the entries then go through
    // needs memory, so whoever does this first changes everything or nothing. ENOMEM.
    Result<> own_leaves(VirtAddr begin, VirtAddr end);

    // fork: the child gets the tables that cover [begin, end). The child is new and empty; this space's lock is held for
    // writing. The caller flushes this space once afterwards. ENOMEM: the child is to be destroyed.
    Result<> share_into(PageTable& child, VirtAddr begin, VirtAddr end);

    // Lets go of every page in [begin, end), lock held for writing (or nobody else knows the space). Pages and tables go to
    // `gone`, which flushes before it frees. Nothing is mapped in [floor, begin) and [end, ceiling): a table all of whose
    // span lies in [floor, ceiling) goes as a whole, without a look at its entries when it is shared. ENOMEM where a
    // shared table must be kept in part and there is no memory for a copy; then nothing has changed.
    class Gather;
    Result<> drop(VirtAddr begin, VirtAddr end, VirtAddr floor, VirtAddr ceiling, Gather& gone);

    // Makes the entries of [begin, end) match new rights: `map(entry)` gives the new one. Lock held for writing, own_leaves()
    // done; the caller flushes.
    template <class Function> void update(VirtAddr begin, VirtAddr end, Function map);

    // mremap: the entries of [from, from + size) go to `to`, where there are none. Lock held for writing; the caller flushes.
    // ENOMEM: nothing has moved; tables made for the target are there still, those it shares with what lies around are ours.
    Result<> move(VirtAddr from, VirtAddr to, u64 size);

    // ---- translations
    AtomicCpuMask& active_cpus() { return active_; }
    // After these return no CPU uses a stale translation of the range (all of the space). Preemption may be off, IRQs
    // must be on: it waits for other CPUs if there are any.
    void flush_page(VirtAddr page);
    void flush_range(VirtAddr begin, VirtAddr end);
    void flush_all();

    u64 resident() const { return resident_.load(std::memory_order_relaxed); }  // pages; statistics
    void count_resident(i64 pages) { resident_.fetch_add(static_cast<u64>(pages), std::memory_order_relaxed); }

private:
    static Entry* entries_of(Entry entry) { return static_cast<Entry*>(direct_map(entry.address())); }
    // The first slot of level 1 at or above `at` that has a last-level table; `at` moves up to what it covers. nullptr: there is
    // none below `end`. Missing upper tables are stepped over at their full span.
    Entry* next_slot(VirtAddr& at, VirtAddr end) const;
    Result<Entry*> level1_slot_or_make(VirtAddr address);
    Result<LeafTable> unshare(Entry* slot, Entry seen);
    void release_upper(VirtAddr address, Entry* slot, Gather& gone);

    Frame* root_ = nullptr;
    AtomicCpuMask active_;
    std::atomic<u64> resident_{0};
};

// Frames on their way out. They are freed only after a flush, because another CPU may still translate to them.
class PageTable::Gather {
public:
    explicit Gather(PageTable& table) : table_(table) {}
    ~Gather() { finish(); }
    void page(Frame& frame) { add({&frame, false}); }
    void leaf_table(Frame& frame) { add({&frame, true}); }  // its pages go with its last reference
    void changed() { changed_ = true; }                     // an entry went that has no frame to give up
    void finish();

private:
    struct Item {
        Frame* frame;
        bool leaf_table;
    };
    void add(Item item);
    static constexpr usize kBatch = 32;
    PageTable& table_;
    bool changed_ = false;
    usize count_ = 0;
    Item items_[kBatch];
};

template <class Function> void PageTable::update(VirtAddr begin, VirtAddr end, Function map) {
    constexpr u64 kSpan = arch::span_of_level(1);
    for (VirtAddr at = begin; Entry* slot = next_slot(at, end); at = at.align_down(kSpan) + kSpan) {
        const LeafTable table(&frame_at(slot->address()));
        const VirtAddr stop = std::min(end, at.align_down(kSpan) + kSpan);
        TableLock lock(table);
        for (VirtAddr page = at; page < stop; page += kPageSize) {
            const u32 index = arch::table_index(page, 0);
            const Entry entry = table.load(index);
            if (!entry.empty()) table.store(index, map(entry));
        }
    }
}

}  // namespace hd::mm
