// SPDX-License-Identifier: MIT
// System calls of processes: creation, programs, ends, waiting, groups and sessions.
#include <cstring>

#include "kernel/abi/prctl.hpp"
#include "kernel/ipc/pid_fd.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/exec/exec.hpp"
#include "kernel/task/life.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::syscall {

using task::current_process;
using task::current_thread;

Answer sys_getpid() { return current_process().pid(); }

Answer sys_gettid() { return current_thread().number(); }

Answer sys_getppid() { return current_process().parent_pid(); }

// ---- creation and programs

// clone(2) and clone3(2), with CLONE_PIDFD, for which the descriptor is taken before there is a child.
static Answer clone(task::CloneRequest request, Out<i32> pidfd) {
    if ((request.flags & abi::kCLONE_PIDFD) == 0) return task::clone(request);
    constexpr u64 kExcluded = abi::kCLONE_THREAD | abi::kCLONE_DETACHED;
    if ((request.flags & kExcluded) != 0) return fail(Errno::kEINVAL);
    request.flags &= ~abi::kCLONE_PIDFD;
    if (!pidfd) return fail(Errno::kEFAULT);
    fs::FdTable& files = *process().files;
    const int fd = TRY(files.reserve(true, 0, descriptor_limit()));
    const auto make = [&]() -> Result<i32> {
        const auto file = TRY(mm::make_ref<ipc::PidFd>(nullptr, 0));
        request.pidfd_address = pidfd.address();
        request.pidfd = fd;
        request.made = &file->process;
        const i32 pid = TRY(task::clone(request));
        files.fill(fd, file);
        return pid;
    };
    const Result<i32> pid = make();
    if (!pid) files.give_back(fd);
    return pid;
}

Answer sys_clone(Size flags, Address stack, Address parent_tid, Address child_tid, Address tls) {
    const i32 exit_signal = static_cast<i32>(flags & abi::kCSIGNAL);
    if (exit_signal > abi::kSignalCount) return fail(Errno::kEINVAL);
    if ((flags & abi::kCLONE_PIDFD) != 0 && (flags & abi::kCLONE_PARENT_SETTID) != 0) return fail(Errno::kEINVAL);
    return clone({.flags = flags & ~abi::kCSIGNAL,
                  .exit_signal = exit_signal,
                  .stack = stack,
                  .parent_tid = parent_tid,
                  .child_tid = child_tid,
                  .tls = tls},
                 Out<i32>(parent_tid));
}

Answer sys_clone3(In<abi::CloneArgs> arguments, Size size) {
    if (size < abi::kCLONE_ARGS_SIZE_VER0) return fail(Errno::kEINVAL);
    if (size > mm::kPageSize) return fail(Errno::kE2BIG);
    abi::CloneArgs given{};
    TRY(mm::copy_from_user(&given, arguments.address(), std::min(size, sizeof given)));
    // A later kernel's additions must be zero (Linux: copy_struct_from_user()).
    for (u64 at = sizeof given; at < size; ++at)
        if (TRY(In<u8>(arguments.address() + at).load()) != 0) return fail(Errno::kE2BIG);
    if (given.set_tid != 0 || given.set_tid_size != 0 || given.cgroup != 0) return fail(Errno::kEINVAL);
    if ((given.flags & (abi::kCSIGNAL | abi::kCLONE_DETACHED)) != 0) return fail(Errno::kEINVAL);
    if (given.exit_signal > abi::kSignalCount || (given.stack == 0) != (given.stack_size == 0))
        return fail(Errno::kEINVAL);
    if ((given.flags & abi::kCLONE_THREAD) != 0 && given.exit_signal != 0) return fail(Errno::kEINVAL);
    if (!mm::is_user_range(given.stack, given.stack_size)) return fail(Errno::kEINVAL);
    return clone({.flags = given.flags,
                  .exit_signal = static_cast<i32>(given.exit_signal),
                  .stack = given.stack + given.stack_size,
                  .parent_tid = given.parent_tid,
                  .child_tid = given.child_tid,
                  .tls = given.tls},
                 Out<i32>(given.pidfd));
}

