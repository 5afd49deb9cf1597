// SPDX-License-Identifier: MIT
// capget(2) and capset(2) (linux/capability.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kCapabilityVersion1 = 0x19980330, kCapabilityVersion2 = 0x20071026,
                     kCapabilityVersion3 = 0x20080522;
inline constexpr u64 kAllCapabilities = (u64{1} << 41) - 1;  // the last is CAP_CHECKPOINT_RESTORE

struct CapHeader {
    u32 version;
    i32 pid;
};
struct CapData {  // 32 capabilities each; two of them, but for version 1
    u32 effective, permitted, inheritable;
    friend constexpr bool operator==(const CapData&, const CapData&) = default;
};
static_assert(sizeof(CapHeader) == 8 && sizeof(CapData) == 12);

}  // namespace hd::abi
