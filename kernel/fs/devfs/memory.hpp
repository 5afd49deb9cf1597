// SPDX-License-Identifier: MIT
// The devices of Linux's major number 1 (null(4), full(4), random(4)).
#pragma once

namespace hd::fs::devfs {

void add_memory_devices();

}  // namespace hd::fs::devfs
