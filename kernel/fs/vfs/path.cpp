// SPDX-License-Identifier: MIT
// The walk along a path, and the system calls that take one: open, mkdir, mknod, symlink, link, unlink, rmdir, rename, mount.
//
// What changes a directory takes its lock, looks the name up again, checks, lets the file system act and changes the name
// cache, all in one critical section. References that may be the last ones are dropped after it.
#include "kernel/fs/vfs/path.hpp"

#include <algorithm>
#include <memory>

#include "kernel/core/panic.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/fs/vfs/mount.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs {

namespace {

constexpr u32 kMaxLinks = 40;  // path_resolution(7)

// The walk along a path, component by component. One walk each; lives on the caller's stack. No lock is held; a component
// that is not cached takes its directory's lock.
class Walker {
public:
    explicit Walker(const WalkStart& start) : start_(start) {}

    // Along the whole path. The dentry is at().
    Result<> all(std::string_view path, FollowLast follow) {
        TRY(begin(path));
        return run(Until::End, follow);
    }

    // To the directory that holds the last component: at() and last().
    Result<> parent(std::string_view path) {
        TRY(begin(path));
        return run(Until::BeforeLast, FollowLast::Yes);
    }

    // After parent(): the last component turned out to be this symbolic link. Goes to the parent of what it names; or, after a
    // magic link, has at() at the object itself, and last() is empty.
    Result<> parent_through(Dentry& link) {
        rest_ = {};
        TRY(follow(link));
        return run(Until::BeforeLast, FollowLast::Yes);
    }

    // After parent(): the last component itself, if it exists. ENOENT; ENOTDIR if it has a trailing slash but is no directory.
    Result<DentryRef> child() {
        DentryRef found = TRY(step(last_, last_hash_));
        if (trailing_slash_ && found->inode->kind != InodeKind::Directory && found->inode->kind != InodeKind::Symlink)
            return fail(Errno::kENOTDIR);
        return found;
    }

    // After parent(): the last component in at(), whose lock the caller holds. ENOENT.
    Result<DentryRef> entry() const NO_THREAD_SAFETY_ANALYSIS {
        TRY(at_->inode->check_access(who(), kMayExecute));
        if (last_.size() > abi::kNAME_MAX) return fail(Errno::kENAMETOOLONG);
        return DentryCache::find_or_load(*at_, last_);
    }

    // Makes the last component in at(), whose lock the caller holds. Memory comes first: nothing is made that then has no
    // dentry.
    Result<DentryRef> create(const NewNode& node) const NO_THREAD_SAFETY_ANALYSIS {
        DentryRef dentry = TRY(Dentry::make({}, at_, last_));
        dentry->inode = TRY(at_->inode->create(last_, node, who()));
        DentryCache::insert(*dentry);
        return dentry;
    }

    const DentryRef& at() const { return at_; }
    DentryRef take() { return std::move(at_); }
    std::string_view last() const { return last_; }  // without trailing slashes; empty for "/"
    bool trailing_slash() const { return trailing_slash_; }
    bool last_is_dots() const { return last_ == "." || last_ == ".."; }
    // Is the last component no name of an entry? Then it is "/", what a magic link led to, "." or "..".
    bool last_is_no_entry() const { return last_.empty() || last_is_dots(); }
    const Credentials& who() const { return *start_.who; }

private:
    enum class Until : u8 { End, BeforeLast };

    Result<> begin(std::string_view path) {
        if (path.empty()) return fail(Errno::kENOENT);
        if (path.size() >= abi::kPATH_MAX) return fail(Errno::kENAMETOOLONG);
        at_ = path.front() == '/' ? start_.root : start_.base;
        rest_ = path;
        return {};
    }

    Result<> run(Until until, FollowLast follow_last) {
        last_ = {};
        trailing_slash_ = false;
        for (;;) {
            while (rest_.starts_with('/')) rest_.remove_prefix(1);
            if (rest_.empty()) return {};
            u64 hash = DentryCache::kHashStart;
            usize end = 0;
            for (; end < rest_.size() && rest_[end] != '/'; ++end) hash = DentryCache::hash_step(hash, rest_[end]);
            const std::string_view name = rest_.substr(0, end);
            rest_.remove_prefix(end);
            const bool slash = !rest_.empty();
            const bool last = !slash || rest_.find_first_not_of('/') == std::string_view::npos;
            if (last && until == Until::BeforeLast) {
                last_ = name;
                last_hash_ = hash;
                trailing_slash_ = slash;
                if (!at_->inode->is_directory()) return fail(Errno::kENOTDIR);
                return {};
            }
            DentryRef next = TRY(step(name, hash));
            if (next->inode->kind == InodeKind::Symlink && (!last || slash || follow_last == FollowLast::Yes))
                TRY(follow(*next));
            else
                at_ = MountTable::topmost(std::move(next));
            if (slash && rest_.front() == '/' && !at_->inode->is_directory()) return fail(Errno::kENOTDIR);
        }
    }

