// SPDX-License-Identifier: MIT
// A cache of objects of one size. Three levels, from fast to slow:
//
//     magazine   this CPU's free objects, an array of pointers; interrupts off, no lock
//     slabs      blocks of frames cut into objects; those with a free one are in a list; lock_
//     frames     the frame allocator
//
// Objects pass between magazine and slabs half a magazine at a time, when a magazine is empty or full.
//
// A slab has no header. What there is to know about it stands in its first frame's owner_data (slab_word.hpp), so
// objects are aligned as their size allows and none of a page is lost; the records of its other frames point to the
// first.
//
// A free object's second word holds a mark, so a second free is found at once. In a magazine its first word holds it
// too; in a slab that links to the next free object. Both are checked when an object leaves: whoever writes to the
// start of an object after freeing it is found when it is given out again. The mark is another one for each object and
// boot, or a program could make a buffer with its bytes look like a free object.
//
// Caches are constinit globals, never destroyed. One is registered, and shows in slabinfo, from its first allocation
// on. Locking: `lock_` (IrqSpinlock, rank SlabDepot) guards the slabs. Context: any but NMI.
#pragma once
#include <atomic>
#include <boost/intrusive/list.hpp>

#include "kernel/core/percpu.hpp"
#include "kernel/core/spinlock.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/phys/frame.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::mm {

class SlabCache {
public:
    static constexpr u8 kMaxSlabOrder = 3;
    static constexpr usize kMaxSize = (kPageSize << kMaxSlabOrder) / 4;

    // `alignment`: a power of two, at most a page. An object takes `size` bytes rounded up to it, 16 at least, kMaxSize
    // at most.
    constexpr SlabCache(const char* name, usize size, usize alignment)
        : name_(name),
          size_(static_cast<u32>(align_up(size < 16 ? usize{16} : size, alignment < 8 ? usize{8} : alignment))),
          order_(order_for(size_)),
          per_slab_(static_cast<u16>((kPageSize << order_) / size_)),
          limit_(size_ <= 256    ? Magazine::kSlots
                 : size_ <= 1024 ? 15
                                 : 7) {}
    SlabCache(const SlabCache&) = delete;
    SlabCache& operator=(const SlabCache&) = delete;

    // The contents are not defined. nullptr: no memory.
    [[nodiscard]] void* allocate();
    // An object of this cache. Panics if it is free already.
    void free(void* object);

    SlabStatistics statistics();
    // Empties this CPU's magazine and gives the slabs back of which nothing is in use.
    void drain();

    // The caches that have been used, in no order.
    template <class Function> static void for_each(Function function) {
        for (std::atomic<SlabCache*>& entry : g_registry)
            // acquire pairs with the release in register_locked().
            if (SlabCache* cache = entry.load(std::memory_order_acquire)) function(*cache);
    }
    // relaxed: the id came from an object of the cache.
    static SlabCache& by_id(u8 id) { return *g_registry[id].load(std::memory_order_relaxed); }
    // Boot: none has been used.
    static void forget_all();

private:
    // A CPU's free objects of one cache. Its owner changes it, interrupts off; others read the count, for statistics.
    struct Magazine {
        static constexpr u32 kSlots = 31;
        std::atomic<u32> count{0};
        void* objects[kSlots] = {};
    };
    static constexpr usize kMaxCaches = 48;
    struct Magazines {
        Magazine of[kMaxCaches];  // by cache id; 0 is every cache's before its first allocation, and always empty
    };
    using SlabList =
        boost::intrusive::list<Frame,
                               boost::intrusive::member_hook<Frame, boost::intrusive::list_member_hook<>, &Frame::link>,
                               boost::intrusive::constant_time_size<false>>;
    static constexpr u64 kKeepEmpty = 1;  // slabs without a used object that are not given back at once

    // The smallest slab that holds at least four objects and wastes at most an eighth.
    static constexpr u8 order_for(usize size) {
        for (u8 order = 0; order < kMaxSlabOrder; ++order) {
            const usize bytes = kPageSize << order;
            if (bytes / size >= 4 && bytes % size * 8 <= bytes) return order;
        }
        return kMaxSlabOrder;
    }

    static u64 free_mark(const void* object) { return g_secret ^ reinterpret_cast<u64>(object); }

    // These with interrupts off. Not checked here: it would be a tenth of an allocation, and the callers begin with it.
    Magazine& magazine() {
        return g_magazines.unchecked().of[id_.load(std::memory_order_relaxed)];  // relaxed: any value will do
    }
    bool refill();
    void flush(Magazine& magazine, u32 keep);

    void register_locked() REQUIRES(lock_);
    bool add_slab_locked() REQUIRES(lock_);
    void* take_locked() REQUIRES(lock_);
    void put_back_locked(void* object) REQUIRES(lock_);
    void release_slab_locked(Frame& slab) REQUIRES(lock_);

    // Constant.
    const char* name_;
    u32 size_;
    u8 order_;
    u16 per_slab_;
    u16 limit_;  // objects in a magazine: fewer of larger ones

    std::atomic<u8> id_{0};  // 0: not registered
    core::IrqSpinlock lock_{core::Rank::SlabDepot};
    Late<SlabList> partial_ GUARDED_BY(lock_);  // slabs with a free object; those without a used one at the end
    u64 slabs_ GUARDED_BY(lock_) = 0;
    u64 empty_slabs_ GUARDED_BY(lock_) = 0;  // of these without a used object
    u64 objects_out_ GUARDED_BY(lock_) = 0;  // in use or in a magazine

    static core::PerCpu<Magazines, core::PerCpuPolicy::kIrqsOff> g_magazines;
    static std::atomic<SlabCache*> g_registry[kMaxCaches];  // by id; ids are given in order and never taken back
    static std::atomic<u8> g_last_id;
    static u64 g_secret;  // set once, at boot
};

}  // namespace hd::mm
