// SPDX-License-Identifier: MIT
// The user address space of a process: which ranges are mapped (VMAs) and the page tables that cache the answer for the
// hardware. fork() copies it on write.
//
// Locking: `lock_` (sleeping, rank AddressSpace). Page faults read-hold it; whatever changes the set of mappings write-holds
// it. Page-table entries have locks of their own (page_table.hpp). A page source is asked with lock_ held, so it must not
// take a lock that is held while user memory is touched: not an inode's. Context of everything here: task, may sleep.
#pragma once
#include "kernel/lib/ref.hpp"
#include "kernel/mm/vm/page_table.hpp"
#include "kernel/mm/vm/vma.hpp"
#include "kernel/sched/scheduler.hpp"
#include "kernel/sync/rw_lock.hpp"

namespace hd::mm {

// The lowest address that can be mapped: a null pointer, and what lies near it, always faults (Linux: vm.mmap_min_addr).
inline constexpr VirtAddr kUserBegin{65536};

struct MapRequest {
    VirtAddr address{};  // a hint; exact with `fixed`
    u64 size = 0;        // bytes; rounded up to pages
    Protection protection{};
    bool fixed = false;       // replace what is there
    bool no_replace = false;  // with fixed: EEXIST if something is there
    bool shared = false;
    bool may_write = true;
    bool grows_down = false;
    bool populate = false;
    bool no_reserve = false;       // the caller knows that it will not touch it all
    PageSource* source = nullptr;  // nullptr: anonymous
    u64 offset = 0;                // bytes into the source, page-aligned
};

// What lies behind an address, the same for everybody who can see it: a place in a shared object, or an address of one space.
// Compared, never followed: the object may be gone.
struct MemoryIdentity {
    const void* object = nullptr;
    u64 offset = 0;
    friend bool operator==(const MemoryIdentity&, const MemoryIdentity&) = default;
};

struct FaultAccess {
    bool write = false, execute = false;
};

enum class FaultResult : u8 {
    Done,
    BadAddress /* SEGV_MAPERR */,
    BadAccess /* SEGV_ACCERR */,
    PastEnd /* SIGBUS */,
    OutOfMemory
};

// Numbers for /proc/PID/{stat,statm,status}, in pages.
struct SpaceStatistics {
    u64 virtual_pages, resident_pages, stack_pages, text_pages, data_pages;
    u64 minor_faults, major_faults;
};

class AddressSpace final : public RefCounted<AddressSpace>, public sched::UserSpace {
public:
    static Result<RefPtr<AddressSpace>> create();
    ~AddressSpace();

    u64 minor_faults() const { return minor_faults_.load(std::memory_order_relaxed); }

    // A copy-on-write copy. When it returns, no CPU can write to a shared page through a stale TLB entry. ENOMEM.
    Result<RefPtr<AddressSpace>> fork();

    // mmap(2) and relatives. EINVAL, ENOMEM, EEXIST, EPERM as the man pages say; checks on the file are the caller's.
    Result<VirtAddr> map(const MapRequest& request);
    Result<> unmap(VirtAddr address, u64 size);
    Result<> protect(VirtAddr address, u64 size, Protection protection);
    Result<> discard(VirtAddr address, u64 size);       // madvise(MADV_DONTNEED): the pages are as never touched
    Result<> check_mapped(VirtAddr address, u64 size);  // ENOMEM: not all of it
    Result<VirtAddr> remap(VirtAddr address, u64 old_size, u64 new_size, bool may_move);

    // brk(2): returns the new break, or the old one if it cannot be moved.
    VirtAddr set_break(VirtAddr wanted);
    void set_initial_break(VirtAddr start);

    // Gives up every page, for good: from then on accesses fail with BadAddress. At the space's end, or before it where a process
    // that is to end cannot get there without memory (kernel/task/memory.hpp). Needs no memory itself.
    void reap();
    bool reaped() const { return reaped_.load(std::memory_order_relaxed); }  // a hint without the lock
    // Takes out what maps `source` from its byte `from` on: the file has become shorter.
    void unmap_source(const void* source, u64 from);

