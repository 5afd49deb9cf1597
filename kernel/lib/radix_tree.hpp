// SPDX-License-Identifier: MIT
// A sparse array of pointers by a 64-bit index: a radix tree of nodes with 64 slots, as high as the largest index so far
// needed. A tree with nothing but index 0 has no node at all, so the page cache of a small file costs nothing.
//
// Things go from an index on to the end, as a file is truncated; the nodes that are left empty go with them. So may a node be
// empty that a failed insert() made: the next take() finds it.
// Locking: the owner's. NodeMemory gives and takes the nodes: static RadixNode* allocate() - uninitialised, or nullptr
// - and static void free(RadixNode*).
#pragma once
#include <new>
#include <span>
#include <utility>

#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd {

struct RadixNode {
    static constexpr u32 kBits = 6, kSlots = 1 << kBits;
    void* slots[kSlots] = {};  // nodes, or in the last level what the tree holds
};

template <class T, class NodeMemory> class RadixTree {
public:
    constexpr RadixTree() = default;
    RadixTree(const RadixTree&) = delete;
    RadixTree& operator=(const RadixTree&) = delete;

    u64 size() const { return size_; }

    T* find(u64 index) const {
        if (index > low_mask(height_)) return nullptr;
        void* at = root_;
        for (u32 level = height_; level > 0 && at != nullptr; --level) at = slot_of(at, index, level);
        return static_cast<T*>(at);
    }

    // EEXIST, ENOMEM.
    Result<> insert(u64 index, T* value) {
        if (root_ == nullptr) height_ = 0;
        for (; index > low_mask(height_); ++height_)
            if (void* below = root_; below != nullptr) {
                root_ = nullptr;
                if (!make_node(root_)) return root_ = below, fail(Errno::kENOMEM);
                slot_of(root_, 0, height_ + 1) = below;
            }
        void** place = &root_;
        for (u32 level = height_; level > 0; --level) {
            if (!make_node(*place)) return fail(Errno::kENOMEM);
            place = &slot_of(*place, index, level);
        }
        if (*place != nullptr) return fail(Errno::kEEXIST);
        *place = value;
        ++size_;
        return {};
    }

    // Takes out what stands at `from` and behind it, in order, as much as there is room for; how much that was. Less than the
    // room: nothing is left there.
    usize take(u64 from, std::span<T*> room) {
        Taking taking{from, room, 0};
        if (take_below(root_, height_, 0, taking)) height_ = 0;
        size_ -= taking.count;
        return taking.count;
    }

private:
    struct Taking {
        u64 from;
        std::span<T*> room;
        usize count;
    };

    // Levels count from 1, the last one. The bits of an index that a node of the level, and those below it, look at:
    static constexpr u64 low_mask(u32 level) {
        return level * RadixNode::kBits >= 64 ? ~u64{0} : (u64{1} << level * RadixNode::kBits) - 1;
    }
    static void*& slot_of(void* node, u64 index, u32 level) {
        return static_cast<RadixNode*>(node)->slots[(index >> (level - 1) * RadixNode::kBits) % RadixNode::kSlots];
    }

    static bool make_node(void*& place) {
        if (place == nullptr)
            if (RadixNode* fresh = NodeMemory::allocate()) place = new (fresh) RadixNode;
        return place != nullptr;
    }

    // `first` is the lowest index below `place`. True: nothing is left there, and `place` is null.
    static bool take_below(void*& place, u32 level, u64 first, Taking& taking) {
        if (place == nullptr || (first | low_mask(level)) < taking.from) return place == nullptr;
        if (level == 0) {
            if (taking.count == taking.room.size()) return false;
            taking.room[taking.count++] = static_cast<T*>(std::exchange(place, nullptr));
            return true;
        }
        bool empty = true;
        for (u64 slot = 0; slot < RadixNode::kSlots; ++slot) {
            const u64 below = first | slot << (level - 1) * RadixNode::kBits;
            if (level * RadixNode::kBits > 64 && below >> (level - 1) * RadixNode::kBits != slot)
                break;  // the top node
            empty &= take_below(slot_of(place, below, level), level - 1, below, taking);
        }
        if (empty) NodeMemory::free(static_cast<RadixNode*>(std::exchange(place, nullptr)));
        return empty;
    }

    void* root_ = nullptr;
    u32 height_ = 0;  // levels of nodes
    u64 size_ = 0;
};

}  // namespace hd
