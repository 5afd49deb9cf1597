// SPDX-License-Identifier: MIT
#include "kernel/fs/vfs/walker.hpp"

#include <algorithm>

#include "kernel/fs/vfs/mount.hpp"

namespace hd::fs {

namespace {

constexpr u32 kMaxLinks = 40;  // path_resolution(7)

}  // namespace

Result<> Walker::begin(std::string_view path) {
    if (path.empty()) return fail(Errno::kENOENT);
    if (path.size() >= abi::kPATH_MAX) return fail(Errno::kENAMETOOLONG);
    at_ = path.front() == '/' ? start_.root : start_.base;
    rest_ = path;
    return {};
}

Result<> Walker::all(std::string_view path, FollowLast follow) {
    TRY(begin(path));
    return run(Until::End, follow);
}

Result<> Walker::parent(std::string_view path) {
    TRY(begin(path));
    return run(Until::BeforeLast, FollowLast::Yes);
}

Result<> Walker::parent_through(Dentry& link) {
    rest_ = {};
    TRY(follow(link));
    return run(Until::BeforeLast, FollowLast::Yes);
}

Result<> Walker::run(Until until, FollowLast follow_last) {
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

Result<DentryRef> Walker::step(std::string_view name, u64 hash) {
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

Result<DentryRef> Walker::child() {
    DentryRef found = TRY(step(last_, last_hash_));
    if (trailing_slash_ && found->inode->kind != InodeKind::Directory && found->inode->kind != InodeKind::Symlink)
        return fail(Errno::kENOTDIR);
    return found;
}

// Puts the link's text in front of what is left of the path; at_ is the directory that holds the link.
Result<> Walker::follow(Dentry& link) {
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

}  // namespace hd::fs