    Result<DentryRef> step(std::string_view name, u64 hash) {
        Inode& directory = *at_->inode;
        if (!directory.is_directory()) return fail(Errno::kENOTDIR);
        TRY(directory.check_access(*start_.who, kMayExecute));
        if (name.size() > abi::kNAME_MAX) return fail(Errno::kENAMETOOLONG);
        if (name.front() == '.') {
            if (name.size() == 1) return at_;
            if (name == "..") return at_ == start_.root ? at_ : at_->parent(start_.root.get());
        }
        if (DentryRef cached = DentryCache::find(*at_, name, hash)) return cached;
        sync::MutexGuard guard(directory.lock);
        return DentryCache::find_or_load(*at_, name);
    }

    // Puts the link's text in front of what is left of the path; at_ is the directory that holds the link.
    Result<> follow(Dentry& link) {
        if (++links_ > kMaxLinks) return fail(Errno::kELOOP);
        if (DentryRef object = TRY(link.inode->follow_magic())) {
            at_ = std::move(object);
            return {};
        }
        const u64 known = link.inode->size();  // 0: made when it is read
        const usize room = known != 0 ? known : abi::kPATH_MAX;
        std::unique_ptr<char[]> text(new (std::nothrow) char[room + rest_.size()]);
        if (!text) return fail(Errno::kENOMEM);
        const usize size = TRY(link.inode->read_link({text.get(), room}));
        if (size == 0) return fail(Errno::kENOENT);
        rest_.copy(text.get() + size, rest_.size());
        rest_ = {text.get(), size + rest_.size()};
        text_ = std::move(text);  // only now may the old text go: rest_ lay in it
        if (rest_.front() == '/') at_ = start_.root;
        return {};
    }

    const WalkStart& start_;
    DentryRef at_;
    std::string_view rest_, last_;
    u64 last_hash_ = 0;
    std::unique_ptr<char[]> text_;  // what rest_ lies in, once a symbolic link was followed
    u32 links_ = 0;
    bool trailing_slash_ = false;
};

}  // namespace

Result<DentryRef> walk(const WalkStart& start, std::string_view path, FollowLast follow) {
    Walker walker(start);
    TRY(walker.all(path, follow));
    return walker.take();
}

// ---- opening

namespace {

// The rights that the descriptor will give are checked here, once.
u32 wanted_access(u32 flags) {
    constexpr u32 kByMode[] = {kMayRead, kMayWrite, kMayRead | kMayWrite};
    return kByMode[flags & abi::kO_ACCMODE] | ((flags & abi::kO_TRUNC) != 0 ? kMayWrite : 0);
}

// Makes the missing last component. Somebody may be faster: then `created` stays false, and the answer is what they made.
Result<DentryRef> create_file(const Walker& walker, u32 mode, bool& created) {
    sync::MutexGuard guard(walker.at()->inode->lock);
    if (auto found = walker.entry(); found || found.error() != Errno::kENOENT) return found;
    TRY(walker.at()->inode->check_access(walker.who(), kMayWrite | kMayExecute));
    DentryRef made = TRY(walker.create({InodeKind::Regular, mode & 07777}));
    created = true;
    return made;
}

Result<DentryRef> find_or_create(Walker& walker, std::string_view path, u32 flags, u32 mode, bool& created) {
    TRY(walker.parent(path));
    for (;;) {
        const bool there = walker.last_is_no_entry();  // then it is at()
        if (there && (flags & abi::kO_EXCL) != 0) return fail(Errno::kEEXIST);
        if (walker.last().empty()) return walker.take();
        if (there || walker.trailing_slash()) return fail(Errno::kEISDIR);
        auto found = walker.child();
        if (!found && found.error() == Errno::kENOENT) found = create_file(walker, mode, created);
        if (!found || created) return found;
        if ((flags & abi::kO_EXCL) != 0) return fail(Errno::kEEXIST);
        if ((*found)->inode->kind != InodeKind::Symlink) return MountTable::topmost(std::move(*found));
        if ((flags & abi::kO_NOFOLLOW) != 0) return fail(Errno::kELOOP);
        TRY(walker.parent_through(**found));
    }
}

Result<FileRef> open_checked(DentryRef dentry, u32 flags) {
    const InodeRef inode = dentry->inode;
    FileRef file = TRY(inode->open(std::move(dentry), flags));
    if (inode->kind != InodeKind::Regular || (wanted_access(flags) & kMayWrite) == 0) return file;
    TRY(inode->begin_use(FileUse::Written));
    file->counted_as_writer = true;
    if ((flags & abi::kO_TRUNC) != 0) {
        sync::MutexGuard guard(inode->lock);
        TRY(inode->truncate(0));
        inode->touch_modified();
    }
    return file;
}

}  // namespace

