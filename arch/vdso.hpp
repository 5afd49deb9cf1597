// SPDX-License-Identifier: MIT
// Contract: the vDSO (vdso(7)), a shared object that is mapped into every program. Its functions read clocks and the number of the
// CPU without a system call, from a page of data behind it that the kernel writes and programs only read.
#pragma once
#include <atomic>
#include <span>

#include "kernel/lib/types.hpp"

namespace hd::arch {

// The object's file: pages that are mapped as they are, in this order, readable and executable. It works at any address.
std::span<const u8> vdso_image();

// Fills the page of data, once the clock is calibrated. Returns where in it programs look for the wall clock's distance from
// clock_now(), in nanoseconds: the caller's to keep true.
std::atomic<i64>& vdso_init_data(void* page);

}  // namespace hd::arch
