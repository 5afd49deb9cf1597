// SPDX-License-Identifier: MIT
// Walker: the walk along a path, component by component (path_resolution(7)). One walk each; lives on the caller's stack.
// Context: task, no lock held; a component that is not cached takes its directory's lock.
#pragma once
#include <memory>

#include "kernel/fs/vfs/path.hpp"

namespace hd::fs {

class Walker {
public:
    explicit Walker(const WalkStart& start) : start_(start) {}

    // Along the whole path. The dentry is at().
    Result<> all(std::string_view path, FollowLast follow);
    // To the directory that holds the last component: at() and last().
    Result<> parent(std::string_view path);
    // After parent(): the last component turned out to be this symbolic link. Goes to the parent of what it names; or, after a
    // magic link, has at() at the object itself, and last() is empty.
    Result<> parent_through(Dentry& link);
    // After parent(): the last component itself, if it exists. ENOENT; ENOTDIR if it has a trailing slash but is no directory.
    Result<DentryRef> child();

    const DentryRef& at() const { return at_; }
    DentryRef take() { return std::move(at_); }
    std::string_view last() const { return last_; }  // without trailing slashes; empty for "/"
    bool trailing_slash() const { return trailing_slash_; }
    bool last_is_dots() const { return last_ == "." || last_ == ".."; }
    const Credentials& who() const { return *start_.who; }

private:
    enum class Until : u8 { End, BeforeLast };

    Result<> begin(std::string_view path);
    Result<> run(Until until, FollowLast follow);
    Result<DentryRef> step(std::string_view name, u64 hash);
    Result<> follow(Dentry& link);

    const WalkStart& start_;
    DentryRef at_;
    std::string_view rest_, last_;
    u64 last_hash_ = 0;
    std::unique_ptr<char[]> text_;  // what rest_ lies in, once a symbolic link was followed
    u32 links_ = 0;
    bool trailing_slash_ = false;
};

}  // namespace hd::fs
