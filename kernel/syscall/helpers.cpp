// SPDX-License-Identifier: MIT
// What handlers share: kernel/syscall/helpers.hpp, types.hpp.
#include "kernel/syscall/helpers.hpp"

namespace hd::syscall {

Result<std::string_view> PathArgument::load_maybe_empty(Path path) {
    const auto small = mm::copy_string_from_user(small_, path.address);
    if (small || small.error() != Errno::kENAMETOOLONG) return small;
    large_ = TRY(mm::make_array<char>(abi::kPATH_MAX));
    return mm::copy_string_from_user({large_.get(), abi::kPATH_MAX}, path.address);
}

Result<std::string_view> PathArgument::load(Path path) {
    const std::string_view text = TRY(load_maybe_empty(path));
    if (text.empty()) return fail(Errno::kENOENT);
    return text;
}

Result<RefPtr<task::Thread>> thread_or_self(PidArg id) {
    RefPtr<task::Thread> thread = id == 0 ? RefPtr<task::Thread>(&task::current_thread()) : task::find_thread(Pid{id});
    if (!thread) return fail(Errno::kESRCH);
    return thread;
}

Result<int> install(fs::FileRef file, bool close_on_exec) {
    return process().files->install(std::move(file), close_on_exec, 0, descriptor_limit());
}

fs::WalkStart walk_start() {
    const task::FsContext& context = *process().fs;
    return {context.root(), context.working_directory(), &me()};
}

Result<fs::WalkStart> walk_start(DirFd directory, std::string_view path) {
    const task::FsContext& context = *process().fs;
    if (path.starts_with('/')) return fs::WalkStart{context.root(), {}, &me()};
    if (directory == abi::kAT_FDCWD) return walk_start();
    const fs::FileRef file = TRY(process().files->get_any(directory));
    if (!file->dentry || !file->inode->is_directory()) return fail(Errno::kENOTDIR);
    return fs::WalkStart{context.root(), file->dentry, &me()};
}

Result<Nanoseconds> duration_from(In<abi::Timespec> from) {
    const abi::Timespec time = TRY(from.load());
    if (time.tv_sec < 0 || time.tv_nsec < 0 || time.tv_nsec >= 1'000'000'000) return fail(Errno::kEINVAL);
    constexpr i64 kMost = INT64_MAX / 1'000'000'000 - 1;
    if (time.tv_sec > kMost) return Nanoseconds::max();
    return seconds(time.tv_sec) + Nanoseconds{time.tv_nsec};
}

Nanoseconds deadline_after(Nanoseconds duration) { return time::later(time::now(), duration); }

abi::RUsage rusage_of(const task::Usage& usage) {
    abi::RUsage result;
    result.ru_utime = timeval_of(usage.user);
    result.ru_stime = timeval_of(usage.system);
    result.ru_maxrss = static_cast<i64>(usage.max_resident_pages * mm::kPageSize / 1024);
    result.ru_minflt = static_cast<i64>(usage.minor_faults);
    result.ru_majflt = static_cast<i64>(usage.major_faults);
    result.ru_nvcsw = static_cast<i64>(usage.voluntary_switches);
    result.ru_nivcsw = static_cast<i64>(usage.involuntary_switches);
    return result;
}

}  // namespace hd::syscall
