// SPDX-License-Identifier: MIT
// The size of a signal frame; the rest of signal_frame.cpp is in arch/user.hpp.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::arch {

// The most that push_signal_frame() needs of a stack, for AT_MINSIGSTKSZ.
u64 signal_frame_size();

}  // namespace hd::arch
