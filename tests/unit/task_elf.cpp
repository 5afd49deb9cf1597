// SPDX-License-Identifier: MIT
// ELF headers: what is accepted, and that every number which could lead astray is refused.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <vector>

#include "kernel/task/exec/elf.hpp"

using namespace hd;
using namespace hd::task;

namespace {

constexpr u64 kEnd = 0x7fff'ffff'f000;  // of user space

// A file in the making: header and program headers.
struct File {
    abi::Elf64Header header{};
    std::vector<abi::Elf64ProgramHeader> programs;

    explicit File(u16 type = abi::kET_EXEC) {
        std::memcpy(header.e_ident, abi::kELFMAG, 4);
        header.e_ident[abi::kEI_CLASS] = abi::kELFCLASS64;
        header.e_ident[abi::kEI_DATA] = abi::kELFDATA2LSB;
        header.e_ident[abi::kEI_VERSION] = abi::kEV_CURRENT;
        header.e_type = type;
        header.e_machine = 62;
        header.e_version = 1;
        header.e_phoff = sizeof(header);
        header.e_phentsize = sizeof(abi::Elf64ProgramHeader);
        const u64 base = type == abi::kET_EXEC ? 0x400000 : 0;
        header.e_entry = base + 0x1100;
        load(base, 0, 0x800, 0x800, abi::kPF_R);
        load(base + 0x1000, 0x1000, 0x2345, 0x2345, abi::kPF_R | abi::kPF_X);
        load(base + 0x4010, 0x3010, 0x100, 0x5000, abi::kPF_R | abi::kPF_W);
    }
    void load(u64 address, u64 offset, u64 file_size, u64 memory_size, u32 flags) {
        add({abi::kPT_LOAD, flags, offset, address, address, file_size, memory_size, 4096});
    }
    void add(const abi::Elf64ProgramHeader& program) {
        programs.push_back(program);
        header.e_phnum = static_cast<u16>(programs.size());
    }
    std::vector<u8> bytes() const {
        std::vector<u8> all(sizeof(header) + programs.size() * sizeof(abi::Elf64ProgramHeader));
        std::memcpy(all.data(), &header, sizeof(header));
        std::memcpy(all.data() + sizeof(header), programs.data(), all.size() - sizeof(header));
        return all;
    }
    Result<> parse(ElfImage& image) const {
        const auto all = bytes();
        const ElfTable table = TRY(elf_table(all));
        if (table.offset + table.size > all.size()) return fail(Errno::kENOEXEC);  // the loader reads what is there
        return parse_elf(all, std::span(all).subspan(table.offset, table.size), image);
    }
    bool accepted() const {
        ElfImage image;
        const auto result = parse(image);
        if (!result) REQUIRE(result.error() == Errno::kENOEXEC);
        return result.has_value();
    }
};

}  // namespace

TEST_CASE("an ordinary static program is described", "[task]") {
    ElfImage image;
    REQUIRE(File().parse(image));
    CHECK_FALSE(image.position_independent);
    CHECK(image.interpreter_size == 0);
    CHECK_FALSE(image.executable_stack);
    CHECK(image.entry == 0x401100);
    CHECK(image.header_count == 3);
    CHECK(image.header_address == 0x400040);
    CHECK(image.begin() == 0x400000);
    CHECK(image.end() == 0x409010);
    REQUIRE(image.loads().size() == 3);
    CHECK(image.segments[1].execute);
    CHECK_FALSE(image.segments[1].write);
    CHECK(image.segments[2].write);
    CHECK(image.segments[2].memory_size == 0x5000);
}

TEST_CASE("position-independent programs, interpreters and stack flags are seen", "[task]") {
    File file(abi::kET_DYN);
    file.add({abi::kPT_INTERP, abi::kPF_R, 0x200, 0x200, 0x200, 0x1c, 0x1c, 1});
    file.add({abi::kPT_GNU_STACK, abi::kPF_R | abi::kPF_W | abi::kPF_X, 0, 0, 0, 0, 0, 16});
    ElfImage image;
    REQUIRE(file.parse(image));
    CHECK(image.position_independent);
    CHECK(image.interpreter_offset == 0x200);
    CHECK(image.interpreter_size == 0x1c);
    CHECK(image.executable_stack);
    CHECK(image.begin() == 0);
    CHECK(image.header_address == 0x40);
}

