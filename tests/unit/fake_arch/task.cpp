// SPDX-License-Identifier: MIT
// What the tests have in place of processes: nobody maps anything, and what would be unmapped or sent is remembered.
#include "kernel/task/memory.hpp"
#include "kernel/task/signal/signal.hpp"
#include "tests/unit/fake_arch/machine.hpp"

namespace hd {

u64 fake::g_unmapped_from = 0;
std::atomic<u32> fake::g_signals_to_self{0};

void task::unmap_everywhere(const void*, u64 from) { fake::g_unmapped_from = from; }
void task::signal_self(int) { ++fake::g_signals_to_self; }

}  // namespace hd