Answer sys_execve(Path path, Address arguments, Address environment) {
    PathArgument buffer;
    const u64 limit = task::argument_limit();
    task::Program program{.path = TRY(buffer.load(path)), .arguments = {}, .environment = {}};
    TRY(program.arguments.append_user_array(arguments, limit));
    const u64 taken = program.arguments.size() + program.arguments.count() * sizeof(u64);
    TRY(program.environment.append_user_array(environment, limit - std::min(limit, taken)));
    return task::exec(walk_start(), program);
}

Answer sys_exit(Int status) { task::exit_this_thread(status); }

Answer sys_exit_group(Int status) { task::exit_this_process(status); }

Answer sys_set_tid_address(Address word) {
    current_thread().clear_child_tid = word;
    return current_thread().number();
}

Answer sys_set_robust_list(Address head, Size size) {
    if (size != 24) return fail(Errno::kEINVAL);  // struct robust_list_head
    current_thread().robust_list = head;
    return 0;
}

Answer sys_get_robust_list(PidArg thread, Out<u64> head, Out<u64> size) {
    const RefPtr<task::Thread> other = TRY(thread_or_self(thread));
    TRY(size.store(24));
    return head.store(other->robust_list);
}

// ---- waiting

Answer sys_wait4(PidArg pid, Out<i32> status, Flags options, Out<abi::RUsage> usage) {
    constexpr u32 kAllowed =
        abi::kWNOHANG | abi::kWUNTRACED | abi::kWCONTINUED | abi::k__WNOTHREAD | abi::k__WCLONE | abi::k__WALL;
    if ((options & ~kAllowed) != 0) return fail(Errno::kEINVAL);
    if (pid == INT32_MIN) return fail(Errno::kESRCH);
    task::WaitRequest request{.options = options | abi::kWEXITED};
    if (pid > 0) request = {abi::kP_PID, pid, request.options};
    if (pid < -1) request = {abi::kP_PGID, -pid, request.options};
    if (pid == 0) request = {abi::kP_PGID, TRY(task::group_id(0)), request.options};
    const task::WaitAnswer answer = TRY(task::wait_for_child(request));
    if (answer.pid == 0) return 0;
    TRY(store_if_wanted(status, answer.status));
    TRY(store_if_wanted(usage, rusage_of(answer.usage)));
    return answer.pid;
}

Answer sys_waitid(Int kind, PidArg id, Out<abi::SigInfo> info, Flags options, Out<abi::RUsage> usage) {
    constexpr u32 kWhat = abi::kWEXITED | abi::kWSTOPPED | abi::kWCONTINUED;
    constexpr u32 kAllowed = kWhat | abi::kWNOHANG | abi::kWNOWAIT | abi::k__WNOTHREAD | abi::k__WCLONE | abi::k__WALL;
    if ((options & ~kAllowed) != 0 || (options & kWhat) == 0) return fail(Errno::kEINVAL);
    if (kind < abi::kP_ALL || kind > abi::kP_PIDFD) return fail(Errno::kEINVAL);
    bool never_waits = false;  // a non-blocking pidfd: EAGAIN instead
    if (kind == abi::kP_PIDFD) {
        if (id < 0) return fail(Errno::kEINVAL);
        const fs::FileRef file = TRY(file_of(id));
        auto* const target = fs::file_cast<ipc::PidFd>(*file);
        if (target == nullptr) return fail(Errno::kEBADF);
        never_waits = target->nonblocking() && (options & abi::kWNOHANG) == 0;
        if (never_waits) options |= abi::kWNOHANG;
        kind = abi::kP_PID;
        id = target->process->pid();
    }
    if (kind == abi::kP_PID && id <= 0) return fail(Errno::kEINVAL);
    if (kind == abi::kP_PGID && id < 0) return fail(Errno::kEINVAL);
    if (kind == abi::kP_PGID && id == 0) id = TRY(task::group_id(0));
    const task::WaitAnswer answer = TRY(task::wait_for_child({kind, id, options}));
    if (never_waits && answer.pid == 0) return fail(Errno::kEAGAIN);
    if (usage && answer.pid != 0) TRY(usage.store(rusage_of(answer.usage)));
    if (!info) return 0;
    abi::SigInfo result;  // all zero: nobody has changed
    if (answer.pid != 0) {
        result.signo = abi::kSIGCHLD;
        result.code = answer.code;
        result.child.pid = answer.pid;
        result.child.uid = answer.uid;
        result.child.status = answer.signal_status();
    }
    // Only what is defined is written (Linux): the first 28 bytes.
    return mm::copy_to_user(info.address(), &result, 28);
}

