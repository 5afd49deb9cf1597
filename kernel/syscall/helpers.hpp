// SPDX-License-Identifier: MIT
// What every family of handlers includes: their declarations, and what several of them need.
#pragma once
#include "kernel/fs/vfs/path.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/syscall/handlers.hpp"
#include "kernel/task/process.hpp"

namespace hd::syscall {

inline task::Process& process() { return task::current_process(); }
inline const fs::Credentials& me() { return process().credentials; }
inline Result<> check_root() { return me().is_root() ? Result<>() : fail(Errno::kEPERM); }
// The thread that a call is about; 0 is the caller. ESRCH.
Result<RefPtr<task::Thread>> thread_or_self(PidArg id);

// A result that the program need not want.
template <class T> Result<> store_if_wanted(Out<T> to, const std::type_identity_t<T>& value) {
    return to ? to.store(value) : Result<>();
}

// ---- files
inline Result<fs::FileRef> file_of(Fd fd) { return process().files->get(fd); }
inline u32 descriptor_limit() {
    return static_cast<u32>(std::min<u64>(process().limit(abi::kRLIMIT_NOFILE), fs::FdTable::kHardLimit));
}
// Gives the file the lowest free descriptor.
Result<int> install(fs::FileRef file, bool close_on_exec);

// Where a path of the current process starts: at its working directory, or at a descriptor (AT_FDCWD is allowed; EBADF, ENOTDIR unless
// the path is absolute).
fs::WalkStart walk_start();
Result<fs::WalkStart> walk_start(DirFd directory, std::string_view path);

// ---- time
// A timespec from the program: EFAULT, EINVAL if it is negative or not normalised.
Result<Nanoseconds> duration_from(In<abi::Timespec> from);
// Now plus a duration, without overflow.
Nanoseconds deadline_after(Nanoseconds duration);
constexpr abi::Timeval timeval_of(Nanoseconds time) {
    return {time.raw / 1'000'000'000, time.raw % 1'000'000'000 / 1000};
}
abi::RUsage rusage_of(const task::Usage& usage);

// ---- signals
inline Result<> check_mask_size(Size size) { return size == sizeof(u64) ? Result<>() : fail(Errno::kEINVAL); }

}  // namespace hd::syscall
