// SPDX-License-Identifier: MIT
// System V IPC (sysvipc(7)): commands, flags, limits and structures (linux/ipc.h, sem.h, msg.h, shm.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr i32 kIPC_PRIVATE = 0;
inline constexpr u32 kIPC_CREAT = 01000, kIPC_EXCL = 02000, kIPC_NOWAIT = 04000;
inline constexpr i32 kIPC_RMID = 0, kIPC_SET = 1, kIPC_STAT = 2, kIPC_INFO = 3;
inline constexpr i32 kIPC_64 = 0x100;  // a flag in the command that all callers on x86-64 may leave out

struct IpcPerm {
    i32 key;
    u32 uid, gid, cuid, cgid, mode;
    u16 seq, padding;
    u64 unused[2];
};
static_assert(sizeof(IpcPerm) == 48);

// ---- semaphores
inline constexpr i32 kGETPID = 11, kGETVAL = 12, kGETALL = 13, kGETNCNT = 14, kGETZCNT = 15, kSETVAL = 16, kSETALL = 17,
                     kSEM_STAT = 18, kSEM_INFO = 19, kSEM_STAT_ANY = 20;
inline constexpr i16 kSEM_UNDO = 0x1000;
inline constexpr i32 kSEMMNI = 32000, kSEMMSL = 32000, kSEMMNS = kSEMMNI * kSEMMSL, kSEMOPM = 500, kSEMVMX = 32767;

struct SemBuf {
    u16 number;
    i16 operation;
    i16 flags;
};
struct SemidDs {
    IpcPerm perm;
    i64 otime;
    u64 unused1;
    i64 ctime;
    u64 unused2;
    u64 nsems;
    u64 unused3[2];
};
static_assert(sizeof(SemidDs) == 104);
struct SemInfo {
    i32 semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};

// ---- messages
inline constexpr u32 kMSG_NOERROR = 010000, kMSG_EXCEPT = 020000, kMSG_COPY = 040000;
inline constexpr i32 kMSG_STAT = 11, kMSG_INFO = 12, kMSG_STAT_ANY = 13;
inline constexpr i32 kMSGMNI = 32000, kMSGMAX = 8192, kMSGMNB = 16384;

struct MsqidDs {
    IpcPerm perm;
    i64 stime, rtime, ctime;
    u64 cbytes, qnum, qbytes;
    i32 lspid, lrpid;
    u64 unused[2];
};
static_assert(sizeof(MsqidDs) == 120);
struct MsgInfo {
    i32 msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
    u16 msgseg;
};

// ---- shared memory
inline constexpr u32 kSHM_RDONLY = 010000, kSHM_RND = 020000, kSHM_REMAP = 040000, kSHM_EXEC = 0100000;
inline constexpr u32 kSHM_HUGETLB = 04000, kSHM_NORESERVE = 010000, kSHM_DEST = 01000, kSHM_LOCKED = 02000;
inline constexpr i32 kSHM_LOCK = 11, kSHM_UNLOCK = 12, kSHM_STAT = 13, kSHM_INFO = 14, kSHM_STAT_ANY = 15;
inline constexpr u64 kSHMMNI = 4096, kSHMMAX = ~u64{0} - (u64{1} << 24);

struct ShmidDs {
    IpcPerm perm;
    u64 segsz;
    i64 atime, dtime, ctime;
    i32 cpid, lpid;
    u64 nattch;
    u64 unused[2];
};
static_assert(sizeof(ShmidDs) == 112);
struct ShmLimits {
    u64 shmmax, shmmin, shmmni, shmseg, shmall, unused[4];
};
struct ShmInfo {
    i32 used_ids, padding;
    u64 shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};

}  // namespace hd::abi