Result<FileRef> open_dentry(DentryRef dentry, u32 flags, const Credentials& who) {
    Inode& inode = *dentry->inode;
    if ((flags & abi::kO_DIRECTORY) != 0 && !inode.is_directory()) return fail(Errno::kENOTDIR);
    if ((flags & abi::kO_PATH) != 0) return mm::make_ref<File>(dentry->inode, dentry, flags);
    if (inode.kind == InodeKind::Symlink) return fail(Errno::kELOOP);
    const u32 wanted = wanted_access(flags);
    if (inode.is_directory() && ((wanted & kMayWrite) != 0 || (flags & abi::kO_CREAT) != 0))
        return fail(Errno::kEISDIR);
    TRY(inode.check_access(who, wanted));
    if ((flags & abi::kO_NOATIME) != 0 && !who.is_root() && who.euid != inode.uid) return fail(Errno::kEPERM);
    return open_checked(std::move(dentry), flags);
}

Result<FileRef> open(const WalkStart& start, std::string_view path, u32 flags, u32 mode) {
    if ((flags & abi::kO_PATH) != 0) flags &= abi::kO_PATH | abi::kO_DIRECTORY | abi::kO_NOFOLLOW | abi::kO_CLOEXEC;
    if ((flags & abi::kO_TMPFILE & ~abi::kO_DIRECTORY) != 0) return fail(Errno::kEOPNOTSUPP);
    if ((flags & abi::kO_ACCMODE) == abi::kO_ACCMODE) return fail(Errno::kEINVAL);
    if ((flags & abi::kO_DIRECT) != 0) return fail(Errno::kEINVAL);  // open(2): where the file system does not have it
    if ((flags & abi::kO_PATH) == 0) flags |= abi::kO_LARGEFILE;     // as every 64-bit program sees it in F_GETFL
    Walker walker(start);
    if ((flags & abi::kO_CREAT) == 0) {
        TRY(walker.all(path, (flags & abi::kO_NOFOLLOW) != 0 ? FollowLast::No : FollowLast::Yes));
        return open_dentry(walker.take(), flags, *start.who);
    }
    if ((flags & abi::kO_DIRECTORY) != 0) return fail(Errno::kEINVAL);
    bool created = false;
    DentryRef dentry = TRY(find_or_create(walker, path, flags, mode, created));
    // The creator gets what it asked for, even if the file's mode would not allow it (open(2)).
    return created ? open_checked(std::move(dentry), flags) : open_dentry(std::move(dentry), flags, *start.who);
}

// ---- names

namespace {

// unlink(2), rename(2): write permission, and in a sticky directory to be the owner of the entry or of the directory.
Result<> check_remove(const Walker& walker, const Dentry& entry) {
    const Inode& directory = *walker.at()->inode;
    const Credentials& who = walker.who();
    TRY(directory.check_access(who, kMayWrite | kMayExecute));
    if ((directory.mode & abi::kS_ISVTX) != 0 && !who.is_root() && who.euid != entry.inode->uid &&
        who.euid != directory.uid)
        return fail(Errno::kEPERM);
    return {};
}

// Walks to the directory where a new name goes, and lets make(walker) make it there, with the directory locked. EEXIST comes
// before EACCES, as Linux has it.
template <class Make>
auto add_name(const WalkStart& start, std::string_view path, InodeKind kind, Make make)
    -> decltype(make(std::declval<Walker&>())) {
    Walker walker(start);
    TRY(walker.parent(path));
    if (walker.last_is_no_entry()) return fail(Errno::kEEXIST);
    Inode& directory = *walker.at()->inode;
    sync::MutexGuard guard(directory.lock);
    if (const auto found = walker.entry(); found || found.error() != Errno::kENOENT)
        return fail(found ? Errno::kEEXIST : found.error());
    TRY(directory.check_access(walker.who(), kMayWrite | kMayExecute));
    if (walker.trailing_slash() && kind != InodeKind::Directory) return fail(Errno::kENOENT);
    return make(walker);
}

// unlink(2) and rmdir(2).
Result<> remove(const WalkStart& start, std::string_view path, bool is_directory) {
    Walker walker(start);
    TRY(walker.parent(path));
    if (!is_directory && walker.last_is_no_entry()) return fail(Errno::kEISDIR);
    if (walker.last().empty()) return fail(Errno::kEBUSY);
    if (walker.last_is_dots()) return fail(walker.last() == "." ? Errno::kEINVAL : Errno::kENOTEMPTY);
    Inode& directory = *walker.at()->inode;
    DentryRef entry;
    sync::MutexGuard guard(directory.lock);
    entry = TRY(walker.entry());
    TRY(check_remove(walker, *entry));
    if (entry->inode->is_directory() != is_directory) return fail(is_directory ? Errno::kENOTDIR : Errno::kEISDIR);
    if (walker.trailing_slash() && !is_directory) return fail(Errno::kENOTDIR);
    if (entry->is_mount_point()) return fail(Errno::kEBUSY);
    TRY(directory.unlink(walker.last(), *entry->inode));
    DentryCache::remove(*entry);
    return {};
}

}  // namespace

