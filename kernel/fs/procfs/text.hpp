// SPDX-License-Identifier: MIT
// A file whose contents a function writes: the text grows page by page while it is generated, is kept for the open file,
// and is made anew when it is read from its beginning.
// Locking: the inode's `lock` (rank Inode) while generating and copying.
#pragma once
#include "kernel/fs/vfs/file.hpp"

namespace hd::fs {

class TextPages final : public TextSink {
public:
    TextPages() = default;
    TextPages(const TextPages&) = delete;
    TextPages& operator=(const TextPages&) = delete;
    ~TextPages() { clear(); }

    void put(std::string_view text) override;
    void clear();
    u64 size() const { return size_; }
    bool incomplete() const { return incomplete_; }  // there was no memory for all of it
    Result<> copy(IoBuffer& buffer, u64 offset) const;

private:
    struct Page {
        static constexpr usize kText = mm::kPageSize - sizeof(void*);
        Page* next = nullptr;
        char text[kText];
    };
    Page* first_ = nullptr;
    Page* last_ = nullptr;
    u64 size_ = 0;  // every page but the last is full
    bool incomplete_ = false;
};

class GeneratedInode : public Inode {
public:
    GeneratedInode(FileSystem& owner, u32 mode_in, u64 number_in)
        : Inode(owner, InodeKind::Regular, mode_in, number_in) {}
    // The caller holds `lock`. An error is read(2)'s.
    virtual Result<> generate(TextSink& sink) = 0;
    // What a write(2) wrote, cut to 255 bytes and without the newline at its end. The caller holds `lock`.
    virtual Result<> store(std::string_view) { return fail(Errno::kEINVAL); }

    Result<FileRef> open(DentryRef dentry, u32 flags) override;
    Result<> truncate(u64) override { return {}; }  // open(2) with O_TRUNC, as shells do for `>`
};

}  // namespace hd::fs
