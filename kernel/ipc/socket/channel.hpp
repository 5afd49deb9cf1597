// SPDX-License-Identifier: MIT
// A channel: what is on its way to one socket. A connected pair has two, one for each direction; a datagram socket has one, into
// which anybody sends.
//
//     sender ── put ──► [packet][packet][packet] ── take ──► receiver
//
// Packets keep their borders (datagrams, SOCK_SEQPACKET) or are read through as a stream of bytes; either way what travels with the bytes -
// descriptors, the sender's credentials and address - is received with the first of them. A stream is read across packets, but
// not across one with descriptors into the next.
//
// Locking: `lock_` (rank SocketChannel). User memory is touched without it: a receiver takes a packet out, or pins the part of it that
// it reads, which works as one receiver at a time reads (the socket's receive mutex). Context: task.
#pragma once
#include <boost/intrusive/list.hpp>
#include <memory>

#include "kernel/abi/socket.hpp"
#include "kernel/fs/vfs/file.hpp"

namespace hd::ipc {

// Where a socket is bound, and who sent a packet. As the program sees it: a sockaddr of `size` bytes; 0: none.
struct SocketAddress {
    u32 size = 0;
    union {
        u16 family;
        abi::SockaddrUn un;
        abi::SockaddrIn in;
        u8 bytes[sizeof(abi::SockaddrUn)] = {};
    };
};

struct PassedFiles {
    fs::FileRef files[abi::kSCM_MAX_FD];
    usize count = 0;
};

// The bytes stand behind it.
struct Packet : boost::intrusive::list_base_hook<> {
    u64 size = 0, taken = 0;
    abi::Ucred sender{};
    std::unique_ptr<PassedFiles> files;
    std::unique_ptr<SocketAddress> from;  // datagrams' only

    u8* bytes() { return reinterpret_cast<u8*>(this + 1); }
    u64 left() const { return size - taken; }
};
struct FreePacket {
    void operator()(Packet* packet) const;
};
using OwnPacket = std::unique_ptr<Packet, FreePacket>;
OwnPacket make_packet(u64 size);  // null: no memory

class Channel final : public RefCounted<Channel> {
public:
    explicit Channel(bool stream) : stream_(stream) {}
    ~Channel();

    static constexpr u64 kDefaultCapacity = 212992;    // bytes, as Linux's wmem_default
    static constexpr usize kLargestPacket = 32 << 10;  // of a stream: longer writes become several
    static constexpr usize kMostDatagrams = 64;

    // Once there is room for it, puts a packet, which stays the caller's if it fails. EPIPE: nobody receives any more; EAGAIN,
    // kERESTARTSYS. ECONNRESET through `error` of the channel.
    Result<> put(OwnPacket& packet, bool nonblocking, Nanoseconds deadline);
    // Is there something to receive, or will there never be? Waits for that. EAGAIN, kERESTARTSYS; after it, first() or the end.
    Result<> wait_for_data(bool nonblocking, Nanoseconds deadline);
    // The next packet, which stays, or null. The receiver's (with its mutex held).
    Packet* first();
    Packet* after(Packet& packet);
    // `count` bytes of the first packet were read; it goes with its last byte, or at once (`whole`).
    void consume(Packet& packet, u64 count, bool whole);

    void end_of_data();  // the sender has closed or shut down its side: receivers see the end after the last byte
    void no_receiver();  // the receiver has: senders get EPIPE. Drops what is there
    void fail_with(Errno error);  // the connection broke: told once to whoever receives or sends next
    Errno take_error();

    u64 bytes_waiting();
    bool has_data();
    bool ended();  // end_of_data() was called
    bool receiver_gone();
    bool has_error();
    bool room();
    void set_capacity(u64 bytes);
    u64 capacity();

    sync::WaitQueue readable, writable;  // receivers, senders, and poll(2) of both

private:
    bool room_locked() const REQUIRES(lock_) {
        return bytes_ < capacity_ && (stream_ || packets_.size() < kMostDatagrams);
    }

    const bool stream_;
    core::Spinlock lock_{core::Rank::SocketChannel};
    boost::intrusive::list<Packet> packets_ GUARDED_BY(lock_);
    u64 bytes_ GUARDED_BY(lock_) = 0, capacity_ GUARDED_BY(lock_) = kDefaultCapacity;
    bool ended_ GUARDED_BY(lock_) = false, receiver_gone_ GUARDED_BY(lock_) = false;
    Errno error_ GUARDED_BY(lock_){};
};

}  // namespace hd::ipc
