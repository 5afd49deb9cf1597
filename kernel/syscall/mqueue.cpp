// SPDX-License-Identifier: MIT
// System calls of POSIX message queues (mq_overview(7)). The C library takes the leading slash off the names.
#include "kernel/ipc/posix_queue.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/fs_context.hpp"
#include "kernel/time/timer.hpp"

namespace hd::syscall {

namespace {

struct QueueRef {
    fs::FileRef file;
    ipc::PosixQueue& queue() const { return static_cast<ipc::QueueFile&>(*file).queue; }
};
Result<QueueRef> queue_of(Fd fd) {
    fs::FileRef file = TRY(file_of(fd));
    if (fs::file_cast<ipc::QueueFile>(*file) == nullptr) return fail(Errno::kEBADF);
    return QueueRef{std::move(file)};
}

Result<std::string_view> queue_name(Text name, std::span<char> buffer) {
    const std::string_view text = TRY(mm::copy_string_from_user(buffer, name.address));
    if (text.empty()) return fail(Errno::kENOENT);
    return text.find('/') != text.npos || text == "." || text == ".." ? fail(Errno::kEACCES)
                                                                      : Result<std::string_view>(text);
}

// An absolute time of CLOCK_REALTIME. EINVAL, EFAULT.
Result<Nanoseconds> deadline_at(In<abi::Timespec> timeout) {
    if (!timeout) return Nanoseconds::max();
    return TRY(duration_from(timeout)) - time::wall_clock() + time::now();
}

}  // namespace

Answer sys_mq_open(Text name, Flags flags, Mode mode, In<abi::MqAttr> attributes) {
    constexpr i64 kDefaultMessages = 10, kDefaultSize = 8192, kMostMessages = 65536, kMostSize = i64{16} << 20;
    char buffer[abi::kNAME_MAX + 1];
    const std::string_view text = TRY(queue_name(name, buffer));
    if ((flags & abi::kO_ACCMODE) == abi::kO_ACCMODE) return fail(Errno::kEINVAL);
    abi::MqAttr wanted{0, kDefaultMessages, kDefaultSize, 0, {}};
    if ((flags & abi::kO_CREAT) != 0 && attributes) {
        wanted = TRY(attributes.load());
        const bool root = me().is_root();
        if (wanted.maxmsg <= 0 || wanted.maxmsg > (root ? kMostMessages : kDefaultMessages))
            return fail(Errno::kEINVAL);
        if (wanted.msgsize <= 0 || wanted.msgsize > (root ? kMostSize : kDefaultSize)) return fail(Errno::kEINVAL);
    }
    auto file = TRY(ipc::open_queue(text, flags, mode & 0777 & ~process().fs->umask(), static_cast<u64>(wanted.maxmsg),
                                    static_cast<u64>(wanted.msgsize)));
    return install(std::move(file), true);
}

Answer sys_mq_unlink(Text name) {
    char buffer[abi::kNAME_MAX + 1];
    return ipc::unlink_queue(TRY(queue_name(name, buffer)));
}

Answer sys_mq_timedsend(Fd fd, Buffer text, Size size, UInt priority, In<abi::Timespec> timeout) {
    if (priority >= abi::kMQ_PRIO_MAX) return fail(Errno::kEINVAL);
    const Nanoseconds deadline = TRY(deadline_at(timeout));
    const QueueRef target = TRY(queue_of(fd));
    if (!target.file->writable()) return fail(Errno::kEBADF);
    return target.queue().send(text.address, size, priority, target.file->nonblocking(), deadline);
}

Answer sys_mq_timedreceive(Fd fd, Buffer text, Size size, Out<u32> priority, In<abi::Timespec> timeout) {
    const Nanoseconds deadline = TRY(deadline_at(timeout));
    const QueueRef source = TRY(queue_of(fd));
    if (!source.file->readable()) return fail(Errno::kEBADF);
    u32 received = 0;
    const u64 count = TRY(source.queue().receive(text.address, size, received, source.file->nonblocking(), deadline));
    TRY(store_if_wanted(priority, received));
    return count;
}

Answer sys_mq_notify(Fd fd, In<abi::Sigevent> event) {
    abi::Sigevent wanted{};
    if (event) {
        wanted = TRY(event.load());
        // SIGEV_THREAD would come by a netlink socket, which the C library then cannot make; see docs.
        if (wanted.notify != abi::kSIGEV_NONE && wanted.notify != abi::kSIGEV_SIGNAL) return fail(Errno::kEINVAL);
        if (wanted.notify == abi::kSIGEV_SIGNAL && (wanted.signo < 1 || wanted.signo > abi::kSignalCount))
            return fail(Errno::kEINVAL);
    }
    const QueueRef target = TRY(queue_of(fd));
    if (event) return target.queue().ask(wanted);
    target.queue().take_back();
    return 0;
}

Answer sys_mq_getsetattr(Fd fd, In<abi::MqAttr> wanted, Out<abi::MqAttr> old) {
    abi::MqAttr change{};
    if (wanted) {
        change = TRY(wanted.load());
        if ((change.flags & ~i64{abi::kO_NONBLOCK}) != 0) return fail(Errno::kEINVAL);
    }
    const QueueRef target = TRY(queue_of(fd));
    if (old) {
        ipc::PosixQueue& queue = target.queue();
        TRY(old.store({target.file->status_flags() & abi::kO_NONBLOCK,
                       static_cast<i64>(queue.most_messages),
                       static_cast<i64>(queue.message_size),
                       static_cast<i64>(queue.count()),
                       {}}));
    }
    if (!wanted) return 0;
    if (change.flags != 0)
        target.file->flags.fetch_or(abi::kO_NONBLOCK, std::memory_order_relaxed);  // see File::flags
    else
        target.file->flags.fetch_and(~abi::kO_NONBLOCK, std::memory_order_relaxed);
    return 0;
}

}  // namespace hd::syscall
