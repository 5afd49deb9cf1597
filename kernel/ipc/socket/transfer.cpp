// SPDX-License-Identifier: MIT
// Sockets: sending and receiving, and options. kernel/ipc/socket/socket.hpp.
#include <algorithm>
#include <cstring>

#include "kernel/ipc/socket/socket.hpp"
#include "kernel/mm/vm/user_ptr.hpp"
#include "kernel/task/process.hpp"
#include "kernel/task/signal/signal.hpp"
#include "kernel/time/timer.hpp"

namespace hd::ipc {

namespace {

constexpr u64 kLargestUdp = 65507;

}  // namespace

Errno Socket::take_error() {
    {
        core::LockGuard guard(lock_);
        if (error_ != Errno{}) return std::exchange(error_, Errno{});
    }
    return in_->take_error();
}

Nanoseconds Socket::deadline(const std::atomic<i64>& timeout) const {
    const i64 limit = timeout.load(std::memory_order_relaxed);
    return limit == 0 ? Nanoseconds::max() : time::now() + Nanoseconds{limit};
}

// ---- sending

Result<u64> Socket::send_stream(Message& message, RefPtr<Channel> out) {
    const bool nowait = never_waits(message.flags);
    const Nanoseconds until = deadline(send_timeout_);
    const u64 start = message.buffer.done();
    u64 sent = 0;
    while (message.buffer.remaining() != 0) {
        const u64 size = std::min<u64>(message.buffer.remaining(), Channel::kLargestPacket);
        OwnPacket packet = make_packet(size);
        Result<> result = packet ? Result<>() : fail(Errno::kENOMEM);
        if (result) result = message.buffer.get({packet->bytes(), size});
        if (result) {
            packet->sender = message.credentials;
            packet->files = std::move(message.files);
            result = out->put(packet, nowait, until);
        }
        if (!result) {
            if (sent != 0) return sent;
            return fail(result.error());
        }
        sent = message.buffer.done() - start;
    }
    return sent;
}

Result<u64> Socket::send_packet(Message& message, Channel& out) {
    const u64 size = message.buffer.remaining();
    const u64 most = domain == abi::kAF_INET ? kLargestUdp : out.capacity() - 32;
    if (size > most) return fail(Errno::kEMSGSIZE);
    OwnPacket packet = make_packet(size);
    if (!packet) return fail(Errno::kENOBUFS);
    TRY(message.buffer.get({packet->bytes(), size}));
    packet->sender = message.credentials;
    packet->files = std::move(message.files);
    if (is_datagram()) {
        packet->from.reset(new (std::nothrow) SocketAddress(local_address()));
        if (!packet->from) return fail(Errno::kENOMEM);
    }
    // UDP drops what finds no room.
    const bool udp = domain == abi::kAF_INET && is_datagram();
    const Result<> result = out.put(packet, udp || never_waits(message.flags), deadline(send_timeout_));
    if (!result && !(udp && result.error() == Errno::kEAGAIN)) {
        const bool refused = result.error() == Errno::kEPIPE && is_datagram();
        return fail(refused ? Errno::kECONNREFUSED : result.error());
    }
    return size;
}

// Where a datagram goes. ENOTCONN, EDESTADDRREQ, ECONNREFUSED, EPERM.
Result<RefPtr<Channel>> Socket::outlet(const Message& message) {
    SocketAddress to = message.address;
    if (to.size == 0) {
        core::LockGuard guard(lock_);
        if (state_ != State::Connected) return fail(domain == abi::kAF_UNIX ? Errno::kENOTCONN : Errno::kEDESTADDRREQ);
        if (out_) return out_;
        to = peer_;
    } else if (to.family != domain) {
        return fail(domain == abi::kAF_UNIX ? Errno::kEINVAL : Errno::kEAFNOSUPPORT);
    }
    TRY(bind_itself());
    const auto target = find_target(to);
    if (target) return (*target)->inbox;
    if (domain == abi::kAF_INET && target.error() == Errno::kECONNREFUSED) return RefPtr<Channel>();
    return fail(target.error());
}

Result<u64> Socket::send(Message& message) {
    if ((message.flags & abi::kMSG_OOB) != 0) return fail(Errno::kEOPNOTSUPP);
    if (const Errno error = take_error(); error != Errno{}) return fail(error);
    const bool stream = type == abi::kSOCK_STREAM;
    const auto finish = [&](Result<u64> result) -> Result<u64> {
        if (!result && result.error() == Errno::kEPIPE && stream && (message.flags & abi::kMSG_NOSIGNAL) == 0)
            task::signal_self(abi::kSIGPIPE);
        return result;
    };
    if (writes_ended_) return finish(fail(Errno::kEPIPE));
    if (is_datagram()) {
        const RefPtr<Channel> out = TRY(outlet(message));
        if (out) return send_packet(message, *out);
        // Nobody listens there. Who is connected hears of it with the next call (ICMP's "port unreachable").
        core::LockGuard guard(lock_);
        if (message.address.size == 0) error_ = Errno::kECONNREFUSED;
        return message.buffer.remaining();
    }
    {
        core::LockGuard guard(lock_);
        if (state_ != State::Connected) return finish(fail(is_tcp() ? Errno::kEPIPE : Errno::kENOTCONN));
        if (message.address.size != 0 && !is_tcp()) return fail(Errno::kEISCONN);
    }
    return finish(stream ? send_stream(message, out_) : send_packet(message, *out_));
}

// ---- receiving

// A look at the first packets of a stream, with the mutex held: true, when the call has what it can get for now.
Result<bool> Socket::receive_some(Message& message) {
    const bool peek = (message.flags & abi::kMSG_PEEK) != 0;
    const bool first_of_call = message.buffer.done() == 0;
    for (Packet* packet = in_->first(); packet != nullptr && message.buffer.remaining() != 0;) {
        const bool has_files = packet->files != nullptr;
        if (has_files && (message.files || message.buffer.done() != 0)) return true;
        if (message.buffer.done() == 0) message.credentials = packet->sender;
        if (has_files) {
            if (peek) {
                message.files.reset(new (std::nothrow) PassedFiles(*packet->files));
                if (!message.files) return fail(Errno::kENOMEM);
            } else {
                message.files = std::move(packet->files);
            }
        }
        const u64 count = std::min(packet->left(), message.buffer.remaining());
        TRY(message.buffer.put({packet->bytes() + packet->taken, count}));
        Packet* const next = count == packet->left() ? in_->after(*packet) : nullptr;
        if (!peek) in_->consume(*packet, count, false);
        if (message.files) return true;
        packet = next;
    }
    (void)first_of_call;
    return message.buffer.remaining() == 0 || (message.flags & abi::kMSG_WAITALL) == 0 || peek;
}

Result<u64> Socket::receive_stream(Message& message) {
    const bool nowait = never_waits(message.flags);
    const Nanoseconds until = deadline(receive_timeout_);
    for (;;) {
        const Result<> waited = in_->wait_for_data(nowait, until);
        if (!waited) return message.buffer.moved_since(0, waited);
        sync::MutexGuard guard(receive_mutex_);
        if (!in_->has_data()) {
            if (in_->ended() || in_->receiver_gone()) return message.buffer.done();
            continue;  // another thread was faster
        }
        const Result<bool> enough = receive_some(message);
        if (!enough) return message.buffer.moved_since(0, fail(enough.error()));
        if (*enough) return message.buffer.done();
    }
}

Result<u64> Socket::receive_packet(Message& message) {
    const bool nowait = never_waits(message.flags), peek = (message.flags & abi::kMSG_PEEK) != 0;
    const Nanoseconds until = deadline(receive_timeout_);
    for (;;) {
        TRY(in_->wait_for_data(nowait, until));
        sync::MutexGuard guard(receive_mutex_);
        Packet* const packet = in_->first();
        if (packet == nullptr) {
            if (in_->ended() || in_->receiver_gone()) return 0;
            continue;
        }
        const u64 count = std::min(packet->size, message.buffer.remaining());
        TRY(message.buffer.put({packet->bytes(), count}));
        message.truncated = count < packet->size;
        message.credentials = packet->sender;
        if (packet->from) message.address = *packet->from;
        if (peek && packet->files)
            message.files.reset(new (std::nothrow) PassedFiles(*packet->files));
        else
            message.files = std::move(packet->files);
        const u64 whole = packet->size;
        if (!peek) in_->consume(*packet, 0, true);
        return (message.flags & abi::kMSG_TRUNC) != 0 ? whole : count;
    }
}

Result<u64> Socket::receive(Message& message) {
    if ((message.flags & abi::kMSG_OOB) != 0)
        return fail(domain == abi::kAF_UNIX ? Errno::kEOPNOTSUPP : Errno::kEINVAL);
    if (const Errno error = take_error(); error != Errno{}) return fail(error);
    if (is_datagram()) return receive_packet(message);
    if (state() != State::Connected)
        return fail(domain == abi::kAF_UNIX && type == abi::kSOCK_STREAM ? Errno::kEINVAL : Errno::kENOTCONN);
    if (type != abi::kSOCK_STREAM) return receive_packet(message);
    if (message.buffer.remaining() == 0) return 0;
    return receive_stream(message);
}

Result<u64> Socket::read_at(fs::IoBuffer& buffer, u64) {
    Message message{.buffer = buffer};
    return receive(message);
}

Result<u64> Socket::write_at(fs::IoBuffer& buffer, u64, bool) {
    const task::Process& process = task::current_process();
    Message message{.buffer = buffer};
    message.credentials = {process.pid(), process.credentials.euid, process.credentials.egid};
    return send(message);
}

// ---- options

namespace {

// Those that a program may set and read back, and that mean nothing where no network is.
constexpr i32 kPlainOptions[] = {abi::kSO_DEBUG,     abi::kSO_DONTROUTE, abi::kSO_BROADCAST, abi::kSO_KEEPALIVE,
                                 abi::kSO_OOBINLINE, abi::kSO_PRIORITY,  abi::kSO_TIMESTAMP};

}  // namespace

Result<> Socket::set_option(i32 level, i32 option, u64 address, u32 size) {
    if (level == abi::kSOL_TCP || level == abi::kSOL_IP || level == abi::kSOL_UDP)
        return domain == abi::kAF_INET ? Result<>() : fail(Errno::kEOPNOTSUPP);  // of the network
    if (level != abi::kSOL_SOCKET) return fail(Errno::kENOPROTOOPT);
    if (option == abi::kSO_RCVTIMEO || option == abi::kSO_SNDTIMEO) {
        if (size < sizeof(abi::Timeval)) return fail(Errno::kEINVAL);
        const auto limit = TRY(mm::UserPtr<abi::Timeval>(address).load());
        if (limit.tv_usec < 0 || limit.tv_usec >= 1'000'000) return fail(Errno::kEDOM);
        const i64 most = INT64_MAX / 1'000'000'000 / 2;
        const i64 time = limit.tv_sec < 0 ? 1 : std::min(limit.tv_sec, most) * 1'000'000'000 + limit.tv_usec * 1000;
        (option == abi::kSO_RCVTIMEO ? receive_timeout_ : send_timeout_) = time;
        return {};
    }
    if (size < sizeof(i32)) return fail(Errno::kEINVAL);
    const i32 value = TRY(mm::UserPtr<i32>(address).load());
    switch (option) {
    case abi::kSO_REUSEADDR: reuse_address_ = value != 0; return {};
    case abi::kSO_REUSEPORT: reuse_port_ = value != 0; return {};
    case abi::kSO_PASSCRED: pass_credentials_ = value != 0; return {};
    // Linux doubles the size, for its own records, and keeps it above a least one.
    case abi::kSO_SNDBUF:
    case abi::kSO_SNDBUFFORCE: {
        const u64 bytes = static_cast<u64>(std::clamp(value, 2304, 212992)) * 2;
        if (!is_datagram()) out_->set_capacity(bytes);
        return {};
    }
    case abi::kSO_RCVBUF:
    case abi::kSO_RCVBUFFORCE: receive_buffer_ = std::clamp(value, 1152, 212992) * 2; return {};
    case abi::kSO_LINGER:
    case abi::kSO_RCVLOWAT: return {};
    case abi::kSO_TYPE:
    case abi::kSO_ERROR:
    case abi::kSO_DOMAIN:
    case abi::kSO_PROTOCOL:
    case abi::kSO_ACCEPTCONN: return fail(Errno::kENOPROTOOPT);
    default: break;
    }
    if (std::ranges::find(kPlainOptions, option) == std::end(kPlainOptions)) return fail(Errno::kENOPROTOOPT);
    const u64 bit = u64{1} << option;
    if (value != 0)
        plain_options_ |= bit;
    else
        plain_options_ &= ~bit;
    return {};
}

Result<> Socket::get_option(i32 level, i32 option, u64 address, u64 size_address) {
    const mm::UserPtr<i32> size_to(size_address);
    const i32 room = TRY(size_to.load());
    if (room < 0) return fail(Errno::kEINVAL);
    const auto give = [&](const void* from, usize size) -> Result<> {
        const usize count = std::min(size, static_cast<usize>(room));
        TRY(mm::copy_to_user(address, from, count));
        return size_to.store(static_cast<i32>(count));
    };
    const auto give_number = [&](i64 number) {
        const i32 value = static_cast<i32>(number);
        return give(&value, sizeof value);
    };
    if (level == abi::kSOL_TCP || level == abi::kSOL_IP)
        return domain == abi::kAF_INET ? give_number(0) : fail(Errno::kEOPNOTSUPP);
    if (level != abi::kSOL_SOCKET) return fail(Errno::kENOPROTOOPT);
    const auto give_time = [&](const std::atomic<i64>& timeout) {
        const i64 limit = timeout.load(std::memory_order_relaxed);
        const abi::Timeval time{limit / 1'000'000'000, limit % 1'000'000'000 / 1000};
        return give(&time, sizeof time);
    };
    switch (option) {
    case abi::kSO_TYPE: return give_number(type);
    case abi::kSO_DOMAIN: return give_number(domain);
    case abi::kSO_PROTOCOL: return give_number(protocol);
    case abi::kSO_ERROR: return give_number(static_cast<i64>(take_error()));
    case abi::kSO_ACCEPTCONN: return give_number(state() == State::Listening);
    case abi::kSO_REUSEADDR: return give_number(reuse_address_);
    case abi::kSO_REUSEPORT: return give_number(reuse_port_);
    case abi::kSO_PASSCRED: return give_number(passes_credentials());
    case abi::kSO_SNDBUF:
        return give_number(is_datagram() ? i64{Channel::kDefaultCapacity} : static_cast<i64>(out_->capacity()));
    case abi::kSO_RCVBUF: return give_number(receive_buffer_.load());
    case abi::kSO_RCVLOWAT:
    case abi::kSO_SNDLOWAT: return give_number(1);
    case abi::kSO_RCVTIMEO: return give_time(receive_timeout_);
    case abi::kSO_SNDTIMEO: return give_time(send_timeout_);
    case abi::kSO_LINGER: {
        const abi::Linger none{0, 0};
        return give(&none, sizeof none);
    }
    case abi::kSO_PEERCRED: {
        abi::Ucred who;
        {
            core::LockGuard guard(lock_);
            who = peer_credentials_;
        }
        return give(&who, sizeof who);
    }
    default: break;
    }
    if (std::ranges::find(kPlainOptions, option) == std::end(kPlainOptions)) return fail(Errno::kENOPROTOOPT);
    return give_number((plain_options_.load() >> option & 1) != 0);
}

}  // namespace hd::ipc