// ---- groups and sessions

Answer sys_setpgid(PidArg pid, PidArg group) { return task::set_process_group(pid, group); }

Answer sys_getpgid(PidArg pid) { return task::group_id(pid); }

Answer sys_setsid() { return task::new_session(); }

Answer sys_getsid(PidArg pid) { return task::session_id(pid); }

// ---- odds and ends

Answer sys_arch_prctl(Int code, Address address) { return arch::arch_prctl(static_cast<u64>(code), address); }

static Result<> set_name(Address from) {
    char name[sizeof(sched::Entity::name)] = {};
    const auto copied = mm::copy_string_from_user({name, sizeof(name) - 1}, from);
    if (!copied && copied.error() != Errno::kENAMETOOLONG) return fail(copied.error());  // a longer one is cut off
    const usize length = copied ? copied->size() : sizeof(name) - 1;
    std::memset(name + length, 0, sizeof(name) - length);
    std::memcpy(current_thread().name, name, sizeof(name));
    return {};
}

Answer sys_prctl(Int option, Address argument2, Address argument3, Address argument4, Address argument5) {
    task::Thread& self = current_thread();
    task::Process& process = self.process();
    const bool rest_is_zero = argument3 == 0 && argument4 == 0 && argument5 == 0;
    switch (option) {
    case abi::kPR_SET_NAME: return set_name(argument2);
    case abi::kPR_GET_NAME: return mm::copy_to_user(argument2, self.name, sizeof(self.name));
    case abi::kPR_SET_PDEATHSIG:
        if (argument2 > abi::kSignalCount) return fail(Errno::kEINVAL);
        process.parent_death_signal = static_cast<int>(argument2);
        return 0;
    case abi::kPR_GET_PDEATHSIG: return Out<i32>(argument2).store(process.parent_death_signal);
    case abi::kPR_SET_DUMPABLE:
        if (argument2 > 1) return fail(Errno::kEINVAL);
        process.dumpable = argument2 != 0;
        return 0;
    case abi::kPR_GET_DUMPABLE: return process.dumpable;
    case abi::kPR_SET_CHILD_SUBREAPER: process.subreaper = argument2 != 0; return 0;
    case abi::kPR_GET_CHILD_SUBREAPER: return Out<i32>(argument2).store(process.subreaper);
    case abi::kPR_SET_NO_NEW_PRIVS:
        if (argument2 != 1 || !rest_is_zero) return fail(Errno::kEINVAL);
        process.no_new_privileges = true;
        return 0;
    case abi::kPR_GET_NO_NEW_PRIVS:
        if (argument2 != 0 || !rest_is_zero) return fail(Errno::kEINVAL);
        return process.no_new_privileges;
    case abi::kPR_SET_TIMERSLACK:
        self.timer_slack = Nanoseconds{argument2 == 0 ? 50'000 : static_cast<i64>(argument2)};
        return 0;
    case abi::kPR_GET_TIMERSLACK: return self.timer_slack.raw;
    default: return fail(Errno::kEINVAL);
    }
}

}  // namespace hd::syscall
