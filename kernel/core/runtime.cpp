// SPDX-License-Identifier: MIT
// What the compiler and the header-only libraries expect from a C++ runtime. A broken precondition of a library is a bug in
// the kernel: a panic.
#include <string_view>  // declares __throw_out_of_range_fmt()

#include "kernel/core/panic.hpp"

// glibc's <cassert>, through Boost.Intrusive.
extern "C" [[noreturn]] void __assert_fail(const char* condition, const char* file, unsigned line,
                                           const char* function);
extern "C" void __assert_fail(const char* condition, const char* file, unsigned line, const char*) {
    hd::core::assertion_failed("library assertion", condition, file, static_cast<int>(line));
}

// The same by newlib's <cassert>, which the bare cross toolchain has.
extern "C" [[noreturn]] void __assert_func(const char* file, int line, const char* function, const char* condition);
extern "C" void __assert_func(const char* file, int line, const char*, const char* condition) {
    hd::core::assertion_failed("library assertion", condition, file, line);
}

extern "C" [[noreturn]] void __cxa_pure_virtual();
extern "C" void __cxa_pure_virtual() {
    hd::core::panic("a pure virtual function was called: an object is used while it is made or destroyed");
}

// libstdc++'s checks: string_view::substr and the like.
namespace std {
void __throw_out_of_range_fmt(const char* format, ...) {
    hd::core::panic("a library function was called out of range: {}", format);
}
}  // namespace std
