// SPDX-License-Identifier: MIT
// Objects of one size, in slabs of a few frames, with a magazine of free objects for each CPU in front (Bonwick and
// Adams, "Magazines and Vmem", USENIX 2001). Freed objects are poisoned in the default build; a free of something that
// is not an allocated object of the cache panics where it can be told.
//
// Context: any but NMI. IrqSpinlock of rank SlabDepot only when a magazine is empty or full. Never sleeps: ENOMEM.
#pragma once
#include <memory>
#include <new>

#include "kernel/lib/ref.hpp"
#include "kernel/lib/result.hpp"

namespace hd::mm {

// kmalloc: any size up to 64 KiB from caches of common sizes, aligned to 16 (to the size for powers of two up to a
// page). nullptr: no memory.
[[nodiscard]] void* kmalloc(usize bytes);
void kfree(void* object);

// Boot: after frames_init().
void slab_init();

// A line of /proc/slabinfo.
struct SlabStatistics {
    const char* name;
    u64 active_objects, total_objects, object_size, objects_per_slab, frames_per_slab, slabs;
};
// Calls `visit` for every cache; takes no lock over the call.
void for_each_slab(void (*visit)(const SlabStatistics&, void* argument), void* argument);
u64 slab_frames();  // frames held by all caches, for /proc/meminfo

// Gives empty slabs and this CPU's magazines back.
void drain_slabs();

// new T(...) with an error instead of an exception. The kernel's `new` is kmalloc (kernel/mm/slab/new.cpp).
template <class T, class... Arguments> Result<std::unique_ptr<T>> make(Arguments&&... arguments) {
    T* object = new (std::nothrow) T(std::forward<Arguments>(arguments)...);
    if (object == nullptr) return fail(Errno::kENOMEM);
    return std::unique_ptr<T>(object);
}
// Elements of a plain type are not initialised.
template <class T> Result<std::unique_ptr<T[]>> make_array(usize count) {
    std::unique_ptr<T[]> array(new (std::nothrow) T[count]);
    if (!array) return fail(Errno::kENOMEM);
    return array;
}
template <class T, class... Arguments> Result<RefPtr<T>> make_ref(Arguments&&... arguments) {
    T* object = new (std::nothrow) T(std::forward<Arguments>(arguments)...);
    if (object == nullptr) return fail(Errno::kENOMEM);
    return RefPtr<T>(kAdoptRef, object);
}

}  // namespace hd::mm
