// SPDX-License-Identifier: MIT
// Processes and threads of programs for model tests of what is per process: numbers, undo records, memory that is only compared.
#pragma once
#include <memory>

#include "kernel/task/process.hpp"

namespace hd::fake {

std::shared_ptr<task::Process> make_process();
std::shared_ptr<task::Thread> make_thread(std::shared_ptr<task::Process> process);

}  // namespace hd::fake
