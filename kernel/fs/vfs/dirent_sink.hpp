// SPDX-License-Identifier: MIT
// Where a directory puts its entries when it is read.
#pragma once
#include <string_view>

#include "kernel/lib/types.hpp"

namespace hd::fs {

enum class InodeKind : u8 { Regular, Directory, Symlink, CharacterDevice, BlockDevice, Fifo, Socket };

class DirentSink {
public:
    // False: full, the entry was not taken. `next` is the position from which reading goes on behind this entry.
    [[nodiscard]] virtual bool entry(std::string_view name, u64 inode, InodeKind kind, u64 next) = 0;

protected:
    ~DirentSink() = default;
};

}  // namespace hd::fs
