// SPDX-License-Identifier: MIT
// Sockets: AF_UNIX streams, datagrams and sequenced packets (unix(7)), and AF_INET's TCP and UDP over a loopback of the kernel's own:
// there are no packets of a network, and no address but 127.0.0.0/8 can be reached. One class is all of them: a socket is two
// channels, a name, and a few rules in which the kinds differ.
//
//     stream, seqpacket    in ◄── channel ── peer's out      made with the socket, given to its peer by connect(2)
//                          out ── channel ──► peer's in
//     datagram             in ◄── channel ── anybody         out: where connect(2) pointed it, or each message's address
//
// Locking: lock_ (rank Socket) guards state and addresses; the channels have their own; receive_mutex_ (sleeping, rank SocketReceive)
// lets one receiver at a time copy from the first packet. Context: task.
#pragma once
#include "kernel/ipc/socket/binding.hpp"

namespace hd::ipc {

// A message on its way in or out.
struct Message {
    fs::IoBuffer& buffer;
    u32 flags = 0;  // MSG_*
    // Sent: where to (size 0: the peer). Received: from whom.
    SocketAddress address{};
    std::unique_ptr<PassedFiles> files{};
    abi::Ucred credentials{};  // sent: what the program says, or its own; received: the sender's
    bool truncated = false;
};

class Socket final : public fs::File {
public:
    static constexpr char kTag = 0;

    // EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, ENOMEM. `flags`: O_NONBLOCK.
    static Result<RefPtr<Socket>> create(i32 domain, i32 type, i32 protocol, u32 flags);
    // socketpair(2): connects two new ones.
    static void join(Socket& a, Socket& b);
    ~Socket() override;

    const i32 domain, type, protocol;
    Socket* next_pending = nullptr;  // in its listener's queue, guarded by that one

    // The system calls' bodies; errors as the man pages say.
    Result<> bind(const SocketAddress& address);
    Result<> listen(i32 backlog);
    Result<> connect(const SocketAddress& address);
    Result<RefPtr<Socket>> accept(u32 flags);
    Result<u64> send(Message& message);
    Result<u64> receive(Message& message);
    Result<> shutdown(i32 how);
    SocketAddress local_address();
    Result<SocketAddress> peer_address();  // ENOTCONN
    Result<> set_option(i32 level, i32 option, u64 value, u32 size);
    Result<> get_option(i32 level, i32 option, u64 value, u64 size);

    bool passes_credentials() const { return pass_credentials_.load(std::memory_order_relaxed); }
    void refuse();  // of a connection that was never accepted

    Result<u64> read_at(fs::IoBuffer& buffer, u64) override;
    Result<u64> write_at(fs::IoBuffer& buffer, u64, bool) override;
    bool seekable() const override { return false; }
    bool can_be_waited_for() const override { return true; }
    Result<u64> ioctl(u32 request, u64 argument) override;
    u32 poll(fs::PollTable* table) override;
    const void* type_tag() const override { return &kTag; }

    Socket(fs::InodeRef inode_in, u32 flags_in, i32 domain_in, i32 type_in, i32 protocol_in);

private:
    enum class State : u8 { Fresh, Connecting, Connected, Listening };

    bool is_datagram() const { return type == abi::kSOCK_DGRAM; }
    bool is_tcp() const { return domain == abi::kAF_INET && type == abi::kSOCK_STREAM; }
    bool never_waits(u32 message_flags) const { return nonblocking() || (message_flags & abi::kMSG_DONTWAIT) != 0; }
    State state() {
        core::LockGuard guard(lock_);
        return state_;
    }

    Result<RefPtr<Binding>> find_target(const SocketAddress& address);
    Result<> bind_itself();
    Result<> connect_datagram(const SocketAddress& address);
    Result<> connect_stream(const SocketAddress& address);
    Result<> reach(const SocketAddress& address);
    Result<u64> send_stream(Message& message, RefPtr<Channel> out);
    Result<u64> send_packet(Message& message, Channel& out);
    Result<RefPtr<Channel>> outlet(const Message& message);
    Result<u64> receive_stream(Message& message);
    Result<u64> receive_packet(Message& message);
    Result<bool> receive_some(Message& message);
    Errno take_error();
    Nanoseconds deadline(const std::atomic<i64>& timeout) const;

    core::Spinlock lock_{core::Rank::Socket};
    State state_ GUARDED_BY(lock_) = State::Fresh;
    SocketAddress local_ GUARDED_BY(lock_), peer_ GUARDED_BY(lock_);
    abi::Ucred peer_credentials_ GUARDED_BY(lock_){0, ~u32{0}, ~u32{0}};
    RefPtr<Binding> binding_ GUARDED_BY(lock_);
    RefPtr<Listener> listener_ GUARDED_BY(lock_);  // made with the socket, if it is of a kind that may listen
    RefPtr<Channel> in_,
        out_;  // streams': set before anybody else knows the socket. A datagram socket's out_: by lock_
    Errno error_ GUARDED_BY(lock_){};
    bool told_connected_ GUARDED_BY(lock_) = false;  // a connect(2) that did not wait has been answered
    std::atomic<bool> reads_ended_{false},
        writes_ended_{false};  // shutdown(2); relaxed: each is about one call at a time
    std::atomic<bool> pass_credentials_{false}, reuse_address_{false}, reuse_port_{false};
    std::atomic<i64> receive_timeout_{0}, send_timeout_{0};  // nanoseconds; 0: none
    std::atomic<i32> receive_buffer_{Channel::kDefaultCapacity};
    std::atomic<u64> plain_options_{0};  // those that change nothing here, as bits: remembered for getsockopt(2)
    sync::Mutex receive_mutex_{core::Rank::SocketReceive};
    sync::WaitQueue state_changed_;  // for poll(2)
};

void init_sockets();  // boot

}  // namespace hd::ipc
