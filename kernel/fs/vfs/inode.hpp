// SPDX-License-Identifier: MIT
// Inode: a file of any kind - its attributes, and the operations that a file system or driver gives it. The defaults refuse
// with the errno that Linux documents, so a file system implements only what it has.
//
// Locking: `lock` (sleeping, rank Inode; rank Directory for directories) guards contents and attributes. The caller holds it
// for the operations that say so: the name cache changes in the same critical section as the directory. What decides about
// permissions is read without it, hence atomic. Context: task, may sleep.
#pragma once
#include <optional>

#include "kernel/abi/dirent.hpp"
#include "kernel/abi/stat.hpp"
#include "kernel/lib/ref.hpp"
#include "kernel/mm/cache/page_source.hpp"
#include "kernel/sync/mutex.hpp"

namespace hd::fs {

class Dentry;
class FileLocks;
class File;
class FileSystem;
class Inode;
using InodeRef = RefPtr<Inode>;
using FileRef = RefPtr<File>;
using DentryRef = RefPtr<Dentry>;

// What a file is. The values are those of d_type in a directory entry and, shifted, of st_mode.
enum class InodeKind : u8 {
    Fifo = abi::kDT_FIFO,
    CharacterDevice = abi::kDT_CHR,
    Directory = abi::kDT_DIR,
    BlockDevice = abi::kDT_BLK,
    Regular = abi::kDT_REG,
    Symlink = abi::kDT_LNK,
    Socket = abi::kDT_SOCK,
    Anonymous = 0,  // has no type: eventfd(2) and the like
};
// The st_mode of a kind, without permissions, and back.
constexpr u32 file_type_bits(InodeKind kind) { return u32{static_cast<u8>(kind)} << 12; }
std::optional<InodeKind> kind_of_mode(u32 mode);

// Where a directory puts its entries when it is read.
class DirentSink {
public:
    // False: full, the entry was not taken. `next` is the position from which reading goes on behind this entry.
    [[nodiscard]] virtual bool entry(std::string_view name, u64 inode, InodeKind kind, u64 next) = 0;

protected:
    ~DirentSink() = default;
};

// Who asks: the effective ids are checked against owner, group and mode (path_resolution(7)); there is no setfsuid(2) to make
// files' checks use others. uid 0 may do everything but execute a file that has no x bit.
struct Credentials {
    u32 uid = 0, gid = 0, euid = 0, egid = 0, suid = 0, sgid = 0;
    static constexpr usize kMaxGroups = 32;
    u32 groups[kMaxGroups] = {};
    usize group_count = 0;
    bool in_group(u32 gid) const;
    bool powerless = false;  // has given up its capabilities (capset(2)), until it executes a program as root
    bool is_root() const { return euid == 0 && !powerless; }
};

inline constexpr u32 kMayExecute = 1, kMayWrite = 2, kMayRead = 4;

// What is to be made: mkdir(2), mknod(2), symlink(2), open(2).
struct NewNode {
    InodeKind kind;
    u32 mode;
    u64 device = 0;                // of a device file
    std::string_view target = {};  // of a symbolic link
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

    std::atomic<FileLocks*> locks{nullptr};  // advisory ones (file_lock.hpp); made with the first, goes with the inode

    bool is_directory() const { return kind == InodeKind::Directory; }

    // What is open for writing cannot be executed, and the other way round. ETXTBSY: the other use is going on.
    Result<> begin_use(FileUse use);
    void end_use(FileUse use);

    // ---- directories; the caller holds `lock` and has checked permissions and that names are neither "." nor ".."
    virtual Result<InodeRef> lookup(std::string_view) REQUIRES(lock) { return fail(Errno::kENOENT); }
    // The name is free. ENOENT in a removed directory.
    virtual Result<InodeRef> create(std::string_view, const NewNode&, const Credentials& /*by*/) REQUIRES(lock) {
        return fail(Errno::kEPERM);
    }
    virtual Result<> link(std::string_view, Inode& /*target*/) REQUIRES(lock) { return fail(Errno::kEPERM); }
    // If `target` is a directory, nothing can be created in it afterwards, though the caller does not hold its lock. ENOTEMPTY.
    virtual Result<> unlink(std::string_view, Inode& /*target*/) REQUIRES(lock) { return fail(Errno::kEPERM); }
    // Both directories are locked. `replaced` is what new_name names now, or nullptr; a directory must be empty, as for unlink.
    virtual Result<> rename(std::string_view /*old_name*/, Inode& /*moved*/, Inode& /*new_directory*/,
                            std::string_view /*new_name*/, Inode* /*replaced*/) REQUIRES(lock) {
        return fail(Errno::kEPERM);
    }
    // From `position` on; 0 is the start. "." and ".." are not among the entries: positions 0 and 1 stand for them, so the
    // first entry's position is at least 2. Stops when the sink is full. An entry that exists from the first call to the
    // last is given exactly once, whatever happens to others.
    virtual Result<> read_directory(u64 /*position*/, DirentSink&) REQUIRES(lock) { return fail(Errno::kENOTDIR); }
    // May names be cached? Not those of /proc/PID, which come and go by themselves.
    virtual bool cacheable() const { return true; }

