// SPDX-License-Identifier: MIT
// The PC keyboard behind its controller (i8042).
#pragma once
#include "kernel/drivers/virtual_console.hpp"

namespace hd::drivers {

// Finds the controller, switches the keyboard on; from then on its characters go to the console's line. False: there is
// none. Boot, once; the console lives for ever.
bool start_ps2_keyboard(VirtualConsole& console);

}  // namespace hd::drivers
