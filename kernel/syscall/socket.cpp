// SPDX-License-Identifier: MIT
// System calls of sockets: addresses, messages and their ancillary data between the program's structures and kernel/ipc/socket.
#include <cstring>

#include "kernel/ipc/socket/socket.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/syscall/pieces.hpp"

namespace hd::syscall {

namespace {

using ipc::Message;
using ipc::Socket;
using ipc::SocketAddress;

struct SocketRef {
    fs::FileRef file;
    Socket* operator->() const { return static_cast<Socket*>(file.get()); }
};
Result<SocketRef> socket_of(Fd fd) {
    fs::FileRef file = TRY(file_of(fd));
    if (fs::file_cast<Socket>(*file) == nullptr) return fail(Errno::kENOTSOCK);
    return SocketRef{std::move(file)};
}

// ---- addresses

// EINVAL: too short or long for its family; EFAULT.
Result<SocketAddress> address_from(Address from, UInt size) {
    SocketAddress address;
    if (size > 128 || size < sizeof(u16)) return fail(Errno::kEINVAL);  // struct sockaddr_storage
    u8 bytes[128];
    TRY(mm::copy_from_user(bytes, from, size));
    std::memcpy(&address.family, bytes, sizeof address.family);
    if (address.family == abi::kAF_UNIX && size > sizeof(abi::SockaddrUn)) return fail(Errno::kEINVAL);
    if (address.family == abi::kAF_INET && size < sizeof(abi::SockaddrIn)) return fail(Errno::kEINVAL);
    std::memcpy(address.bytes, bytes, std::min<usize>(size, sizeof address.bytes));
    address.size =
        address.family == abi::kAF_INET ? u32{sizeof(abi::SockaddrIn)} : std::min<u32>(size, sizeof address.bytes);
    if (address.family == abi::kAF_UNIX && size > sizeof(u16) && address.un.path[0] != '\0') {
        const std::string_view all(address.un.path, size - sizeof(u16));
        const usize length = std::min(all.find('\0'), all.size());
        address.size = static_cast<u32>(sizeof(u16) + length + 1);  // with a NUL, which need not be the program's
        if (length < sizeof address.un.path) address.un.path[length] = '\0';
    }
    return address;
}

// As much as there is room for, and how long it is.
Result<> give_address(const SocketAddress& address, Address to, InOut<i32> size) {
    if (to == 0) return {};
    const i32 room = TRY(size.load());
    if (room < 0) return fail(Errno::kEINVAL);
    const u32 held = std::min<u32>(address.size, sizeof address.bytes);
    TRY(mm::copy_to_user(to, address.bytes, std::min<usize>(static_cast<usize>(room), held)));
    return size.store(static_cast<i32>(address.size));
}

// ---- ancillary data (cmsg(3))

constexpr u64 kHeader = sizeof(abi::Cmsghdr);  // a multiple of 8, as CMSG_ALIGN wants

Result<> take_files(Message& message, Address from, u64 size) {
    const usize count = size / sizeof(i32);
    if (count > abi::kSCM_MAX_FD) return fail(Errno::kEINVAL);
    if (!message.files) message.files = TRY(mm::make<ipc::PassedFiles>());
    ipc::PassedFiles& files = *message.files;
    if (files.count + count > abi::kSCM_MAX_FD) return fail(Errno::kEINVAL);
    for (usize i = 0; i < count; ++i)
        files.files[files.count + i] = TRY(process().files->get_any(TRY((In<i32>(from) + i).load())));
    files.count += count;
    if (files.count == 0) message.files = nullptr;
    return {};
}

// A program may name its own process and ids as the sender; root, any (unix(7)).
Result<> take_credentials(Message& message, Address from, u64 size) {
    if (size != sizeof(abi::Ucred)) return fail(Errno::kEINVAL);
    const abi::Ucred said = TRY(In<abi::Ucred>(from).load());
    const fs::Credentials& who = me();
    const bool user = said.uid == who.uid || said.uid == who.euid || said.uid == who.suid;
    const bool group = said.gid == who.gid || said.gid == who.egid || said.gid == who.sgid;
    if (!who.is_root() && (said.pid != process().pid() || !user || !group)) return fail(Errno::kEPERM);
    message.credentials = said;
    return {};
}

Result<> take_control(Message& message, const Socket& socket, const abi::Msghdr& header) {
    if (header.control_size > 20480) return fail(Errno::kENOBUFS);  // /proc/sys/net/core/optmem_max
    for (u64 at = 0; at + kHeader <= header.control_size;) {
        const abi::Cmsghdr part = TRY(In<abi::Cmsghdr>(header.control + at).load());
        if (part.size < kHeader || part.size > header.control_size - at) return fail(Errno::kEINVAL);
        if (part.level == abi::kSOL_SOCKET && socket.domain == abi::kAF_UNIX) {
            const Address data = header.control + at + kHeader;
            switch (part.type) {
            case abi::kSCM_RIGHTS: TRY(take_files(message, data, part.size - kHeader)); break;
            case abi::kSCM_CREDENTIALS: TRY(take_credentials(message, data, part.size - kHeader)); break;
            default: return fail(Errno::kEINVAL);
            }
        }
        at += align_up(part.size, u64{8});
    }
    return {};
}

// Writes parts into the program's control buffer; what finds no room is cut off and MSG_CTRUNC says so.
class ControlWriter {
public:
    explicit ControlWriter(abi::Msghdr& header) : header_(header), room_(header.control_size) {
        header.control_size = 0;
    }