Result<DentryRef> make_node(const WalkStart& start, std::string_view path, NewNode node) {
    if (node.kind == InodeKind::Symlink) {
        if (node.target.empty()) return fail(Errno::kENOENT);
        if (node.target.size() >= abi::kPATH_MAX) return fail(Errno::kENAMETOOLONG);
    }
    node.mode &= node.kind == InodeKind::Directory ? u32{01777} : u32{07777};
    const bool is_device = node.kind == InodeKind::CharacterDevice || node.kind == InodeKind::BlockDevice;
    if (!is_device) node.device = 0;
    return add_name(start, path, node.kind, [&](const Walker& walker) -> Result<DentryRef> {
        if (is_device && !start.who->is_root()) return fail(Errno::kEPERM);
        return walker.create(node);
    });
}

Result<> link(const WalkStart& from, std::string_view old_path, FollowLast follow, const WalkStart& to,
              std::string_view new_path) {
    const DentryRef old = TRY(walk(from, old_path, follow));
    const auto make = [&](const Walker& walker) NO_THREAD_SAFETY_ANALYSIS -> Result<> {
        Inode& directory = *walker.at()->inode;
        if (&old->inode->file_system != &directory.file_system) return fail(Errno::kEXDEV);
        if (old->inode->is_directory()) return fail(Errno::kEPERM);
        return directory.link(walker.last(), *old->inode);
    };
    return add_name(to, new_path, InodeKind::Regular, make);
}

Result<> unlink(const WalkStart& start, std::string_view path) { return remove(start, path, false); }

Result<> remove_directory(const WalkStart& start, std::string_view path) { return remove(start, path, true); }

namespace {

// rename(2) with both directories locked, and no other entry moving between directories if these are two.
Result<> rename_locked(const Walker& from, const Walker& to, u32 flags, DentryRef& moved, DentryRef& replaced)
    NO_THREAD_SAFETY_ANALYSIS {
    moved = TRY(from.entry());
    if (auto found = to.entry())
        replaced = std::move(*found);
    else if (found.error() != Errno::kENOENT)
        return fail(found.error());
    if (replaced && (flags & abi::kRENAME_NOREPLACE) != 0) return fail(Errno::kEEXIST);

    const bool same_directory = from.at() == to.at();
    const bool is_directory = moved->inode->is_directory();
    if (!is_directory && (from.trailing_slash() || to.trailing_slash())) return fail(Errno::kENOTDIR);
    if (!same_directory && is_directory && DentryCache::is_ancestor(*moved, *to.at())) return fail(Errno::kEINVAL);
    if (!same_directory && replaced && DentryCache::is_ancestor(*replaced, *from.at())) return fail(Errno::kENOTEMPTY);
    if (replaced && replaced->inode == moved->inode) return {};  // two names of one file: rename(2) does nothing

    TRY(check_remove(from, *moved));
    if (replaced) {
        TRY(check_remove(to, *replaced));
        if (is_directory && !replaced->inode->is_directory()) return fail(Errno::kENOTDIR);
        if (!is_directory && replaced->inode->is_directory()) return fail(Errno::kEISDIR);
        if (replaced->is_mount_point()) return fail(Errno::kEBUSY);
    } else {
        TRY(to.at()->inode->check_access(to.who(), kMayWrite | kMayExecute));
    }
    if (moved->is_mount_point()) return fail(Errno::kEBUSY);
    if (is_directory && !same_directory) TRY(moved->inode->check_access(from.who(), kMayWrite));  // its ".." changes

    auto storage = TRY(DentryCache::reserve_name(to.last()));
    TRY(from.at()->inode->rename(from.last(), *moved->inode, *to.at()->inode, to.last(),
                                 replaced ? replaced->inode.get() : nullptr));
    if (replaced) DentryCache::remove(*replaced);
    DentryCache::move(*moved, *to.at(), to.last(), std::move(storage));
    return {};
}

}  // namespace

