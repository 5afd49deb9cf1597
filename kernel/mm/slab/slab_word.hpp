// SPDX-License-Identifier: MIT
// What stands in Frame::owner_data of frames whose bytes kfree() may be given. The first frame of a slab changes under
// its cache's lock; kfree() reads tag and cache id without it: these never change while an object of the slab exists,
// and the word is read and written as a whole.
#pragma once
#include <atomic>
#include <bit>

#include "kernel/mm/phys/frame.hpp"

namespace hd::mm {

struct SlabWord {
    enum class Tag : u8 {
        None = 0,      // counts and pointers of other owners have this in their highest byte (or 0xff)
        Slab = 0xa4,   // the first frame of a slab
        Tail = 0xa5,   // a further one: `distance` back to the first
        Large = 0xa6,  // the first frame of a block that is one kmalloc()
    };
    static constexpr u16 kNoObject = 0xffff;

    union {
        u16 first_free;  // of the objects given back, linked through the objects; kNoObject: none
        u16 distance;
    };
    u16 in_use;  // objects out of the slab: in use or in a magazine
    u16 carved;  // objects from here on were never given out, and nobody has touched them
    u8 cache_id;
    Tag tag;

    bool of_slab() const { return tag == Tag::Slab || tag == Tag::Tail; }

    // relaxed: whoever frees an object got it, and with it the word, from somebody who came after the cache's lock.
    static SlabWord of(Frame& frame) {
        return std::bit_cast<SlabWord>(std::atomic_ref(frame.owner_data).load(std::memory_order_relaxed));
    }
    void store_to(Frame& frame) const {
        std::atomic_ref(frame.owner_data).store(std::bit_cast<u64>(*this), std::memory_order_relaxed);
    }
};
static_assert(sizeof(SlabWord) == sizeof(Frame::owner_data));

}  // namespace hd::mm