    // ---- symbolic links
    virtual Result<usize> read_link(std::span<char>) { return fail(Errno::kEINVAL); }  // cuts off what does not fit
    // A link that leads to an object, not to a path (/proc/PID/exe, /proc/PID/fd/N). nullptr: follow the text.
    virtual Result<DentryRef> follow_magic();

    // ---- contents
    // `dentry` may be null (a pipe). Default: a File over page() and size() for regular files and directories, the driver's
    // for character devices.
    virtual Result<FileRef> open(DentryRef dentry, u32 flags);
    virtual u64 size() const { return 0; }
    // The frame of page `index` for write(2), which may lie past the end. EINVAL, ENOSPC, ENOMEM.
    virtual Result<mm::FrameRef> page_for_write(u64 /*index*/) REQUIRES(lock) { return fail(Errno::kEINVAL); }
    // Before a write that ends at byte `end`. EPERM: the file is sealed.
    virtual Result<> check_write(u64 /*end*/) REQUIRES(lock) { return {}; }
    // Moves the end up to `size`, not down.
    virtual void extend(u64 /*size*/) REQUIRES(lock) {}
    virtual Result<> truncate(u64 /*size*/) REQUIRES(lock) { return fail(Errno::kEINVAL); }
    // Makes sure that writing there finds memory. ENODEV: not that kind of file; ENOSPC, ENOMEM, EPERM: it is sealed.
    virtual Result<> allocate(u64 /*begin*/, u64 /*end*/) REQUIRES(lock) { return fail(Errno::kENODEV); }
    virtual void fill_stat(abi::Stat& stat);

    // memfd_create(2), F_GET_SEALS and F_ADD_SEALS of fcntl(2). EINVAL: files of this kind have none; EPERM, EBUSY.
    virtual Result<u32> seals() { return fail(Errno::kEINVAL); }
    virtual Result<> add_seals(u32 /*added*/) { return fail(Errno::kEINVAL); }

    // mm::PageSource. A mapping of a file that has a name goes through its Dentry, which knows the path.
    Result<mm::FrameRef> page(u64, mm::PageUse) override { return fail(Errno::kENODEV); }
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

void free_locks(FileLocks* locks);

abi::Timespec current_time();

// ---- the bodies of system calls, with their permission checks; no lock is held

// chmod(2). EPERM unless `who` owns it or is root; EROFS.
Result<> change_mode(Inode& inode, u32 mode, const Credentials& who);
// chown(2); ~0 keeps an id. An ordinary owner may only choose another group that it is in. Clears set-id bits. EPERM, EROFS.
Result<> change_owner(Inode& inode, u32 uid, u32 gid, const Credentials& who);
// What a write by another than root takes away: the set-id bits.
void drop_set_id(Inode& inode, const Credentials& who);
// utimensat(2); kUTIME_NOW and kUTIME_OMIT in tv_nsec. EPERM, EACCES, EINVAL, EROFS.
Result<> change_times(Inode& inode, abi::Timespec accessed, abi::Timespec modified, const Credentials& who);
// truncate(2) after check_access(), ftruncate(2) on a writable file. EISDIR, EINVAL, EFBIG.
Result<> change_size(Inode& inode, u64 size);
// fallocate(2) of a writable file without other modes than FALLOC_FL_KEEP_SIZE. EFBIG, EISDIR, and those of Inode::allocate().
Result<> allocate_range(Inode& inode, u64 begin, u64 size, bool keep_size);

inline constexpr u64 kMaxFileSize = (u64{1} << 44) - 1;

}  // namespace hd::fs
