// SPDX-License-Identifier: MIT
// Result<T>: a value, or the Errno that says why there is none. Nothing in the kernel throws.
#pragma once
#include <expected>
#include <utility>

#include "kernel/abi/errno.hpp"

namespace hd {

template <class T = void> using Result = std::expected<T, Errno>;

// For the few hot functions that return a bare Errno: it went well.
inline constexpr Errno kNoError{};

// `return fail(Errno::kENOENT);`
inline std::unexpected<Errno> fail(Errno error) { return std::unexpected<Errno>(error); }

// TRY(expr): the value of a Result, or an early return of its error from the enclosing function. The only macro that
// hides a return; a statement expression (GCC and clang have it) keeps it usable inside larger expressions.
#define TRY(expression) HD_TRY_NAMED(expression, HD_TRY_NAME(try_result_, __COUNTER__))
// A name of its own for each use, so that one TRY may stand inside another.
#define HD_TRY_NAME(prefix, number) HD_TRY_PASTE(prefix, number)
#define HD_TRY_PASTE(prefix, number) prefix##number
#define HD_TRY_NAMED(expression, result)                         \
    ({                                                           \
        auto&& result = (expression);                            \
        if (!result.has_value()) [[unlikely]]                    \
            return std::unexpected<::hd::Errno>(result.error()); \
        ::hd::detail::take_value(result);                        \
    })

namespace detail {
template <class Expected> auto take_value(Expected& result) {
    if constexpr (!std::is_void_v<typename std::remove_const_t<Expected>::value_type>) return std::move(*result);
}
}  // namespace detail

}  // namespace hd
