// SPDX-License-Identifier: MIT
// See elf_symbols.hpp.
#include "kernel/task/elf_symbols.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/abi/elf.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::task {

namespace {

constexpr usize kMostHeaders = 128;  // of either kind; files with more have no names here

// Bytes of the file. False: they are not all there.
bool read_file(mm::PageSource& file, u64 offset, void* to, usize size) {
    auto* out = static_cast<u8*>(to);
    while (size != 0) {
        const auto frame = file.page(offset / mm::kPageSize, mm::PageUse::Read);
        if (!frame) return false;
        const usize within = offset % mm::kPageSize, piece = std::min<usize>(size, mm::kPageSize - within);
        if (*frame)
            std::memcpy(out, mm::bytes_of(**frame) + within, piece);
        else
            std::memset(out, 0, piece);  // a hole
        out += piece, offset += piece, size -= piece;
    }
    return true;
}
template <class T> bool read_file(mm::PageSource& file, u64 offset, T& record) {
    return read_file(file, offset, &record, sizeof record);
}

// Where the byte lies in memory, by the program headers: what symbols are counted from.
std::optional<u64> address_of(mm::PageSource& file, const abi::Elf64Header& header, u64 file_offset) {
    for (usize i = 0; i < std::min<usize>(header.e_phnum, kMostHeaders); ++i) {
        abi::Elf64ProgramHeader load;
        if (!read_file(file, header.e_phoff + i * sizeof load, load)) break;
        if (load.p_type == abi::kPT_LOAD && file_offset >= load.p_offset && file_offset - load.p_offset < load.p_filesz)
            return load.p_vaddr + (file_offset - load.p_offset);
    }
    return std::nullopt;
}

// The symbol table with the most names: .symtab, else .dynsym.
std::optional<abi::Elf64SectionHeader> symbol_section(mm::PageSource& file, const abi::Elf64Header& header) {
    std::optional<abi::Elf64SectionHeader> best;
    for (usize i = 0; i < std::min<usize>(header.e_shnum, kMostHeaders); ++i) {
        abi::Elf64SectionHeader section;
        if (!read_file(file, header.e_shoff + i * sizeof section, section)) break;
        if (section.sh_type == abi::kSHT_SYMTAB || (section.sh_type == abi::kSHT_DYNSYM && !best)) best = section;
    }
    return best;
}

std::optional<abi::Elf64Symbol> symbol_at(mm::PageSource& file, const abi::Elf64SectionHeader& table, u64 address) {
    constexpr usize kPiece = 128;
    const auto piece = mm::make_array<abi::Elf64Symbol>(kPiece);
    if (!piece) return std::nullopt;
    const u64 total = table.sh_size / sizeof(abi::Elf64Symbol);
    for (u64 done = 0; done < total; done += kPiece) {
        const usize count = std::min<u64>(kPiece, total - done);
        const u64 at = table.sh_offset + done * sizeof(abi::Elf64Symbol);
        if (!read_file(file, at, piece->get(), count * sizeof(abi::Elf64Symbol))) break;
        for (const abi::Elf64Symbol& symbol : std::span(piece->get(), count))
            if (symbol.type() == abi::kSTT_FUNC && address >= symbol.st_value &&
                address - symbol.st_value < symbol.st_size)
                return symbol;
    }
    return std::nullopt;
}

}  // namespace

std::optional<FunctionName> find_function(mm::PageSource& file, u64 file_offset, std::span<char> buffer) {
    abi::Elf64Header header;
    if (!read_file(file, 0, header) || std::memcmp(header.e_ident, abi::kELFMAG, sizeof abi::kELFMAG) != 0 ||
        header.e_phentsize != sizeof(abi::Elf64ProgramHeader) || header.e_shentsize != sizeof(abi::Elf64SectionHeader))
        return std::nullopt;
    const auto address = address_of(file, header, file_offset);
    const auto table = symbol_section(file, header);
    if (!address || !table || table->sh_link >= header.e_shnum) return std::nullopt;
    const auto symbol = symbol_at(file, *table, *address);
    abi::Elf64SectionHeader strings;
    if (!symbol || !read_file(file, header.e_shoff + table->sh_link * sizeof strings, strings)) return std::nullopt;
    if (symbol->st_name >= strings.sh_size) return std::nullopt;
    const usize most = std::min<u64>(buffer.size(), strings.sh_size - symbol->st_name);
    if (!read_file(file, strings.sh_offset + symbol->st_name, buffer.data(), most)) return std::nullopt;
    const std::string_view name(buffer.data(), most);
    return FunctionName{name.substr(0, name.find('\0')), *address - symbol->st_value};
}

}  // namespace hd::task
