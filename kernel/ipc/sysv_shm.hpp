// SPDX-License-Identifier: MIT
// System V shared memory (shmget(2), shmop(2), shmctl(2)): pages with an id. A mapping is an ordinary shared one whose source is the
// segment. A segment that was removed stays, under its id but without its key, until the last mapping of it is gone.
//
// Locking: the segment's `lock` (rank SysvObject); its pages have their own (mm::PageCache).
#pragma once
#include "kernel/ipc/sysv.hpp"

namespace hd::ipc {

Result<i32> shm_get(i32 key, u64 size, u32 flags);
Result<VirtAddr> shm_attach(i32 id, VirtAddr address, u32 flags);
Result<> shm_detach(VirtAddr address);  // EINVAL: no segment is mapped there
Result<i32> shm_control(i32 id, i32 command, u64 argument);

}  // namespace hd::ipc
