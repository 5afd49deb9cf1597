// SPDX-License-Identifier: MIT
#include "kernel/fs/devfs/devfs.hpp"

#include "arch/cpu.hpp"
#include "kernel/fs/tmpfs/tmpfs.hpp"
#include "kernel/fs/vfs/file.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

// ---- the devices of Linux's major number 1 (null(4), full(4), random(4))

enum class Memory : u8 { Null, Zero, Full, Random };

template <Memory kWhich> class MemoryFile final : public File {
public:
    using File::File;

    Result<u64> read_at(IoBuffer& buffer, u64) override {
        const u64 count = buffer.remaining();
        if constexpr (kWhich == Memory::Null) return 0;
        if constexpr (kWhich == Memory::Random) return read_random(buffer);
        TRY(buffer.put_zeros(count));
        return count;
    }
    Result<u64> write_at(IoBuffer& buffer, u64, bool) override {
        if constexpr (kWhich == Memory::Full) return fail(Errno::kENOSPC);
        return buffer.remaining();
    }
    Result<u64> seek(i64, int) override { return 0; }
    Result<mm::PageSource*> map_source() override {
        if constexpr (kWhich == Memory::Zero) return nullptr;
        return fail(Errno::kENODEV);
    }

private:
    Result<u64> read_random(IoBuffer& buffer) {
        const u64 start = buffer.done();
        while (buffer.remaining() != 0) {
            u8 bytes[256];
            const usize count = std::min(sizeof bytes, buffer.remaining());
            arch::hardware_random(bytes, count);
            if (const auto put = buffer.put({bytes, count}); !put) return buffer.moved_since(start, put);
        }
        return buffer.moved_since(start);
    }
};

template <Memory kWhich> Result<FileRef> open(InodeRef inode, DentryRef dentry, u32 flags) {
    return mm::make_ref<MemoryFile<kWhich>>(std::move(inode), std::move(dentry), flags);
}

constexpr u32 kMemoryMajor = 1;
constexpr CharacterDevice kMemoryDevices[] = {
    {"null", abi::makedev(kMemoryMajor, 3), 0666, open<Memory::Null>},
    {"zero", abi::makedev(kMemoryMajor, 5), 0666, open<Memory::Zero>},
    {"full", abi::makedev(kMemoryMajor, 7), 0666, open<Memory::Full>},
    {"random", abi::makedev(kMemoryMajor, 8), 0666, open<Memory::Random>},
    {"urandom", abi::makedev(kMemoryMajor, 9), 0666, open<Memory::Random>},
};

// ---- the tree

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
        for (const auto& [name, device, mode, open] : character_devices())
            TRY(directory->create(name, {InodeKind::CharacterDevice, mode, device}, root_user));
        for (const auto& [name, target] : kLinks)
            TRY(directory->create(name, {InodeKind::Symlink, 0777, 0, target}, root_user));
        for (const char* name : kDirectories) TRY(directory->create(name, {InodeKind::Directory, 0755}, root_user));
        return directory;
    }
};

Result<RefPtr<FileSystem>> make(std::string_view text) {
    TmpfsSystem::Options options = TRY(TmpfsSystem::parse_options(text));
    options.mode &= 0755;
    return mm::make_ref<DeviceSystem>(options);
}

}  // namespace

void mount_devfs() {
    for (const CharacterDevice& device : kMemoryDevices) register_character_device(device);
    register_file_system({"devtmpfs", make});
    mount_at_boot("devtmpfs", "/dev", abi::kMS_NOSUID);
    mount_at_boot("tmpfs", "/dev/shm", abi::kMS_NOSUID | abi::kMS_NODEV);
}

}  // namespace hd::fs
