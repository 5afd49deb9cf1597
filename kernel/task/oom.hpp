// SPDX-License-Identifier: MIT
// The last resort when memory has run out.
#pragma once

namespace hd::task {

// Kills the process with the most resident pages, pid 1 excepted, and says so in the log. False: there is none left to kill; true
// also when the last victim is still on its way out. Task context without locks.
bool kill_largest();

}  // namespace hd::task