    // shmdt(2). The first source with that tag that is mapped as if its beginning were at `at`; null: none is. And the end of its
    // ranges there, up to `size` bytes from `at`.
    RefPtr<PageSource> source_from(VirtAddr at, const void* type_tag);
    Result<> unmap_source_at(VirtAddr at, const PageSource& source, u64 size);

    // A page fault of user mode, or of the kernel's access to user memory.
    FaultResult handle_fault(VirtAddr address, FaultAccess access);

    Result<MemoryIdentity> identify(VirtAddr address);  // EFAULT: nothing may be touched there

    // Kernel access to a space that need not be loaded (exec's arguments, /proc/PID/cmdline). Returns the bytes copied: fewer
    // than asked where it is not mapped, or not writable.
    u64 read_foreign(VirtAddr from, void* to, u64 size);
    u64 write_foreign(VirtAddr to, const void* from, u64 size);

    SpaceStatistics statistics();
    u64 resident_pages() const { return table_.resident(); }
    // Calls visit(const Vma&) for each mapping in order. `visit` must not touch user memory.
    template <class Visitor> void for_each_vma(Visitor visit) {
        sync::ReadGuard guard(lock_);
        for (const Vma& vma : vmas_) visit(vma);
    }

    // Landmarks for /proc; set by exec while the space is private to it.
    struct Layout {
        VirtAddr code_start{}, code_end{}, data_start{}, data_end{}, heap_start{}, stack_start{};
        VirtAddr arguments_start{}, arguments_end{}, environment_start{}, environment_end{};
    } layout;
    u64 stack_limit = u64{8} << 20;           // bytes that a stack may grow to (RLIMIT_STACK)
    std::atomic<i32> registered_barriers{0};  // membarrier(2)

    void activate(CpuId cpu) override;
    void deactivate(CpuId cpu) override;

private:
    Result<> unmap_locked(VirtAddr begin, VirtAddr end, VmaSet& gone) REQUIRES(lock_);
    Result<> drop_pages_locked(VirtAddr begin, VirtAddr end) REQUIRES(lock_);
    Result<VirtAddr> place_locked(const MapRequest& request, u64 size) REQUIRES(lock_);
    bool range_is_mapped_locked(VirtAddr begin, VirtAddr end) REQUIRES_SHARED(lock_);
    bool grow_stack(VirtAddr address);
    u64 access_foreign(VirtAddr at, u8* buffer, u64 size, FaultAccess access);
    Result<FrameRef> page_for_access(VirtAddr at, FaultAccess access);

    // fault.cpp
    FaultResult fault_in(Vma& vma, VirtAddr page, FaultAccess access) REQUIRES_SHARED(lock_);
    FaultResult first_touch(Vma& vma, VirtAddr page, FaultAccess access, LeafTable table) REQUIRES_SHARED(lock_);
    FaultResult write_to_read_only(Vma& vma, VirtAddr page, LeafTable table) REQUIRES_SHARED(lock_);
    void map_around(Vma& vma, VirtAddr page, LeafTable table) REQUIRES_SHARED(lock_);
    void enter(LeafTable table, VirtAddr page, FrameRef&& frame, const Vma& vma, bool writable);

    sync::RwLock lock_{core::Rank::AddressSpace};
    VmaSet vmas_ GUARDED_BY(lock_);
    VirtAddr break_start_ GUARDED_BY(lock_){};
    VirtAddr break_ GUARDED_BY(lock_){};
    std::atomic<bool> reaped_{false};  // changed with the lock write-held
    PageTable table_;
    std::atomic<u64> minor_faults_{0}, major_faults_{0};  // statistics: relaxed
};

}  // namespace hd::mm
