// SPDX-License-Identifier: MIT
#include "kernel/fs/tmpfs/tmpfs.hpp"

#include <cstring>

#include "kernel/fs/tmpfs/directory.hpp"
#include "kernel/fs/tmpfs/file.hpp"
#include "kernel/fs/tmpfs/symlink.hpp"
#include "kernel/ipc/pipe.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

Result<u64> parse_pages(std::string_view text) {
    const auto number = take_number(text);
    if (!number) return fail(Errno::kEINVAL);
    if (text == "%") return mm::frame_counts().total * std::min<u64>(*number, 100) / 100;
    const u32 shift = text.empty() ? 0 : text == "k" ? 10 : text == "m" ? 20 : text == "g" ? 30 : 64;
    if (shift == 64 || *number > ~u64{0} >> (shift + 1)) return fail(Errno::kEINVAL);
    return ((*number << shift) + mm::kPageSize - 1) / mm::kPageSize;
}

}  // namespace

TmpfsSystem::TmpfsSystem(const char* type_in, const Options& options)
    : FileSystem(type_in),
      options_(options),
      limit_pages_(options.limit_pages != 0 ? options.limit_pages : mm::frame_counts().total / 2) {}

Result<TmpfsSystem::Options> TmpfsSystem::parse_options(std::string_view text) {
    Options options;
    while (!text.empty()) {
        const usize comma = std::min(text.find(','), text.size());
        const std::string_view option = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const usize equals = std::min(option.find('='), option.size() - 1);
        const std::string_view name = option.substr(0, equals);
        std::string_view value = option.substr(equals + 1);
        if (name == "size") {
            options.limit_pages = TRY(parse_pages(value));
            continue;
        }
        u32* const field = name == "mode"  ? &options.mode
                           : name == "uid" ? &options.uid
                           : name == "gid" ? &options.gid
                                           : nullptr;
        const auto number = take_number(value, name == "mode" ? 8 : 10);
        if (field == nullptr || !number || !value.empty() || *number > ~u32{0}) return fail(Errno::kEINVAL);
        *field = static_cast<u32>(*number);
    }
    return options;
}

Result<RefPtr<FileSystem>> TmpfsSystem::make(std::string_view options) {
    const Options parsed = TRY(parse_options(options));
    return mm::make_ref<TmpfsSystem>("tmpfs", parsed);
}

Result<InodeRef> TmpfsSystem::root() {
    auto inode = TRY(mm::make_ref<TmpfsDirectory>(*this, options_.mode & 07777, next_inode_number()));
    inode->uid = options_.uid;
    inode->gid = options_.gid;
    return inode;
}

namespace {

Result<InodeRef> new_inode(TmpfsSystem& system, InodeKind kind, u32 mode, u64 number) {
    switch (kind) {
    case InodeKind::Regular: return mm::make_ref<TmpfsFile>(system, mode, number);
    case InodeKind::Directory: return mm::make_ref<TmpfsDirectory>(system, mode, number);
    case InodeKind::Fifo: return mm::make_ref<ipc::PipeInode>(system, mode, number);
    default: return mm::make_ref<Inode>(system, kind, mode, number);
    }
}

}  // namespace

Result<InodeRef> TmpfsSystem::make_inode(InodeKind kind, u32 mode, u64 device, const Inode& directory,
                                         const Credentials& by) {
    const bool group_of_directory = (directory.mode & abi::kS_ISGID) != 0;
    if (group_of_directory && kind == InodeKind::Directory) mode |= abi::kS_ISGID;
    InodeRef inode = TRY(new_inode(*this, kind, mode, next_inode_number()));
    inode->uid = by.fsuid;
    inode->gid = group_of_directory ? directory.gid.load() : by.fsgid;
    inode->device = device;
    return inode;
}

Result<> TmpfsSystem::charge_page() {
    if (used_pages_.fetch_add(1, std::memory_order_relaxed) < limit_pages_) return {};
    used_pages_.fetch_sub(1, std::memory_order_relaxed);
    return fail(Errno::kENOSPC);
}

void TmpfsSystem::uncharge_pages(u64 count) { used_pages_.fetch_sub(count, std::memory_order_relaxed); }

void TmpfsSystem::fill_statfs(abi::Statfs& statfs) const {
    const u64 used = used_pages_.load(std::memory_order_relaxed);
    statfs.f_type = abi::kTMPFS_MAGIC;
    statfs.f_blocks = limit_pages_;
    statfs.f_bfree = statfs.f_bavail = limit_pages_ - std::min(used, limit_pages_);
}

void TmpfsSystem::describe_options(TextSink& sink) const {
    if (options_.limit_pages != 0) format_to(sink, ",size={}k", options_.limit_pages * mm::kPageSize / 1024);
    if (options_.mode != 01777) format_to(sink, ",mode={:o}", options_.mode);
    if (options_.uid != 0) format_to(sink, ",uid={}", options_.uid);
    if (options_.gid != 0) format_to(sink, ",gid={}", options_.gid);
}

Result<InodeRef> TmpfsSymlink::make(FileSystem& system, std::string_view target) {
    std::unique_ptr<char[]> text(new (std::nothrow) char[target.size()]);
    if (!text) return fail(Errno::kENOMEM);
    std::memcpy(text.get(), target.data(), target.size());
    return mm::make_ref<TmpfsSymlink>(system, system.next_inode_number(), std::move(text), target.size());
}

Result<usize> TmpfsSymlink::read_link(std::span<char> buffer) {
    const usize size = std::min(buffer.size(), size_);
    std::memcpy(buffer.data(), text_.get(), size);
    return size;
}

void tmpfs_init() { register_file_system({"tmpfs", TmpfsSystem::make}); }

}  // namespace hd::fs
