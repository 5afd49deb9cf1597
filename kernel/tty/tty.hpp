// SPDX-License-Identifier: MIT
// The terminals' device files: /dev/ttyS0, /dev/tty1 and their like; /dev/tty, the caller's own terminal; /dev/console,
// the one that the command line chose, which job control and hang-ups do not reach.
#pragma once
#include "kernel/tty/terminal.hpp"

namespace hd::tty {

// Registers the terminal's device file, named after it. It lives for ever. Boot, before devfs is mounted.
void register_terminal(Terminal& terminal);
// Says which one /dev/console is; registers /dev/console and /dev/tty. As above, once.
void register_console(Terminal& terminal);

// Starts the worker that takes the terminals' input to their line disciplines. Boot, once threads can run; input that
// came earlier has waited.
void init();

}  // namespace hd::tty
