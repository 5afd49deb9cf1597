// SPDX-License-Identifier: MIT
// The root file system, and what the boot loader brought to fill it. Boot, task context.
#pragma once
#include <span>

#include "kernel/fs/vfs/dentry.hpp"
#include "kernel/lib/format.hpp"

namespace hd::fs {

// Registers what needs no device and mounts an empty tmpfs as the topmost root.
void mount_root();

// Unpacks the archives into the root, as root. Later entries win over earlier ones of the same name, so that an archive behind
// another is laid over it. What is wrong with them ends the boot with one sentence.
void unpack_initramfs(std::span<const u8> image);

// The same below any directory, with the sentence put into `sentence`. EINVAL: corrupt; ENOSPC: it could not be unpacked.
Result<> unpack_archives(const DentryRef& root, std::span<const u8> image, TextSink& sentence);

}  // namespace hd::fs
