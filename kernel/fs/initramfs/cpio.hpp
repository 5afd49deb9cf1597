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
    u32 device_major, device_minor;    // where the file was when it was packed: with `inode`, what makes hard links one
    u32 special_major, special_minor;  // of a device file
    std::span<const u8> data;          // contents, or a symbolic link's target
};

struct CpioError {
    u64 offset;          // of the entry that is wrong
    const char* reason;  // continues the sentence "corrupt at byte N: "
};

class CpioVisitor {
public:
    // A reason stops the parser with this entry's offset.
    virtual std::expected<void, const char*> entry(const CpioEntry& entry) = 0;
    virtual void end_of_archive() {}  // inode numbers start anew

protected:
    ~CpioVisitor() = default;
};

std::expected<void, CpioError> parse_cpio(std::span<const u8> image, CpioVisitor& visitor);

}  // namespace hd::fs
