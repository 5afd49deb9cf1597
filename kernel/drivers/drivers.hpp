// SPDX-License-Identifier: MIT
// The machine's devices: screen, serial port, keyboard.
#pragma once

namespace hd::drivers {

// Finds the screen and the serial port; from then on the kernel log goes to both. Boot CPU, once kernel memory can be
// mapped and allocated; interrupts may be off.
void init_consoles();

// Makes terminals of them, lets their interrupts in and registers their device files. Boot, in a thread, before devfs
// is mounted.
void init();

}  // namespace hd::drivers
