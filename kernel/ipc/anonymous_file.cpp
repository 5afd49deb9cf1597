// SPDX-License-Identifier: MIT
// See anonymous_file.hpp.
#include "kernel/ipc/anonymous_file.hpp"

#include "kernel/core/panic.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::ipc {

namespace {

constexpr const char* kNames[] = {"[eventfd]", "[eventpoll]", "[timerfd]", "[signalfd]", "[pidfd]"};
static_assert(std::size(kNames) == static_cast<usize>(AnonymousKind::kCount));

class AnonymousSystem final : public fs::FileSystem {
public:
    AnonymousSystem() : FileSystem("anon_inodefs") {}
    Result<fs::InodeRef> root() override { return fail(Errno::kENODEV); }
    void fill_statfs(abi::Statfs& statfs) const override { statfs.f_type = abi::kANON_INODE_FS_MAGIC; }
};

class AnonymousInode final : public fs::Inode {
public:
    AnonymousInode(fs::FileSystem& owner, const char* name)
        : Inode(owner, fs::InodeKind::Anonymous, 0600, owner.next_inode_number()), name_(name) {}
    void source_path(TextSink& sink) const override { format_to(sink, "anon_inode:{}", name_); }

private:
    const char* const name_;
};

constinit Late<AnonymousSystem> g_system{};
constinit fs::Inode* g_inodes[std::size(kNames)] = {};  // a reference each, for ever

}  // namespace

AnonymousFile::AnonymousFile(AnonymousKind kind, u32 flags_in)
    : File(fs::InodeRef(g_inodes[static_cast<usize>(kind)]), nullptr, flags_in) {}

void init_anonymous_files() {
    g_system.construct();
    for (usize i = 0; i < std::size(kNames); ++i) {
        g_inodes[i] = new (std::nothrow) AnonymousInode(*g_system, kNames[i]);
        if (g_inodes[i] == nullptr) core::panic("no memory for the inodes of anonymous files");
    }
}

}  // namespace hd::ipc
