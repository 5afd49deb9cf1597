// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/inode.hpp"

#include "kernel/fs/vfs/dentry.hpp"
#include "kernel/fs/vfs/file.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/time/timer.hpp"

namespace hd::fs {

namespace {

constexpr core::Rank rank_of(InodeKind kind) {
    return kind == InodeKind::Directory ? core::Rank::Directory
           : kind == InodeKind::Fifo    ? core::Rank::Pipe
                                        : core::Rank::Inode;
}

}  // namespace

std::optional<InodeKind> kind_of_mode(u32 mode) {
    for (const auto kind : {InodeKind::Fifo, InodeKind::CharacterDevice, InodeKind::Directory, InodeKind::BlockDevice,
                            InodeKind::Regular, InodeKind::Symlink, InodeKind::Socket})
        if (file_type_bits(kind) == (mode & abi::kS_IFMT)) return kind;
    return std::nullopt;
}

abi::Timespec current_time() { return abi::timespec_of(time::wall_clock()); }

bool Credentials::in_group(u32 wanted) const {
    return wanted == egid || std::find(groups, groups + group_count, wanted) != groups + group_count;
}

Inode::Inode(FileSystem& owner, InodeKind kind_in, u32 mode_in, u64 number_in)
    : kind(kind_in), number(number_in), file_system(owner), lock(rank_of(kind_in)), mode(mode_in) {
    file_system.ref();
    accessed = modified = changed = current_time();
}

Inode::~Inode() {
    free_locks(locks.load(std::memory_order_relaxed));
    file_system.unref();
}

Result<DentryRef> Inode::follow_magic() { return DentryRef{}; }

Result<FileRef> Inode::open(DentryRef dentry, u32 flags) {
    switch (kind) {
    case InodeKind::Regular:
    case InodeKind::Directory: return mm::make_ref<File>(InodeRef(this), std::move(dentry), flags);
    case InodeKind::CharacterDevice: return open_character_device(InodeRef(this), std::move(dentry), flags);
    case InodeKind::Symlink: return fail(Errno::kELOOP);
    default: return fail(Errno::kENXIO);
    }
}

Result<> Inode::begin_use(FileUse use) {
    const i32 step = static_cast<i32>(use);
    i32 uses = uses_.load(std::memory_order_relaxed);
    do {
        if (uses * step < 0) return fail(Errno::kETXTBSY);
    } while (!uses_.compare_exchange_weak(uses, uses + step, std::memory_order_relaxed));
    return {};
}

void Inode::end_use(FileUse use) { uses_.fetch_sub(static_cast<i32>(use), std::memory_order_relaxed); }

// ---- attributes

Result<> Inode::check_access(const Credentials& who, u32 wanted) const {
    const u64 mount_flags = file_system.flags.load(std::memory_order_relaxed);
    if (mount_flags != 0) [[unlikely]] {
        // What is behind a special file is not in the file system.
        const bool special = !is_directory() && kind != InodeKind::Regular && kind != InodeKind::Symlink;
        if ((wanted & kMayWrite) != 0 && (mount_flags & abi::kMS_RDONLY) != 0 && !special) return fail(Errno::kEROFS);
        if ((wanted & kMayExecute) != 0 && (mount_flags & abi::kMS_NOEXEC) != 0 && !is_directory())
            return fail(Errno::kEACCES);
    }
    // relaxed: permissions are what they were at some moment of the call.
    u32 bits = mode.load(std::memory_order_relaxed);
    if (who.is_root()) {
        if ((wanted & kMayExecute) == 0 || is_directory() || (bits & 0111) != 0) return {};
        return fail(Errno::kEACCES);
    }
    if (uid.load(std::memory_order_relaxed) == who.euid)
        bits >>= 6;
    else if (who.in_group(gid.load(std::memory_order_relaxed)))
        bits >>= 3;
    if ((bits & wanted) == wanted) return {};
    return fail(Errno::kEACCES);
}

void Inode::touch_modified() {
    modified = changed = current_time();
    access_stale.store(true, std::memory_order_relaxed);  // read by note_access(), which then takes the lock
}

void Inode::touch_changed() { changed = current_time(); }

void Inode::note_access() {
    if (!access_stale.load(std::memory_order_relaxed)) return;  // pairs with nothing: a hint
    sync::MutexGuard guard(lock);
    access_stale.store(false, std::memory_order_relaxed);  // as above
    accessed = current_time();
}

void Inode::fill_stat(abi::Stat& stat) {
    const i64 bytes = static_cast<i64>(size());
    sync::MutexGuard guard(lock);
    stat = {};
    stat.st_dev = file_system.device();
    stat.st_ino = number;
    stat.st_nlink = links;
    stat.st_mode = file_type_bits(kind) | mode;
    stat.st_uid = uid;
    stat.st_gid = gid;
    stat.st_rdev = device;
    stat.st_size = bytes;
    stat.st_blksize = static_cast<i64>(mm::kPageSize);
    stat.st_atim = accessed;
    stat.st_mtim = modified;
    stat.st_ctim = changed;
}

mm::PageSource::Description Inode::describe_source() const { return {0, file_system.device_minor, number}; }

void Inode::source_path(TextSink& sink) const { format_to(sink, "{}:[{}]", file_system.type, number); }

// ---- system calls

namespace {

bool owns(const Inode& inode, const Credentials& who) { return who.is_root() || inode.uid == who.euid; }

// Set-group-id without the group's x bit means something else (mandatory locking) and stays.
u32 without_set_id(u32 mode) { return mode & ~abi::kS_ISUID & ~((mode & 010) != 0 ? abi::kS_ISGID : 0); }

}  // namespace

Result<> change_mode(Inode& inode, u32 mode, const Credentials& who) {
    if (inode.file_system.read_only()) return fail(Errno::kEROFS);
    if (!owns(inode, who)) return fail(Errno::kEPERM);
    sync::MutexGuard guard(inode.lock);
    // A set-group-id bit for a group that one is not in would be a way into it.
    if (!who.is_root() && !who.in_group(inode.gid)) mode &= ~abi::kS_ISGID;
    inode.mode = mode & 07777;
    inode.touch_changed();
    return {};
}

Result<> change_owner(Inode& inode, u32 uid, u32 gid, const Credentials& who) {
    constexpr u32 kKeep = ~u32{0};
    if (inode.file_system.read_only()) return fail(Errno::kEROFS);
    sync::MutexGuard guard(inode.lock);
    if (!who.is_root()) {
        const bool same_user = uid == kKeep || uid == inode.uid;
        const bool own_group = gid == kKeep || gid == inode.gid || who.in_group(gid);
        if (inode.uid != who.euid || !same_user || !own_group) return fail(Errno::kEPERM);
    }
    if (uid != kKeep) inode.uid = uid;
    if (gid != kKeep) inode.gid = gid;
    // chown(2): an executable must not become set-id for another owner.
    if (inode.kind == InodeKind::Regular) inode.mode = without_set_id(inode.mode);
    inode.touch_changed();
    return {};
}

void drop_set_id(Inode& inode, const Credentials& who) {
    if (who.is_root() || inode.kind != InodeKind::Regular) return;
    sync::MutexGuard guard(inode.lock);
    inode.mode = without_set_id(inode.mode);
}

Result<> change_times(Inode& inode, abi::Timespec accessed, abi::Timespec modified, const Credentials& who) {
    constexpr auto valid = [](const abi::Timespec& time) {
        return (time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000) || time.tv_nsec == abi::kUTIME_NOW ||
               time.tv_nsec == abi::kUTIME_OMIT;
    };
    if (!valid(accessed) || !valid(modified)) return fail(Errno::kEINVAL);
    const bool omit_both = accessed.tv_nsec == abi::kUTIME_OMIT && modified.tv_nsec == abi::kUTIME_OMIT;
    if (omit_both) return {};
    if (inode.file_system.read_only()) return fail(Errno::kEROFS);
    const bool now_both = accessed.tv_nsec == abi::kUTIME_NOW && modified.tv_nsec == abi::kUTIME_NOW;
    if (!owns(inode, who)) {  // utimensat(2): who may write may say "now"
        if (!now_both) return fail(Errno::kEPERM);
        TRY(inode.check_access(who, kMayWrite));
    }
    const abi::Timespec now = current_time();
    sync::MutexGuard guard(inode.lock);
    if (accessed.tv_nsec != abi::kUTIME_OMIT) inode.accessed = accessed.tv_nsec == abi::kUTIME_NOW ? now : accessed;
    if (modified.tv_nsec != abi::kUTIME_OMIT) inode.modified = modified.tv_nsec == abi::kUTIME_NOW ? now : modified;
    inode.touch_changed();
    return {};
}

Result<> change_size(Inode& inode, u64 size) {
    if (inode.is_directory()) return fail(Errno::kEISDIR);
    if (inode.kind != InodeKind::Regular) return fail(Errno::kEINVAL);
    if (size > kMaxFileSize) return fail(static_cast<i64>(size) < 0 ? Errno::kEINVAL : Errno::kEFBIG);
    sync::MutexGuard guard(inode.lock);
    TRY(inode.truncate(size));
    inode.touch_modified();
    return {};
}

Result<> allocate_range(Inode& inode, u64 begin, u64 size, bool keep_size) {
    if (inode.is_directory()) return fail(Errno::kEISDIR);
    if (size > kMaxFileSize || begin > kMaxFileSize - size) return fail(Errno::kEFBIG);
    sync::MutexGuard guard(inode.lock);
    TRY(inode.check_write(begin + size));
    TRY(inode.allocate(begin, begin + size));
    if (!keep_size) inode.extend(begin + size);
    inode.touch_modified();
    return {};
}

}  // namespace hd::fs
