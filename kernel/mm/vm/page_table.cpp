// SPDX-License-Identifier: MIT
#include "kernel/mm/vm/page_table.hpp"

#include <algorithm>

#include "kernel/core/context.hpp"
#include "kernel/core/held_locks.hpp"

namespace hd::mm {

namespace {

constexpr u64 kLeafSpan = arch::span_of_level(1);

// Entries are shared with the CPUs' page walkers, so each access is one whole word. Acquire and release pair among the
// threads that fill tables in: who sees a new table sees it zeroed.
Entry load_entry(Entry* slot) { return Entry{std::atomic_ref(slot->raw).load(std::memory_order_acquire)}; }
void store_entry(Entry* slot, Entry entry) { std::atomic_ref(slot->raw).store(entry.raw, std::memory_order_release); }
bool replace_entry(Entry* slot, Entry expected, Entry desired) {
    return std::atomic_ref(slot->raw).compare_exchange_strong(expected.raw, desired.raw, std::memory_order_acq_rel);
}

// Upper tables count their entries in owner_data; several threads may fill one in at the same time.
std::atomic_ref<u64> entry_count(Entry* slot) { return std::atomic_ref(frame_of_direct_map(slot).owner_data); }

bool has_reference(Entry entry) { return entry.address() != phys_of(zero_frame()); }

// Gives up one reference to a last-level table, and with the last one the table's references to its pages.
void put_leaf_table(Frame& frame) {
    // acq_rel: as in unref(); the last one sees the others' changes.
    if (frame.references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const LeafTable table(&frame);
    u64 left = table.occupied();
    for (u32 i = 0; left != 0; ++i) {
        const Entry entry = table.load(i);
        if (entry.empty()) continue;
        --left;
        if (has_reference(entry)) frame_at(entry.address()).unref();
    }
    frame.owner_data = 0;
    frame.references.store(1, std::memory_order_relaxed);  // nobody else knows the frame any more
    frame.unref();
}

// Upper tables that were made for a last-level table that there was then no memory for. `level` is that of the entries.
void release_empty_tables(Frame& table, u32 level) {
    auto* entries = reinterpret_cast<Entry*>(bytes_of(table));
    for (u32 i = 0; table.owner_data != 0; ++i) {
        ASSERT(level > 1, "an address space dies with pages mapped");
        if (entries[i].empty()) continue;
        --table.owner_data;
        Frame& below = frame_at(entries[i].address());
        release_empty_tables(below, level - 1);
        below.unref();
    }
}

// Both tables refer to every page from now on, and neither may write. `from`'s lock is held; `to` is zeroed and private.
void copy_entries(LeafTable from, LeafTable to) {
    u64 left = from.occupied();
    for (u32 i = 0; left != 0; ++i) {
        Entry entry = from.load(i);
        if (entry.empty()) continue;
        --left;
        if (has_reference(entry)) frame_at(entry.address()).ref();
        if (entry.writable()) {
            entry = entry.with_write(false);
            from.store(i, entry);  // invariant (1) allows it; no CPU can write through the read-only level above
        }
        to.store(i, entry);
    }
}

}  // namespace

Entry LeafTable::load(u32 index) const { return load_entry(reinterpret_cast<Entry*>(bytes_of(*frame_)) + index); }

void LeafTable::store(u32 index, Entry entry) const {
    Entry* slot = reinterpret_cast<Entry*>(bytes_of(*frame_)) + index;
    frame_->owner_data += u64{!entry.empty()} - u64{slot->raw != 0};
    store_entry(slot, entry);
}

TableLock::TableLock(LeafTable table) : frame_(table.frame()) {
    core::preempt_disable();
    const auto site = std::source_location::current();
    while (!core::held_spinlocks().push(&frame_, core::Rank::PageTable, site)) [[unlikely]]
        core::held_spinlocks().learn(core::Rank::PageTable, site);
    // acquire pairs with the release in the destructor.
    while (frame_.table_lock.exchange(true, std::memory_order_acquire))
        while (frame_.table_lock.load(std::memory_order_relaxed)) arch::cpu_relax();
}

TableLock::~TableLock() {
    core::held_spinlocks().pop(&frame_);
    frame_.table_lock.store(false, std::memory_order_release);
    core::preempt_enable();
}

Result<> PageTable::init() {
    root_ = TRY(allocate_frame(Zero::Yes));
    arch::init_user_root(reinterpret_cast<Entry*>(bytes_of(*root_)));
    return {};
}

PageTable::~PageTable() {
    if (root_ == nullptr) return;
    release_empty_tables(*root_, arch::kPageTableLevels - 1);
    ASSERT(active_.load().empty(), "an address space dies while a CPU has it loaded");
    root_->unref();
}

Entry* PageTable::next_slot(VirtAddr& at, VirtAddr end) const {
    while (at < end) {
        Entry* slot = reinterpret_cast<Entry*>(bytes_of(*root_));
        for (u32 level = arch::kPageTableLevels - 1;; --level) {
            slot += arch::table_index(at, level);
            const Entry entry = load_entry(slot);
            if (entry.empty()) {
                at = at.align_down(arch::span_of_level(level)) + arch::span_of_level(level);
                break;
            }
            if (level == 1) return slot;
            slot = entries_of(entry);
        }
    }
    return nullptr;
}

Result<Entry*> PageTable::level1_slot_or_make(VirtAddr address) {
    auto* table = reinterpret_cast<Entry*>(bytes_of(*root_));
    for (u32 level = arch::kPageTableLevels - 1; level > 1; --level) {
        Entry* slot = &table[arch::table_index(address, level)];
        Entry entry = load_entry(slot);
        if (entry.empty()) {
            Frame* fresh = TRY(allocate_frame(Zero::Yes));
            entry = Entry::table(phys_of(*fresh), true);
            if (replace_entry(slot, Entry{}, entry)) {
                entry_count(slot).fetch_add(1, std::memory_order_relaxed);  // read with the lock held for writing
            } else {
                fresh->unref();
                entry = load_entry(slot);
            }
        }
        table = entries_of(entry);
    }
    return &table[arch::table_index(address, 1)];
}

Result<LeafTable> PageTable::own_leaf(VirtAddr address) {
    Entry* slot = TRY(level1_slot_or_make(address));
    for (;;) {
        const Entry entry = load_entry(slot);
        if (entry.writable()) return LeafTable(&frame_at(entry.address()));
        if (!entry.empty()) {
            if (const LeafTable table = TRY(unshare(slot, entry))) return table;
            continue;  // another thread was faster
        }
        Frame* fresh = TRY(allocate_frame(Zero::Yes));
        if (replace_entry(slot, Entry{}, Entry::table(phys_of(*fresh), true))) {
            entry_count(slot).fetch_add(1, std::memory_order_relaxed);  // read with the lock held for writing
            return LeafTable(fresh);
        }
        fresh->unref();
    }
}

// Returns an empty table if the slot has changed meanwhile.
Result<LeafTable> PageTable::unshare(Entry* slot, Entry seen) {
    const LeafTable old(&frame_at(seen.address()));
    // Before the lock, as the allocation may need the allocator's locks for long. References to a table only grow in
    // fork(), which our caller's lock keeps away; so if we are alone now, we stay alone.
    FrameRef copy(kAdoptRef, sole_owner(old.frame()) ? nullptr : TRY(allocate_frame(Zero::Yes)));
    {
        TableLock lock(old);
        if (load_entry(slot).raw != seen.raw) return LeafTable{};
        if (sole_owner(old.frame())) {
            store_entry(slot, seen.with_write(true));  // more rights: a stale entry costs a spurious fault at most
            return old;
        }
        copy_entries(old, LeafTable(copy.get()));
        store_entry(slot, Entry::table(phys_of(*copy), true));
    }
    // CPUs keep upper-level entries in their paging-structure caches; before we let go of the old table no CPU of ours may
    // walk it (SDM 3A, 4.10.4.2).
    flush_all();
    put_leaf_table(old.frame());
    return LeafTable(copy.release());
}

LeafTable PageTable::find_leaf(VirtAddr address) const {
    Entry* slot = next_slot(address, address + 1);
    return slot == nullptr ? LeafTable{} : LeafTable(&frame_at(load_entry(slot).address()));
}

Result<> PageTable::own_leaves(VirtAddr begin, VirtAddr end) {
    for (VirtAddr at = begin; next_slot(at, end) != nullptr; at = at.align_down(kLeafSpan) + kLeafSpan)
        TRY(own_leaf(at));
    return {};
}

Result<> PageTable::share_into(PageTable& child, VirtAddr begin, VirtAddr end) {
    for (VirtAddr at = begin.align_down(kLeafSpan); Entry* slot = next_slot(at, end); at += kLeafSpan) {
        Entry* child_slot = TRY(child.level1_slot_or_make(at));
        if (!child_slot->empty()) continue;  // two ranges in one table
        const Entry entry = slot->with_write(false);
        const LeafTable table(&frame_at(entry.address()));
        table.frame().ref();
        store_entry(slot, entry);
        store_entry(child_slot, entry);
        entry_count(child_slot).fetch_add(1, std::memory_order_relaxed);  // the child is private
        child.count_resident(static_cast<i64>(table.occupied()));
    }
    return {};
}

// Upper tables that have become empty go as well.
void PageTable::release_upper(VirtAddr address, Entry* slot, Gather& gone) {
    for (u32 level = 2;; ++level) {
        Frame& frame = frame_of_direct_map(slot);
        if (--frame.owner_data != 0 || &frame == root_) return;
        auto* table = reinterpret_cast<Entry*>(bytes_of(*root_));
        for (u32 above = arch::kPageTableLevels - 1; above > level; --above)
            table = entries_of(table[arch::table_index(address, above)]);
        slot = &table[arch::table_index(address, level)];
        store_entry(slot, Entry{});
        gone.page(frame);
    }
}

Result<> PageTable::drop(VirtAddr begin, VirtAddr end, VirtAddr floor, VirtAddr ceiling, Gather& gone) {
    const auto whole = [&](VirtAddr at) {
        return floor <= at.align_down(kLeafSpan) && at.align_down(kLeafSpan) + kLeafSpan <= ceiling;
    };
    // Only the first and the last table can stay in part. They become ours before anything changes, so that running out
    // of memory leaves everything as it was.
    for (const VirtAddr at : {begin, end - kPageSize})
        if (!whole(at) && find_leaf(at)) TRY(own_leaf(at));
    for (VirtAddr at = begin; Entry* slot = next_slot(at, end); at = at.align_down(kLeafSpan) + kLeafSpan) {
        if (whole(at)) {
            const LeafTable table(&frame_at(slot->address()));
            count_resident(-static_cast<i64>(table.occupied()));
            store_entry(slot, Entry{});
            gone.leaf_table(table.frame());
            release_upper(at, slot, gone);
            continue;
        }
        const LeafTable table = TRY(own_leaf(at));
        const VirtAddr stop = std::min(end, at.align_down(kLeafSpan) + kLeafSpan);
        for (VirtAddr page = at; page < stop && table.occupied() != 0; page += kPageSize) {
            const u32 index = arch::table_index(page, 0);
            const Entry entry = table.load(index);
            if (entry.empty()) continue;
            table.store(index, Entry{});  // the space's lock is held for writing: nobody else changes the table
            count_resident(-1);
            if (has_reference(entry))
                gone.page(frame_at(entry.address()));
            else
                gone.changed();
        }
    }
    return {};
}

Result<> PageTable::move(VirtAddr from, VirtAddr to, u64 size) {
    for (const VirtAddr edge : {to, to + size - kPageSize})
        if (find_leaf(edge)) TRY(own_leaf(edge));
    TRY(own_leaves(from, from + size));
    const auto end_of = [&](VirtAddr at) { return std::min(at.align_down(kLeafSpan) + kLeafSpan, from + size); };
    for (VirtAddr at = from; next_slot(at, from + size) != nullptr; at = end_of(at)) {
        TRY(own_leaf(to + (at - from)));  // what one table covers here may lie in two there
        TRY(own_leaf(to + (end_of(at) - kPageSize - from)));
    }
    for (VirtAddr at = from; const Entry* slot = next_slot(at, from + size); at = end_of(at)) {
        const LeafTable source(&frame_at(slot->address()));
        for (VirtAddr page = at; page < end_of(at); page += kPageSize) {
            const Entry entry = source.load(arch::table_index(page, 0));
            if (entry.empty()) continue;
            const VirtAddr target = to + (page - from);
            find_leaf(target).store(arch::table_index(target, 0), entry);
            source.store(arch::table_index(page, 0), Entry{});
        }
    }
    return {};
}

void PageTable::Gather::add(Item item) {
    if (count_ == kBatch) finish();
    items_[count_++] = item;
    changed_ = true;
}

void PageTable::Gather::finish() {
    if (changed_) table_.flush_all();
    changed_ = false;
    for (usize i = 0; i < count_; ++i) {
        if (items_[i].leaf_table)
            put_leaf_table(*items_[i].frame);
        else
            items_[i].frame->unref();
    }
    count_ = 0;
}

}  // namespace hd::mm
