// SPDX-License-Identifier: MIT
// A symbolic link of tmpfs: its target, which never changes.
#pragma once
#include <memory>

#include "kernel/fs/vfs/inode.hpp"

namespace hd::fs {

class TmpfsSymlink final : public Inode {
public:
    static Result<InodeRef> make(FileSystem& file_system, std::string_view target);  // ENOMEM
    TmpfsSymlink(FileSystem& owner, u64 number_in, std::unique_ptr<char[]> text, usize text_size)
        : Inode(owner, InodeKind::Symlink, 0777, number_in), text_(std::move(text)), size_(text_size) {}

    Result<usize> read_link(std::span<char> buffer) override;
    u64 size() const override { return size_; }

private:
    const std::unique_ptr<char[]> text_;
    const usize size_;
};

}  // namespace hd::fs
