// SPDX-License-Identifier: MIT
#include "kernel/fs/procfs/text.hpp"

#include <cstring>

#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

void TextPages::put(std::string_view text) {
    while (!text.empty() && !incomplete_) {
        const usize in_page = size_ % Page::kText;
        if (in_page == 0) {
            static_assert(sizeof(Page) == mm::kPageSize);
            Page* page = new (std::nothrow) Page;
            if (page == nullptr) {
                incomplete_ = true;
                return;
            }
            (first_ == nullptr ? first_ : last_->next) = page;
            last_ = page;
        }
        const usize count = std::min(text.size(), Page::kText - in_page);
        std::memcpy(last_->text + in_page, text.data(), count);
        text.remove_prefix(count);
        size_ += count;
    }
}

void TextPages::clear() {
    while (first_ != nullptr) delete std::exchange(first_, first_->next);
    last_ = nullptr;
    size_ = 0;
    incomplete_ = false;
}

Result<> TextPages::copy(IoBuffer& buffer, u64 offset) const {
    const Page* page = first_;
    u64 left = size_;
    for (; page != nullptr && offset >= Page::kText; page = page->next) {
        offset -= Page::kText;
        left -= Page::kText;
    }
    for (; page != nullptr && offset < left && buffer.remaining() != 0; page = page->next) {
        const u64 count = std::min({left - offset, Page::kText - offset, buffer.remaining()});
        TRY(buffer.put({reinterpret_cast<const u8*>(page->text) + offset, count}));
        left -= Page::kText;  // wraps behind the last page, where the loop ends
        offset = 0;
    }
    return {};
}

namespace {

class GeneratedFile final : public File {
public:
    using File::File;

    Result<u64> read_at(IoBuffer& buffer, u64 offset) override {
        auto& source = static_cast<GeneratedInode&>(*inode);
        const u64 start = buffer.done();
        sync::MutexGuard guard(source.lock);
        if (offset == 0 || !generated_) {
            text_.clear();
            TRY(source.generate(text_));
            if (text_.incomplete()) return fail(Errno::kENOMEM);
            generated_ = true;
        }
        return buffer.moved_since(start, text_.copy(buffer, offset));
    }

    Result<u64> write_at(IoBuffer& buffer, u64, bool) override {
        char text[256];
        const u64 count = buffer.remaining();
        const usize kept = std::min(count, sizeof text - 1);
        TRY(buffer.get({reinterpret_cast<u8*>(text), kept}));
        std::string_view value(text, kept);
        if (value.ends_with('\n')) value.remove_suffix(1);
        sync::MutexGuard guard(inode->lock);
        TRY(static_cast<GeneratedInode&>(*inode).store(value));
        return count;
    }

    Result<mm::PageSource*> map_source() override { return fail(Errno::kENODEV); }

private:
    TextPages text_;
    bool generated_ = false;
};

}  // namespace

Result<FileRef> GeneratedInode::open(DentryRef dentry, u32 flags) {
    return mm::make_ref<GeneratedFile>(InodeRef(this), std::move(dentry), flags);
}

}  // namespace hd::fs
