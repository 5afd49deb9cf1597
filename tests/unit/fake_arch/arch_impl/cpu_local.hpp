// SPDX-License-Identifier: MIT
// CpuLocal of a simulated CPU. Which CPU the host's thread plays is machine.cpp's secret; every access is a point at which
// another simulated CPU may go on, or an interrupt may come. Included by arch/cpu_local.hpp only.
#pragma once

namespace hd::arch {

namespace detail {
template <class T> struct MemberOf;
template <class T> struct MemberOf<T CpuLocal::*> {
    using Type = T;
};
template <auto Member> using MemberType = typename MemberOf<decltype(Member)>::Type;

void simulation_point();
}  // namespace detail

CpuLocal& cpu_local();

template <auto Member> detail::MemberType<Member> local_load() {
    detail::simulation_point();
    return cpu_local().*Member;
}

template <auto Member> void local_store(detail::MemberType<Member> value) {
    detail::simulation_point();
    cpu_local().*Member = value;
}

template <auto Member> void local_add(u32 amount) {
    detail::simulation_point();
    cpu_local().*Member += amount;
}

template <auto Member> bool local_sub_is_zero(u32 amount) {
    detail::simulation_point();
    return (cpu_local().*Member -= amount) == 0;
}

}  // namespace hd::arch
