// SPDX-License-Identifier: MIT
// What handlers of several families need.
#pragma once
#include "kernel/fs/vfs/path.hpp"
#include "kernel/syscall/types.hpp"
#include "kernel/task/process.hpp"

namespace hd::syscall {

// A number that is not negative, as a result.
constexpr u64 number(i32 value) { return static_cast<u64>(value); }
// The result of a call that answers nothing but success.
inline Result<u64> zero_or_error(Result<> result) {
    TRY(result);
    return 0;
}

inline task::Process& process() { return task::current_process(); }

// ---- files
inline Result<fs::FileRef> file_of(Fd fd) { return process().files->get(fd); }
inline u32 descriptor_limit() {
    return static_cast<u32>(std::min<u64>(process().limit(abi::kRLIMIT_NOFILE), fs::FdTable::kHardLimit));
}

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
