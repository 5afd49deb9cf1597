// SPDX-License-Identifier: MIT
// Tests that run inside the kernel, on all CPUs, with real interrupts: tests/kernel. They are linked into test builds only
// and register themselves through a linker section; the option `ktest` on the command line runs them instead of /init.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::core {

struct KernelTest {
    const char* name;
    void (*function)();
};

// Runs every test in a thread of its own kind: task context, may sleep. Prints a line a test and, last, `N passed, N failed`.
// Returns how many failed; no test at all counts as one failure.
u32 run_kernel_tests();

// Reports a failed CHECK of the test that runs now; it goes on.
void kernel_test_failed(const char* condition, const char* file, int line);

}  // namespace hd::core

#define KERNEL_TEST(identifier)                                                                                \
    static void identifier();                                                                                  \
    [[gnu::section("kernel_tests"), gnu::used]] static const ::hd::core::KernelTest identifier##_registration{ \
        #identifier, identifier};                                                                              \
    static void identifier()

#define KERNEL_CHECK(condition) ((condition) ? void() : ::hd::core::kernel_test_failed(#condition, __FILE__, __LINE__))
