// SPDX-License-Identifier: MIT
// See binding.hpp.
#include "kernel/ipc/socket/binding.hpp"

#include <cstring>

#include "kernel/ipc/socket/socket.hpp"
#include "kernel/lib/late.hpp"

namespace hd::ipc {

using sync::WaitResult;

// ---- listeners

Result<> Listener::add(RefPtr<Socket> connection, bool nonblocking, bool ignore_backlog) {
    {
        core::LockGuard guard(lock_);
        const auto ready = [&]() REQUIRES(lock_) { return closed_ || ignore_backlog || count_ <= backlog_; };
        if (!ready() && nonblocking) return fail(Errno::kEAGAIN);
        if (left.wait_interruptible("connect", guard, ready) != WaitResult::Ready) return fail(Errno::kERESTARTSYS);
        if (closed_) return fail(Errno::kECONNREFUSED);
        Socket* const added = connection.release();
        added->next_pending = nullptr;
        (first_ == nullptr ? first_ : last_->next_pending) = added;
        last_ = added;
        ++count_;
    }
    arrived.wake_all(sched::WakeHint::Sync, abi::kPOLLIN);
    return {};
}

Result<RefPtr<Socket>> Listener::take(bool nonblocking, Nanoseconds deadline) {
    RefPtr<Socket> connection;
    {
        core::LockGuard guard(lock_);
        const auto ready = [&]() REQUIRES(lock_) { return closed_ || first_ != nullptr; };
        if (!ready() && nonblocking) return fail(Errno::kEAGAIN);
        const auto ended = arrived.wait_interruptible("accept", guard, ready, deadline);
        if (ended != WaitResult::Ready)
            return fail(ended == WaitResult::TimedOut ? Errno::kEAGAIN : Errno::kERESTARTSYS);
        if (first_ == nullptr) return fail(Errno::kEINVAL);
        connection = RefPtr<Socket>(kAdoptRef, first_);
        first_ = connection->next_pending;
        --count_;
    }
    left.wake_one();
    return connection;
}

bool Listener::has_some() {
    core::LockGuard guard(lock_);
    return first_ != nullptr;
}

void Listener::set_backlog(u32 backlog) {
    {
        core::LockGuard guard(lock_);
        backlog_ = backlog;
    }
    left.wake_all();
}

void Listener::close() {
    Socket* gone;
    {
        core::LockGuard guard(lock_);
        closed_ = true;
        gone = std::exchange(first_, nullptr);
        count_ = 0;
    }
    while (gone != nullptr) {
        const RefPtr<Socket> connection(kAdoptRef, gone);  // its end is seen by who connected
        gone = connection->next_pending;
        connection->refuse();
    }
    arrived.wake_all();
    left.wake_all();
}

// ---- names

namespace {

using Names = boost::intrusive::list<Binding>;

constinit core::Spinlock g_names_lock{core::Rank::SocketNames};
constinit Late<Names> g_names{};
constinit u32 g_next_abstract = 0;  // guarded by it; of autobind (unix(7))

constexpr u16 kFirstPort = 32768, kLastPort = 60999;  // ip(7): ip_local_port_range
constinit u16 g_next_port = kFirstPort;

bool same_unix_name(const SocketAddress& a, const SocketAddress& b) {
    return a.size == b.size && std::memcmp(a.bytes, b.bytes, a.size) == 0;
}

bool in_the_way(const Binding& held, const Binding& wanted) {
    if (held.type != wanted.type || held.address.family != wanted.address.family) return false;
    if (wanted.address.family == abi::kAF_UNIX)
        return held.inode || wanted.inode ? held.inode == wanted.inode : same_unix_name(held.address, wanted.address);
    const abi::SockaddrIn &a = held.address.in, &b = wanted.address.in;
    if (a.port != b.port || (a.address != b.address && a.address != 0 && b.address != 0)) return false;
    if (held.reuse_port && wanted.reuse_port) return false;
    return !(held.reuse_address && wanted.reuse_address && !held.listener);
}

bool is_free_locked(const Binding& wanted) REQUIRES(g_names_lock) {
    for (const Binding& held : *g_names)
        if (in_the_way(held, wanted)) return false;
    return true;
}

// unix(7), "Autobind feature": an abstract name of five hexadecimal digits.
void choose_unix_name_locked(Binding& binding) REQUIRES(g_names_lock) {
    do {
        constexpr char kDigits[] = "0123456789abcdef";
        for (u32 i = 0; i < 5; ++i) binding.address.un.path[1 + i] = kDigits[g_next_abstract >> (16 - 4 * i) & 15];
        binding.address.un.path[0] = '\0';
        binding.address.size = sizeof(u16) + 6;
        g_next_abstract = (g_next_abstract + 1) & 0xfffff;
    } while (!is_free_locked(binding));
}

bool choose_port_locked(Binding& binding) REQUIRES(g_names_lock) {
    for (u32 i = 0; i <= kLastPort - kFirstPort; ++i) {
        const u16 port = g_next_port;
        g_next_port = port == kLastPort ? kFirstPort : static_cast<u16>(port + 1);
        binding.address.in.port = swap_bytes(port);
        if (is_free_locked(binding)) return true;
    }
    return false;
}

}  // namespace

Result<> bind_name(const RefPtr<Binding>& binding) {
    core::LockGuard guard(g_names_lock);
    if (binding->address.family == abi::kAF_UNIX && binding->address.size == sizeof(u16)) {
        choose_unix_name_locked(*binding);
    } else if (binding->address.family == abi::kAF_INET && binding->address.in.port == 0) {
        if (!choose_port_locked(*binding)) return fail(Errno::kEADDRINUSE);
    } else if (!is_free_locked(*binding)) {
        return fail(Errno::kEADDRINUSE);
    }
    g_names->push_back(*RefPtr<Binding>(binding).release());
    return {};
}

void unbind_name(Binding& binding) {
    RefPtr<Binding> gone;  // dies after the lock
    core::LockGuard guard(g_names_lock);
    g_names->erase(g_names->iterator_to(binding));
    gone = RefPtr<Binding>(kAdoptRef, &binding);
}

void set_listener(Binding& binding, RefPtr<Listener> listener) {
    core::LockGuard guard(g_names_lock);
    binding.listener = std::move(listener);
}

// The nearest match: a name for exactly this address before one for all, a connected UDP socket before others.
RefPtr<Binding> find_name(const SocketAddress& address, i32 type) {
    core::LockGuard guard(g_names_lock);
    Binding* best = nullptr;
    for (Binding& held : *g_names) {
        if (held.type != type || held.address.family != address.family) continue;
        if (address.family == abi::kAF_UNIX) {
            if (!held.inode && same_unix_name(held.address, address)) return RefPtr<Binding>(&held);
            continue;
        }
        if (held.address.in.port != address.in.port) continue;
        if (type == abi::kSOCK_STREAM && !held.listener) continue;
        if (held.address.in.address == address.in.address) return RefPtr<Binding>(&held);
        if (held.address.in.address == 0) best = &held;
    }
    return RefPtr<Binding>(best);
}

RefPtr<Binding> find_name(const fs::Inode& inode) {
    core::LockGuard guard(g_names_lock);
    for (Binding& held : *g_names)
        if (held.inode == &inode) return RefPtr<Binding>(&held);
    return {};
}

void init_socket_names() { g_names.construct(); }

}  // namespace hd::ipc
