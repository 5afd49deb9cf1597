// SPDX-License-Identifier: MIT
// The kernel's vocabulary of numbers. Addresses, frame numbers, CPU numbers, process ids and times are distinct types:
// mixing them up is a compile error, not a bug report.
#pragma once
#include <compare>
#include <cstddef>
#include <cstdint>

namespace hd {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
using usize = std::size_t;

// A number that is not interchangeable with other numbers. `raw` is public: the type documents, it does not hide.
template <class Tag, class Rep> struct Strong {
    Rep raw{};
    constexpr Strong() = default;
    constexpr explicit Strong(Rep value) : raw(value) {}
    friend constexpr auto operator<=>(Strong, Strong) = default;
};

// An address: offsets may be added, two of a kind subtracted.
template <class Tag> struct Address : Strong<Tag, u64> {
    using Strong<Tag, u64>::Strong;
    constexpr Address operator+(u64 bytes) const { return Address{this->raw + bytes}; }
    constexpr Address operator-(u64 bytes) const { return Address{this->raw - bytes}; }
    constexpr u64 operator-(Address other) const { return this->raw - other.raw; }
    constexpr Address& operator+=(u64 bytes) { return this->raw += bytes, *this; }
    // `alignment` is a power of two.
    constexpr Address align_down(u64 alignment) const { return Address{this->raw & ~(alignment - 1)}; }
    constexpr Address align_up(u64 alignment) const { return Address{(this->raw + alignment - 1) & ~(alignment - 1)}; }
    constexpr bool is_aligned(u64 alignment) const { return (this->raw & (alignment - 1)) == 0; }
    friend constexpr auto operator<=>(Address, Address) = default;
};

using PhysAddr = Address<struct PhysTag>;
using VirtAddr = Address<struct VirtTag>;  // kernel or user; what is user memory is decided by mm::UserPtr
using CpuId = Strong<struct CpuTag, u32>;  // dense, 0 is the boot CPU
using Pid = Strong<struct PidTag, i32>;    // also thread ids, process-group and session ids: one number space (Linux)

inline VirtAddr virt_of(const volatile void* pointer) { return VirtAddr{reinterpret_cast<u64>(pointer)}; }

// A duration, or a point of a clock that the context names.
struct Nanoseconds : Strong<struct NanosecondsTag, i64> {
    using Strong::Strong;
    constexpr Nanoseconds operator+(Nanoseconds other) const { return Nanoseconds{raw + other.raw}; }
    constexpr Nanoseconds operator-(Nanoseconds other) const { return Nanoseconds{raw - other.raw}; }
    constexpr Nanoseconds& operator+=(Nanoseconds other) { return raw += other.raw, *this; }
    friend constexpr auto operator<=>(Nanoseconds, Nanoseconds) = default;
    static constexpr Nanoseconds max() { return Nanoseconds{INT64_MAX}; }
};
constexpr Nanoseconds seconds(i64 n) { return Nanoseconds{n * 1'000'000'000}; }
constexpr Nanoseconds milliseconds(i64 n) { return Nanoseconds{n * 1'000'000}; }
constexpr Nanoseconds microseconds(i64 n) { return Nanoseconds{n * 1'000}; }

// A CPU count limit for static tables: the xAPIC's 8-bit ids allow 255.
inline constexpr u32 kMaxCpus = 64;

template <class T> constexpr T align_up(T value, T alignment) { return (value + alignment - 1) & ~(alignment - 1); }
template <class T> constexpr T align_down(T value, T alignment) { return value & ~(alignment - 1); }

}  // namespace hd
