// SPDX-License-Identifier: MIT
// Room for an object that a boot step constructs in place: for globals and per-CPU variables of types whose constructors are
// not constant expressions (Boost.Intrusive's containers). Never destroyed.
#pragma once
#include <memory>
#include <utility>

#include "kernel/lib/types.hpp"

namespace hd {

template <class T> class LateInit {
public:
    constexpr LateInit() = default;
    template <class... Arguments> T& construct(Arguments&&... arguments) {
        return *std::construct_at(reinterpret_cast<T*>(bytes_), std::forward<Arguments>(arguments)...);
    }
    // Only after construct().
    T& operator*() { return *std::launder(reinterpret_cast<T*>(bytes_)); }
    T* operator->() { return &**this; }

private:
    alignas(T) u8 bytes_[sizeof(T)] = {};
};

}  // namespace hd
