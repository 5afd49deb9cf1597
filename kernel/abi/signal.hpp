// SPDX-License-Identifier: MIT
// Linux's signals: numbers, flags and user-visible structures (signal(7), sigaction(2); asm-generic/siginfo.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr int kSIGHUP = 1, kSIGINT = 2, kSIGQUIT = 3, kSIGILL = 4, kSIGTRAP = 5, kSIGABRT = 6, kSIGBUS = 7,
                     kSIGFPE = 8, kSIGKILL = 9, kSIGUSR1 = 10, kSIGSEGV = 11, kSIGUSR2 = 12, kSIGPIPE = 13,
                     kSIGALRM = 14, kSIGTERM = 15, kSIGSTKFLT = 16, kSIGCHLD = 17, kSIGCONT = 18, kSIGSTOP = 19,
                     kSIGTSTP = 20, kSIGTTIN = 21, kSIGTTOU = 22, kSIGURG = 23, kSIGXCPU = 24, kSIGXFSZ = 25,
                     kSIGVTALRM = 26, kSIGPROF = 27, kSIGWINCH = 28, kSIGIO = 29, kSIGPWR = 30, kSIGSYS = 31,
                     kSIGRTMIN = 32, kSIGRTMAX = 64;
inline constexpr int kSignalCount = 64;
constexpr u64 signal_bit(int signal) { return u64{1} << (signal - 1); }

inline constexpr u64 kSIG_DFL = 0, kSIG_IGN = 1;
inline constexpr u64 kSA_NOCLDSTOP = 1, kSA_NOCLDWAIT = 2, kSA_SIGINFO = 4, kSA_RESTORER = 0x04000000,
                     kSA_ONSTACK = 0x08000000, kSA_RESTART = 0x10000000, kSA_NODEFER = 0x40000000,
                     kSA_RESETHAND = 0x80000000;
inline constexpr int kSIG_BLOCK = 0, kSIG_UNBLOCK = 1, kSIG_SETMASK = 2;
inline constexpr int kSS_ONSTACK = 1, kSS_DISABLE = 2;
inline constexpr u32 kSS_AUTODISARM = u32{1} << 31;

// struct kernel_sigaction
struct SigAction {
    u64 handler = kSIG_DFL;
    u64 flags = 0;
    u64 restorer = 0;
    u64 mask = 0;
};

struct StackT {
    u64 ss_sp = 0;
    i32 ss_flags = kSS_DISABLE;
    i32 padding = 0;
    u64 ss_size = 0;
};

// si_code: how a signal came to be.
inline constexpr int kSI_USER = 0, kSI_KERNEL = 0x80, kSI_QUEUE = -1, kSI_TIMER = -2, kSI_MESGQ = -3, kSI_TKILL = -6;
inline constexpr int kILL_ILLOPN = 2, kFPE_INTDIV = 1, kFPE_FLTDIV = 3, kFPE_FLTOVF = 4, kFPE_FLTUND = 5,
                     kFPE_FLTRES = 6, kFPE_FLTINV = 7, kSEGV_MAPERR = 1, kSEGV_ACCERR = 2, kBUS_ADRALN = 1,
                     kBUS_ADRERR = 2, kTRAP_BRKPT = 1, kTRAP_TRACE = 2;
inline constexpr int kCLD_EXITED = 1, kCLD_KILLED = 2, kCLD_STOPPED = 5, kCLD_CONTINUED = 6;

// siginfo_t: 128 bytes. The union's arms start at offset 16.
struct SigInfo {
    i32 signo = 0;
    i32 error = 0;
    i32 code = 0;
    i32 padding = 0;
    union {
        struct {
            i32 pid;
            u32 uid;
            u64 value;
        } rt;  // also kill: pid, uid
        struct {
            i32 pid;
            u32 uid;
            i32 status;
            i32 padding;
            i64 utime;
            i64 stime;
        } child;
        struct {
            u64 address;
        } fault;
        struct {
            i32 timer_id;
            i32 overrun;
            u64 value;
        } timer;
        u8 bytes[112] = {};
    };
};
static_assert(sizeof(SigInfo) == 128);
static_assert(sizeof(SigAction) == 32);
static_assert(sizeof(StackT) == 24);

}  // namespace hd::abi
