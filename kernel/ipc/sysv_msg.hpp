// SPDX-License-Identifier: MIT
// System V message queues (msgop(2), msgctl(2)): typed messages, in the order in which they were sent.
//
// Locking: the queue's `lock` (rank SysvObject); messages are copied from and to user memory without it. Senders and receivers who
// wait look again whenever something was taken or put.
#pragma once
#include "kernel/ipc/sysv.hpp"

namespace hd::ipc {

Result<i32> message_get(i32 key, u32 flags);
// `message`: a long, the type, and then the text. EINVAL, EAGAIN, EACCES, EFAULT, EIDRM, EINTR, ENOMEM.
Result<> message_send(i32 id, u64 message, u64 size, u32 flags);
// The number of bytes of text that were received. And E2BIG, ENOMSG.
Result<u64> message_receive(i32 id, u64 message, u64 size, i64 type, u32 flags);
Result<i32> message_control(i32 id, i32 command, u64 argument);

}  // namespace hd::ipc
