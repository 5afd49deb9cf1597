// SPDX-License-Identifier: MIT
// The names of the machine and of the system (uname(2), /proc/sys/kernel). Programs look for Linux, so that is what they find;
// the version says who it is. Locking: a Spinlock of rank FsContext inside; task context.
#pragma once
#include <string_view>

#include "kernel/abi/system.hpp"
#include "kernel/lib/result.hpp"

namespace hd::core {

abi::Utsname system_names();
// sethostname(2), setdomainname(2) after the permission check. EINVAL: longer than 64 bytes.
Result<> set_host_name(std::string_view name);
Result<> set_domain_name(std::string_view name);

}  // namespace hd::core
