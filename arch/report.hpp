// SPDX-License-Identifier: MIT
// Contract: what a panic report shows of the processor.
#pragma once
#include "arch/user.hpp"
#include "kernel/lib/format.hpp"

namespace hd::arch {

// The registers of the interrupted code, what interrupted it, and the CPU's error code in words. Any context.
void describe_frame(TextSink& sink, const TrapFrame& frame);

}  // namespace hd::arch
