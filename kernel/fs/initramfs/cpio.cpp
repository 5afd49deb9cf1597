// SPDX-License-Identifier: MIT
#include "kernel/fs/initramfs/cpio.hpp"

#include <algorithm>

#include "kernel/abi/fcntl.hpp"
#include "kernel/lib/parse.hpp"

namespace hd::fs {

namespace {

constexpr usize kMagicSize = 6, kFields = 13, kDigits = 8, kHeaderSize = kMagicSize + kFields * kDigits;
constexpr std::string_view kTrailer = "TRAILER!!!";

// The fields in the order of the header.
enum Field : u8 {
    kInode,
    kMode,
    kUid,
    kGid,
    kLinks,
    kMtime,
    kSize,
    kMajor,
    kMinor,
    kSpecialMajor,
    kSpecialMinor,
    kNameSize,
    kCheck
};

std::unexpected<CpioError> corrupt(u64 offset, const char* reason) {
    return std::unexpected(CpioError{offset, reason});
}

std::string_view text_of(std::span<const u8> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The entry at `offset`; `end` becomes where the next one begins.
std::expected<CpioEntry, CpioError> parse_entry(std::span<const u8> image, u64 offset, u64& end) {
    const auto rest = image.subspan(offset);
    if (rest.size() < kHeaderSize) return corrupt(offset, "the archive ends in the middle of a header");
    const std::string_view magic = text_of(rest.first(kMagicSize));
    if (magic != "070701" && magic != "070702")
        return corrupt(offset, "this is no header of a newc cpio archive (is it compressed?)");
    u32 fields[kFields];
    for (usize i = 0; i < kFields; ++i) {
        std::string_view digits = text_of(rest.subspan(kMagicSize + i * kDigits, kDigits));
        const auto number = take_number(digits, 16);
        if (!number || !digits.empty()) return corrupt(offset, "a number in the header is not hexadecimal");
        fields[i] = static_cast<u32>(*number);
    }

    const u64 name_size = fields[kNameSize];
    if (name_size < 2 || name_size > abi::kPATH_MAX) return corrupt(offset, "the name is empty or too long");
    const u64 data_begin = align_up(kHeaderSize + name_size, u64{4});
    if (data_begin > rest.size()) return corrupt(offset, "the archive ends in the middle of a name");
    const std::string_view name = text_of(rest.subspan(kHeaderSize, name_size - 1));
    if (rest[kHeaderSize + name_size - 1] != 0 || name.find('\0') != std::string_view::npos)
        return corrupt(offset, "the name does not end where its size says");

    const u64 data_size = fields[kSize];
    if (data_size > rest.size() - data_begin) return corrupt(offset, "the archive ends in the middle of a file");
    // The padding behind the last file may be missing.
    end = offset + std::min<u64>(align_up(data_begin + data_size, u64{4}), rest.size());
    return CpioEntry{.offset = offset,
                     .name = name,
                     .inode = fields[kInode],
                     .mode = fields[kMode],
                     .uid = fields[kUid],
                     .gid = fields[kGid],
                     .links = fields[kLinks],
                     .mtime = fields[kMtime],
                     .archive = 0,
                     .device_major = fields[kMajor],
                     .device_minor = fields[kMinor],
                     .special_major = fields[kSpecialMajor],
                     .special_minor = fields[kSpecialMinor],
                     .data = rest.subspan(data_begin, data_size)};
}

}  // namespace

std::expected<bool, CpioError> CpioReader::next(CpioEntry& entry) {
    for (;;) {
        while (!in_archive_ && offset_ < image_.size() && image_[offset_] == 0) ++offset_;
        if (offset_ == image_.size()) {
            if (in_archive_) return corrupt(offset_, "the archive has no trailer, so its end is missing");
            if (archives_ == 0) return corrupt(0, "it is empty");
            return false;
        }
        if (offset_ % 4 != 0) return corrupt(offset_, "an archive does not begin at a multiple of 4");
        u64 end;
        const auto parsed = parse_entry(image_, offset_, end);
        if (!parsed) return std::unexpected(parsed.error());
        entry = *parsed;
        entry.archive = archives_;
        offset_ = end;
        in_archive_ = entry.name != kTrailer;
        if (in_archive_) return true;
        ++archives_;
    }
}

}  // namespace hd::fs
