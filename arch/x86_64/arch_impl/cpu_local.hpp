// SPDX-License-Identifier: MIT
// CpuLocal through the GS segment. In kernel mode the GS base always points to this CPU's CpuLocal (entry.S sees to
// it). Included by arch/cpu_local.hpp only.
#pragma once
#include <array>

namespace hd::arch {

// All CPUs', by number: entry code computes their addresses. The boot CPU's is in use from the first line of C++ on.
extern "C" std::array<CpuLocal, kMaxCpus> g_cpu_locals;

namespace detail {
template <class T> struct MemberOf;
template <class T> struct MemberOf<T CpuLocal::*> {
    using Type = T;
};
template <auto Member> using MemberType = typename MemberOf<decltype(Member)>::Type;
}  // namespace detail

// The member's offset as an immediate operand; nothing at address 0 is read.
#define HD_CPU_LOCAL_OFFSET(Member) "i"(&(static_cast<CpuLocal*>(nullptr)->*Member))

inline CpuLocal& cpu_local() {
    CpuLocal* self;
    asm volatile("movq %%gs:0, %0" : "=r"(self));  // volatile: after a switch it may be another CPU's
    return *self;
}

template <auto Member> detail::MemberType<Member> local_load() {
    detail::MemberType<Member> value;
    asm volatile("mov %%gs:%c1, %0" : "=r"(value) : HD_CPU_LOCAL_OFFSET(Member));
    return value;
}

template <auto Member> void local_store(detail::MemberType<Member> value) {
    asm volatile("mov %0, %%gs:%c1" : : "r"(value), HD_CPU_LOCAL_OFFSET(Member) : "memory");
}

// The memory clobbers keep accesses inside the critical section that the change of preempt_count opens or closes.
template <auto Member> void local_add(u32 amount) {
    static_assert(sizeof(detail::MemberType<Member>) == 4);
    asm volatile("addl %0, %%gs:%c1" : : "ri"(amount), HD_CPU_LOCAL_OFFSET(Member) : "memory", "cc");
}

template <auto Member> bool local_sub_is_zero(u32 amount) {
    static_assert(sizeof(detail::MemberType<Member>) == 4);
    bool zero;
    asm volatile("subl %1, %%gs:%c2" : "=@ccz"(zero) : "ri"(amount), HD_CPU_LOCAL_OFFSET(Member) : "memory");
    return zero;
}

#undef HD_CPU_LOCAL_OFFSET

}  // namespace hd::arch
