// SPDX-License-Identifier: MIT
#include "kernel/core/uts.hpp"

#include <cstring>

#include "kernel/core/spinlock.hpp"

namespace hd::core {

namespace {

constinit Spinlock g_lock{Rank::FsContext};
constinit abi::Utsname g_names GUARDED_BY(g_lock){
    .sysname = "Linux",
    .nodename = "heddle",
    .release = "6.1.0-heddle",
    .version = "#1 SMP PREEMPT Heddle",
    .machine = "x86_64",
    .domainname = "(none)",
};

Result<> set(char (abi::Utsname::*which)[abi::Utsname::kFieldSize], std::string_view name) {
    if (name.size() >= abi::Utsname::kFieldSize) return fail(Errno::kEINVAL);
    LockGuard guard(g_lock);
    auto& field = g_names.*which;
    std::memset(field, 0, sizeof field);
    std::memcpy(field, name.data(), name.size());
    return {};
}

}  // namespace

abi::Utsname system_names() {
    LockGuard guard(g_lock);
    return g_names;
}

Result<> set_host_name(std::string_view name) { return set(&abi::Utsname::nodename, name); }
Result<> set_domain_name(std::string_view name) { return set(&abi::Utsname::domainname, name); }

}  // namespace hd::core
