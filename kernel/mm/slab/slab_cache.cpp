// SPDX-License-Identifier: MIT
#include "kernel/mm/slab/slab_cache.hpp"

#include <algorithm>

#include "kernel/mm/slab/slab_word.hpp"

namespace hd::mm {

using core::IrqSpinlock;
using core::LockGuard;

HD_PERCPU core::PerCpu<SlabCache::Magazines, core::PerCpuPolicy::kIrqsOff> SlabCache::g_magazines;
constinit std::atomic<SlabCache*> SlabCache::g_registry[kMaxCaches] = {};
constinit std::atomic<u8> SlabCache::g_last_id{0};
constinit u64 SlabCache::g_secret = 0;

namespace {

constexpr u64 kFreshWord = 0xcdcd'cdcd'cdcd'cdcd;  // what a new object has for a second word

u64* words_of(void* object) { return static_cast<u64*>(object); }

}  // namespace

void SlabCache::forget_all() {
    for_each([](SlabCache& cache) {
        LockGuard<IrqSpinlock> guard(cache.lock_);
        cache.slabs_ = cache.empty_slabs_ = cache.objects_out_ = 0;
        g_registry[cache.id_.exchange(0)].store(nullptr);
    });
    g_last_id = 0;
    arch::hardware_random(&g_secret, sizeof g_secret);
}

void SlabCache::register_locked() {
    const auto id = static_cast<u8>(g_last_id.fetch_add(1, std::memory_order_relaxed) + 1);  // relaxed: just a number
    ASSERT(id < kMaxCaches, "more object caches than magazines: raise SlabCache::kMaxCaches");
    partial_.construct();
    g_registry[id].store(this, std::memory_order_release);  // pairs with for_each()
    id_.store(id, std::memory_order_relaxed);  // without the lock it only picks a magazine, and 0 is as right
}

void* SlabCache::allocate() {
    core::IrqGuard irqs_off;
    Magazine* mine = &magazine();
    u32 count = mine->count.load(std::memory_order_relaxed);  // relaxed, here and below: this CPU's own
    if (count == 0) [[unlikely]] {
        if (!refill()) return nullptr;
        mine = &magazine();
        count = mine->count.load(std::memory_order_relaxed);
    }
    void* object = mine->objects[--count];
    mine->count.store(count, std::memory_order_relaxed);
    u64* words = words_of(object);
    const u64 mark = free_mark(object);
    if (words[0] != mark || words[1] != mark) [[unlikely]]
        core::panic("an object of cache {} at {} was written to after it had been freed", name_, object);
    words[1] = kFreshWord;
    return object;
}

void SlabCache::free(void* object) {
    u64* words = words_of(object);
    const u64 mark = free_mark(object);
    if (words[1] == mark) [[unlikely]]
        core::panic("an object of cache {} at {} is freed twice", name_, object);
    core::IrqGuard irqs_off;
    Magazine& mine = magazine();
    if (mine.count.load(std::memory_order_relaxed) == limit_) [[unlikely]]
        flush(mine, limit_ / 2);
    words[0] = words[1] = mark;
    const u32 count = mine.count.load(std::memory_order_relaxed);
    mine.objects[count] = object;
    mine.count.store(count + 1, std::memory_order_relaxed);
}

bool SlabCache::refill() {
    LockGuard<IrqSpinlock> guard(lock_);
    if (id_.load(std::memory_order_relaxed) == 0) register_locked();
    Magazine& mine = magazine();
    u32 count = 0;
    while (count <= limit_ / 2u) {
        void* object = take_locked();
        if (object == nullptr) break;
        mine.objects[count++] = object;
    }
    mine.count.store(count, std::memory_order_relaxed);
    return count != 0;
}

void SlabCache::flush(Magazine& mine, u32 keep) {
    LockGuard<IrqSpinlock> guard(lock_);
    u32 count = mine.count.load(std::memory_order_relaxed);
    while (count > keep) put_back_locked(mine.objects[--count]);
    mine.count.store(count, std::memory_order_relaxed);
}

bool SlabCache::add_slab_locked() {
    const auto block = allocate_frames(order_, Zero::No);
    if (!block) return false;
    Frame* slab = *block;
    const u8 id = id_.load(std::memory_order_relaxed);  // registered: it does not change any more
    SlabWord{{SlabWord::kNoObject}, 0, 0, id, SlabWord::Tag::Slab}.store_to(*slab);
    for (u16 i = 1; i < 1 << order_; ++i) SlabWord{{i}, 0, 0, id, SlabWord::Tag::Tail}.store_to(slab[i]);
    partial_->push_front(*slab);
    ++slabs_;
    ++empty_slabs_;
    return true;
}

// Off the list already.
void SlabCache::release_slab_locked(Frame& slab) {
    for (u32 i = 0; i < 1u << order_; ++i) SlabWord{{0}, 0, 0, 0, SlabWord::Tag::None}.store_to((&slab)[i]);
    --slabs_;
    slab.unref();
}

void* SlabCache::take_locked() {
    if (partial_->empty() && !add_slab_locked()) return nullptr;
    Frame& slab = partial_->front();
    SlabWord word = SlabWord::of(slab);
    if (word.in_use == 0) --empty_slabs_;
    const bool fresh = word.first_free == SlabWord::kNoObject;
    const u16 index = fresh ? word.carved++ : word.first_free;
    u64* words = words_of(bytes_of(slab) + u64{index} * size_);
    const u64 mark = free_mark(words);
    if (!fresh) {
        const u64 next = words[0] ^ mark;
        if (words[1] != mark || next > SlabWord::kNoObject) [[unlikely]]
            core::panic("an object of cache {} at {} was written to after it had been freed", name_, words);
        word.first_free = static_cast<u16>(next);
    }
    words[0] = words[1] = mark;
    if (++word.in_use == per_slab_) partial_->pop_front();
    word.store_to(slab);
    ++objects_out_;
    return words;
}

void SlabCache::put_back_locked(void* object) {
    Frame* slab = &frame_of_direct_map(object);
    SlabWord word = SlabWord::of(*slab);
    if (word.tag == SlabWord::Tag::Tail) {
        slab -= word.distance;
        word = SlabWord::of(*slab);
    }
    const auto offset = static_cast<u64>(static_cast<u8*>(object) - bytes_of(*slab));
    const auto index = static_cast<u16>(offset / size_);
    if (offset % size_ != 0 || index >= word.carved) [[unlikely]]
        core::panic("what was freed to cache {} at {} is not an object", name_, object);
    words_of(object)[0] = free_mark(object) ^ word.first_free;
    word.first_free = index;
    if (word.in_use == per_slab_) partial_->push_front(*slab);
    --word.in_use;
    word.store_to(*slab);
    --objects_out_;
    if (word.in_use != 0) return;
    partial_->erase(partial_->iterator_to(*slab));
    if (empty_slabs_ == kKeepEmpty) return release_slab_locked(*slab);
    partial_->push_back(*slab);
    ++empty_slabs_;
}

void SlabCache::drain() {
    core::IrqGuard irqs_off;
    flush(magazine(), 0);
    LockGuard<IrqSpinlock> guard(lock_);
    for (; empty_slabs_ != 0; --empty_slabs_) {
        Frame& slab = partial_->back();
        partial_->pop_back();
        release_slab_locked(slab);
    }
}

SlabStatistics SlabCache::statistics() {
    LockGuard<IrqSpinlock> guard(lock_);
    u64 cached = 0;
    core::online_cpus().for_each([&](CpuId cpu) {
        // relaxed: the other CPUs go on meanwhile, so the sum may be out by a few.
        cached += g_magazines.on(cpu).of[id_.load(std::memory_order_relaxed)].count.load(std::memory_order_relaxed);
    });
    return {
        .name = name_,
        .active_objects = objects_out_ - std::min(cached, objects_out_),
        .total_objects = slabs_ * per_slab_,
        .object_size = size_,
        .objects_per_slab = per_slab_,
        .frames_per_slab = u64{1} << order_,
        .slabs = slabs_,
    };
}

}  // namespace hd::mm
