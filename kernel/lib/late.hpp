// SPDX-License-Identifier: MIT
// Storage for a global object whose constructor cannot run at compile time: a list of Boost.Intrusive points into
// itself. The kernel runs no constructors before main and no destructors after it; an init function calls construct(),
// once.
#pragma once
#include <cstddef>
#include <new>
#include <utility>

namespace hd {

template <class T> class Late {
public:
    constexpr Late() = default;
    template <class... Arguments> T& construct(Arguments&&... arguments) {
        return *new (storage_) T(std::forward<Arguments>(arguments)...);
    }
    T& operator*() { return *std::launder(reinterpret_cast<T*>(storage_)); }
    T* operator->() { return &**this; }

private:
    alignas(T) std::byte storage_[sizeof(T)]{};
};

}  // namespace hd
