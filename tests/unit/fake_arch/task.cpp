// SPDX-License-Identifier: MIT
// What the tests have in place of processes: nobody maps anything, and what would be unmapped is remembered.
#include "kernel/task/memory.hpp"
#include "tests/unit/fake_arch/machine.hpp"

namespace hd {

u64 fake::g_unmapped_from = 0;

void task::unmap_everywhere(const void*, u64 from) { fake::g_unmapped_from = from; }

}  // namespace hd
