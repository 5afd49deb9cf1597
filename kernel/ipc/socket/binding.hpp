// SPDX-License-Identifier: MIT
// Names of sockets: who can be reached at an address, and the queue of connections that a listening socket has not accepted yet.
//
// Locking: g_names_lock (rank SocketNames) for who is bound where; a Listener's lock_ (rank Socket). Context: task.
#pragma once
#include "kernel/ipc/socket/channel.hpp"

namespace hd::ipc {

class Socket;

// Connections that wait for accept(2).
class Listener final : public RefCounted<Listener> {
public:
    explicit Listener(const abi::Ucred& of) : owner(of) {}

    const abi::Ucred owner;  // who called listen(2): the peer's credentials, to whom connects

    // Room for one more? EAGAIN, kERESTARTSYS; ECONNREFUSED: it was closed.
    Result<> add(RefPtr<Socket> connection, bool nonblocking, bool ignore_backlog);
    // EAGAIN, kERESTARTSYS; EINVAL: it was closed or shut down.
    Result<RefPtr<Socket>> take(bool nonblocking, Nanoseconds deadline);
    bool has_some();
    void set_backlog(u32 backlog);
    void close();

    sync::WaitQueue arrived, left;

private:
    core::Spinlock lock_{core::Rank::Socket};
    Socket* first_ GUARDED_BY(lock_) = nullptr;  // each with a reference; linked by Socket::next_pending
    Socket* last_ GUARDED_BY(lock_) = nullptr;
    u32 count_ GUARDED_BY(lock_) = 0, backlog_ GUARDED_BY(lock_) = 0;
    bool closed_ GUARDED_BY(lock_) = false;
};

// A socket's entry under its address. Of a listening socket `listener` is set, of a datagram socket `inbox`.
class Binding final : public RefCounted<Binding>, public boost::intrusive::list_base_hook<> {
public:
    SocketAddress address;
    fs::InodeRef inode;  // AF_UNIX with a path
    i32 type = 0;
    bool reuse_address = false, reuse_port = false;
    RefPtr<Channel> inbox;
    RefPtr<Listener> listener;   // set once, with g_names_lock held
    SocketAddress connected_to;  // UDP: only from there; with g_names_lock held
};

// Enters it. EADDRINUSE; an AF_INET address with port 0 gets a free one (EADDRINUSE: there is none), an AF_UNIX one without a name
// an abstract one.
Result<> bind_name(const RefPtr<Binding>& binding);
void unbind_name(Binding& binding);
void set_listener(Binding& binding, RefPtr<Listener> listener);  // by listen(2)
// Null: nobody. `from`: who sends, for AF_INET.
RefPtr<Binding> find_name(const SocketAddress& address, i32 type);
RefPtr<Binding> find_name(const fs::Inode& inode);

void init_socket_names();  // boot

constexpr u16 swap_bytes(u16 value) { return static_cast<u16>(value << 8 | value >> 8); }
constexpr u32 kLoopback = 0x0100'007f;  // 127.0.0.1, big-endian

}  // namespace hd::ipc
