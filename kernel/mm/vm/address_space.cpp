// SPDX-License-Identifier: MIT
// Changes of an address space: everything that write-holds its lock. Page faults are in fault.cpp.
#include "kernel/mm/vm/address_space.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/vm/anonymous_source.hpp"

namespace hd::mm {

namespace {

// mmap(2) places ranges below this, top down; the stack and what it may grow to lie above (Linux leaves 128 MiB at least).
constexpr VirtAddr kMmapTop = arch::kUserEnd - (u64{128} << 20);

bool valid_range(VirtAddr address, u64 size) {
    return address.is_aligned(kPageSize) && size <= arch::kUserEnd.raw && address.raw <= arch::kUserEnd.raw - size;
}

arch::Access access_of(Protection protection, bool write) {
    return {.write = write && protection.write, .execute = protection.execute, .user = true};
}

}  // namespace

Result<RefPtr<AddressSpace>> AddressSpace::create() {
    auto space = TRY(make_ref<AddressSpace>());
    TRY(space->table_.init());
    return space;
}

AddressSpace::~AddressSpace() {
    // A CPU that runs a kernel thread may still have us loaded.
    sched::forget_user_space(*this);
    if (!reaped()) reap();
}

void AddressSpace::reap() {
    constexpr u64 kSpan = arch::span_of_level(1);
    sync::WriteGuard guard(lock_);
    if (reaped_.exchange(true, std::memory_order_relaxed)) return;
    PageTable::Gather gone(table_);
    for (const Vma& vma : vmas_) {
        const auto dropped = table_.drop(vma.begin.align_down(kSpan), vma.end.align_up(kSpan), VirtAddr{0},
                                         arch::kUserEnd.align_up(kSpan), gone);
        ASSERT(dropped.has_value(), "every table goes as a whole here, which needs no memory");
    }
}

// Nobody else knows the child yet: what its lock guards is set without it.
Result<RefPtr<AddressSpace>> AddressSpace::fork() NO_THREAD_SAFETY_ANALYSIS {
    auto child = TRY(create());
    sync::WriteGuard guard(lock_);
    if (reaped()) return fail(Errno::kENOMEM);
    child->layout = layout;
    child->stack_limit = stack_limit;
    child->registered_barriers.store(registered_barriers.load(std::memory_order_relaxed), std::memory_order_relaxed);
    child->break_start_ = break_start_;
    child->break_ = break_;
    TRY(child->vmas_.copy_from(vmas_));
    Result<> shared;
    for (const Vma& vma : vmas_) {
        shared = table_.share_into(child->table_, vma.begin, vma.end);
        if (!shared) break;
    }
    table_.flush_all();
    TRY(shared);
    return child;
}

Result<VirtAddr> AddressSpace::place_locked(const MapRequest& request, u64 size) {
    if (request.fixed) {
        if (!request.address.is_aligned(kPageSize)) return fail(Errno::kEINVAL);
        if (!valid_range(request.address, size)) return fail(Errno::kENOMEM);
        if (request.address < kUserBegin) return fail(Errno::kEPERM);
        if (request.no_replace && !vmas_.range_is_free(request.address, request.address + size))
            return fail(Errno::kEEXIST);
        return request.address;
    }
    const VirtAddr hint = request.address.align_down(kPageSize);
    if (hint >= kUserBegin && valid_range(hint, size) && vmas_.range_is_free(hint, hint + size)) return hint;
    return vmas_.find_gap(size, kUserBegin, kMmapTop);
}

// Memory is promised more than once, but not what can never be there (Linux: vm.overcommit_memory = 0).
static bool may_promise(u64 size) {
    constexpr u64 kAlwaysThere = u64{8} << 20;  // no need to count for ordinary sizes
    return size <= kAlwaysThere || size <= frame_counts().total * kPageSize;
}

Result<VirtAddr> AddressSpace::map(const MapRequest& request) {
    if (request.size == 0 || request.offset % kPageSize != 0) return fail(Errno::kEINVAL);
    const u64 size = align_up(request.size, kPageSize);
    if (size < request.size || size > arch::kUserEnd.raw) return fail(Errno::kENOMEM);
    if (request.offset + size < request.offset) return fail(Errno::kEOVERFLOW);
    if (request.protection.write && !request.shared && !request.no_reserve && !may_promise(size))
        return fail(Errno::kENOMEM);

    auto vma = TRY(make<Vma>());
    vma->protection = request.protection;
    vma->shared = request.shared;
    vma->may_write = request.may_write;
    vma->grows_down = request.grows_down;
    RefPtr<PageSource> source(request.source);
    vma->offset = request.offset;
    if (request.shared && !source) {
        source = TRY(make_ref<AnonymousSource>());
        vma->offset = 0;
    }
    vma->source = MappedSource(std::move(source), request.shared && request.may_write);
    VirtAddr begin;
    VmaSet gone;  // dies after the lock is released: a source's last reference may sleep
    {
        sync::WriteGuard guard(lock_);
        if (vmas_.count() >= VmaSet::kMost) return fail(Errno::kENOMEM);
        begin = TRY(place_locked(request, size));
        TRY(unmap_locked(begin, begin + size, gone));
        vma->begin = begin;
        vma->end = begin + size;
        vmas_.insert(std::move(vma));
    }
    if (request.populate)
        for (VirtAddr page = begin; page < begin + size; page += kPageSize)
            if (handle_fault(page, {.write = request.protection.write}) != FaultResult::Done) break;
    return begin;
}

// The pages of [begin, end), which no longer belongs to a VMA.
Result<> AddressSpace::drop_pages_locked(VirtAddr begin, VirtAddr end) {
    Vma* above = vmas_.find_at_or_above(end);
    Vma* below = nullptr;
    if (above != nullptr)
        below = above->begin < end ? above : vmas_.previous(*above);
    else if (!vmas_.empty())
        below = &*std::prev(vmas_.end());
    // Ranges that are still in the set may lie inside [begin, end) itself (discard): then nothing around is free.
    const bool inside = below != nullptr && below->end > begin;
    const VirtAddr floor = inside ? begin : below != nullptr ? below->end : VirtAddr{0};
    const VirtAddr ceiling = inside             ? end
                             : above != nullptr ? above->begin
                                                : arch::kUserEnd.align_up(arch::span_of_level(1));
    PageTable::Gather gone(table_);
    return table_.drop(begin, end, floor, ceiling, gone);
}

Result<> AddressSpace::unmap_locked(VirtAddr begin, VirtAddr end, VmaSet& gone) {
    if (vmas_.range_is_free(begin, end)) return {};
    TRY(vmas_.split_at(begin));
    TRY(vmas_.split_at(end));
    vmas_.extract(begin, end, [&](std::unique_ptr<Vma> vma) { gone.insert(std::move(vma)); });
    const Result<> dropped = drop_pages_locked(begin, end);
    VmaSet* mine = &vmas_;
    if (!dropped) gone.extract(begin, end, [mine](std::unique_ptr<Vma> vma) { mine->insert(std::move(vma)); });
    return dropped;
}

Result<> AddressSpace::unmap(VirtAddr address, u64 size) {
    size = align_up(size, kPageSize);
    if (size == 0 || !valid_range(address, size)) return fail(Errno::kEINVAL);
    VmaSet gone;
    sync::WriteGuard guard(lock_);
    return unmap_locked(address, address + size, gone);
}

bool AddressSpace::range_is_mapped_locked(VirtAddr begin, VirtAddr end) {
    while (begin < end) {
        const Vma* vma = vmas_.find(begin);
        if (vma == nullptr) return false;
        begin = vma->end;
    }
    return true;
}

Result<> AddressSpace::protect(VirtAddr address, u64 size, Protection protection) {
    size = align_up(size, kPageSize);
    if (!address.is_aligned(kPageSize)) return fail(Errno::kEINVAL);
    if (size == 0 || !valid_range(address, size)) return fail(Errno::kENOMEM);
    const VirtAddr end = address + size;
    sync::WriteGuard guard(lock_);
    u64 promised = 0;
    for (VirtAddr at = address; at < end;) {
        const Vma* vma = vmas_.find(at);
        if (vma == nullptr) return fail(Errno::kENOMEM);
        if (protection.write && !vma->may_write) return fail(Errno::kEACCES);
        if (protection.write && !vma->protection.write && !vma->shared) promised += std::min(vma->end, end) - at;
        at = vma->end;
    }
    if (!may_promise(promised)) return fail(Errno::kENOMEM);
    TRY(vmas_.split_at(address));
    TRY(vmas_.split_at(end));
    // The tables and the mapping must never contradict each other, so whatever can fail comes first.
    TRY(table_.own_leaves(address, end));
    // Fewer rights take effect in the tables at once. More rights come with the next fault, page by page.
    table_.update(address, end, [&](Entry entry) {
        if (protection.none()) return entry.parked();
        return Entry::page(entry.address(), access_of(protection, entry.present() && entry.writable()));
    });
    table_.flush_range(address, end);
    vmas_.set_protection(address, end, protection);
    return {};
}

Result<> AddressSpace::check_mapped(VirtAddr address, u64 size) {
    const u64 whole = align_up(size, kPageSize);
    if (whole < size || !valid_range(address, whole)) return fail(Errno::kENOMEM);
    const sync::ReadGuard guard(lock_);
    return range_is_mapped_locked(address, address + whole) ? Result<>() : fail(Errno::kENOMEM);
}

Result<> AddressSpace::discard(VirtAddr address, u64 size) {
    size = align_up(size, kPageSize);
    if (!valid_range(address, size)) return fail(Errno::kEINVAL);
    sync::WriteGuard guard(lock_);
    if (!range_is_mapped_locked(address, address + size)) return fail(Errno::kENOMEM);
    return size == 0 ? Result<>{} : drop_pages_locked(address, address + size);
}

Result<VirtAddr> AddressSpace::remap(VirtAddr address, u64 old_size, u64 new_size, bool may_move) {
    old_size = align_up(old_size, kPageSize);
    new_size = align_up(new_size, kPageSize);
    if (new_size == 0 || old_size == 0 || !valid_range(address, old_size) || new_size > arch::kUserEnd.raw)
        return fail(Errno::kEINVAL);
    VmaSet gone;
    sync::WriteGuard guard(lock_);
    Vma* vma = vmas_.find(address);
    if (vma == nullptr || vma->end < address + old_size) return fail(Errno::kEFAULT);
    if (new_size <= old_size) {
        if (new_size < old_size) TRY(unmap_locked(address + new_size, address + old_size, gone));
        return address;
    }
    if (vma->protection.write && !vma->shared && !may_promise(new_size - old_size)) return fail(Errno::kENOMEM);
    auto grown = TRY(make<Vma>(*vma));
    grown->grows_down = false;
    const VirtAddr old_end = address + old_size;
    if (vma->end == old_end && valid_range(address, new_size) && vmas_.range_is_free(old_end, address + new_size)) {
        grown->begin = old_end;
        grown->end = address + new_size;
        grown->offset = vma->offset_of(old_end);
        vmas_.insert(std::move(grown));
        return address;
    }
    if (!may_move) return fail(Errno::kENOMEM);
    const VirtAddr target = TRY(vmas_.find_gap(new_size, kUserBegin, kMmapTop));
    grown->begin = target;
    grown->end = target + new_size;
    grown->offset = vma->offset_of(address);
    // What may fail comes first: the old mapping's borders, then every table that the move goes through.
    TRY(vmas_.split_at(address));
    TRY(vmas_.split_at(old_end));
    if (const Result<> moved = table_.move(address, target, old_size); !moved) {
        const Result<> taken_back = drop_pages_locked(target, target + old_size);
        ASSERT(taken_back.has_value(), "the tables that the target shares with its neighbours are ours");
        return fail(moved.error());
    }
    vmas_.insert(std::move(grown));
    table_.flush_all();
    const Result<> unmapped = unmap_locked(address, old_end, gone);
    ASSERT(unmapped.has_value(), "borders and tables of the old place are there");
    return target;
}

void AddressSpace::set_initial_break(VirtAddr start) {
    sync::WriteGuard guard(lock_);
    break_start_ = break_ = start.align_up(kPageSize);
    layout.heap_start = break_start_;
}

VirtAddr AddressSpace::set_break(VirtAddr wanted) {
    VmaSet gone;
    sync::WriteGuard guard(lock_);
    if (wanted < break_start_ || wanted > kMmapTop) return break_;
    const VirtAddr old_end = break_.align_up(kPageSize), new_end = wanted.align_up(kPageSize);
    if (new_end > old_end) {
        if (!vmas_.range_is_free(old_end, new_end) || !may_promise(new_end - old_end)) return break_;
        auto vma = make<Vma>();
        if (!vma) return break_;
        (*vma)->begin = old_end;
        (*vma)->end = new_end;
        (*vma)->protection = {.read = true, .write = true};
        vmas_.insert(std::move(*vma));
    } else if (new_end < old_end && !unmap_locked(new_end, old_end, gone)) {
        return break_;
    }
    return break_ = wanted;
}

// A stack grows to an address below it if its limit allows that and it keeps its distance from the next mapping, so that
// running over it faults instead of corrupting a neighbour (Linux: stack_guard_gap).
bool AddressSpace::grow_stack(VirtAddr address) {
    constexpr u64 kGuardGap = 256 * kPageSize;
    sync::WriteGuard guard(lock_);
    Vma* vma = vmas_.find_at_or_above(address);
    if (vma == nullptr || !vma->grows_down) return false;
    const VirtAddr begin = address.align_down(kPageSize);
    if (begin >= vma->begin) return true;  // another thread's fault has grown it
    if (vma->end - begin > stack_limit) return false;
    const Vma* below = vmas_.previous(*vma);
    if (below != nullptr && begin < below->end + kGuardGap) return false;
    vmas_.grow_down(*vma, begin);
    return true;
}

FaultResult AddressSpace::handle_fault(VirtAddr address, FaultAccess access) {
    core::assert_may_sleep();
    const VirtAddr page = address.align_down(kPageSize);
    for (;;) {
        {
            sync::ReadGuard guard(lock_);
            if (reaped()) return FaultResult::BadAddress;
            if (Vma* vma = vmas_.find(page)) return fault_in(*vma, page, access);
        }
        if (address < kUserBegin || address >= arch::kUserEnd || !grow_stack(page)) return FaultResult::BadAddress;
    }
}

RefPtr<PageSource> AddressSpace::source_from(VirtAddr at, const void* type_tag) {
    sync::ReadGuard guard(lock_);
    for (Vma& vma : vmas_)
        if (vma.begin >= at && vma.source && vma.source->type_tag() == type_tag && vma.offset == vma.begin - at)
            return RefPtr<PageSource>(vma.source.get());
    return {};
}

Result<> AddressSpace::unmap_source_at(VirtAddr at, const PageSource& source, u64 size) {
    VmaSet gone;  // dies after the lock
    sync::WriteGuard guard(lock_);
    const VirtAddr end = at + align_up(size, kPageSize);
    for (VirtAddr from = at; from < end;) {
        Vma* const vma = vmas_.find_at_or_above(from);
        if (vma == nullptr || vma->begin >= end) break;
        from = vma->end;
        if (vma->source.get() == &source && vma->offset == vma->begin - at)
            TRY(unmap_locked(vma->begin, vma->end, gone));
    }
    return {};
}

Result<MemoryIdentity> AddressSpace::identify(VirtAddr address) {
    sync::ReadGuard guard(lock_);
    const Vma* vma = vmas_.find(address);
    if (vma == nullptr) return fail(Errno::kEFAULT);
    const Protection rights = vma->protection;
    if (vma->shared ? !rights.read && !rights.write && !rights.execute : !rights.write) return fail(Errno::kEFAULT);
    if (vma->shared) return MemoryIdentity{vma->source->identity(), vma->offset_of(address)};
    return MemoryIdentity{this, address.raw};
}

// The frame at an address after the access has been made possible, with a reference.
Result<FrameRef> AddressSpace::page_for_access(VirtAddr at, FaultAccess access) {
    for (;;) {
        if (handle_fault(at, access) != FaultResult::Done) return fail(Errno::kEFAULT);
        sync::ReadGuard guard(lock_);
        const LeafTable table = TRY(table_.own_leaf(at));
        TableLock lock(table);
        const Entry entry = table.load(arch::table_index(at, 0));
        if (!entry.present() || (access.write && !entry.writable())) continue;  // changed by another thread: again
        return FrameRef(&frame_at(entry.address()));
    }
}

u64 AddressSpace::access_foreign(VirtAddr at, u8* buffer, u64 size, FaultAccess access) {
    u64 done = 0;
    while (done < size) {
        const u64 offset = (at + done).raw % kPageSize;
        const u64 piece = std::min(size - done, kPageSize - offset);
        const auto frame = page_for_access((at + done).align_down(kPageSize), access);
        if (!frame) break;
        u8* memory = bytes_of(**frame) + offset;
        if (access.write)
            std::memcpy(memory, buffer + done, piece);
        else
            std::memcpy(buffer + done, memory, piece);
        done += piece;
    }
    return done;
}

u64 AddressSpace::read_foreign(VirtAddr from, void* to, u64 size) {
    return access_foreign(from, static_cast<u8*>(to), size, {});
}

u64 AddressSpace::write_foreign(VirtAddr to, const void* from, u64 size) {
    return access_foreign(to, static_cast<u8*>(const_cast<void*>(from)), size, {.write = true});
}

SpaceStatistics AddressSpace::statistics() {
    SpaceStatistics result{};
    sync::ReadGuard guard(lock_);
    for (const Vma& vma : vmas_) {
        const u64 pages = vma.size() / kPageSize;
        result.virtual_pages += pages;
        if (vma.grows_down)
            result.stack_pages += pages;
        else if (vma.protection.execute)
            result.text_pages += pages;
        else if (vma.protection.write && !vma.shared)
            result.data_pages += pages;
    }
    result.resident_pages = table_.resident();
    result.minor_faults = minor_faults_.load(std::memory_order_relaxed);  // statistics
    result.major_faults = major_faults_.load(std::memory_order_relaxed);
    return result;
}

void AddressSpace::unmap_source(const void* source, u64 from) {
    sync::WriteGuard guard(lock_);
    for (const Vma& vma : vmas_) {
        if (!vma.source || vma.source->identity() != source || vma.offset + vma.size() <= from) continue;
        const u64 kept = from > vma.offset ? from - vma.offset : 0;
        // No memory for a table of our own (fork): such a page stays mapped, though no file has it any more.
        std::ignore = drop_pages_locked(vma.begin + kept, vma.end);
    }
}

void AddressSpace::activate(CpuId cpu) {
    table_.active_cpus().add(cpu);  // before the root is loaded: see tlb.cpp
    arch::set_page_table(table_.root());
}

void AddressSpace::deactivate(CpuId cpu) { table_.active_cpus().remove(cpu); }

}  // namespace hd::mm
