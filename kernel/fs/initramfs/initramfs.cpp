// SPDX-License-Identifier: MIT
#include "kernel/fs/initramfs/initramfs.hpp"

#include <tuple>
#include <utility>

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

class Unpacker {
public:
    explicit Unpacker(const DentryRef& root) : start_{root, root, &root_user_} {}
    ~Unpacker() {
        while (linked_ != nullptr) delete std::exchange(linked_, linked_->next);
    }

    // A reason why not.
    std::expected<void, const char*> unpack(const CpioEntry& entry) {
        const auto kind = kind_of_mode(entry.mode);
        if (!kind) return std::unexpected("its kind of file is unknown");
        if (*kind == InodeKind::Symlink && (entry.data.empty() || entry.data.size() >= abi::kPATH_MAX))
            return std::unexpected("the target of this symbolic link is empty or too long");
        const auto made = make(entry, *kind);
        if (made) return {};
        failed_ = true;
        return std::unexpected(reason_of(made.error()));
    }
    bool failed() const { return failed_; }  // the archive is right, but could not be unpacked

    // The second pass: making entries has changed the directories' times.
    Result<> restore_times(const CpioEntry& entry) {
        if (kind_of_mode(entry.mode) != InodeKind::Directory) return {};
        const auto found = walk(start_, entry.name, FollowLast::No);
        if (!found || !(*found)->inode->is_directory()) return {};  // a later entry took its place
        return change_times(*(*found)->inode, {entry.mtime, 0}, {entry.mtime, 0}, root_user_);
    }

private:
    // A file with several names: the first of them, which lies in the image.
    struct LinkedFile {
        LinkedFile* next;
        const CpioEntry entry;
    };

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

    const LinkedFile* find(const CpioEntry& entry) {
        const auto identity = [](const CpioEntry& of) {
            return std::tuple(of.archive, of.inode, of.device_major, of.device_minor);
        };
        const LinkedFile* file = linked_;
        while (file != nullptr && identity(file->entry) != identity(entry)) file = file->next;
        return file;
    }
    Result<> remember(const CpioEntry& entry) {
        LinkedFile* file = new (std::nothrow) LinkedFile{linked_, entry};
        if (file == nullptr) return fail(Errno::kENOMEM);
        linked_ = file;
        return {};
    }

    const Credentials root_user_{};
    const WalkStart start_;
    LinkedFile* linked_ = nullptr;
    bool failed_ = false;
};

}  // namespace

Result<> unpack_archives(const DentryRef& root, std::span<const u8> image, TextSink& sentence) {
    Unpacker unpacker(root);
    CpioEntry entry;
    const auto refuse = [&](const CpioError& error) {
        format_to(sentence, "the initramfs {} at byte {}: {}", unpacker.failed() ? "cannot be unpacked" : "is corrupt",
                  error.offset, error.reason);
        return fail(unpacker.failed() ? Errno::kENOSPC : Errno::kEINVAL);
    };
    for (CpioReader reader(image);;) {
        const auto more = reader.next(entry);
        if (!more) return refuse(more.error());
        if (!*more) break;
        if (const auto unpacked = unpacker.unpack(entry); !unpacked) return refuse({entry.offset, unpacked.error()});
    }
    for (CpioReader reader(image); reader.next(entry).value_or(false);) TRY(unpacker.restore_times(entry));
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
