// SPDX-License-Identifier: MIT
// C++'s allocation functions are kmalloc's, all of the kind that answers nullptr. The throwing ones stay undefined: a
// plain `new T` is a link error, so nobody forgets that an allocation may fail. Context: as kmalloc.
#include <algorithm>
#include <bit>
#include <new>

#include "kernel/mm/phys/frame.hpp"
#include "kernel/mm/slab/slab.hpp"

const std::nothrow_t std::nothrow{};

namespace {

// kmalloc aligns powers of two to themselves, up to a page, and anything larger to a page.
void* allocate_aligned(std::size_t bytes, std::align_val_t alignment) {
    const auto wanted = static_cast<std::size_t>(alignment);
    ASSERT(wanted <= hd::mm::kPageSize, "no object is aligned to more than a page");
    return hd::mm::kmalloc(bytes > hd::mm::kPageSize ? bytes : std::bit_ceil(std::max(bytes, wanted)));
}

}  // namespace

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return hd::mm::kmalloc(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return hd::mm::kmalloc(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate_aligned(bytes, alignment);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return allocate_aligned(bytes, alignment);
}

void operator delete(void* object) noexcept { hd::mm::kfree(object); }
void operator delete[](void* object) noexcept { hd::mm::kfree(object); }
void operator delete(void* object, std::size_t) noexcept { hd::mm::kfree(object); }
void operator delete[](void* object, std::size_t) noexcept { hd::mm::kfree(object); }
void operator delete(void* object, std::align_val_t) noexcept { hd::mm::kfree(object); }
void operator delete[](void* object, std::align_val_t) noexcept { hd::mm::kfree(object); }
void operator delete(void* object, std::size_t, std::align_val_t) noexcept { hd::mm::kfree(object); }
void operator delete[](void* object, std::size_t, std::align_val_t) noexcept { hd::mm::kfree(object); }
