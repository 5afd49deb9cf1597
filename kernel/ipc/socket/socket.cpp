// SPDX-License-Identifier: MIT
// Sockets: how they begin, find each other and end. kernel/ipc/socket/socket.hpp.
#include "kernel/ipc/socket/socket.hpp"

#include <algorithm>
#include <cstring>

#include "kernel/abi/epoll.hpp"
#include "kernel/abi/ioctl.hpp"
#include "kernel/abi/termios.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/process.hpp"

namespace hd::ipc {

namespace {

constexpr i32 kMostBacklog = 4096;  // /proc/sys/net/core/somaxconn

class SocketSystem final : public fs::FileSystem {
public:
    SocketSystem() : FileSystem("socket") {}
    Result<fs::InodeRef> root() override { return fail(Errno::kENODEV); }
    void fill_statfs(abi::Statfs& statfs) const override { statfs.f_type = abi::kSOCKFS_MAGIC; }
};
constinit Late<SocketSystem> g_system{};

abi::Ucred my_credentials() {
    const task::Process& process = task::current_process();
    return {process.pid(), process.credentials.euid, process.credentials.egid};
}

Result<> check_kind(i32 domain, i32 type, i32& protocol) {
    if (domain == abi::kAF_UNIX) {
        if (protocol != 0 && protocol != abi::kAF_UNIX) return fail(Errno::kEPROTONOSUPPORT);
        protocol = 0;
        const bool known = type == abi::kSOCK_STREAM || type == abi::kSOCK_DGRAM || type == abi::kSOCK_SEQPACKET;
        return known ? Result<>() : fail(Errno::kESOCKTNOSUPPORT);
    }
    if (domain != abi::kAF_INET) return fail(Errno::kEAFNOSUPPORT);
    if (type != abi::kSOCK_STREAM && type != abi::kSOCK_DGRAM) return fail(Errno::kESOCKTNOSUPPORT);
    const i32 own = type == abi::kSOCK_STREAM ? abi::kIPPROTO_TCP : abi::kIPPROTO_UDP;
    if (protocol != 0 && protocol != own) return fail(Errno::kEPROTONOSUPPORT);
    protocol = own;
    return {};
}

bool is_path(const SocketAddress& address) {
    return address.family == abi::kAF_UNIX && address.size > sizeof(u16) && address.un.path[0] != '\0';
}
std::string_view path_in(const SocketAddress& address) {
    const std::string_view all(address.un.path, address.size - sizeof(u16));
    return all.substr(0, all.find('\0'));
}
fs::WalkStart walk_start() {
    task::Process& process = task::current_process();
    return {process.fs->root(), process.fs->working_directory(), &process.credentials};
}

// What an AF_INET destination means here. ENETUNREACH: not on the loopback.
Result<SocketAddress> normalised(SocketAddress address) {
    if (address.family != abi::kAF_INET) return address;
    if (address.in.address == 0) address.in.address = kLoopback;
    if ((address.in.address & 0xff) != 127) return fail(Errno::kENETUNREACH);
    return address;
}

}  // namespace

void init_sockets() {
    g_system.construct();
    init_socket_names();
}

// ---- beginning and end

Socket::Socket(fs::InodeRef inode_in, u32 flags_in, i32 domain_in, i32 type_in, i32 protocol_in)
    : File(std::move(inode_in), nullptr, abi::kO_RDWR | flags_in),
      domain(domain_in),
      type(type_in),
      protocol(protocol_in) {}

Result<RefPtr<Socket>> Socket::create(i32 domain, i32 type, i32 protocol, u32 flags) {
    TRY(check_kind(domain, type, protocol));
    auto inode =
        TRY(mm::make_ref<fs::Inode>(*g_system, fs::InodeKind::Socket, u32{0777}, g_system->next_inode_number()));
    inode->uid = task::current_process().credentials.euid;
    inode->gid = task::current_process().credentials.egid;
    auto socket = TRY(mm::make_ref<Socket>(std::move(inode), flags, domain, type, protocol));
    socket->in_ = TRY(mm::make_ref<Channel>(type == abi::kSOCK_STREAM));
    if (!socket->is_datagram()) socket->out_ = TRY(mm::make_ref<Channel>(type == abi::kSOCK_STREAM));
    return socket;
}

// Nobody knows the sockets yet.
void Socket::join(Socket& a, Socket& b) NO_THREAD_SAFETY_ANALYSIS {
    a.out_ = b.in_;
    b.out_ = a.in_;
    a.state_ = b.state_ = State::Connected;
    a.peer_credentials_ = b.peer_credentials_ = my_credentials();
    a.local_.size = b.local_.size = a.peer_.size = b.peer_.size = sizeof(u16);
    a.local_.family = b.local_.family = a.peer_.family = b.peer_.family = abi::kAF_UNIX;
}

Socket::~Socket() NO_THREAD_SAFETY_ANALYSIS {  // the last one to know it
    if (binding_) unbind_name(*binding_);
    if (listener_) listener_->close();
    if (!in_) return;
    const bool unread = in_->has_data();
    in_->no_receiver();
    if (is_datagram() || !out_) return;
    if (unread) out_->fail_with(Errno::kECONNRESET);  // the peer must not take its data for read
    out_->end_of_data();
}

void Socket::refuse() {
    out_->fail_with(Errno::kECONNRESET);
    in_->no_receiver();
}

// ---- names

Result<> Socket::bind(const SocketAddress& address) {
    if (address.family != domain) return fail(domain == abi::kAF_UNIX ? Errno::kEINVAL : Errno::kEAFNOSUPPORT);
    const RefPtr<Binding> binding = TRY(mm::make_ref<Binding>());
    binding->address = address;
    binding->type = type;
    binding->reuse_address = reuse_address_;
    binding->reuse_port = reuse_port_;
    if (is_datagram()) binding->inbox = in_;
    if (domain == abi::kAF_INET) {
        const u32 to = address.in.address;
        if (to != 0 && (to & 0xff) != 127) return fail(Errno::kEADDRNOTAVAIL);
        const u16 port = swap_bytes(address.in.port);
        if (port != 0 && port < 1024 && !task::current_process().credentials.is_root()) return fail(Errno::kEACCES);
    }
    {
        core::LockGuard guard(lock_);
        if (binding_) return fail(Errno::kEINVAL);
    }
    if (is_path(address)) {
        const u32 mode = 0777 & ~task::current_process().fs->umask();
        const auto made = fs::make_node(walk_start(), path_in(address), {fs::InodeKind::Socket, mode});
        if (!made) return fail(made.error() == Errno::kEEXIST ? Errno::kEADDRINUSE : made.error());
        binding->inode = (*made)->inode;
    }
    TRY(bind_name(binding));
    bool lost;
    {
        core::LockGuard guard(lock_);
        lost = static_cast<bool>(binding_);  // another thread was faster
        if (!lost) {
            binding_ = binding;
            local_ = binding->address;
        }
    }
    if (!lost) return {};
    unbind_name(*binding);
    return fail(Errno::kEINVAL);
}

// A socket that says something gets a name, so that it can be answered: AF_INET always, AF_UNIX with SO_PASSCRED (unix(7)).
Result<> Socket::bind_itself() {
    {
        core::LockGuard guard(lock_);
        if (binding_ || (domain == abi::kAF_UNIX && !passes_credentials())) return {};
    }
    SocketAddress address;
    address.family = static_cast<u16>(domain);
    address.size = domain == abi::kAF_INET ? sizeof(abi::SockaddrIn) : sizeof(u16);
    if (domain == abi::kAF_INET) address.in.address = kLoopback;
    const Result<> bound = bind(address);
    return !bound && bound.error() == Errno::kEADDRINUSE ? fail(Errno::kEADDRNOTAVAIL) : bound;
}

// EPERM, ECONNREFUSED, and what looking for a path gives.
Result<RefPtr<Binding>> Socket::find_target(const SocketAddress& wanted) {
    const SocketAddress address = TRY(normalised(wanted));
    RefPtr<Binding> found;
    if (is_path(address)) {
        const auto place = TRY(fs::walk(walk_start(), path_in(address), fs::FollowLast::Yes));
        TRY(place->inode->check_access(task::current_process().credentials, fs::kMayWrite));
        if (place->inode->kind != fs::InodeKind::Socket) return fail(Errno::kECONNREFUSED);
        found = find_name(*place->inode);
    } else {
        found = find_name(address, type);
    }
    if (!found) return fail(Errno::kECONNREFUSED);
    if (found->type != type) return fail(Errno::kEPROTOTYPE);
    return found;
}

SocketAddress Socket::local_address() {
    core::LockGuard guard(lock_);
    if (local_.size != 0) return local_;
    SocketAddress none;
    none.family = static_cast<u16>(domain);
    none.size = domain == abi::kAF_INET ? sizeof(abi::SockaddrIn) : sizeof(u16);
    return none;
}

Result<SocketAddress> Socket::peer_address() {
    core::LockGuard guard(lock_);
    if (state_ != State::Connected) return fail(Errno::kENOTCONN);
    return peer_;
}

// ---- connections

Result<> Socket::listen(i32 backlog) {
    if (is_datagram()) return fail(Errno::kEOPNOTSUPP);
    if (domain == abi::kAF_INET) TRY(bind_itself());
    auto fresh = TRY(mm::make_ref<Listener>(my_credentials()));
    RefPtr<Listener> listener;
    RefPtr<Binding> binding;
    {
        core::LockGuard guard(lock_);
        if (!binding_ || state_ == State::Connected || state_ == State::Connecting) return fail(Errno::kEINVAL);
        if (!listener_) listener_ = std::move(fresh);
        listener = listener_;
        binding = binding_;
        state_ = State::Listening;
    }
    // As an unsigned number, so that a negative one means the most (Linux).
    listener->set_backlog(std::min(static_cast<u32>(backlog), static_cast<u32>(kMostBacklog)));
    set_listener(*binding, listener);
    state_changed_.wake_all();
    return {};
}

Result<> Socket::connect_datagram(const SocketAddress& address) {
    RefPtr<Channel> out, old;
    if (address.family != abi::kAF_UNSPEC) {
        if (address.family != domain) return fail(domain == abi::kAF_UNIX ? Errno::kEINVAL : Errno::kEAFNOSUPPORT);
        if (domain == abi::kAF_UNIX)
            out = TRY(find_target(address))->inbox;
        else
            (void)TRY(normalised(address));  // whether somebody is there shows when something is sent
        TRY(bind_itself());
    }
    core::LockGuard guard(lock_);
    old = std::exchange(out_, std::move(out));
    state_ = address.family == abi::kAF_UNSPEC ? State::Fresh : State::Connected;
    peer_ = domain == abi::kAF_INET && address.family != abi::kAF_UNSPEC ? *normalised(address) : address;
    return {};
}

// Hands the other ends of this socket's channels to a new one in the listener's queue.
Result<> Socket::reach(const SocketAddress& address) {
    const RefPtr<Binding> target = TRY(find_target(address));
    if (!target->listener) return fail(Errno::kECONNREFUSED);
    TRY(bind_itself());
    const RefPtr<Listener> listener = target->listener;
    auto server = TRY(create(domain, type, 0, 0));
    server->in_ = out_;
    server->out_ = in_;
    const SocketAddress mine = local_address();
    SocketAddress theirs = target->address;
    if (domain == abi::kAF_INET) theirs = TRY(normalised(address));
    {
        core::LockGuard guard(server->lock_);
        server->state_ = State::Connected;
        server->local_ = theirs;
        server->peer_ = mine;
        server->peer_credentials_ = my_credentials();
    }
    {
        core::LockGuard guard(lock_);
        local_ = mine;
        peer_ = theirs;
        peer_credentials_ = listener->owner;
    }
    // TCP's connections are made while nobody waits; here one more than the backlog then stands in the queue.
    return listener->add(std::move(server), nonblocking(), is_tcp() && nonblocking());
}

Result<> Socket::connect_stream(const SocketAddress& address) {
    {
        core::LockGuard guard(lock_);
        if (state_ == State::Listening) return fail(Errno::kEINVAL);
        if (state_ == State::Connecting) return fail(Errno::kEALREADY);
        if (state_ == State::Connected) {
            if (is_tcp() && nonblocking() && !std::exchange(told_connected_, true)) return {};
            return fail(Errno::kEISCONN);
        }
        if (address.family != domain) return fail(domain == abi::kAF_UNIX ? Errno::kEINVAL : Errno::kEAFNOSUPPORT);
        state_ = State::Connecting;
    }
    const Result<> reached = reach(address);
    const bool later = is_tcp() && nonblocking() && (reached || reached.error() == Errno::kECONNREFUSED);
    {
        core::LockGuard guard(lock_);
        state_ = reached ? State::Connected : State::Fresh;
        if (!reached && later) error_ = reached.error();
        if (!reached) peer_ = {};
        told_connected_ = reached && !later;
    }
    state_changed_.wake_all();
    return later ? fail(Errno::kEINPROGRESS) : reached;
}

Result<> Socket::connect(const SocketAddress& address) {
    return is_datagram() ? connect_datagram(address) : connect_stream(address);
}

Result<RefPtr<Socket>> Socket::accept(u32 flags_wanted) {
    RefPtr<Listener> listener;
    {
        core::LockGuard guard(lock_);
        if (is_datagram()) return fail(Errno::kEOPNOTSUPP);
        if (state_ != State::Listening) return fail(Errno::kEINVAL);
        listener = listener_;
    }
    RefPtr<Socket> connection = TRY(listener->take(nonblocking(), deadline(receive_timeout_)));
    connection->flags.fetch_or(flags_wanted & abi::kO_NONBLOCK, std::memory_order_relaxed);
    connection->pass_credentials_ = passes_credentials();
    return connection;
}

Result<> Socket::shutdown(i32 how) {
    if (how < abi::kSHUT_RD || how > abi::kSHUT_RDWR) return fail(Errno::kEINVAL);
    const State now = state();
    if (now == State::Listening) {
        if (how == abi::kSHUT_WR) return {};
        RefPtr<Listener> listener;
        {
            core::LockGuard guard(lock_);
            state_ = State::Fresh;
            listener = listener_;
        }
        listener->close();
        return {};
    }
    if (now != State::Connected && !(is_datagram() && domain == abi::kAF_UNIX)) return fail(Errno::kENOTCONN);
    if (how != abi::kSHUT_WR) {
        reads_ended_ = true;
        if (domain == abi::kAF_UNIX)
            in_->no_receiver();
        else
            in_->end_of_data();
    }
    if (how != abi::kSHUT_RD) {
        writes_ended_ = true;
        if (!is_datagram()) out_->end_of_data();
    }
    state_changed_.wake_all();
    return {};
}

// ---- readiness

u32 Socket::poll(fs::PollTable* table) {
    RefPtr<Channel> out;
    RefPtr<Listener> listener;
    State now;
    bool failed;
    {
        core::LockGuard guard(lock_);
        out = out_;
        listener = listener_;
        now = state_;
        failed = error_ != Errno{};
    }
    if (table != nullptr) {
        table->add(state_changed_);
        table->add(in_->readable);
        // A datagram socket's destination may be another's, which may go before this one.
        if (out && !is_datagram()) table->add(out->writable);
        if (listener) table->add(listener->arrived);
    }
    if (now == State::Listening) return listener->has_some() ? abi::kPOLLIN : 0;
    u32 ready = failed || in_->has_error() ? abi::kPOLLERR : 0;
    if (is_datagram()) {
        if (in_->has_data() || reads_ended_) ready |= abi::kPOLLIN;
        return ready | abi::kPOLLOUT;
    }
    if (now != State::Connected) return ready | abi::kPOLLOUT | abi::kPOLLHUP;
    const bool ended = in_->ended() || reads_ended_;
    if (in_->has_data() || ended) ready |= abi::kPOLLIN;
    if (ended) ready |= abi::kEPOLLRDHUP;
    if (ended && (writes_ended_ || out->receiver_gone())) ready |= abi::kPOLLHUP;
    if (out->room() || out->receiver_gone() || writes_ended_) ready |= abi::kPOLLOUT;
    return ready;
}

Result<u64> Socket::ioctl(u32 request, u64 argument) {
    if (request != abi::kFIONREAD && request != abi::kTIOCOUTQ) return fail(Errno::kENOTTY);
    if (state() == State::Listening) return fail(Errno::kEINVAL);
    const u64 bytes = request == abi::kFIONREAD ? in_->bytes_waiting() : !is_datagram() ? out_->bytes_waiting() : 0;
    TRY(mm::UserPtr<i32>(argument).store(static_cast<i32>(bytes)));
    return 0;
}

}  // namespace hd::ipc
