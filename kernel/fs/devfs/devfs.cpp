// SPDX-License-Identifier: MIT
#include "kernel/fs/devfs/devfs.hpp"

#include "kernel/core/log.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/fs/devfs/memory.hpp"
#include "kernel/fs/tmpfs/tmpfs.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs::devfs {

namespace {

struct Node {
    const char* name = nullptr;
    u64 device = 0;
    u32 mode = 0;
};
constinit Node g_nodes[64]{};
constinit usize g_node_count = 0;
constinit bool g_mounted = false;

constexpr const char* kLinks[][2] = {{"fd", "/proc/self/fd"},
                                     {"stdin", "/proc/self/fd/0"},
                                     {"stdout", "/proc/self/fd/1"},
                                     {"stderr", "/proc/self/fd/2"}};
constexpr const char* kDirectories[] = {"shm", "pts"};

class DeviceSystem final : public TmpfsSystem {
public:
    explicit DeviceSystem(const Options& options) : TmpfsSystem("devtmpfs", options) {}

    Result<InodeRef> root() override {
        const Credentials root_user{};
        InodeRef directory = TRY(TmpfsSystem::root());
        sync::MutexGuard guard(directory->lock);
        for (const Node& node : std::span(g_nodes, g_node_count))
            TRY(directory->create(node.name, InodeKind::CharacterDevice, node.mode, node.device, root_user));
        for (const auto& [name, target] : kLinks) TRY(directory->symlink(name, target, root_user));
        for (const char* name : kDirectories) TRY(directory->create(name, InodeKind::Directory, 0755, 0, root_user));
        return directory;
    }
};

Result<RefPtr<FileSystem>> make(std::string_view text) {
    TmpfsSystem::Options options = TRY(TmpfsSystem::parse_options(text));
    options.mode &= 0755;
    return mm::make_ref<DeviceSystem>(options);
}

}  // namespace

}  // namespace hd::fs::devfs

namespace hd::fs {

void devfs::add_character_device(const char* name, u32 major, u32 minor, u32 mode, DeviceOpener opener) {
    ASSERT(g_node_count < std::size(g_nodes), "too many device nodes: make the table longer");
    register_character_device(abi::makedev(major, minor), opener);
    g_nodes[g_node_count++] = {name, abi::makedev(major, minor), mode};
    if (!g_mounted) return;
    const Credentials root_user{};
    WalkStart start{root_dentry(), root_dentry(), &root_user};
    if (auto directory = walk(start, "/dev", FollowLast::Yes)) start.base = std::move(*directory);
    if (!make_node(start, name, InodeKind::CharacterDevice, mode, abi::makedev(major, minor)))
        log::warn("no memory for the device node {}", name);
}

void mount_devfs() {
    const Credentials root_user{};
    const WalkStart start{root_dentry(), root_dentry(), &root_user};
    register_file_system({"devtmpfs", devfs::make});
    devfs::add_memory_devices();
    const auto made = make_node(start, "/dev", InodeKind::Directory, 0755, 0);
    if ((!made && made.error() != Errno::kEEXIST) || !mount(start, "devtmpfs", "/dev", "devtmpfs", abi::kMS_NOSUID) ||
        !mount(start, "tmpfs", "/dev/shm", "tmpfs", abi::kMS_NOSUID | abi::kMS_NODEV))
        core::boot_failure("/dev cannot be mounted");
    devfs::g_mounted = true;
}

}  // namespace hd::fs
