// SPDX-License-Identifier: MIT
// The buddy allocator: blocks of 2^order frames, aligned to their size (Knowlton, "A fast storage allocator", CACM
// 1965). Two halves of a block are buddies: their frame numbers differ in one bit, so each finds the other's record
// without a search. A block that is freed while its buddy is free becomes one with it, again and again.
//
// Invariants: a free block's first frame is Free, has its order, and is linked in that order's list; two buddies are
// never both free at the same order (below the largest). Every other frame's state is not Free.
//
// Locking: the owner's lock, for everything; see Frame::state for what others may change meanwhile. Pure but for
// assertions.
#pragma once
#include <boost/intrusive/list.hpp>
#include <span>

#include "kernel/mm/phys/frame.hpp"

namespace hd::mm {

class Buddy {
public:
    // `frames`: the records by frame number, all Reserved.
    explicit Buddy(std::span<Frame> frames) : frames_(frames) {}

    // Gives frames that were Reserved to the allocator.
    void add(u64 first, u64 count);

    // A block, Allocated; nullptr if there is none as large.
    Frame* allocate(u32 order);

    // Up to out.size() single frames, as many as there are, in the state Cached; returns how many. Takes from the
    // smallest blocks first, but a block that fits goes as a whole: its frames pass no list.
    usize allocate_singles(std::span<Frame*> out);

    // Takes back what allocate() or allocate_singles() gave. Panics if the block is free already or is none.
    void free(Frame& frame, u32 order);

    u64 total_frames() const { return total_; }
    u64 free_frames() const { return free_; }
    u64 free_blocks(u32 order) const { return lists_[order].size(); }

private:
    using List = boost::intrusive::list<
        Frame, boost::intrusive::member_hook<Frame, boost::intrusive::list_member_hook<>, &Frame::link>>;

    void link(Frame& frame, u32 order);
    void unlink(Frame& frame);
    void insert(u64 index, u32 order);           // with coalescing
    Frame* take_block(u32 smallest);             // unlinks the smallest block of at least that order
    void split(Frame& frame, u32 from, u32 to);  // links the upper halves

    std::span<Frame> frames_;
    List lists_[kMaxOrder + 1];
    u32 nonempty_ = 0;  // bit n: lists_[n] has blocks
    u64 free_ = 0;
    u64 total_ = 0;
};

}  // namespace hd::mm
