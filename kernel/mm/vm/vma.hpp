// SPDX-License-Identifier: MIT
// VMAs: the ranges of an address space and what each allows and shows. Pure bookkeeping: no page tables, no locks of its
// own; the address space's lock guards it. Host-tested against a byte-wise model.
//
// Invariant of the set: ranges are page-aligned, not empty, do not overlap; neighbours that could be one range are one.
// As they never overlap, a red-black tree by start address answers every interval question in O(log n).
#pragma once
#include <boost/intrusive/set.hpp>
#include <memory>

#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"
#include "kernel/mm/cache/page_source.hpp"
#include "kernel/mm/slab/object_cache.hpp"

namespace hd::mm {

struct Protection {
    bool read = false, write = false, execute = false;
    constexpr bool none() const { return !read && !write && !execute; }
    friend constexpr bool operator==(Protection, Protection) = default;
};

struct Vma : CachedBy<Vma> {
    static constexpr const char* kCacheName = "vma";

    boost::intrusive::set_member_hook<> link;
    VirtAddr begin{}, end{};  // end exclusive
    Protection protection{};
    bool shared = false;      // writes go to the source and are seen by every mapping of it
    bool may_write = true;    // mprotect(2) may allow writing: not to a shared mapping of a file opened for reading
    bool grows_down = false;  // a stack
    MappedSource source;      // empty: anonymous memory
    u64 offset = 0;           // of `begin` in the source, bytes

    u64 size() const { return end - begin; }
    bool contains(VirtAddr address) const { return begin <= address && address < end; }
    u64 offset_of(VirtAddr address) const { return offset + (address - begin); }
    bool anonymous() const { return !source; }
};

class VmaSet {
public:
    VmaSet() = default;
    VmaSet(const VmaSet&) = delete;
    VmaSet& operator=(const VmaSet&) = delete;
    ~VmaSet() { tree_.clear_and_dispose(std::default_delete<Vma>()); }

    struct ByBegin {
        using type = VirtAddr;
        VirtAddr operator()(const Vma& vma) const { return vma.begin; }
    };
    using Tree =
        boost::intrusive::set<Vma, boost::intrusive::member_hook<Vma, boost::intrusive::set_member_hook<>, &Vma::link>,
                              boost::intrusive::key_of_value<ByBegin>>;
    using iterator = Tree::iterator;
    static constexpr usize kMost = 65530;  // as Linux: vm.max_map_count

    iterator begin() { return tree_.begin(); }
    iterator end() { return tree_.end(); }
    bool empty() const { return tree_.empty(); }
    usize count() const { return tree_.size(); }

    Vma* find(VirtAddr address);              // the one that contains it
    Vma* find_at_or_above(VirtAddr address);  // the first that ends above it
    Vma* previous(Vma& vma);

    // Lowest or highest gap of `size` bytes within [low, high): the highest, as Linux's top-down layout has it. ENOMEM.
    Result<VirtAddr> find_gap(u64 size, VirtAddr low, VirtAddr high);
    bool range_is_free(VirtAddr begin, VirtAddr end);

    // Adds a range that overlaps nothing, melting it into its neighbours where possible. Takes the node over.
    void insert(std::unique_ptr<Vma> vma);

    // Makes `address` a border between two ranges, if it lies inside one. ENOMEM, also for more than kMost ranges.
    Result<> split_at(VirtAddr address);

    // Takes every range within [begin, end) out; the borders must exist (split_at). Calls `drop` with each, owned.
    template <class Function> void extract(VirtAddr begin, VirtAddr end, Function drop) {
        for (auto it = tree_.lower_bound(begin); it != tree_.end() && it->begin < end;) {
            Vma& vma = *it;
            it = tree_.erase(it);
            if (vma.end > full_.above) full_ = {};
            drop(std::unique_ptr<Vma>(&vma));
        }
    }

    void grow_down(Vma& vma, VirtAddr new_begin);  // the caller has checked that there is room
    // Changes the rights of every range within [begin, end), whose borders exist, and melts what has become alike.
    void set_protection(VirtAddr begin, VirtAddr end, Protection protection);
    Result<> copy_from(VmaSet& other);  // into an empty set

private:
    static bool can_merge(const Vma& low, const Vma& high);
    iterator merge_with_next(iterator it);

    Tree tree_;
    // Between these addresses is no gap of that size or more: the search of find_gap() begins below them. Only extract() can
    // make that wrong, and forgets it. So many mappings of one size, like the stacks of threads, are placed in one step each.
    struct {
        VirtAddr above{}, below{};
        u64 for_size = ~u64{0};
    } full_;
};

}  // namespace hd::mm
