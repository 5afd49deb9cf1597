// SPDX-License-Identifier: MIT
// ELF headers and script lines: kernel/task/exec/elf.hpp.
#include "kernel/task/exec/elf.hpp"

#include <algorithm>
#include <cstring>

#include "arch/user.hpp"
#include "kernel/abi/fcntl.hpp"
#include "kernel/mm/vm/address_space.hpp"

namespace hd::task {

namespace {

constexpr u64 kMaxHeaders = 64;

template <class T> T read(std::span<const u8> bytes, usize offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));  // a file's bytes are not aligned
    return value;
}

// Is [begin, begin + size) inside [low, high), without wrapping?
bool inside(u64 begin, u64 size, u64 low, u64 high) { return begin >= low && begin <= high && size <= high - begin; }

Result<> add_segment(ElfImage& image, const abi::Elf64ProgramHeader& header) {
    if (header.p_memsz == 0) return {};
    const u64 low = image.position_independent ? 0 : mm::kUserBegin.raw;
    const u64 high = arch::kUserEnd.raw - mm::kPageSize;  // so that rounding up to pages stays inside
    const u64 previous = image.segment_count == 0 ? low : image.end();
    if (image.segment_count == ElfImage::kMaxSegments || header.p_filesz > header.p_memsz ||
        !inside(header.p_vaddr, header.p_memsz, previous, high) || header.p_offset + header.p_filesz < header.p_offset)
        return fail(Errno::kENOEXEC);
    if (header.p_filesz != 0 && (header.p_vaddr - header.p_offset) % mm::kPageSize != 0) return fail(Errno::kENOEXEC);
    image.segments[image.segment_count++] = {.address = header.p_vaddr,
                                             .memory_size = header.p_memsz,
                                             .offset = header.p_offset,
                                             .file_size = header.p_filesz,
                                             .read = (header.p_flags & abi::kPF_R) != 0,
                                             .write = (header.p_flags & abi::kPF_W) != 0,
                                             .execute = (header.p_flags & abi::kPF_X) != 0};
    return {};
}

}  // namespace

Result<ElfTable> elf_table(std::span<const u8> head) {
    if (head.size() < sizeof(abi::Elf64Header)) return fail(Errno::kENOEXEC);
    const auto header = read<abi::Elf64Header>(head, 0);
    if (!std::equal(std::begin(abi::kELFMAG), std::end(abi::kELFMAG), header.e_ident) ||
        header.e_ident[abi::kEI_CLASS] != abi::kELFCLASS64 || header.e_ident[abi::kEI_DATA] != abi::kELFDATA2LSB ||
        (header.e_type != abi::kET_EXEC && header.e_type != abi::kET_DYN) ||
        header.e_machine != arch::elf_platform().machine || header.e_phentsize != sizeof(abi::Elf64ProgramHeader) ||
        header.e_phnum == 0 || header.e_phnum > kMaxHeaders)
        return fail(Errno::kENOEXEC);
    const u64 size = header.e_phnum * sizeof(abi::Elf64ProgramHeader);
    if (header.e_phoff + size < size) return fail(Errno::kENOEXEC);
    return ElfTable{header.e_phoff, size};
}

Result<> parse_elf(std::span<const u8> head, std::span<const u8> table, ElfImage& image) {
    const ElfTable place = TRY(elf_table(head));
    if (table.size() < place.size) return fail(Errno::kENOEXEC);
    const auto header = read<abi::Elf64Header>(head, 0);
    image = {};
    image.position_independent = header.e_type == abi::kET_DYN;
    image.header_count = header.e_phnum;
    image.entry = header.e_entry;
    for (u16 i = 0; i < header.e_phnum; ++i) {
        const auto program = read<abi::Elf64ProgramHeader>(table, i * sizeof(abi::Elf64ProgramHeader));
        switch (program.p_type) {
        case abi::kPT_LOAD: TRY(add_segment(image, program)); break;
        case abi::kPT_INTERP:
            if (program.p_filesz < 2 || program.p_filesz > abi::kPATH_MAX) return fail(Errno::kENOEXEC);
            image.interpreter_offset = program.p_offset;
            image.interpreter_size = program.p_filesz;
            break;
        case abi::kPT_GNU_STACK: image.executable_stack = (program.p_flags & abi::kPF_X) != 0; break;
        default: break;
        }
    }
    if (image.segment_count == 0 || image.entry < image.begin() || image.entry >= image.end())
        return fail(Errno::kENOEXEC);
    for (const ElfSegment& segment : image.loads())
        if (inside(place.offset, place.size, segment.offset, segment.offset + segment.file_size))
            image.header_address = segment.address + (place.offset - segment.offset);
    return {};
}

Result<ScriptLine> parse_script(std::span<const u8> head) {
    constexpr std::string_view kBlank = " \t";
    std::string_view line(reinterpret_cast<const char*>(head.data()), head.size());
    if (!line.starts_with("#!")) return fail(Errno::kENOEXEC);
    line.remove_prefix(2);
    const usize end = line.find_first_of(std::string_view("\n\0", 2));
    const bool complete = end != line.npos;
    line = line.substr(0, end);
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    const std::string_view interpreter = line.substr(0, line.find_first_of(kBlank));
    // A path that the buffer cuts off is no path; an argument that it cuts off is shorter, that is all (Linux).
    if (interpreter.empty() || (!complete && interpreter.size() == line.size())) return fail(Errno::kENOEXEC);
    line.remove_prefix(interpreter.size());
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    while (!line.empty() && kBlank.find(line.back()) != kBlank.npos) line.remove_suffix(1);
    return ScriptLine{interpreter, line};
}

}  // namespace hd::task
