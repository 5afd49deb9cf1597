// SPDX-License-Identifier: MIT
// FileSystem: one mounted (or kernel-internal) tree of inodes; the registry of types that mount(2) knows.
//
// A file system lives as long as one of its inodes does; the mount's root dentry keeps the root inode.
// Locking: `flags` is one atomic word; the registry is written at boot only.
#pragma once
#include "kernel/abi/statfs.hpp"
#include "kernel/fs/vfs/inode.hpp"

namespace hd::fs {

class FileSystem : public RefCounted<FileSystem> {
public:
    explicit FileSystem(const char* type);
    virtual ~FileSystem() = default;

    const char* const type;     // "tmpfs"; also the name of anonymous inodes: "pipe:[4711]"
    const u32 device_minor;     // of st_dev; the major number is 0, as of everything without a disk
    std::atomic<u64> flags{0};  // MS_RDONLY, MS_NODEV, MS_NOEXEC, MS_NOSUID

    virtual Result<InodeRef> root() = 0;  // called once, by the mount
    virtual void fill_statfs(abi::Statfs& statfs) const = 0;
    virtual void describe_options(TextSink&) const {}  // ",size=1024k" for /proc/mounts

    u64 device() const { return abi::makedev(0, device_minor); }
    bool read_only() const { return (flags.load(std::memory_order_relaxed) & abi::kMS_RDONLY) != 0; }
    u64 next_inode_number() { return last_inode_.fetch_add(1, std::memory_order_relaxed) + 1; }

private:
    std::atomic<u64> last_inode_{0};
};

// A type that mount(2) can make: `options` are the call's data ("size=16m,mode=755"); EINVAL for what is not understood.
struct FileSystemType {
    const char* name;
    Result<RefPtr<FileSystem>> (*make)(std::string_view options);
};
void register_file_system(const FileSystemType& type);  // boot
const FileSystemType* find_file_system(std::string_view name);
std::span<const FileSystemType> file_system_types();

// A character device: its driver, and the name in /dev. Registered at boot, before mount_devfs().
struct CharacterDevice {
    const char* name;
    u64 device;  // makedev(major, minor)
    u32 mode;
    Result<FileRef> (*open)(InodeRef inode, DentryRef dentry, u32 flags);  // makes the File of an open(2)
};
void register_character_device(const CharacterDevice& device);
std::span<const CharacterDevice> character_devices();
Result<FileRef> open_character_device(InodeRef inode, DentryRef dentry, u32 flags);  // ENXIO: no driver; EACCES: nodev

}  // namespace hd::fs
