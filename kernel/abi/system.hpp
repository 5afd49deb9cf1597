// SPDX-License-Identifier: MIT
// What the calls about the whole machine carry: uname(2), sysinfo(2), times(2), reboot(2), syslog(2), getitimer(2).
#pragma once
#include "kernel/abi/time.hpp"

namespace hd::abi {

struct Utsname {
    static constexpr usize kFieldSize = 65;
    char sysname[kFieldSize];
    char nodename[kFieldSize];
    char release[kFieldSize];
    char version[kFieldSize];
    char machine[kFieldSize];
    char domainname[kFieldSize];
};
static_assert(sizeof(Utsname) == 390);

struct Sysinfo {
    i64 uptime = 0;                                                                            // seconds
    u64 loads[3] = {};                                                                         // times 65536
    u64 totalram = 0, freeram = 0, sharedram = 0, bufferram = 0, totalswap = 0, freeswap = 0;  // in mem_unit bytes
    u16 procs = 0;
    u16 padding = 0;
    u32 padding2 = 0;
    u64 totalhigh = 0, freehigh = 0;
    u32 mem_unit = 1;
    u32 padding3 = 0;
};
static_assert(sizeof(Sysinfo) == 112);

inline constexpr i64 kUserHz = 100;  // clock ticks a second: times(2), /proc/PID/stat

struct Tms {
    i64 tms_utime = 0, tms_stime = 0, tms_cutime = 0, tms_cstime = 0;  // in clock ticks
};

struct Itimerval {
    Timeval it_interval, it_value;
};
inline constexpr i32 kITIMER_REAL = 0, kITIMER_VIRTUAL = 1, kITIMER_PROF = 2;

inline constexpr i32 kTIMER_ABSTIME = 1;

inline constexpr u32 kLINUX_REBOOT_MAGIC1 = 0xfee1dead, kLINUX_REBOOT_CMD_RESTART = 0x01234567,
                     kLINUX_REBOOT_CMD_HALT = 0xcdef0123, kLINUX_REBOOT_CMD_CAD_ON = 0x89abcdef,
                     kLINUX_REBOOT_CMD_CAD_OFF = 0, kLINUX_REBOOT_CMD_POWER_OFF = 0x4321fedc;
inline constexpr u32 kLinuxRebootMagic2[] = {672274793, 85072278, 369367448, 537993216};

inline constexpr i32 kSYSLOG_ACTION_READ_ALL = 3, kSYSLOG_ACTION_CONSOLE_OFF = 6, kSYSLOG_ACTION_CONSOLE_ON = 7,
                     kSYSLOG_ACTION_CONSOLE_LEVEL = 8, kSYSLOG_ACTION_SIZE_UNREAD = 9, kSYSLOG_ACTION_SIZE_BUFFER = 10;

inline constexpr u32 kGRND_NONBLOCK = 1, kGRND_RANDOM = 2, kGRND_INSECURE = 4;

}  // namespace hd::abi
