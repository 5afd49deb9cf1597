// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/file_system.hpp"

#include <algorithm>

#include "kernel/core/panic.hpp"
#include "kernel/fs/vfs/file.hpp"

namespace hd::fs {

namespace {

// A list that grows during boot, on one CPU, and is only read afterwards.
template <class T, usize kCapacity> struct BootList {
    T entries[kCapacity];
    usize count = 0;

    void add(const T& entry) {
        ASSERT(count < kCapacity, "too many registrations: make the list longer");
        entries[count++] = entry;
    }
    std::span<const T> all() const { return {entries, count}; }
};

constinit BootList<FileSystemType, 16> g_types{};
constinit BootList<CharacterDevice, 64> g_devices{};
constinit std::atomic<u32> g_last_minor{0};

}  // namespace

FileSystem::FileSystem(const char* type_in)
    : type(type_in), device_minor(g_last_minor.fetch_add(1, std::memory_order_relaxed) + 1) {  // only distinct
}

void register_file_system(const FileSystemType& type) { g_types.add(type); }

std::span<const FileSystemType> file_system_types() { return g_types.all(); }

const FileSystemType* find_file_system(std::string_view name) {
    for (const FileSystemType& type : g_types.all())
        if (name == type.name) return &type;
    return nullptr;
}

void register_character_device(const CharacterDevice& device) { g_devices.add(device); }

std::span<const CharacterDevice> character_devices() { return g_devices.all(); }

Result<FileRef> open_character_device(InodeRef inode, DentryRef dentry, u32 flags) {
    if ((inode->file_system.flags.load(std::memory_order_relaxed) & abi::kMS_NODEV) != 0) return fail(Errno::kEACCES);
    for (const CharacterDevice& device : character_devices())
        if (device.device == inode->device) return device.open(std::move(inode), std::move(dentry), flags);
    return fail(Errno::kENXIO);
}

}  // namespace hd::fs
