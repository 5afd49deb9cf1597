// SPDX-License-Identifier: MIT
// A set of CPUs, as a value. See AtomicCpuMask for sets that several CPUs change.
#pragma once
#include <atomic>
#include <bit>

#include "kernel/lib/types.hpp"

namespace hd {

class CpuMask {
public:
    constexpr CpuMask() = default;
    constexpr explicit CpuMask(u64 bits) : bits_(bits) {}
    static constexpr CpuMask of(CpuId cpu) { return CpuMask{u64{1} << cpu.raw}; }
    static constexpr CpuMask all() { return CpuMask{~u64{0}}; }
    constexpr bool has(CpuId cpu) const { return (bits_ >> cpu.raw & 1) != 0; }
    constexpr bool empty() const { return bits_ == 0; }
    constexpr u32 count() const { return static_cast<u32>(std::popcount(bits_)); }
    constexpr CpuId first() const { return CpuId{static_cast<u32>(std::countr_zero(bits_))}; }  // of a set not empty
    constexpr CpuMask with(CpuId cpu) const { return CpuMask{bits_ | of(cpu).bits_}; }
    constexpr CpuMask without(CpuId cpu) const { return CpuMask{bits_ & ~of(cpu).bits_}; }
    constexpr CpuMask without(CpuMask others) const { return CpuMask{bits_ & ~others.bits_}; }
    constexpr CpuMask operator&(CpuMask other) const { return CpuMask{bits_ & other.bits_}; }
    constexpr CpuMask operator|(CpuMask other) const { return CpuMask{bits_ | other.bits_}; }
    constexpr u64 bits() const { return bits_; }
    friend constexpr bool operator==(CpuMask, CpuMask) = default;
    template <class Function> void for_each(Function function) const {
        for (u64 rest = bits_; rest != 0; rest &= rest - 1) function(CpuId{static_cast<u32>(std::countr_zero(rest))});
    }

private:
    static_assert(kMaxCpus <= 64, "a CPU mask is one word");
    u64 bits_ = 0;
};

// Every operation is sequentially consistent: the users' proofs (TLB shootdown, idle CPUs) order it against other words.
class AtomicCpuMask {
public:
    constexpr explicit AtomicCpuMask(CpuMask initial = {}) : bits_(initial.bits()) {}
    void add(CpuId cpu) { bits_.fetch_or(CpuMask::of(cpu).bits()); }
    void remove(CpuId cpu) { bits_.fetch_and(~CpuMask::of(cpu).bits()); }
    CpuMask load() const { return CpuMask{bits_.load()}; }

private:
    std::atomic<u64> bits_{0};
};

}  // namespace hd
