// SPDX-License-Identifier: MIT
// Terminals: termios flags and control characters, ioctl numbers (termios(3), ioctl_tty(2); asm-generic/termbits.h,
// asm-generic/ioctls.h). The kernel's struct termios is 36 bytes; the C library's is larger and is its own affair.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

// c_cc's indices.
inline constexpr usize kVINTR = 0, kVQUIT = 1, kVERASE = 2, kVKILL = 3, kVEOF = 4, kVTIME = 5, kVMIN = 6, kVSWTC = 7,
                       kVSTART = 8, kVSTOP = 9, kVSUSP = 10, kVEOL = 11, kVREPRINT = 12, kVDISCARD = 13, kVWERASE = 14,
                       kVLNEXT = 15, kVEOL2 = 16, kNCCS = 19;

// c_iflag
inline constexpr u32 kIGNBRK = 01, kBRKINT = 02, kIGNPAR = 04, kPARMRK = 010, kINPCK = 020, kISTRIP = 040,
                     kINLCR = 0100, kIGNCR = 0200, kICRNL = 0400, kIUCLC = 01000, kIXON = 02000, kIXANY = 04000,
                     kIXOFF = 010000, kIMAXBEL = 020000, kIUTF8 = 040000;
// c_oflag
inline constexpr u32 kOPOST = 01, kOLCUC = 02, kONLCR = 04, kOCRNL = 010, kONOCR = 020, kONLRET = 040, kTABDLY = 014000,
                     kXTABS = 014000;
// c_cflag; of the speeds those that a serial line is likely to have
inline constexpr u32 kCBAUD = 010017, kB9600 = 015, kB38400 = 017, kB115200 = 010002, kCSIZE = 060, kCS8 = 060,
                     kCSTOPB = 0100, kCREAD = 0200, kPARENB = 0400, kPARODD = 01000, kHUPCL = 02000, kCLOCAL = 04000;
// c_lflag
inline constexpr u32 kISIG = 01, kICANON = 02, kECHO = 010, kECHOE = 020, kECHOK = 040, kECHONL = 0100, kNOFLSH = 0200,
                     kTOSTOP = 0400, kECHOCTL = 01000, kECHOPRT = 02000, kECHOKE = 04000, kIEXTEN = 0100000;

// What a terminal starts with: a line that is edited by the usual keys.
struct Termios {
    u32 c_iflag = kICRNL | kIXON;
    u32 c_oflag = kOPOST | kONLCR;
    u32 c_cflag = kB38400 | kCS8 | kCREAD | kHUPCL;
    u32 c_lflag = kISIG | kICANON | kECHO | kECHOE | kECHOK | kECHOCTL | kECHOKE | kIEXTEN;
    u8 c_line = 0;
    u8 c_cc[kNCCS] = {'C' & 31, '\\' & 31, 127, 'U' & 31, 'D' & 31, 0,        1,        0, 'Q' & 31,
                      'S' & 31, 'Z' & 31,  0,   'R' & 31, 'O' & 31, 'W' & 31, 'V' & 31, 0};
};
static_assert(sizeof(Termios) == 36);

struct Winsize {
    u16 ws_row = 0, ws_col = 0, ws_xpixel = 0, ws_ypixel = 0;
    friend constexpr bool operator==(const Winsize&, const Winsize&) = default;
};
static_assert(sizeof(Winsize) == 8);

inline constexpr u32 kTCGETS = 0x5401, kTCSETS = 0x5402, kTCSETSW = 0x5403, kTCSETSF = 0x5404, kTCSBRK = 0x5409,
                     kTCXONC = 0x540a, kTCFLSH = 0x540b, kTIOCSCTTY = 0x540e, kTIOCGPGRP = 0x540f, kTIOCSPGRP = 0x5410,
                     kTIOCOUTQ = 0x5411, kTIOCGWINSZ = 0x5413, kTIOCSWINSZ = 0x5414, kTIOCNOTTY = 0x5422,
                     kTIOCGETD = 0x5424, kTCSBRKP = 0x5425, kTIOCGSID = 0x5429, kTIOCVHANGUP = 0x5437,
                     kTIOCGDEV = 0x80045432;
inline constexpr u64 kTCOOFF = 0, kTCOON = 1, kTCIOFF = 2, kTCION = 3;  // TCXONC's argument
inline constexpr u64 kTCIFLUSH = 0, kTCOFLUSH = 1, kTCIOFLUSH = 2;      // TCFLSH's argument

}  // namespace hd::abi
