// SPDX-License-Identifier: MIT
// epoll(7), eventfd(2), timerfd_create(2), signalfd(2), pidfd_open(2): flags and structures (linux/eventpoll.h and relatives).
#pragma once
#include "kernel/abi/time.hpp"

namespace hd::abi {

inline constexpr i32 kEPOLL_CTL_ADD = 1, kEPOLL_CTL_DEL = 2, kEPOLL_CTL_MOD = 3;
inline constexpr u32 kEPOLLRDHUP = 0x2000;  // beside poll(2)'s bits
inline constexpr u32 kEPOLLEXCLUSIVE = 1u << 28, kEPOLLWAKEUP = 1u << 29, kEPOLLONESHOT = 1u << 30, kEPOLLET = 1u << 31;

struct [[gnu::packed]] EpollEvent {
    u32 events;
    u64 data;
};
static_assert(sizeof(EpollEvent) == 12);

inline constexpr u32 kEFD_SEMAPHORE = 1;
inline constexpr u32 kTFD_TIMER_ABSTIME = 1, kTFD_TIMER_CANCEL_ON_SET = 2;

struct Itimerspec {
    Timespec it_interval;
    Timespec it_value;
};

// What read(2) gives of a signalfd.
struct SignalFdSigInfo {
    u32 signo;
    i32 error, code;
    u32 pid, uid;
    i32 fd;
    u32 tid, band, overrun, trapno;
    i32 status, integer;
    u64 pointer, utime, stime, address;
    u16 address_lsb;
    u8 padding[46];
};
static_assert(sizeof(SignalFdSigInfo) == 128);

}  // namespace hd::abi
