// SPDX-License-Identifier: MIT
// The build variant `explore`: the sources are compiled with -fsanitize=thread, which turns every atomic access into a call,
// but linked against the functions below instead of ThreadSanitizer's. So each atomic access of the kernel becomes a
// simulation point: the explorer can let another CPU go on, or an interrupt come, between any two of them.
#if defined(HD_EXPLORE_ATOMICS)
#include "tests/unit/fake_arch/cpus.hpp"

namespace {
HD_SIMULATOR void point() { hd::fake::atomic_point(); }
}  // namespace

// The compiler's interface: GCC's gcc/sanitizer.def, BUILT_IN_TSAN_*. All orders are treated as sequentially consistent.
#pragma GCC diagnostic ignored "-Wmissing-declarations"
extern "C" {

#define HD_FETCH(bits, T, name, builtin)                                              \
    HD_SIMULATOR T __tsan_atomic##bits##_##name(volatile void* place, T value, int) { \
        point();                                                                      \
        return builtin(static_cast<volatile T*>(place), value, __ATOMIC_SEQ_CST);     \
    }
#define HD_EXCHANGE(bits, T, name)                                                                                     \
    HD_SIMULATOR bool __tsan_atomic##bits##_##name(volatile void* place, void* expected, T desired, int, int) {        \
        point();                                                                                                       \
        return __atomic_compare_exchange_n(static_cast<volatile T*>(place), static_cast<T*>(expected), desired, false, \
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                                        \
    }
#define HD_ATOMIC(bits, T)                                                               \
    HD_SIMULATOR T __tsan_atomic##bits##_load(const volatile void* place, int) {         \
        point();                                                                         \
        return __atomic_load_n(static_cast<const volatile T*>(place), __ATOMIC_SEQ_CST); \
    }                                                                                    \
    HD_SIMULATOR void __tsan_atomic##bits##_store(volatile void* place, T value, int) {  \
        point();                                                                         \
        __atomic_store_n(static_cast<volatile T*>(place), value, __ATOMIC_SEQ_CST);      \
    }                                                                                    \
    HD_FETCH(bits, T, exchange, __atomic_exchange_n)                                     \
    HD_FETCH(bits, T, fetch_add, __atomic_fetch_add)                                     \
    HD_FETCH(bits, T, fetch_sub, __atomic_fetch_sub)                                     \
    HD_FETCH(bits, T, fetch_and, __atomic_fetch_and)                                     \
    HD_FETCH(bits, T, fetch_or, __atomic_fetch_or)                                       \
    HD_FETCH(bits, T, fetch_xor, __atomic_fetch_xor)                                     \
    HD_EXCHANGE(bits, T, compare_exchange_strong)                                        \
    HD_EXCHANGE(bits, T, compare_exchange_weak)
HD_ATOMIC(8, unsigned char)
HD_ATOMIC(16, unsigned short)
HD_ATOMIC(32, unsigned int)
HD_ATOMIC(64, unsigned long)

HD_SIMULATOR void __tsan_atomic_thread_fence(int) { point(); }
HD_SIMULATOR void __tsan_atomic_signal_fence(int) {}

// Plain accesses and calls are reported too, and are not interesting here.
#define HD_IGNORE(name)                       \
    HD_SIMULATOR void __tsan_##name(void*) {} \
    static_assert(true)
HD_IGNORE(func_entry);
HD_IGNORE(read1);
HD_IGNORE(read2);
HD_IGNORE(read4);
HD_IGNORE(read8);
HD_IGNORE(read16);
HD_IGNORE(write1);
HD_IGNORE(write2);
HD_IGNORE(write4);
HD_IGNORE(write8);
HD_IGNORE(write16);
HD_IGNORE(unaligned_read2);
HD_IGNORE(unaligned_read4);
HD_IGNORE(unaligned_read8);
HD_IGNORE(unaligned_read16);
HD_IGNORE(unaligned_write2);
HD_IGNORE(unaligned_write4);
HD_IGNORE(unaligned_write8);
HD_IGNORE(unaligned_write16);
HD_IGNORE(volatile_read1);
HD_IGNORE(volatile_read2);
HD_IGNORE(volatile_read4);
HD_IGNORE(volatile_read8);
HD_IGNORE(volatile_write1);
HD_IGNORE(volatile_write2);
HD_IGNORE(volatile_write4);
HD_IGNORE(volatile_write8);
HD_IGNORE(vptr_read);
HD_SIMULATOR void __tsan_init() {}
HD_SIMULATOR void __tsan_func_exit(void*) {}
HD_SIMULATOR void __tsan_vptr_update(void*, void*) {}
HD_SIMULATOR void __tsan_read_range(void*, long) {}
HD_SIMULATOR void __tsan_write_range(void*, long) {}
}
#endif
