// SPDX-License-Identifier: MIT
// tmpfs(5): a file system in memory. It is the root, /dev, /dev/shm and whatever is mounted with its type.
//
// File contents are frames in a page cache that is never written anywhere; they count against the mount's limit, half of
// the memory unless said otherwise (ENOSPC). Names and inodes are slab objects (ENOMEM).
#pragma once
#include "kernel/fs/vfs/file_system.hpp"

namespace hd::fs {

class TmpfsSystem : public FileSystem {
public:
    struct Options {
        u64 limit_pages = 0;  // 0: half of the memory
        u32 mode = 01777, uid = 0, gid = 0;
    };
    TmpfsSystem(const char* type, const Options& options);

    // "size=16m,mode=755,uid=0,gid=0"; a size in bytes, with k, m or g, or in % of the memory. EINVAL.
    static Result<Options> parse_options(std::string_view text);
    static Result<RefPtr<FileSystem>> make(std::string_view options);

    Result<InodeRef> root() override;
    void fill_statfs(abi::Statfs& statfs) const override;
    void describe_options(TextSink& sink) const override;

    // Pages of file contents. ENOSPC.
    Result<> charge_page();
    void uncharge_pages(u64 count);

private:
    const Options options_;
    const u64 limit_pages_;
    std::atomic<u64> used_pages_{0};  // relaxed everywhere: a sum
};

// memfd_create(2): a file without a path, open for reading and writing. ENOMEM.
Result<FileRef> make_memory_file(std::string_view name, bool sealable, const Credentials& by);

void tmpfs_init();  // boot: makes the type known to mount(2)

}  // namespace hd::fs
