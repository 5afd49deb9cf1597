// SPDX-License-Identifier: MIT
// `struct Vma : CachedBy<Vma> { static constexpr const char* kCacheName = "vma"; … }` gives a class a slab cache of its
// own, named so in slabinfo: new (std::nothrow) Vma and delete use it. Classes derived from T come from kmalloc.
#pragma once
#include "kernel/mm/slab/slab_cache.hpp"

namespace hd::mm {

template <class T> class CachedBy {
public:
    [[nodiscard]] static void* operator new(usize bytes, const std::nothrow_t&) noexcept {
        static_assert(sizeof(T) <= SlabCache::kMaxSize, "too large for a slab: allocate frames");
        return bytes == sizeof(T) ? g_cache.allocate() : kmalloc(bytes);
    }
    static void* operator new(usize, void* place) noexcept { return place; }
    static void operator delete(void* object) noexcept { kfree(object); }

private:
    static inline constinit SlabCache g_cache{T::kCacheName, sizeof(T), alignof(T)};
};

}  // namespace hd::mm
