// SPDX-License-Identifier: MIT
#include "kernel/mm/phys/buddy.hpp"

#include <algorithm>
#include <bit>

namespace hd::mm {

namespace {
void set_state(Frame& frame, FrameState state) {
    frame.state.store(state, std::memory_order_relaxed);  // relaxed: see Frame::state
}
}  // namespace

void Buddy::link(Frame& frame, u32 order) {
    set_state(frame, FrameState::Free);
    frame.order = static_cast<u8>(order);
    lists_[order].push_front(frame);
    nonempty_ |= 1u << order;
    free_ += u64{1} << order;
}

void Buddy::unlink(Frame& frame) {
    const u32 order = frame.order;
    List& list = lists_[order];
    list.erase(list.iterator_to(frame));
    if (list.empty()) nonempty_ &= ~(1u << order);
    set_state(frame, FrameState::Reserved);
    free_ -= u64{1} << order;
}

void Buddy::insert(u64 index, u32 order) {
    for (; order < kMaxOrder; ++order) {
        const u64 buddy = index ^ u64 { 1 } << order;
        if (buddy >= frames_.size()) break;
        Frame& other = frames_[buddy];
        if (other.state.load(std::memory_order_relaxed) != FrameState::Free || other.order != order) break;
        unlink(other);
        index = std::min(index, buddy);
    }
    link(frames_[index], order);
}

void Buddy::add(u64 first, u64 count) {
    ASSERT(first <= frames_.size() && count <= frames_.size() - first, "memory without frame records");
    total_ += count;
    while (count != 0) {
        const u32 aligned = first == 0 ? kMaxOrder : static_cast<u32>(std::countr_zero(first));
        const u32 fits = static_cast<u32>(std::bit_width(count)) - 1;
        const u32 order = std::min({aligned, fits, kMaxOrder});
        insert(first, order);
        first += u64{1} << order;
        count -= u64{1} << order;
    }
}

Frame* Buddy::take_block(u32 smallest) {
    const u32 candidates = nonempty_ & ~0u << smallest;
    if (candidates == 0) return nullptr;
    Frame& frame = lists_[std::countr_zero(candidates)].front();
    ASSERT(frame.state.load(std::memory_order_relaxed) == FrameState::Free,
           "a block in the list of free ones is not free");
    unlink(frame);
    return &frame;
}

void Buddy::split(Frame& frame, u32 from, u32 to) {
    while (from > to) {
        --from;
        link(*(&frame + (u64{1} << from)), from);
    }
}

Frame* Buddy::allocate(u32 order) {
    Frame* frame = take_block(order);
    if (frame == nullptr) return nullptr;
    split(*frame, frame->order, order);
    frame->order = static_cast<u8>(order);
    set_state(*frame, FrameState::Allocated);
    return frame;
}

usize Buddy::allocate_singles(std::span<Frame*> out) {
    usize got = 0;
    while (got < out.size()) {
        Frame* first = take_block(0);
        if (first == nullptr) break;
        const u32 wanted = static_cast<u32>(std::bit_width(out.size() - got)) - 1;
        const u32 order = std::min<u32>(first->order, wanted);
        split(*first, first->order, order);
        for (Frame* frame = first; frame != first + (u64{1} << order); ++frame) {
            frame->order = 0;
            set_state(*frame, FrameState::Cached);
            out[got++] = frame;
        }
    }
    return got;
}

void Buddy::free(Frame& frame, u32 order) {
    const auto index = static_cast<u64>(&frame - frames_.data());
    const FrameState state = frame.state.load(std::memory_order_relaxed);
    ASSERT(state == FrameState::Allocated || state == FrameState::Cached, "a frame is freed that is not allocated");
    ASSERT(order == frame.order && index % (u64{1} << order) == 0, "a block is freed with another size than it has");
    set_state(frame, FrameState::Reserved);
    insert(index, order);
}

}  // namespace hd::mm
