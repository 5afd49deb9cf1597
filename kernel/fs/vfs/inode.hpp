// SPDX-License-Identifier: MIT
// Inode: a file of any kind - its attributes, and the operations that a file system or driver gives it. The defaults refuse
// with the errno that Linux documents, so a file system implements only what it has.
//
// Locking: `lock` (sleeping, rank Inode; rank Directory for directories) guards contents and attributes. The caller holds it
// for the operations that say so: the name cache changes in the same critical section as the directory. What decides about
// permissions is read without it, hence atomic. Context: task, may sleep.
#pragma once
#include <optional>

#include "kernel/abi/stat.hpp"
#include "kernel/fs/vfs/dirent_sink.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/mm/cache/page_source.hpp"
#include "kernel/sync/mutex.hpp"

namespace hd::fs {

class Dentry;
class File;
class FileSystem;
class Inode;
using InodeRef = RefPtr<Inode>;
using FileRef = RefPtr<File>;
using DentryRef = RefPtr<Dentry>;

// Who asks: checked against owner, group and mode (path_resolution(7)). uid 0 may do everything but execute a file that has
// no x bit.
struct Credentials {
    u32 uid = 0, gid = 0, euid = 0, egid = 0, suid = 0, sgid = 0, fsuid = 0, fsgid = 0;
    static constexpr usize kMaxGroups = 32;
    u32 groups[kMaxGroups] = {};
    usize group_count = 0;
    bool in_group(u32 gid) const;
    bool is_root() const { return fsuid == 0; }
};

inline constexpr u32 kMayExecute = 1, kMayWrite = 2, kMayRead = 4;

// What chmod(2), chown(2), truncate(2) and utimensat(2) change; what is empty stays. See kernel/fs/vfs/attributes.hpp for
// the calls that check permissions.
struct AttributeChange {
    std::optional<u32> mode, uid, gid;
    std::optional<abi::Timespec> accessed, modified;
};

// Uses of a file's contents that exclude each other: a program does not change while it runs (ETXTBSY).
enum class FileUse : i32 { Written = 1, Executed = -1 };

class Inode : public mm::PageSource {
public:
    Inode(FileSystem& file_system, InodeKind kind, u32 mode, u64 number);
    ~Inode() override;

    const InodeKind kind;
    const u64 number;
    FileSystem& file_system;  // kept alive by its inodes
    sync::Mutex lock;

    // Changed under `lock`.
    std::atomic<u32> mode;  // permission bits with set-id and sticky, without the file type
    std::atomic<u32> uid{0}, gid{0};
    std::atomic<u32> links{1};  // of directories changed by whoever changes their parent, too
    u64 device = 0;             // of a device file: makedev(major, minor); set at its creation
    abi::Timespec accessed GUARDED_BY(lock){}, modified GUARDED_BY(lock){}, changed GUARDED_BY(lock){};
    // The contents changed after `accessed`: the next read moves it on (Linux: relatime; here without the daily update).
    std::atomic<bool> access_stale{true};

    bool is_directory() const { return kind == InodeKind::Directory; }

    // What is open for writing cannot be executed, and the other way round. ETXTBSY: the other use is going on.
    Result<> begin_use(FileUse use);
    void end_use(FileUse use);

    // ---- directories; the caller holds `lock` and has checked permissions and that names are neither "." nor ".."
    virtual Result<InodeRef> lookup(std::string_view name) REQUIRES(lock);  // ENOENT
    virtual Result<InodeRef> create(std::string_view name, InodeKind kind, u32 mode, u64 device,
                                    const Credentials& by) REQUIRES(lock);  // EEXIST; ENOENT in a removed directory
    virtual Result<InodeRef> symlink(std::string_view name, std::string_view target, const Credentials& by)
        REQUIRES(lock);
    virtual Result<> link(std::string_view name, Inode& target) REQUIRES(lock);
    virtual Result<> unlink(std::string_view name, Inode& target) REQUIRES(lock);  // not of directories
    // Nothing can be created in `target` afterwards, though the caller does not hold its lock. ENOTEMPTY.
    virtual Result<> rmdir(std::string_view name, Inode& target) REQUIRES(lock);
    // Both directories are locked. `replaced` is what new_name names now, or nullptr; a directory must be empty, as for rmdir.
    virtual Result<> rename(std::string_view old_name, Inode& moved, Inode& new_directory, std::string_view new_name,
                            Inode* replaced) REQUIRES(lock);
    // From `position` on; 0 is the start. "." and ".." are not among the entries: positions 0 and 1 stand for them, so the
    // first entry's position is at least 2. Stops when the sink is full. An entry that exists from the first call to the
    // last is given exactly once, whatever happens to others.
    virtual Result<> read_directory(u64 position, DirentSink& sink) REQUIRES(lock);
    // May names be cached? Not those of /proc/PID, which come and go by themselves.
    virtual bool cacheable() const { return true; }

    // ---- symbolic links
    virtual Result<usize> read_link(std::span<char> buffer);  // cuts off what does not fit
    // A link that leads to an object, not to a path (/proc/PID/exe, /proc/PID/fd/N). nullptr: follow the text.
    virtual Result<DentryRef> follow_magic();

    // ---- contents
    // `dentry` may be null (a pipe). Default: a File over page() and size() for regular files and directories, the driver's
    // for character devices.
    virtual Result<FileRef> open(DentryRef dentry, u32 flags);
    virtual u64 size() const { return 0; }
    // The frame of page `index` for write(2), which may lie past the end. EINVAL, ENOSPC, ENOMEM.
    virtual Result<mm::FrameRef> page_for_write(u64 index) REQUIRES(lock);
    // Moves the end up to `size`, not down.
    virtual void extend(u64 size) REQUIRES(lock);
    virtual Result<> truncate(u64 size) REQUIRES(lock);  // EINVAL
    virtual Result<> set_attributes(const AttributeChange& change) REQUIRES(lock);
    virtual void fill_stat(abi::Stat& stat);

    // mm::PageSource. A mapping of a file that has a name goes through its Dentry, which knows the path.
    Result<mm::FrameRef> page(u64 index, mm::PageUse use) override;  // ENODEV
    Description describe_source() const override;
    void source_path(TextSink& sink) const override;

    // kMayRead | kMayWrite | kMayExecute. EACCES, EROFS.
    Result<> check_access(const Credentials& who, u32 wanted) const;

    // Contents changed now: mtime and ctime; attributes changed: ctime.
    void touch_modified() REQUIRES(lock);
    void touch_changed() REQUIRES(lock);
    void note_access();  // after a read; takes `lock` only if `accessed` is stale

private:
    // How many uses there are: writers count up from 0, executions down. Relaxed: it says who comes too late; what was
    // written before is ordered by what guards the contents.
    std::atomic<i32> uses_{0};
};

// The st_mode of a kind, without permissions, and back; the d_type of a directory entry.
u32 file_type_bits(InodeKind kind);
std::optional<InodeKind> kind_of_mode(u32 mode);
u8 dirent_type(InodeKind kind);
abi::Timespec current_time();

}  // namespace hd::fs
