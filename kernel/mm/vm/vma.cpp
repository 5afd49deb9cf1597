// SPDX-License-Identifier: MIT
#include "kernel/mm/vm/vma.hpp"

#include <algorithm>

namespace hd::mm {

Vma* VmaSet::find(VirtAddr address) {
    Vma* vma = find_at_or_above(address);
    return vma != nullptr && vma->begin <= address ? vma : nullptr;
}

Vma* VmaSet::find_at_or_above(VirtAddr address) {
    auto it = tree_.upper_bound(address);
    if (it != tree_.begin()) {
        auto before = std::prev(it);
        if (before->end > address) return &*before;
    }
    return it == tree_.end() ? nullptr : &*it;
}

Vma* VmaSet::previous(Vma& vma) {
    auto it = tree_.iterator_to(vma);
    return it == tree_.begin() ? nullptr : &*std::prev(it);
}

Result<VirtAddr> VmaSet::find_gap(u64 size, VirtAddr low, VirtAddr high) {
    const bool known = size >= full_.for_size && high == full_.below && low <= full_.above;
    VirtAddr top = known ? full_.above : high;
    const auto found = [&] {
        full_ = {top, high, size};
        return top - size;
    };
    for (auto it = Tree::reverse_iterator(tree_.lower_bound(top)); it != tree_.rend(); ++it) {
        const VirtAddr floor = std::max(it->end, low);
        if (floor <= top && top - floor >= size) return found();
        top = std::min(top, it->begin);
        if (top <= low) return fail(Errno::kENOMEM);
    }
    if (top > low && top - low >= size) return found();
    return fail(Errno::kENOMEM);
}

bool VmaSet::range_is_free(VirtAddr begin, VirtAddr end) {
    const Vma* vma = find_at_or_above(begin);
    return vma == nullptr || vma->begin >= end;
}

bool VmaSet::can_merge(const Vma& low, const Vma& high) {
    return low.end == high.begin && low.protection == high.protection && low.shared == high.shared &&
           low.may_write == high.may_write && low.grows_down == high.grows_down && low.source == high.source &&
           (low.anonymous() || low.offset + low.size() == high.offset);
}

VmaSet::iterator VmaSet::merge_with_next(iterator it) {
    auto next = std::next(it);
    if (next == tree_.end() || !can_merge(*it, *next)) return next;
    it->end = next->end;
    Vma* gone = &*next;
    tree_.erase(next);
    delete gone;
    return it;
}

void VmaSet::insert(std::unique_ptr<Vma> vma) {
    auto it = tree_.insert(*vma.release()).first;
    merge_with_next(it);
    if (it != tree_.begin()) merge_with_next(std::prev(it));
}

Result<> VmaSet::split_at(VirtAddr address) {
    Vma* low = find(address);
    if (low == nullptr || low->begin == address) return {};
    if (count() >= kMost) return fail(Errno::kENOMEM);
    Vma* high = TRY(make<Vma>(*low)).release();
    high->begin = address;
    high->offset = low->offset_of(address);
    low->end = address;
    tree_.insert(*high);
    return {};
}

void VmaSet::grow_down(Vma& vma, VirtAddr new_begin) {
    vma.begin = new_begin;  // the order in the tree stays: nothing lies between
}

void VmaSet::set_protection(VirtAddr begin, VirtAddr end, Protection protection) {
    auto it = tree_.lower_bound(begin);
    for (auto i = it; i != tree_.end() && i->begin < end; ++i) i->protection = protection;
    if (it != tree_.begin()) --it;
    while (it != tree_.end() && it->begin < end) it = merge_with_next(it);
}

Result<> VmaSet::copy_from(VmaSet& other) {
    for (const Vma& vma : other) {
        tree_.insert(tree_.end(), *TRY(make<Vma>(vma)).release());
    }
    return {};
}

}  // namespace hd::mm
