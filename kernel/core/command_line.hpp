// SPDX-License-Identifier: MIT
// The kernel's options: words separated by blanks, `name` or `name=value`; the last of a name wins (Linux). A word with no
// meaning to the kernel is left for programs, which read /proc/cmdline.
#pragma once
#include <optional>
#include <string_view>

namespace hd::core {

bool command_line_has(std::string_view name);
std::optional<std::string_view> command_line_option(std::string_view name);  // the value, "" for a bare name

}  // namespace hd::core
