// SPDX-License-Identifier: MIT
// The newc form of cpio archives (Linux: Documentation/driver-api/early-userspace/buffer-format.rst): a pure function over
// bytes, which reads nothing outside of them whatever they are. Several archives may follow each other, with zero bytes
// between. Any context.
#pragma once
#include <expected>
#include <span>
#include <string_view>

#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::fs {

struct CpioEntry {
    u64 offset;  // of its header in the image
    std::string_view name;
    u32 inode, mode, uid, gid, links, mtime;
    u32 archive;  // which of several
    u32 device_major,
        device_minor;  // where the file was when it was packed: in one archive, these and `inode` tell hard links
    u32 special_major, special_minor;  // of a device file
    std::span<const u8> data;          // contents, or a symbolic link's target
};

struct CpioError {
    u64 offset;          // of the entry that is wrong
    const char* reason;  // continues the sentence "corrupt at byte N: "
};

class CpioReader {
public:
    explicit CpioReader(std::span<const u8> image) : image_(image) {}
    // The next entry, or false behind the last.
    std::expected<bool, CpioError> next(CpioEntry& entry);

private:
    const std::span<const u8> image_;
    u64 offset_ = 0;
    u32 archives_ = 0;  // that have ended
    bool in_archive_ = false;
};

}  // namespace hd::fs