    // How many bytes of data there is room for now.
    u64 room() const { return room_ > kHeader ? room_ - kHeader : 0; }
    Result<> put(i32 type, const void* data, u64 size) {
        if (room_ < kHeader) {
            header_.flags |= abi::kMSG_CTRUNC;
            return {};
        }
        const u64 held = std::min(size, room());
        if (held < size) header_.flags |= abi::kMSG_CTRUNC;
        const abi::Cmsghdr part{kHeader + held, abi::kSOL_SOCKET, type};
        const Address to = header_.control + header_.control_size;
        TRY(mm::copy_to_user(to, &part, sizeof part));
        TRY(mm::copy_to_user(to + kHeader, data, held));
        const u64 used = std::min(align_up(part.size, u64{8}), room_);
        header_.control_size += used;
        room_ -= used;
        return {};
    }

private:
    abi::Msghdr& header_;
    u64 room_;
};

// Descriptors for as many of the files as there is room for and as may be had; the others are closed.
Result<> give_files(ControlWriter& writer, abi::Msghdr& header, const ipc::PassedFiles& files, bool close_on_exec) {
    const auto fds = TRY(mm::make_array<i32>(files.count));
    usize count = 0;
    const usize most = std::min<usize>(files.count, writer.room() / sizeof(i32));
    for (; count < most; ++count) {
        const auto fd = install(files.files[count], close_on_exec);
        if (!fd) break;
        fds[count] = *fd;
    }
    if (count < files.count) header.flags |= abi::kMSG_CTRUNC;
    return count != 0 ? writer.put(abi::kSCM_RIGHTS, fds.get(), count * sizeof(i32)) : Result<>();
}

// ---- messages

abi::Ucred my_credentials() { return {process().pid(), me().euid, me().egid}; }

Result<u64> send_message(Socket& socket, const abi::Msghdr& header, u32 flags) {
    if (header.piece_count > abi::kUIO_MAXIOV) return fail(Errno::kEMSGSIZE);
    Pieces pieces;
    fs::IoBuffer buffer = TRY(pieces.load(In<abi::IoVec>(header.pieces), static_cast<Int>(header.piece_count)));
    Message message{.buffer = buffer, .flags = flags};
    message.credentials = my_credentials();
    if (header.name != 0 && header.name_size != 0) message.address = TRY(address_from(header.name, header.name_size));
    if (header.control != 0) TRY(take_control(message, socket, header));
    return socket.send(message);
}

Result<u64> receive_message(Socket& socket, abi::Msghdr& header, u32 flags) {
    if (header.piece_count > abi::kUIO_MAXIOV) return fail(Errno::kEMSGSIZE);
    Pieces pieces;
    fs::IoBuffer buffer = TRY(pieces.load(In<abi::IoVec>(header.pieces), static_cast<Int>(header.piece_count)));
    Message message{.buffer = buffer, .flags = flags};
    const u64 count = TRY(socket.receive(message));
    header.flags = flags & abi::kMSG_CMSG_CLOEXEC;
    if (message.truncated) header.flags |= abi::kMSG_TRUNC;
    if (socket.type == abi::kSOCK_SEQPACKET && count != 0) header.flags |= abi::kMSG_EOR;
    if (header.name != 0) {
        const u32 held = std::min(message.address.size, header.name_size);
        TRY(mm::copy_to_user(header.name, message.address.bytes, held));
        header.name_size = message.address.size;
    }
    ControlWriter writer(header);
    if (socket.passes_credentials())
        TRY(writer.put(abi::kSCM_CREDENTIALS, &message.credentials, sizeof message.credentials));
    if (message.files) TRY(give_files(writer, header, *message.files, (flags & abi::kMSG_CMSG_CLOEXEC) != 0));
    return count;
}

constexpr u32 kKindFlags = abi::kO_CLOEXEC | abi::kO_NONBLOCK;  // SOCK_CLOEXEC, SOCK_NONBLOCK

Result<RefPtr<Socket>> make_socket(Int domain, Int type, Int protocol) {
    const u32 flags = static_cast<u32>(type) & ~static_cast<u32>(abi::kSOCK_TYPE_MASK);
    if ((flags & ~kKindFlags) != 0) return fail(Errno::kEINVAL);
    return Socket::create(domain, type & abi::kSOCK_TYPE_MASK, protocol, flags & abi::kO_NONBLOCK);
}
bool close_on_exec(Int type) { return (static_cast<u32>(type) & abi::kO_CLOEXEC) != 0; }

}  // namespace

Answer sys_socket(Int domain, Int type, Int protocol) {
    return install(TRY(make_socket(domain, type, protocol)), close_on_exec(type));
}

Answer sys_socketpair(Int domain, Int type, Int protocol, Out<i32> fds) {
    const auto a = TRY(make_socket(domain, type, protocol)), b = TRY(make_socket(domain, type, protocol));
    if (domain != abi::kAF_UNIX) return fail(Errno::kEOPNOTSUPP);
    Socket::join(*a, *b);
    const i32 first = TRY(install(a, close_on_exec(type)));
    const auto second = install(b, close_on_exec(type));
    const i32 both[2] = {first, second ? *second : -1};
    const Result<> stored = second ? mm::copy_to_user(fds.address(), both, sizeof both) : fail(second.error());
    if (!stored) {
        (void)process().files->close(first);
        if (second) (void)process().files->close(*second);
    }
    return stored;
}

Answer sys_bind(Fd fd, Address address, UInt size) {
    const SocketRef socket = TRY(socket_of(fd));
    return socket->bind(TRY(address_from(address, size)));
}

Answer sys_listen(Fd fd, Int backlog) { return TRY(socket_of(fd))->listen(backlog); }

Answer sys_connect(Fd fd, Address address, UInt size) {
    const SocketRef socket = TRY(socket_of(fd));
    return socket->connect(TRY(address_from(address, size)));
}

Answer sys_accept4(Fd fd, Address address, InOut<i32> size, Flags flags) {
    if ((flags & ~kKindFlags) != 0) return fail(Errno::kEINVAL);
    const SocketRef socket = TRY(socket_of(fd));
    fs::FdTable& files = *process().files;
    const int made = TRY(files.reserve((flags & abi::kO_CLOEXEC) != 0, 0, descriptor_limit()));
    const auto take = [&]() -> Result<int> {
        const RefPtr<Socket> connection = TRY(socket->accept(flags));
        TRY(give_address(TRY(connection->peer_address()), address, size));
        files.fill(made, connection);
        return made;
    };
    const Result<int> taken = take();
    if (!taken) files.give_back(made);
    return taken;
}

Answer sys_shutdown(Fd fd, Int how) { return TRY(socket_of(fd))->shutdown(how); }

Answer sys_getsockname(Fd fd, Address address, InOut<i32> size) {
    return give_address(TRY(socket_of(fd))->local_address(), address, size);
}

Answer sys_getpeername(Fd fd, Address address, InOut<i32> size) {
    const SocketRef socket = TRY(socket_of(fd));
    return give_address(TRY(socket->peer_address()), address, size);
}

Answer sys_setsockopt(Fd fd, Int level, Int option, Address value, Int size) {
    if (size < 0) return fail(Errno::kEINVAL);
    return TRY(socket_of(fd))->set_option(level, option, value, static_cast<u32>(size));
}

Answer sys_getsockopt(Fd fd, Int level, Int option, Address value, InOut<i32> size) {
    return TRY(socket_of(fd))->get_option(level, option, value, size.address());
}

// ---- sending and receiving

Answer sys_sendto(Fd fd, Buffer from, Size count, Flags flags, Address address, UInt size) {
    const SocketRef socket = TRY(socket_of(fd));
    fs::IoBuffer buffer = fs::IoBuffer::user(from.address, std::min(count, kMaxTransfer));
    Message message{.buffer = buffer, .flags = flags};
    message.credentials = my_credentials();
    if (address != 0) message.address = TRY(address_from(address, size));
    return socket->send(message);
}

Answer sys_recvfrom(Fd fd, Buffer to, Size count, Flags flags, Address address, InOut<i32> size) {
    const SocketRef socket = TRY(socket_of(fd));
    fs::IoBuffer buffer = fs::IoBuffer::user(to.address, std::min(count, kMaxTransfer));
    Message message{.buffer = buffer, .flags = flags};
    const u64 received = TRY(socket->receive(message));
    TRY(give_address(message.address, address, size));
    return received;
}

Answer sys_sendmsg(Fd fd, In<abi::Msghdr> message, Flags flags) {
    const SocketRef socket = TRY(socket_of(fd));
    const abi::Msghdr header = TRY(message.load());
    return send_message(*socket.operator->(), header, flags);
}

Answer sys_recvmsg(Fd fd, InOut<abi::Msghdr> message, Flags flags) {
    const SocketRef socket = TRY(socket_of(fd));
    abi::Msghdr header = TRY(message.load());
    const u64 count = TRY(receive_message(*socket.operator->(), header, flags));
    TRY(message.store(header));
    return count;
}

// What was done before an error counts; the error is told by the next call if it is still there.
Answer sys_sendmmsg(Fd fd, InOut<abi::Mmsghdr> messages, UInt count, Flags flags) {
    const SocketRef socket = TRY(socket_of(fd));
    count = std::min<UInt>(count, abi::kUIO_MAXIOV);
    for (UInt i = 0; i < count; ++i) {
        abi::Mmsghdr each = TRY((messages + i).load());
        const Result<u64> sent = send_message(*socket.operator->(), each.header, flags);
        if (!sent) return i != 0 ? Answer(i) : Answer(fail(sent.error()));
        each.length = static_cast<u32>(*sent);
        TRY((messages + i).store(each));
    }
    return count;
}

Answer sys_recvmmsg(Fd fd, InOut<abi::Mmsghdr> messages, UInt count, Flags flags, InOut<abi::Timespec> timeout) {
    const Nanoseconds deadline =
        timeout ? deadline_after(TRY(duration_from(In<abi::Timespec>(timeout.address())))) : Nanoseconds::max();
    const SocketRef socket = TRY(socket_of(fd));
    count = std::min<UInt>(count, abi::kUIO_MAXIOV);
    for (UInt i = 0; i < count; ++i) {
        abi::Mmsghdr each = TRY((messages + i).load());
        const u32 wait = i != 0 && (flags & abi::kMSG_WAITFORONE) != 0 ? abi::kMSG_DONTWAIT : 0;
        const Result<u64> received =
            receive_message(*socket.operator->(), each.header, (flags & ~abi::kMSG_WAITFORONE) | wait);
        if (!received) return i != 0 ? Answer(i) : Answer(fail(received.error()));
        each.length = static_cast<u32>(*received);
        TRY((messages + i).store(each));
        if (time::now() >= deadline) return i + 1;
    }
    return count;
}

}  // namespace hd::syscall
