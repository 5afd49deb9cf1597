// SPDX-License-Identifier: MIT
// The kernel's own symbol table, for reports. The second pass of the link puts it in (tools, Makefile). Any context.
#pragma once
#include "kernel/lib/format.hpp"
#include "kernel/lib/types.hpp"

namespace hd::core {

// "function+0x12", or the bare number of what is not kernel text.
void describe_address(TextSink& sink, u64 address);

// The call chain from a frame pointer on, a line a frame.
void describe_backtrace(TextSink& sink, u64 frame_pointer);

}  // namespace hd::core
