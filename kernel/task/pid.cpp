// SPDX-License-Identifier: MIT
// The table of process numbers: kernel/task/pid.hpp.
#include "kernel/task/pid.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace hd::task {

i32 PidTable::next_free(i32 from) const {
    for (i32 base = from & ~63; base < kLimit; base += 64) {
        u64 used = used_[base / 64];
        if (base < from) used |= (u64{1} << (from - base)) - 1;
        if (used != ~u64{0}) return base + std::countr_one(used);
    }
    return kLimit;
}

Result<i32> PidTable::allocate() {
    i32 number = next_free(last_ + 1);
    if (number == kLimit) number = next_free(kFirstReused);
    if (number == kLimit) return fail(Errno::kEAGAIN);
    used_[number / 64] |= u64{1} << (number % 64);
    last_ = number;
    return number;
}

void PidTable::release(i32 number) { used_[number / 64] &= ~(u64{1} << (number % 64)); }

void PidTable::add(PidLink& link, i32 number) {
    link.number_ = number;
    link.in_table_ = true;
    link.next_ = std::exchange(chain(number), &link);
    ++counts_[static_cast<usize>(link.kind_)];
}

void PidTable::remove(PidLink& link) {
    PidLink** at = &chain(link.number_);
    while (*at != &link) at = &(*at)->next_;
    *at = link.next_;
    link.in_table_ = false;
    --counts_[static_cast<usize>(link.kind_)];
    for (const PidLink* other = chain(link.number_); other != nullptr; other = other->next_)
        if (other->number_ == link.number_) return;
    release(link.number_);
}

PidLink* PidTable::find(i32 number, PidKind kind) {
    PidLink* link = chain(number);
    while (link != nullptr && (link->number_ != number || link->kind_ != kind)) link = link->next_;
    return link;
}

PidLink* PidTable::find_from(i32 from, PidKind kind) {
    from = std::max(from, 0);
    for (i32 base = from & ~63; base < kLimit; base += 64) {
        u64 used = used_[base / 64];
        if (base < from) used &= ~((u64{1} << (from - base)) - 1);
        for (; used != 0; used &= used - 1)
            if (PidLink* const link = find(base + std::countr_zero(used), kind)) return link;
    }
    return nullptr;
}

}  // namespace hd::task
