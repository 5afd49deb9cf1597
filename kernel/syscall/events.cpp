// SPDX-License-Identifier: MIT
// System calls of files that stand for events: epoll(7), eventfd(2), timerfd_create(2), signalfd(2), pidfd_open(2).
#include <climits>

#include "kernel/ipc/epoll.hpp"
#include "kernel/ipc/event_fd.hpp"
#include "kernel/ipc/pid_fd.hpp"
#include "kernel/ipc/signal_fd.hpp"
#include "kernel/ipc/timer_fd.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/signal/signal.hpp"
#include "kernel/time/timer.hpp"

namespace hd::syscall {

namespace {

constexpr u32 kFileFlags =
    abi::kO_CLOEXEC | abi::kO_NONBLOCK;  // EFD_, TFD_, SFD_, EPOLL_, PIDFD_ flags have their values

// A new file of class T under a descriptor.
template <class T, class... Arguments> Result<int> install_new(u32 flags, Arguments&&... arguments) {
    auto file = TRY(mm::make_ref<T>(std::forward<Arguments>(arguments)...));
    return install(std::move(file), (flags & abi::kO_CLOEXEC) != 0);
}

// The file under a descriptor, if it is a T. EBADF, EINVAL.
template <class T> struct Held {
    fs::FileRef file;
    T* operator->() const { return static_cast<T*>(file.get()); }
};
template <class T> Result<Held<T>> held(Fd fd) {
    fs::FileRef file = TRY(file_of(fd));
    if (fs::file_cast<T>(*file) == nullptr) return fail(Errno::kEINVAL);
    return Held<T>{std::move(file)};
}

}  // namespace

// ---- epoll

Answer sys_epoll_create1(Flags flags) {
    if ((flags & ~abi::kO_CLOEXEC) != 0) return fail(Errno::kEINVAL);
    return install_new<ipc::Epoll>(flags);
}

Answer sys_epoll_create(Int size) { return size <= 0 ? Answer(fail(Errno::kEINVAL)) : sys_epoll_create1(0); }

Answer sys_epoll_ctl(Fd epoll_fd, Int operation, Fd fd, In<abi::EpollEvent> event) {
    abi::EpollEvent wanted{};
    if (operation != abi::kEPOLL_CTL_DEL) wanted = TRY(event.load());
    const fs::FileRef self = TRY(file_of(epoll_fd));
    const fs::FileRef file = TRY(file_of(fd));
    if (!file->can_be_waited_for()) return fail(Errno::kEPERM);
    auto* const epoll = fs::file_cast<ipc::Epoll>(*self);
    if (epoll == nullptr || self == file) return fail(Errno::kEINVAL);
    switch (operation) {
    case abi::kEPOLL_CTL_ADD: return epoll->add(fd, *file, wanted);
    case abi::kEPOLL_CTL_MOD: return epoll->modify(fd, *file, wanted);
    case abi::kEPOLL_CTL_DEL: return epoll->remove(fd, *file);
    default: return fail(Errno::kEINVAL);
    }
}

static Answer wait_for_events(Fd epoll_fd, Out<abi::EpollEvent> events, Int most, Nanoseconds deadline) {
    if (static_cast<u32>(most) - 1 >= INT_MAX / sizeof(abi::EpollEvent))
        return fail(Errno::kEINVAL);  // 0 and less, too
    if (!mm::is_user_range(events.address(), static_cast<u64>(most) * sizeof(abi::EpollEvent)))
        return fail(Errno::kEFAULT);
    const fs::FileRef file = TRY(file_of(epoll_fd));
    auto* const epoll = fs::file_cast<ipc::Epoll>(*file);
    if (epoll == nullptr) return fail(Errno::kEINVAL);
    return epoll->wait(events, static_cast<u32>(most), deadline);
}

[[gnu::noinline]] static Answer wait_with_mask(Fd epoll_fd, Out<abi::EpollEvent> events, Int most, Nanoseconds deadline,
                                               In<u64> mask, Size mask_size) {
    TRY(check_mask_size(mask_size));
    task::begin_temporary_mask(TRY(mask.load()));
    const Answer answer = wait_for_events(epoll_fd, events, most, deadline);
    task::finish_temporary_mask(answer.raw() == Answer(Errno::kEINTR).raw());
    return answer;
}

static Answer epoll_wait_until(Fd epoll_fd, Out<abi::EpollEvent> events, Int most, Nanoseconds deadline, In<u64> mask,
                               Size mask_size) {
    return mask ? wait_with_mask(epoll_fd, events, most, deadline, mask, mask_size)
                : wait_for_events(epoll_fd, events, most, deadline);
}

static Nanoseconds deadline_in(Int milliseconds_from_now) {
    return milliseconds_from_now < 0 ? Nanoseconds::max() : deadline_after(milliseconds(milliseconds_from_now));
}

Answer sys_epoll_wait(Fd epoll_fd, Out<abi::EpollEvent> events, Int most, Int timeout_ms) {
    return wait_for_events(epoll_fd, events, most, deadline_in(timeout_ms));
}

Answer sys_epoll_pwait(Fd epoll_fd, Out<abi::EpollEvent> events, Int most, Int timeout_ms, In<u64> mask,
                       Size mask_size) {
    return epoll_wait_until(epoll_fd, events, most, deadline_in(timeout_ms), mask, mask_size);
}

Answer sys_epoll_pwait2(Fd epoll_fd, Out<abi::EpollEvent> events, Int most, In<abi::Timespec> timeout, In<u64> mask,
                        Size mask_size) {
    const Nanoseconds deadline = timeout ? deadline_after(TRY(duration_from(timeout))) : Nanoseconds::max();
    return epoll_wait_until(epoll_fd, events, most, deadline, mask, mask_size);
}

// ---- eventfd, signalfd, timerfd

Answer sys_eventfd2(UInt initial, Flags flags) {
    if ((flags & ~(kFileFlags | abi::kEFD_SEMAPHORE)) != 0) return fail(Errno::kEINVAL);
    return install_new<ipc::EventFd>(flags, initial, (flags & abi::kEFD_SEMAPHORE) != 0, flags & abi::kO_NONBLOCK);
}

Answer sys_signalfd4(Fd fd, In<u64> mask, Size mask_size, Flags flags) {
    if ((flags & ~kFileFlags) != 0) return fail(Errno::kEINVAL);
    TRY(check_mask_size(mask_size));
    const u64 wanted = TRY(mask.load()) & ~(abi::signal_bit(abi::kSIGKILL) | abi::signal_bit(abi::kSIGSTOP));
    if (fd == -1) return install_new<ipc::SignalFd>(flags, wanted, flags & abi::kO_NONBLOCK);
    TRY(held<ipc::SignalFd>(fd))->mask.store(wanted, std::memory_order_relaxed);
    process().signal_arrived.wake_all();  // what others wait for may be pending
    return fd;
}

Answer sys_timerfd_create(Int clock, Flags flags) {
    if ((flags & ~kFileFlags) != 0) return fail(Errno::kEINVAL);
    const bool wall = clock == abi::kCLOCK_REALTIME || clock == abi::kCLOCK_REALTIME_ALARM;
    const bool wakes = clock == abi::kCLOCK_REALTIME_ALARM || clock == abi::kCLOCK_BOOTTIME_ALARM;
    if (!wall && !wakes && clock != abi::kCLOCK_MONOTONIC && clock != abi::kCLOCK_BOOTTIME) return fail(Errno::kEINVAL);
    if (wakes) TRY(check_root());  // a machine that sleeps; this one does not
    return install_new<ipc::TimerFd>(flags, wall, flags & abi::kO_NONBLOCK);
}

static abi::Itimerspec itimerspec_of(const ipc::TimerFd::Setting& setting) {
    return {abi::timespec_of(setting.interval), abi::timespec_of(setting.value)};
}

Answer sys_timerfd_settime(Fd fd, Flags flags, In<abi::Itimerspec> setting, Out<abi::Itimerspec> old) {
    if ((flags & ~(abi::kTFD_TIMER_ABSTIME | abi::kTFD_TIMER_CANCEL_ON_SET)) != 0) return fail(Errno::kEINVAL);
    const Nanoseconds interval = TRY(duration_from(In<abi::Timespec>(setting.address())));
    const Nanoseconds value = TRY(duration_from(In<abi::Timespec>(setting.address() + sizeof(abi::Timespec))));
    const auto timer = TRY(held<ipc::TimerFd>(fd));
    std::optional<Nanoseconds> deadline;
    if (value.raw != 0) {
        deadline = value;
        if ((flags & abi::kTFD_TIMER_ABSTIME) == 0)
            deadline = deadline_after(value);
        else if (timer->wall_clock)
            deadline = value - time::wall_clock() + time::now();
    }
    return store_if_wanted(old, itimerspec_of(timer->set(deadline, interval)));
}

Answer sys_timerfd_gettime(Fd fd, Out<abi::Itimerspec> setting) {
    return setting.store(itimerspec_of(TRY(held<ipc::TimerFd>(fd))->get()));
}

// ---- pidfd

Answer sys_pidfd_open(PidArg pid, Flags flags) {
    if ((flags & ~abi::kO_NONBLOCK) != 0 || pid <= 0) return fail(Errno::kEINVAL);
    RefPtr<task::Process> process = task::find_process(Pid{pid});
    if (!process) return fail(task::find_thread(Pid{pid}) ? Errno::kEINVAL : Errno::kESRCH);
    return install_new<ipc::PidFd>(abi::kO_CLOEXEC, std::move(process), flags);
}

Answer sys_pidfd_getfd(Fd pidfd, Fd fd, Flags flags) {
    if (flags != 0) return fail(Errno::kEINVAL);
    const fs::FileRef file = TRY(file_of(pidfd));
    auto* const target = fs::file_cast<ipc::PidFd>(*file);
    if (target == nullptr) return fail(Errno::kEBADF);
    const task::Resources theirs = task::resources_of(*target->process);
    if (!theirs.files) return fail(Errno::kESRCH);
    const fs::Credentials& whose = theirs.credentials;
    for (const u32 id : {whose.uid, whose.euid, whose.suid})
        if (!me().is_root() && id != me().euid) return fail(Errno::kEPERM);  // ptrace(2)'s rule, as in /proc
    return install(TRY(theirs.files->get(fd)), true);
}

Answer sys_pidfd_send_signal(Fd fd, Signo signal, In<abi::SigInfo> info, Flags flags) {
    if (flags != 0) return fail(Errno::kEINVAL);
    const fs::FileRef file = TRY(file_of(fd));
    auto* const target = fs::file_cast<ipc::PidFd>(*file);
    if (target == nullptr) return fail(Errno::kEBADF);
    if (!info) return task::kill(*target->process, signal);
    const abi::SigInfo given = TRY(info.load());
    if (given.signo != signal) return fail(Errno::kEINVAL);
    return task::queue_signal(*target->process, given);
}

}  // namespace hd::syscall
