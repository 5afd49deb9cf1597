// SPDX-License-Identifier: MIT
#include "kernel/core/ktest.hpp"

#include <atomic>

#include "kernel/core/log.hpp"

extern "C" const hd::core::KernelTest __start_kernel_tests[], __stop_kernel_tests[];  // by the linker

namespace hd::core {

namespace {
constinit std::atomic<u32> g_failed_checks{0};
}

void kernel_test_failed(const char* condition, const char* file, int line) {
    log::error("ktest:   {}:{}: {} does not hold", file, line, condition);
    g_failed_checks.fetch_add(1, std::memory_order_relaxed);  // read after the test's threads have ended
}

u32 run_kernel_tests() {
    u32 passed = 0, failed = 0;
    for (const KernelTest* test = __start_kernel_tests; test != __stop_kernel_tests; ++test) {
        g_failed_checks.store(0, std::memory_order_relaxed);
        log::info("ktest: {}", test->name);
        test->function();
        const bool good = g_failed_checks.load(std::memory_order_relaxed) == 0;
        log::info("ktest: {} {}", test->name, good ? "passed" : "FAILED");
        ++(good ? passed : failed);
    }
    if (passed + failed == 0) {
        log::error("ktest: this kernel has no tests linked in");
        ++failed;
    }
    log::info("ktest: {} passed, {} failed", passed, failed);
    return failed;
}

}  // namespace hd::core
