// SPDX-License-Identifier: MIT
#include "kernel/core/symbols.hpp"

#include <algorithm>
#include <span>

#include "arch/cpu.hpp"

// Made by the build from the linked kernel (empty in the first pass): entries ordered by address.
struct KernelSymbol {
    hd::u32 offset;  // from the start of the image
    hd::u32 name;    // offset into the names
};
extern "C" {
extern const KernelSymbol kernel_symbols[];
extern const hd::u32 kernel_symbol_count;
extern const char kernel_symbol_names[];
}

namespace hd::core {

namespace {
constexpr u64 kImageBase = 0xffff'ffff'8000'0000;
}

void describe_address(TextSink& sink, u64 address) {
    const std::span symbols(kernel_symbols, kernel_symbol_count);
    const auto next = std::ranges::upper_bound(symbols, address - kImageBase, {}, &KernelSymbol::offset);
    if (address < kImageBase || next == symbols.begin()) return format_to(sink, "{:#x}", address);
    const KernelSymbol& symbol = *(next - 1);
    format_to(sink, "{}+{:#x}", kernel_symbol_names + symbol.name, address - kImageBase - symbol.offset);
}

void describe_backtrace(TextSink& sink, u64 frame_pointer) {
    u64 addresses[24];
    const usize count = arch::backtrace(frame_pointer, addresses, std::size(addresses));
    for (usize i = 0; i < count; ++i) {
        format_to(sink, "    {:#x} ", addresses[i]);
        describe_address(sink, addresses[i]);
        sink.put("\n");
    }
}

}  // namespace hd::core
