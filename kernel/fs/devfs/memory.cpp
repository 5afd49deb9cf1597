// SPDX-License-Identifier: MIT
#include "kernel/fs/devfs/memory.hpp"

#include "arch/cpu.hpp"
#include "kernel/fs/devfs/devfs.hpp"
#include "kernel/fs/vfs/file.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs::devfs {

namespace {

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
            if (const auto put = buffer.put({bytes, count}); !put && buffer.done() == start)
                return fail(put.error());
            else if (!put)
                break;
        }
        return buffer.done() - start;
    }
};

template <Memory kWhich> Result<FileRef> open(InodeRef inode, DentryRef dentry, u32 flags) {
    return mm::make_ref<MemoryFile<kWhich>>(std::move(inode), std::move(dentry), flags);
}

}  // namespace

void add_memory_devices() {
    constexpr u32 kMajor = 1, kMode = 0666;
    add_character_device("null", kMajor, 3, kMode, open<Memory::Null>);
    add_character_device("zero", kMajor, 5, kMode, open<Memory::Zero>);
    add_character_device("full", kMajor, 7, kMode, open<Memory::Full>);
    add_character_device("random", kMajor, 8, kMode, open<Memory::Random>);
    add_character_device("urandom", kMajor, 9, kMode, open<Memory::Random>);
}

}  // namespace hd::fs::devfs
