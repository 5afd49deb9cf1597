// SPDX-License-Identifier: MIT
// Linux's error numbers, as far as they are used (asm-generic/errno-base.h and errno.h). Kernel code returns them as
// values of Errno inside Result<T>; the system-call boundary turns them into negative numbers, once.
#pragma once

namespace hd {

enum class [[nodiscard]] Errno : int {
    kEPERM = 1,
    kENOENT = 2,
    kESRCH = 3,
    kEINTR = 4,
    kEIO = 5,
    kENXIO = 6,
    kE2BIG = 7,
    kENOEXEC = 8,
    kEBADF = 9,
    kECHILD = 10,
    kEAGAIN = 11,
    kENOMEM = 12,
    kEACCES = 13,
    kEFAULT = 14,
    kEBUSY = 16,
    kEEXIST = 17,
    kEXDEV = 18,
    kENODEV = 19,
    kENOTDIR = 20,
    kEISDIR = 21,
    kEINVAL = 22,
    kEMFILE = 24,
    kENOTTY = 25,
    kETXTBSY = 26,
    kEFBIG = 27,
    kENOSPC = 28,
    kESPIPE = 29,
    kEROFS = 30,
    kEPIPE = 32,
    kEDOM = 33,
    kERANGE = 34,
    kEDEADLK = 35,
    kENAMETOOLONG = 36,
    kENOSYS = 38,
    kENOTEMPTY = 39,
    kELOOP = 40,
    kENOMSG = 42,
    kEIDRM = 43,
    kEOVERFLOW = 75,
    kENOTSOCK = 88,
    kEDESTADDRREQ = 89,
    kEMSGSIZE = 90,
    kEPROTOTYPE = 91,
    kENOPROTOOPT = 92,
    kEPROTONOSUPPORT = 93,
    kESOCKTNOSUPPORT = 94,
    kEOPNOTSUPP = 95,
    kEAFNOSUPPORT = 97,
    kEADDRINUSE = 98,
    kEADDRNOTAVAIL = 99,
    kENETUNREACH = 101,
    kECONNRESET = 104,
    kENOBUFS = 105,
    kEISCONN = 106,
    kENOTCONN = 107,
    kETIMEDOUT = 110,
    kECONNREFUSED = 111,
    kEALREADY = 114,
    kEINPROGRESS = 115,

    // Never seen by user space: a system call that a signal interrupted answers one of these, and signal delivery turns
    // it into EINTR or into a restart (Linux: include/linux/errno.h; signal(7), "Interruption of system calls").
    kERESTARTSYS = 512,            // restart if the handler has SA_RESTART or there is no handler
    kERESTARTNOINTR = 513,         // always restart
    kERESTARTNOHAND = 514,         // restart only if no handler ran
    kERESTART_RESTARTBLOCK = 516,  // restart through restart_syscall(2) with the remaining time
};

}  // namespace hd
