// SPDX-License-Identifier: MIT
#include "kernel/fs/initramfs/initramfs.hpp"

#include "kernel/abi/stat.hpp"
#include "kernel/core/panic.hpp"
#include "kernel/fs/initramfs/cpio.hpp"
#include "kernel/fs/tmpfs/tmpfs.hpp"
#include "kernel/fs/vfs/mount.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/ipc/pipe.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

constexpr const char* kNoMemory = "there is not enough memory to unpack this file";
constexpr const char* kNoDirectory = "the directory of this file is not in the archive";

const char* reason_of(Errno error) {
    switch (error) {
    case Errno::kENOMEM:
    case Errno::kENOSPC: return kNoMemory;
    case Errno::kENOENT:
    case Errno::kENOTDIR: return kNoDirectory;
    default: return "this file cannot be made";
    }
}

class Unpacker final : public CpioVisitor {
public:
    explicit Unpacker(const DentryRef& root) : start_{root, root, &root_user_} {}
    ~Unpacker() { forget_links(); }

    std::expected<void, const char*> entry(const CpioEntry& entry) override {
        const auto kind = kind_of_mode(entry.mode);
        if (!kind) return std::unexpected("its kind of file is unknown");
        if (*kind == InodeKind::Symlink && (entry.data.empty() || entry.data.size() >= abi::kPATH_MAX))
            return std::unexpected("the target of this symbolic link is empty or too long");
        const auto made = make(entry, *kind);
        if (made) return {};
        failed_ = true;
        return std::unexpected(reason_of(made.error()));
    }
    void end_of_archive() override { forget_links(); }  // the numbers that tell hard links are those of one archive
    bool failed() const { return failed_; }             // the archive is right, but could not be unpacked

private:
    // A file with several names: the first of them, which lies in the image.
    struct LinkedFile {
        LinkedFile* next;
        const CpioEntry entry;
    };
    static constexpr usize kBuckets = 64;

    Result<> make(const CpioEntry& entry, InodeKind kind) {
        DentryRef dentry;
        if (auto existing = walk(start_, entry.name, FollowLast::No)) {
            const bool is_directory = (*existing)->inode->is_directory();
            if (is_directory && kind == InodeKind::Directory)
                dentry = std::move(*existing);
            else
                TRY(is_directory ? remove_directory(start_, entry.name) : unlink(start_, entry.name));
        }
        const bool several = entry.links > 1 && kind == InodeKind::Regular;
        if (const LinkedFile* first = several ? find(entry) : nullptr) {
            TRY(link(start_, first->entry.name, FollowLast::No, start_, entry.name));
            if (entry.data.empty()) return {};  // the contents come with one of the names only
            dentry = TRY(walk(start_, entry.name, FollowLast::No));
        } else if (several) {
            TRY(remember(entry));
        }
        if (!dentry)
            dentry = TRY(make_node(start_, entry.name,
                                   {kind,
                                    entry.mode,
                                    abi::makedev(entry.special_major, entry.special_minor),
                                    {reinterpret_cast<const char*>(entry.data.data()), entry.data.size()}}));
        if (kind == InodeKind::Regular && !entry.data.empty()) TRY(write(dentry, entry.data));
        return set_attributes(*dentry->inode, entry);
    }

    Result<> write(const DentryRef& dentry, std::span<const u8> data) {
        FileRef file = TRY(open_dentry(dentry, abi::kO_WRONLY | abi::kO_TRUNC, root_user_));
        IoBuffer buffer = IoBuffer::kernel(const_cast<u8*>(data.data()), data.size());  // is only read
        if (TRY(file->write(buffer)) != data.size()) return fail(Errno::kENOSPC);
        return {};
    }

    Result<> set_attributes(Inode& inode, const CpioEntry& entry) {
        TRY(change_owner(inode, entry.uid, entry.gid, root_user_));
        TRY(change_mode(inode, entry.mode & 07777, root_user_));
        return change_times(inode, {entry.mtime, 0}, {entry.mtime, 0}, root_user_);
    }

    LinkedFile*& bucket_of(const CpioEntry& entry) { return linked_[entry.inode % kBuckets]; }
    const LinkedFile* find(const CpioEntry& entry) {
        for (const LinkedFile* file = bucket_of(entry); file != nullptr; file = file->next)
            if (file->entry.inode == entry.inode && file->entry.device_major == entry.device_major &&
                file->entry.device_minor == entry.device_minor)
                return file;
        return nullptr;
    }
    Result<> remember(const CpioEntry& entry) {
        LinkedFile* file = new (std::nothrow) LinkedFile{bucket_of(entry), entry};
        if (file == nullptr) return fail(Errno::kENOMEM);
        bucket_of(entry) = file;
        return {};
    }
    void forget_links() {
        for (LinkedFile*& bucket : linked_)
            while (bucket != nullptr) delete std::exchange(bucket, bucket->next);
    }

    const Credentials root_user_{};
    const WalkStart start_;
    LinkedFile* linked_[kBuckets] = {};
    bool failed_ = false;
};

// The second pass: making entries has changed the directories' times.
class DirectoryTimes final : public CpioVisitor {
public:
    explicit DirectoryTimes(const DentryRef& root) : start_{root, root, &root_user_} {}
    std::expected<void, const char*> entry(const CpioEntry& entry) override {
        if (kind_of_mode(entry.mode) != InodeKind::Directory) return {};
        if (const auto found = walk(start_, entry.name, FollowLast::No))
            static_cast<void>(change_times(*(*found)->inode, {entry.mtime, 0}, {entry.mtime, 0}, root_user_));
        return {};
    }

private:
    const Credentials root_user_{};
    const WalkStart start_;
};

}  // namespace

Result<> unpack_archives(const DentryRef& root, std::span<const u8> image, TextSink& sentence) {
    Unpacker unpacker(root);
    if (const auto parsed = parse_cpio(image, unpacker); !parsed) {
        format_to(sentence, "the initramfs {} at byte {}: {}", unpacker.failed() ? "cannot be unpacked" : "is corrupt",
                  parsed.error().offset, parsed.error().reason);
        return fail(unpacker.failed() ? Errno::kENOSPC : Errno::kEINVAL);
    }
    DirectoryTimes times(root);
    static_cast<void>(parse_cpio(image, times));
    return {};
}

void mount_root() {
    tmpfs_init();
    ipc::pipe_init();
    auto root = TmpfsSystem::make("mode=755");
    if (!root || !MountTable::attach(std::move(*root), nullptr, "tmpfs"))
        core::boot_failure("there is no memory for the root file system");
}

void unpack_initramfs(std::span<const u8> image) {
    char text[256];
    BufferSink sentence(text);
    if (!unpack_archives(root_dentry(), image, sentence)) core::boot_failure("{}", sentence.view());
}

}  // namespace hd::fs
