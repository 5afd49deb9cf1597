// SPDX-License-Identifier: MIT
// See channel.hpp.
#include "kernel/ipc/socket/channel.hpp"

#include "kernel/mm/slab/slab.hpp"

namespace hd::ipc {

using sync::WaitResult;

void FreePacket::operator()(Packet* packet) const {
    packet->~Packet();
    mm::kfree(packet);
}

OwnPacket make_packet(u64 size) {
    void* const memory = mm::kmalloc(sizeof(Packet) + size);
    if (memory == nullptr) return nullptr;
    OwnPacket packet(new (memory) Packet);
    packet->size = size;
    return packet;
}

Channel::~Channel() { packets_.clear_and_dispose(FreePacket()); }

Result<> Channel::put(OwnPacket& packet, bool nonblocking, Nanoseconds deadline) {
    {
        core::LockGuard guard(lock_);
        const auto ready = [&]() REQUIRES(lock_) { return receiver_gone_ || error_ != Errno{} || room_locked(); };
        if (!ready()) {
            if (nonblocking) return fail(Errno::kEAGAIN);
            const auto ended = writable.wait_interruptible("socket_send", guard, ready, deadline);
            if (ended != WaitResult::Ready)
                return fail(ended == WaitResult::TimedOut ? Errno::kEAGAIN : Errno::kERESTARTSYS);
        }
        if (error_ != Errno{}) return fail(std::exchange(error_, Errno{}));
        if (receiver_gone_) return fail(Errno::kEPIPE);
        bytes_ += packet->size;
        packets_.push_back(*packet.release());
    }
    readable.wake_all(sched::WakeHint::Sync, abi::kPOLLIN);
    return {};
}

Result<> Channel::wait_for_data(bool nonblocking, Nanoseconds deadline) {
    core::LockGuard guard(lock_);
    const auto ready = [&]() REQUIRES(lock_) {
        return !packets_.empty() || ended_ || receiver_gone_ || error_ != Errno{};
    };
    if (!ready()) {
        if (nonblocking) return fail(Errno::kEAGAIN);
        const auto ended = readable.wait_interruptible("socket_receive", guard, ready, deadline);
        if (ended != WaitResult::Ready)
            return fail(ended == WaitResult::TimedOut ? Errno::kEAGAIN : Errno::kERESTARTSYS);
    }
    if (packets_.empty() && error_ != Errno{}) return fail(std::exchange(error_, Errno{}));
    return {};
}

Packet* Channel::first() {
    core::LockGuard guard(lock_);
    return packets_.empty() ? nullptr : &packets_.front();
}

Packet* Channel::after(Packet& packet) {
    core::LockGuard guard(lock_);
    const auto next = std::next(packets_.iterator_to(packet));
    return next == packets_.end() ? nullptr : &*next;
}

void Channel::consume(Packet& packet, u64 count, bool whole) {
    OwnPacket gone;  // dies after the lock: descriptors in it are closed
    bool made_room;
    {
        core::LockGuard guard(lock_);
        const bool had_room = room_locked();
        packet.taken += count;
        bytes_ -= count;
        if (whole || packet.left() == 0) {
            bytes_ -= packet.left();
            packets_.erase(packets_.iterator_to(packet));
            gone.reset(&packet);
        }
        made_room = !had_room && room_locked();
    }
    if (made_room) writable.wake_all(sched::WakeHint::Sync, abi::kPOLLOUT);
}

void Channel::end_of_data() {
    {
        core::LockGuard guard(lock_);
        ended_ = true;
    }
    readable.wake_all(sched::WakeHint::None, abi::kPOLLIN | abi::kPOLLHUP | 0x2000);
}

void Channel::no_receiver() {
    boost::intrusive::list<Packet> gone;
    {
        core::LockGuard guard(lock_);
        receiver_gone_ = true;
        bytes_ = 0;
        gone.swap(packets_);
    }
    gone.clear_and_dispose(FreePacket());
    writable.wake_all(sched::WakeHint::None);
    readable.wake_all(sched::WakeHint::None);  // other threads that receive from the same socket
}

void Channel::fail_with(Errno error) {
    {
        core::LockGuard guard(lock_);
        error_ = error;
    }
    readable.wake_all();
    writable.wake_all();
}

Errno Channel::take_error() {
    core::LockGuard guard(lock_);
    return std::exchange(error_, Errno{});
}

u64 Channel::bytes_waiting() {
    core::LockGuard guard(lock_);
    return stream_ || packets_.empty() ? bytes_ : packets_.front().left();
}

bool Channel::has_data() {
    core::LockGuard guard(lock_);
    return !packets_.empty();
}

bool Channel::ended() {
    core::LockGuard guard(lock_);
    return ended_;
}

bool Channel::receiver_gone() {
    core::LockGuard guard(lock_);
    return receiver_gone_;
}

bool Channel::has_error() {
    core::LockGuard guard(lock_);
    return error_ != Errno{};
}

bool Channel::room() {
    core::LockGuard guard(lock_);
    return room_locked();
}

void Channel::set_capacity(u64 bytes) {
    core::LockGuard guard(lock_);
    capacity_ = bytes;
}

u64 Channel::capacity() {
    core::LockGuard guard(lock_);
    return capacity_;
}

}  // namespace hd::ipc
