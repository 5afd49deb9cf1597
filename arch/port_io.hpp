// SPDX-License-Identifier: MIT
// Contract: the I/O ports of a PC's old devices, one byte at a time. Only drivers of such devices include this; an
// architecture without ports does without these drivers.
//
// Gives: u8 in8(u16 port);  void out8(u16 port, u8 value);
#pragma once
#include "kernel/lib/types.hpp"

#include <arch_impl/port_io.hpp>
