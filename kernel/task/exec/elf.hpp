// SPDX-License-Identifier: MIT
// Reading an ELF file's headers for execve(2). Pure: bytes in, a checked description out; whatever the bytes are, the answer is an
// image whose numbers can be used without further checks, or ENOEXEC. Tested and fuzzed on the host.
#pragma once
#include <span>
#include <string_view>

#include "kernel/abi/elf.hpp"
#include "kernel/lib/result.hpp"

namespace hd::task {

// A PT_LOAD. Address and file offset agree modulo the page size; address + memory_size does not wrap and lies in user space.
struct ElfSegment {
    u64 address, memory_size;
    u64 offset, file_size;  // file_size <= memory_size
    bool read, write, execute;
};

struct ElfImage {
    static constexpr usize kMaxSegments = 16;

    bool position_independent;
    bool executable_stack;
    u16 header_count;
    u64 entry;
    u64 header_address;                        // where the program headers lie in memory; 0: in no segment
    u64 interpreter_offset, interpreter_size;  // the dynamic linker's path in the file, with its NUL; size 0: none
    usize segment_count;
    ElfSegment segments[kMaxSegments];  // by address, not overlapping, at least one

    std::span<const ElfSegment> loads() const { return {segments, segment_count}; }
    u64 begin() const { return segments[0].address; }
    u64 end() const { return segments[segment_count - 1].address + segments[segment_count - 1].memory_size; }
};

// Where the program headers are in the file: at most 64 of them. `head`: the file's first bytes.
struct ElfTable {
    u64 offset;
    u64 size;
};
Result<ElfTable> elf_table(std::span<const u8> head);

// `table`: the bytes that elf_table() named. `image` is only valid after success.
Result<> parse_elf(std::span<const u8> head, std::span<const u8> table, ElfImage& image);

// A script's first line, "#!interpreter [argument]" (execve(2), "Interpreter scripts"). ENOEXEC if `head` does not begin with one that
// is complete. The views point into `head`.
struct ScriptLine {
    std::string_view interpreter;
    std::string_view argument;  // empty: none
};
Result<ScriptLine> parse_script(std::span<const u8> head);

}  // namespace hd::task
