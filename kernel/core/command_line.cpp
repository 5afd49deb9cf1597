// SPDX-License-Identifier: MIT
#include "kernel/core/command_line.hpp"

#include "arch/boot.hpp"

namespace hd::core {

std::optional<std::string_view> command_line_option(std::string_view name) {
    std::optional<std::string_view> found;
    std::string_view rest = arch::g_boot_info.command_line;
    while (!rest.empty()) {
        const auto end = rest.find(' ');
        const std::string_view word = rest.substr(0, end);
        rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
        const auto equals = word.find('=');
        if (word.substr(0, equals) == name)
            found = equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
    }
    return found;
}

bool command_line_has(std::string_view name) { return command_line_option(name).has_value(); }

}  // namespace hd::core