Result<> rename(const WalkStart& from, std::string_view old_path, const WalkStart& to, std::string_view new_path,
                u32 flags) NO_THREAD_SAFETY_ANALYSIS {
    if ((flags & ~abi::kRENAME_NOREPLACE) != 0) return fail(Errno::kEINVAL);
    Walker old_walker(from), new_walker(to);
    TRY(old_walker.parent(old_path));
    TRY(new_walker.parent(new_path));
    Inode& old_directory = *old_walker.at()->inode;
    Inode& new_directory = *new_walker.at()->inode;
    if (&old_directory.file_system != &new_directory.file_system) return fail(Errno::kEXDEV);
    if (old_walker.last_is_no_entry()) return fail(Errno::kEBUSY);
    if (new_walker.last_is_no_entry())
        return fail((flags & abi::kRENAME_NOREPLACE) != 0 ? Errno::kEEXIST : Errno::kEBUSY);
    DentryRef moved, replaced;
    std::optional<sync::MutexGuard> moves;
    if (&old_directory != &new_directory) moves.emplace(MountTable::move_lock());
    sync::MutexPairGuard guard(old_directory.lock, new_directory.lock);
    return rename_locked(old_walker, new_walker, flags, moved, replaced);
}

// ---- mounts

Result<> mount(const WalkStart& start, std::string_view source, std::string_view target, std::string_view type,
               u64 flags, std::string_view options) {
    constexpr u64 kKept = abi::kMS_RDONLY | abi::kMS_NOSUID | abi::kMS_NODEV | abi::kMS_NOEXEC;
    if (!start.who->is_root()) return fail(Errno::kEPERM);
    // Access times are relative whatever is asked for, and nothing is written later than at once.
    constexpr u64 kNoEffect = abi::kMS_SILENT | abi::kMS_RELATIME | abi::kMS_NOATIME | abi::kMS_NODIRATIME |
                              abi::kMS_STRICTATIME | abi::kMS_SYNCHRONOUS;
    if ((flags & ~(kKept | kNoEffect | abi::kMS_REMOUNT)) != 0) return fail(Errno::kEINVAL);
    DentryRef point = TRY(walk(start, target, FollowLast::Yes));
    if ((flags & abi::kMS_REMOUNT) != 0) {
        if (!MountTable::is_mounted(*point)) return fail(Errno::kEINVAL);
        point->inode->file_system.flags.store(flags & kKept);
        return {};
    }
    const FileSystemType* found = find_file_system(type);
    if (found == nullptr) return fail(Errno::kENODEV);
    RefPtr<FileSystem> file_system = TRY(found->make(options));
    file_system->flags.store(flags & kKept);
    return MountTable::attach(std::move(file_system), std::move(point), source);
}

void mount_at_boot(const char* type, const char* path, u64 flags) {
    const Credentials root_user{};
    const WalkStart start{root_dentry(), root_dentry(), &root_user};
    const auto made = make_node(start, path, {InodeKind::Directory, 0755});
    if ((made || made.error() == Errno::kEEXIST) && mount(start, type, path, type, flags)) return;
    core::boot_failure("{} cannot be mounted", path);
}

Result<> unmount(const WalkStart& start, std::string_view target, u32 flags) {
    if (!start.who->is_root()) return fail(Errno::kEPERM);
    if ((flags & ~(abi::kMNT_FORCE | abi::kMNT_DETACH | abi::kUMOUNT_NOFOLLOW)) != 0) return fail(Errno::kEINVAL);
    const bool no_follow = (flags & abi::kUMOUNT_NOFOLLOW) != 0;
    DentryRef root = TRY(walk(start, target, no_follow ? FollowLast::No : FollowLast::Yes));
    return MountTable::detach(std::move(root), (flags & abi::kMNT_DETACH) != 0);
}

void fill_statfs(const Dentry& dentry, abi::Statfs& statfs) {
    FileSystem& file_system = dentry.inode->file_system;
    statfs = {};
    statfs.f_bsize = statfs.f_frsize = static_cast<i64>(mm::kPageSize);
    statfs.f_namelen = static_cast<i64>(abi::kNAME_MAX);
    statfs.f_fsid[0] = static_cast<i32>(file_system.device_minor);
    statfs.f_flags = abi::kST_VALID | abi::kST_RELATIME | static_cast<i64>(file_system.flags.load());
    file_system.fill_statfs(statfs);
}

}  // namespace hd::fs
