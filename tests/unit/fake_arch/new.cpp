// SPDX-License-Identifier: MIT
// The kernel's `new (std::nothrow)`, which a test may let fail.
#include <new>

#include "tests/unit/fake_arch/machine.hpp"

std::atomic<hd::u64> hd::fake::g_news_left{~hd::u64{0}};

namespace {

void* allocate(std::size_t bytes) noexcept {
    if (hd::fake::g_news_left == 0) return nullptr;
    --hd::fake::g_news_left;
    return ::operator new(bytes);
}

}  // namespace

void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
