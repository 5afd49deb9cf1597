// SPDX-License-Identifier: MIT
// libFuzzer target for the ELF and script parsers: whatever the bytes are, an image that is accepted lies within its limits, and
// a script line within its file.
#include <algorithm>
#include <cstdlib>

#include "kernel/task/exec/elf.hpp"

using namespace hd;

namespace {

constexpr u64 kBegin = 0x10000, kEnd = 0x7fff'ffff'f000;  // of user space

void require(bool condition) {
    if (!condition) std::abort();
}

void check_image(const task::ElfImage& image) {
    u64 last = image.position_independent ? 0 : kBegin;
    require(image.segment_count >= 1 && image.segment_count <= task::ElfImage::kMaxSegments);
    for (const task::ElfSegment& segment : image.loads()) {
        require(segment.address >= last && segment.address < kEnd);
        require(segment.memory_size >= 1 && segment.memory_size < kEnd - segment.address);
        require(segment.file_size <= segment.memory_size);
        require(segment.offset + segment.file_size >= segment.offset);
        require(segment.file_size == 0 || segment.offset % 4096 == segment.address % 4096);
        last = segment.address + segment.memory_size;
    }
    require(image.entry >= image.begin() && image.entry < image.end());
}

void check_script(std::span<const u8> bytes) {
    const auto line = task::parse_script(bytes);
    if (!line) return;
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const auto inside = [&](std::string_view part) {
        require(part.data() >= begin && part.data() + part.size() <= begin + bytes.size());
        require(part.find('\n') == part.npos && part.find('\0') == part.npos);
    };
    inside(line->interpreter);
    inside(line->argument);
    require(!line->interpreter.empty() && line->interpreter.find_first_of(" \t") == line->interpreter.npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const u8* data, std::size_t size) {
    const std::span<const u8> file(data, size), head = file.first(std::min<std::size_t>(size, 256));
    check_script(head);
    const auto table = task::elf_table(head);
    if (!table) return 0;
    // As the loader does: what the file does not have is not given.
    const std::size_t offset = std::min<u64>(table->offset, size);
    task::ElfImage image;
    if (task::parse_elf(head, file.subspan(offset, std::min<u64>(table->size, size - offset)), image))
        check_image(image);
    return 0;
}
