// SPDX-License-Identifier: MIT
// User memory. A UserPtr is an address that a program gave us: a number that proves nothing. The only ways through it are
// the copies below, which check the range and survive any fault: EFAULT. Task context, may sleep (page faults).
#pragma once
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "arch/paging.hpp"
#include "arch/user.hpp"
#include "kernel/core/context.hpp"
#include "kernel/lib/result.hpp"

namespace hd::mm {

inline bool is_user_range(u64 address, u64 size) {
    return size <= arch::kUserEnd.raw && address <= arch::kUserEnd.raw - size;
}

inline Result<> copy_from_user(void* to, u64 from, usize size) {
    core::assert_may_sleep();
    if (!is_user_range(from, size) || arch::copy_from_user_raw(to, from, size) != 0) return fail(Errno::kEFAULT);
    return {};
}
inline Result<> copy_to_user(u64 to, const void* from, usize size) {
    core::assert_may_sleep();
    if (!is_user_range(to, size) || arch::copy_to_user_raw(to, from, size) != 0) return fail(Errno::kEFAULT);
    return {};
}
// A futex word, in one load: no torn value may be compared. EFAULT.
inline Result<u32> load_user_word(u64 address) {
    core::assert_may_sleep();
    u32 value = 0;
    if (!is_user_range(address, sizeof value) || !arch::user_load_u32(address, value)) return fail(Errno::kEFAULT);
    return value;
}
// Compares and exchanges it, atomically; the value that was there. EFAULT.
inline Result<u32> exchange_user_word(u64 address, u32 expected, u32 desired) {
    core::assert_may_sleep();
    if (!is_user_range(address, sizeof(u32)) || !arch::user_compare_exchange(address, expected, desired))
        return fail(Errno::kEFAULT);
    return expected;
}
// The same two in any context, with locks held, where a page fault cannot be served; nullopt: one would be needed.
inline std::optional<u32> try_load_user_word(u64 address) {
    const core::PreemptGuard guard;
    u32 value = 0;
    return arch::user_load_u32(address, value) ? std::optional(value) : std::nullopt;
}
inline std::optional<u32> try_exchange_user_word(u64 address, u32 expected, u32 desired) {
    const core::PreemptGuard guard;
    return arch::user_compare_exchange(address, expected, desired) ? std::optional(expected) : std::nullopt;
}
// What makes the latter succeed, unless the page goes again meanwhile. EFAULT.
inline Result<> make_user_word_writable(u64 address) {
    TRY(exchange_user_word(address, 0, 0));
    return {};
}
// A NUL-terminated string into `buffer`. ENAMETOOLONG if it does not fit with its NUL.
Result<std::string_view> copy_string_from_user(std::span<char> buffer, u64 from);

template <class T> class UserPtr {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    constexpr UserPtr() = default;
    constexpr explicit UserPtr(u64 address) : address_(address) {}
    constexpr u64 address() const { return address_; }
    constexpr explicit operator bool() const { return address_ != 0; }
    constexpr UserPtr operator+(u64 elements) const { return UserPtr{address_ + elements * sizeof(T)}; }
    Result<T> load() const {
        T value;
        TRY(copy_from_user(&value, address_, sizeof(T)));
        return value;
    }
    Result<> store(const T& value) const { return copy_to_user(address_, &value, sizeof(T)); }

private:
    u64 address_ = 0;
};

}  // namespace hd::mm
