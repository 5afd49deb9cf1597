// SPDX-License-Identifier: MIT
// Ports of a simulated machine: whatever device a test puts there (ports.hpp). Included by arch/port_io.hpp only.
#pragma once

namespace hd::arch {

u8 in8(u16 port);
void out8(u16 port, u8 value);

}  // namespace hd::arch
