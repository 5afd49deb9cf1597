// SPDX-License-Identifier: MIT
// Names for addresses in a program or library: the symbol table of its ELF file, if it was not stripped. The file may be anything:
// nothing in it is believed without a look at its bounds. Task context, may sleep and allocate.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "kernel/mm/cache/page_source.hpp"

namespace hd::task {

struct FunctionName {
    std::string_view name;  // in the caller's buffer; as the linker knows it: C++ names are mangled
    u64 offset;             // from the function's first byte
};

// The function whose code the byte at `file_offset` belongs to.
std::optional<FunctionName> find_function(mm::PageSource& file, u64 file_offset, std::span<char> buffer);

}  // namespace hd::task
