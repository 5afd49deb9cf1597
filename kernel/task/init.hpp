// SPDX-License-Identifier: MIT
// The first process.
#pragma once
#include <string_view>

namespace hd::task {

// Makes pid 1, which executes `path` with no argument but its name. Root file system and devices are there. A thread of
// its own does it: this returns at once; if the program cannot be executed, the boot ends with a sentence that says why.
void start_init(std::string_view path);

}  // namespace hd::task
