// SPDX-License-Identifier: MIT
// Where the architecture's own memory-mapped devices are: fixed pages of kDeviceWindow (arch_impl/paging.hpp).
#pragma once
#include "arch/paging.hpp"

namespace hd::arch {

enum class DevicePage : u32 { LocalApic, Hpet, IoApic };  // several I/O APICs: the pages from IoApic on
inline constexpr u32 kMaxIoApics = 8;

// Maps the device's page and returns the registers at `registers`. Boot CPU, once a page.
volatile u32* map_device(DevicePage page, u32 index, PhysAddr registers);

}  // namespace hd::arch
