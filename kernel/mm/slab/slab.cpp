// SPDX-License-Identifier: MIT
// kmalloc: a cache for each common size; what is larger than a page comes straight from the frame allocator.
#include "kernel/mm/slab/slab.hpp"

#include <array>
#include <bit>

#include "kernel/mm/phys/frame.hpp"
#include "kernel/mm/slab/slab_cache.hpp"
#include "kernel/mm/slab/slab_word.hpp"

namespace hd::mm {

namespace {

constexpr usize kLargest = 64 << 10;
constexpr usize kLargestClass = kPageSize;

constinit SlabCache g_classes[] = {
    {"kmalloc-16", 16, 16},      {"kmalloc-32", 32, 32},       {"kmalloc-48", 48, 16},
    {"kmalloc-64", 64, 64},      {"kmalloc-96", 96, 32},       {"kmalloc-128", 128, 128},
    {"kmalloc-192", 192, 64},    {"kmalloc-256", 256, 256},    {"kmalloc-384", 384, 128},
    {"kmalloc-512", 512, 512},   {"kmalloc-768", 768, 256},    {"kmalloc-1024", 1024, 1024},
    {"kmalloc-1536", 1536, 512}, {"kmalloc-2048", 2048, 2048}, {"kmalloc-4096", 4096, 4096},
};
constexpr u16 kClassSizes[] = {16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096};
static_assert(std::size(g_classes) == std::size(kClassSizes));

// The class for a size, by its number of 16-byte units.
constexpr auto kClassOfUnits = [] {
    std::array<u8, kLargestClass / 16 + 1> table{};
    u8 size_class = 0;
    for (usize units = 0; units < table.size(); ++units) {
        while (kClassSizes[size_class] < units * 16) ++size_class;
        table[units] = size_class;
    }
    return table;
}();

void* allocate_large(usize bytes) {
    if (bytes > kLargest) return nullptr;
    const auto block = allocate_frames(static_cast<u32>(std::bit_width((bytes - 1) / kPageSize)), Zero::No);
    if (!block) return nullptr;
    SlabWord{{0}, 0, 0, 0, SlabWord::Tag::Large}.store_to(**block);
    return bytes_of(**block);
}

}  // namespace

void* kmalloc(usize bytes) {
    if (bytes > kLargestClass) [[unlikely]]
        return allocate_large(bytes);
    return g_classes[kClassOfUnits[(bytes + 15) / 16]].allocate();
}

void kfree(void* object) {
    if (object == nullptr) return;
    Frame& frame = frame_of_direct_map(object);
    const SlabWord word = SlabWord::of(frame);
    if (word.of_slab()) [[likely]]
        return SlabCache::by_id(word.cache_id).free(object);
    if (word.tag != SlabWord::Tag::Large || object != bytes_of(frame))
        core::panic("there is no kmalloc object at {}", object);
    SlabWord{{0}, 0, 0, 0, SlabWord::Tag::None}.store_to(frame);
    frame.unref();
}

void slab_init() { SlabCache::forget_all(); }

void for_each_slab(void (*visit)(const SlabStatistics&, void* argument), void* argument) {
    SlabCache::for_each([&](SlabCache& cache) { visit(cache.statistics(), argument); });
}

u64 slab_frames() {
    u64 frames = 0;
    SlabCache::for_each([&](SlabCache& cache) {
        const SlabStatistics numbers = cache.statistics();
        frames += numbers.slabs * numbers.frames_per_slab;
    });
    return frames;
}

void drain_slabs() {
    SlabCache::for_each([](SlabCache& cache) { cache.drain(); });
}

}  // namespace hd::mm