TEST_CASE("malformed ELF files are refused", "[task]") {
    const auto refused = [](auto change) {
        File file;
        change(file);
        return !file.accepted();
    };
    REQUIRE(File().accepted());
    CHECK(refused([](File& f) { f.header.e_ident[1] = 'e'; }));
    CHECK(refused([](File& f) { f.header.e_ident[abi::kEI_CLASS] = 1; }));
    CHECK(refused([](File& f) { f.header.e_ident[abi::kEI_DATA] = 2; }));
    CHECK(refused([](File& f) { f.header.e_machine = 183; }));
    CHECK(refused([](File& f) { f.header.e_type = 1; }));
    CHECK(refused([](File& f) { f.header.e_type = 4; }));
    CHECK(refused([](File& f) { f.header.e_phentsize = 32; }));
    CHECK(refused([](File& f) { f.header.e_phnum = 0; }));
    CHECK(refused([](File& f) { f.header.e_phnum = 0xffff; }));
    CHECK(refused([](File& f) { f.header.e_phoff = ~u64{0} - 10; }));
    CHECK(refused([](File& f) { f.header.e_entry = 0; }));
    CHECK(refused([](File& f) { f.header.e_entry = f.programs[2].p_vaddr + 0x5000; }));
    CHECK(refused([](File& f) { f.programs[1].p_filesz = f.programs[1].p_memsz + 1; }));
    CHECK(refused([](File& f) { f.programs[1].p_offset += 1; }));
    CHECK(refused([](File& f) { f.programs[1].p_offset = ~u64{0} & ~u64{4095}; }));
    CHECK(refused([](File& f) { f.programs[2].p_memsz = ~u64{0}; }));
    CHECK(refused([](File& f) { f.programs[2].p_memsz = kEnd - f.programs[2].p_vaddr; }));
    CHECK(refused([](File& f) { f.programs[0].p_vaddr = 0; }));  // where null pointers point
    CHECK(refused([](File& f) { f.programs[2].p_vaddr = 0xffff'8000'0000'0010; }));
    CHECK(refused([](File& f) { f.programs[1].p_vaddr = 0x400000; }));  // overlaps the first
    CHECK(refused([](File& f) { std::swap(f.programs[0], f.programs[2]); }));
    CHECK(refused([](File& f) {
        for (u64 i = 0; i < ElfImage::kMaxSegments; ++i) f.load(0x800000 + i * 0x1000, 0, 1, 1, abi::kPF_R);
    }));
    CHECK(refused([](File& f) {
        for (auto& program : f.programs) program.p_type = abi::kPT_GNU_STACK;
    }));
}

TEST_CASE("cut-off ELF files are refused", "[task]") {
    const auto all = File().bytes();
    for (usize size = 0; size < all.size(); ++size) {
        const std::span<const u8> head(all.data(), size);
        const auto table = elf_table(head);
        if (size < sizeof(abi::Elf64Header)) {
            REQUIRE_FALSE(table);
            continue;
        }
        ElfImage image;
        REQUIRE_FALSE(parse_elf(head, head.subspan(std::min<usize>(table->offset, size)), image));
    }
}

TEST_CASE("whatever an ELF file says, an accepted image is inside its limits", "[task]") {
    const auto seed = GENERATE(range(1U, 21U));
    std::mt19937_64 random(seed);
    int accepted = 0;
    for (int round = 0; round < 500; ++round) {
        File file(random() % 2 == 0 ? abi::kET_EXEC : abi::kET_DYN);
        auto all = file.bytes();
        for (u64 flips = random() % 4; flips > 0; --flips)
            all[random() % all.size()] ^= static_cast<u8>(1u << random() % 8);
        const auto table = elf_table(all);
        if (!table || table->offset > all.size() || table->size > all.size() - table->offset) continue;
        ElfImage image;
        if (!parse_elf(all, std::span(all).subspan(table->offset, table->size), image)) continue;
        ++accepted;
        u64 last = 0;
        for (const ElfSegment& segment : image.loads()) {
            REQUIRE(segment.address >= last);
            REQUIRE(segment.file_size <= segment.memory_size);
            REQUIRE(segment.memory_size <= kEnd - segment.address);
            last = segment.address + segment.memory_size;
        }
        REQUIRE(last < kEnd);
        REQUIRE(image.entry >= image.begin());
        REQUIRE(image.entry < image.end());
    }
    CHECK(accepted > 0);
}

TEST_CASE("the first line of a script names interpreter and argument", "[task]") {
    const auto parse = [](std::string_view text) -> std::pair<std::string, std::string> {
        const auto line = parse_script({reinterpret_cast<const u8*>(text.data()), text.size()});
        if (!line) return {"refused", ""};
        return {std::string(line->interpreter), std::string(line->argument)};
    };
    using Pair = std::pair<std::string, std::string>;
    CHECK(parse("#!/bin/sh\necho") == Pair("/bin/sh", ""));
    CHECK(parse("#! /bin/sh -e\n") == Pair("/bin/sh", "-e"));
    CHECK(parse("#!\t/usr/bin/env  python3 -u \t\nx") == Pair("/usr/bin/env", "python3 -u"));
    CHECK(parse("#!/bin/sh -x") == Pair("/bin/sh", "-x"));  // cut off: the argument may be shorter than it was
    CHECK(parse("#!/bin/sh").first == "refused");           // cut off: the path may be
    CHECK(parse(std::string_view("#!/bin/sh\0\0\0", 12)) == Pair("/bin/sh", ""));  // a file of one line without newline
    CHECK(parse("#!\n").first == "refused");
    CHECK(parse("#!   \n").first == "refused");
    CHECK(parse("#").first == "refused");
    CHECK(parse("").first == "refused");
    CHECK(parse("echo #!/bin/sh\n").first == "refused");
}
