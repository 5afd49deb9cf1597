// SPDX-License-Identifier: MIT
// Sockets (socket(7), unix(7), ip(7)): families, types, flags, options and structures (linux/socket.h, asm-generic/socket.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr i32 kAF_UNSPEC = 0, kAF_UNIX = 1, kAF_INET = 2, kAF_INET6 = 10, kAF_NETLINK = 16;
inline constexpr i32 kSOCK_STREAM = 1, kSOCK_DGRAM = 2, kSOCK_RAW = 3, kSOCK_SEQPACKET = 5, kSOCK_TYPE_MASK = 15;
inline constexpr i32 kIPPROTO_TCP = 6, kIPPROTO_UDP = 17;

inline constexpr u32 kMSG_OOB = 1, kMSG_PEEK = 2, kMSG_DONTROUTE = 4, kMSG_CTRUNC = 8, kMSG_TRUNC = 0x20,
                     kMSG_DONTWAIT = 0x40, kMSG_EOR = 0x80, kMSG_WAITALL = 0x100, kMSG_NOSIGNAL = 0x4000,
                     kMSG_MORE = 0x8000, kMSG_WAITFORONE = 0x10000, kMSG_CMSG_CLOEXEC = 0x4000'0000;
inline constexpr i32 kSHUT_RD = 0, kSHUT_WR = 1, kSHUT_RDWR = 2;

inline constexpr i32 kSOL_SOCKET = 1, kSOL_IP = 0, kSOL_TCP = 6, kSOL_UDP = 17;
inline constexpr i32 kSO_DEBUG = 1, kSO_REUSEADDR = 2, kSO_TYPE = 3, kSO_ERROR = 4, kSO_DONTROUTE = 5,
                     kSO_BROADCAST = 6, kSO_SNDBUF = 7, kSO_RCVBUF = 8, kSO_KEEPALIVE = 9, kSO_OOBINLINE = 10,
                     kSO_PRIORITY = 12, kSO_LINGER = 13, kSO_REUSEPORT = 15, kSO_PASSCRED = 16, kSO_PEERCRED = 17,
                     kSO_RCVLOWAT = 18, kSO_SNDLOWAT = 19, kSO_RCVTIMEO = 20, kSO_SNDTIMEO = 21, kSO_TIMESTAMP = 29,
                     kSO_ACCEPTCONN = 30, kSO_SNDBUFFORCE = 32, kSO_RCVBUFFORCE = 33, kSO_PROTOCOL = 38,
                     kSO_DOMAIN = 39;
inline constexpr i32 kSCM_RIGHTS = 1, kSCM_CREDENTIALS = 2;
inline constexpr usize kSCM_MAX_FD = 253;

inline constexpr usize kUnixPathMax = 108;

struct SockaddrUn {
    u16 family;
    char path[kUnixPathMax];
};
struct SockaddrIn {
    u16 family;
    u16 port;     // big-endian
    u32 address;  // big-endian
    u8 zero[8];
};
static_assert(sizeof(SockaddrUn) == 110 && sizeof(SockaddrIn) == 16);

struct Ucred {
    i32 pid;
    u32 uid, gid;
};

struct Msghdr {
    u64 name;
    u32 name_size, padding1;
    u64 pieces, piece_count;
    u64 control, control_size;
    u32 flags, padding2;
};
static_assert(sizeof(Msghdr) == 56);
struct Mmsghdr {
    Msghdr header;
    u32 length, padding;
};

struct Cmsghdr {
    u64 size;  // with this header
    i32 level, type;
};
struct Linger {
    i32 on, seconds;
};

}  // namespace hd::abi
