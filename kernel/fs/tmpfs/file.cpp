// SPDX-License-Identifier: MIT
#include "kernel/fs/tmpfs/file.hpp"

#include <cstring>

#include "kernel/task/memory.hpp"

namespace hd::fs {

namespace {

constexpr u64 pages_of(u64 bytes) { return (bytes + mm::kPageSize - 1) / mm::kPageSize; }

}  // namespace

TmpfsFile::~TmpfsFile() { system().uncharge_pages(charged_.load(std::memory_order_relaxed)); }

Result<mm::FrameRef> TmpfsFile::find_or_add(u64 index) {
    if (mm::FrameRef found = pages_.find(index)) return found;
    TRY(system().charge_page());
    bool made = false;
    auto page = pages_.get_or_create(index, &made);
    if (made)
        charged_.fetch_add(1, std::memory_order_relaxed);
    else
        system().uncharge_pages(1);  // no memory, or another thread was faster
    return page;
}

Result<mm::FrameRef> TmpfsFile::page(u64 index, mm::PageUse use) {
    if (index >= pages_of(size())) return fail(Errno::kENXIO);
    if (use != mm::PageUse::Write) return pages_.find(index);
    mm::FrameRef frame = TRY(find_or_add(index));
    // A truncation may have come between: the new page then lies past the end, full of zeros, where it does no harm. It must
    // not be mapped and written to.
    if (index >= pages_of(size())) return fail(Errno::kENXIO);
    return frame;
}

Result<mm::FrameRef> TmpfsFile::page_for_write(u64 index) { return find_or_add(index); }

void TmpfsFile::extend(u64 wanted) {
    if (wanted > size()) set_size(wanted);
}

Result<> TmpfsFile::truncate(u64 wanted) {
    const u64 before = size();
    set_size(wanted);
    if (wanted >= before) return {};
    if (pages_.truncate(pages_of(wanted))) task::unmap_everywhere(identity(), pages_of(wanted) * mm::kPageSize);
    const u64 left = pages_.page_count();
    system().uncharge_pages(charged_.exchange(left, std::memory_order_relaxed) - left);
    const u64 in_page = wanted % mm::kPageSize;
    if (in_page != 0)
        if (const mm::FrameRef last = pages_.find(wanted / mm::kPageSize))
            std::memset(bytes_of(*last) + in_page, 0, mm::kPageSize - in_page);
    return {};
}

void TmpfsFile::fill_stat(abi::Stat& stat) {
    Inode::fill_stat(stat);
    stat.st_blocks = static_cast<i64>(charged_.load(std::memory_order_relaxed) * (mm::kPageSize / 512));
}

}  // namespace hd::fs
