// SPDX-License-Identifier: MIT
// Root, working directory and umask of a process: kernel/task/fs_context.hpp.
#include "kernel/task/fs_context.hpp"

#include "kernel/mm/slab/slab.hpp"

namespace hd::task {

using Guard = core::LockGuard<core::Spinlock>;

Result<RefPtr<FsContext>> FsContext::copy() const {
    return mm::make_ref<FsContext>(root(), working_directory(), umask());
}

fs::DentryRef FsContext::root() const {
    const Guard guard(lock_);
    return root_;
}

fs::DentryRef FsContext::working_directory() const {
    const Guard guard(lock_);
    return working_directory_;
}

void FsContext::set_root(fs::DentryRef directory) {
    const Guard guard(lock_);
    std::swap(root_, directory);  // the parameter dies in the caller, after the guard
}

void FsContext::set_working_directory(fs::DentryRef directory) {
    const Guard guard(lock_);
    std::swap(working_directory_, directory);  // as above
}

}  // namespace hd::task
