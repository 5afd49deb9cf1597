// SPDX-License-Identifier: MIT
// The vDSO (arch/vdso.hpp) in programs: one mapping, "[vdso]", of the object's pages and the page of data behind them.
#pragma once
#include "kernel/mm/vm/address_space.hpp"

namespace hd::task {

// Boot, once, before the first program. Panics without memory.
void init_vdso();

// Where it is now (AT_SYSINFO_EHDR). ENOMEM. May sleep.
Result<VirtAddr> map_vdso(mm::AddressSpace& space);

}  // namespace hd::task
