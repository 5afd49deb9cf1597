// SPDX-License-Identifier: MIT
// A sparse array of pointers by a 64-bit index: a radix tree of nodes with 64 slots, as high as the largest index
// needs. A tree with nothing but index 0 has no node at all, so the page cache of a small file costs nothing.
//
// Invariants: no node is empty; the root node, if there is one, has something other than its first slot.
// Locking: the owner's. NodeMemory gives and takes the nodes: static RadixNode* allocate() - uninitialised, or nullptr
// - and static void free(RadixNode*).
#pragma once
#include <algorithm>
#include <optional>

#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd {

struct RadixNode {
    static constexpr u32 kBits = 6, kSlots = 1 << kBits;
    void* slots[kSlots] = {};  // nodes, or in the last level what the tree holds
    u32 used = 0;
};

template <class T, class NodeMemory> class RadixTree {
public:
    constexpr RadixTree() = default;
    RadixTree(const RadixTree&) = delete;
    RadixTree& operator=(const RadixTree&) = delete;

    u64 size() const { return size_; }

    T* find(u64 index) const {
        if (index > last_index()) return nullptr;
        void* at = root_;
        for (u32 level = height_; level > 0 && at != nullptr; --level) at = node(at)->slots[slot_of(index, level)];
        return static_cast<T*>(at);
    }

    // EEXIST, ENOMEM.
    Result<> insert(u64 index, T* value) {
        const Result<> done = try_insert(index, value);
        if (!done) prune(index);
        return done;
    }

    // What was there, or nullptr.
    T* remove(u64 index) {
        T* value = find(index);
        if (value == nullptr) return nullptr;
        --size_;
        if (height_ == 0) {
            root_ = nullptr;
            return value;
        }
        void* at = root_;
        for (u32 level = height_; level > 1; --level) at = node(at)->slots[slot_of(index, level)];
        node(at)->slots[slot_of(index, 1)] = nullptr;
        --node(at)->used;
        prune(index);
        return value;
    }

    struct Entry {
        u64 index;
        T* value;
    };
    // The entry with the lowest index that is not below `from`.
    std::optional<Entry> next(u64 from) const {
        while (from <= last_index()) {
            void* at = root_;
            u32 level = height_;
            // Down along `from`; where its path ends, on to the next used slot of that node, whose lowest index it then
            // is.
            for (; level > 0 && at != nullptr; --level) {
                u32 slot = slot_of(from, level);
                const u32 wanted = slot;
                while (slot < RadixNode::kSlots && node(at)->slots[slot] == nullptr) ++slot;
                if (slot == RadixNode::kSlots) break;
                if (slot != wanted) from = (from & ~low_mask(level)) | u64{slot} << shift_of(level);
                at = node(at)->slots[slot];
            }
            if (level == 0 && at != nullptr) return Entry{from, static_cast<T*>(at)};
            // Nothing more below this node: go on behind it.
            const u64 last_below = from | low_mask(level);
            if (at == nullptr || last_below == ~u64{0}) break;
            from = last_below + 1;
        }
        return std::nullopt;
    }

private:
    static constexpr u32 kMaxHeight = (64 + RadixNode::kBits - 1) / RadixNode::kBits;

    static RadixNode* node(void* at) { return static_cast<RadixNode*>(at); }
    // Levels count from 1, the last one.
    static u32 shift_of(u32 level) { return (level - 1) * RadixNode::kBits; }
    static u32 slot_of(u64 index, u32 level) { return static_cast<u32>(index >> shift_of(level)) % RadixNode::kSlots; }
    // The bits that a node of the level, and those below it, look at.
    static u64 low_mask(u32 level) {
        return level * RadixNode::kBits >= 64 ? ~u64{0} : (u64{1} << level * RadixNode::kBits) - 1;
    }
    u64 last_index() const { return low_mask(height_); }

    // Puts a node over the root. False: no memory.
    bool grow() {
        if (root_ != nullptr) {
            RadixNode* above = new_node();
            if (above == nullptr) return false;
            above->slots[0] = root_;
            above->used = 1;
            root_ = above;
        }
        ++height_;
        return true;
    }

    static RadixNode* new_node() {
        RadixNode* fresh = NodeMemory::allocate();
        return fresh == nullptr ? nullptr : new (fresh) RadixNode;
    }

    Result<> try_insert(u64 index, T* value) {
        while (index > last_index())
            if (!grow()) return fail(Errno::kENOMEM);
        void** place = &root_;
        RadixNode* parent = nullptr;
        for (u32 level = height_; level > 0; --level) {
            if (*place == nullptr) {
                *place = new_node();
                if (*place == nullptr) return fail(Errno::kENOMEM);
                if (parent != nullptr) ++parent->used;
            }
            parent = node(*place);
            place = &parent->slots[slot_of(index, level)];
        }
        if (*place != nullptr) return fail(Errno::kEEXIST);
        *place = value;
        if (parent != nullptr) ++parent->used;
        ++size_;
        return {};
    }

    // Restores the invariants after a change along the path to `index`.
    void prune(u64 index) {
        void** path[kMaxHeight];  // where the nodes hang, from the root down
        u32 depth = 0;
        void** place = &root_;
        for (u32 level = height_; level > 0 && *place != nullptr; --level) {
            path[depth++] = place;
            place = &node(*place)->slots[slot_of(index, level)];
        }
        while (depth > 0 && node(*path[depth - 1])->used == 0) {
            --depth;
            NodeMemory::free(node(*path[depth]));
            *path[depth] = nullptr;
            if (depth > 0) --node(*path[depth - 1])->used;
        }
        while (height_ > 0 && root_ != nullptr && node(root_)->used == 1 && node(root_)->slots[0] != nullptr) {
            RadixNode* old = node(root_);
            root_ = old->slots[0];
            NodeMemory::free(old);
            --height_;
        }
        if (root_ == nullptr) height_ = 0;
    }

    void* root_ = nullptr;
    u32 height_ = 0;  // levels of nodes
    u64 size_ = 0;
};

}  // namespace hd
