// SPDX-License-Identifier: MIT
// ioctl(2) requests that work on every descriptor (asm-generic/ioctls.h); terminals' are in termios.hpp.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kFIONREAD = 0x541b, kFIONBIO = 0x5421, kFIONCLEX = 0x5450, kFIOCLEX = 0x5451;

}  // namespace hd::abi
