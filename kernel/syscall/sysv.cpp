// SPDX-License-Identifier: MIT
// System calls of System V IPC (sysvipc(7)).
#include "kernel/ipc/sysv_msg.hpp"
#include "kernel/ipc/sysv_sem.hpp"
#include "kernel/ipc/sysv_shm.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/livelock.hpp"

namespace hd::syscall {

Answer sys_semget(Int key, Int count, Flags flags) { return ipc::sem_get(key, count, flags); }

// Several operations, or a time limit.
[[gnu::noinline]] static Answer operate(Int id, In<abi::SemBuf> operations, Size count, In<abi::Timespec> timeout) {
    if (count < 1 || id < 0) return fail(Errno::kEINVAL);
    if (count > abi::kSEMOPM) return fail(Errno::kE2BIG);
    const Nanoseconds deadline = timeout ? deadline_after(TRY(duration_from(timeout))) : Nanoseconds::max();
    const auto list = TRY(mm::make_array<abi::SemBuf>(count));
    TRY(mm::copy_from_user(list.get(), operations.address(), count * sizeof(abi::SemBuf)));
    return task::note_if_busy(ipc::sem_operate(id, {list.get(), count}, deadline));
}

Answer sys_semtimedop(Int id, In<abi::SemBuf> operations, Size count, In<abi::Timespec> timeout) {
    if (count != 1 || timeout) [[unlikely]]
        return operate(id, operations, count, timeout);
    if (id < 0) return fail(Errno::kEINVAL);
    abi::SemBuf one;
    TRY(mm::copy_from_user(&one, operations.address(), sizeof one));
    return task::note_if_busy(ipc::sem_operate(id, {&one, 1}, Nanoseconds::max()));
}

Answer sys_semctl(Int id, Int number, Int command, Size argument) {
    return ipc::sem_control(id, number, command & ~abi::kIPC_64, argument);
}

Answer sys_msgget(Int key, Flags flags) { return ipc::message_get(key, flags); }

Answer sys_msgsnd(Int id, Address message, Size size, Flags flags) {
    return ipc::message_send(id, message, size, flags);
}

Answer sys_msgrcv(Int id, Address message, Size size, Long type, Flags flags) {
    return ipc::message_receive(id, message, size, type, flags);
}

Answer sys_msgctl(Int id, Int command, Address argument) {
    return ipc::message_control(id, command & ~abi::kIPC_64, argument);
}

Answer sys_shmget(Int key, Size size, Flags flags) { return ipc::shm_get(key, size, flags); }

Answer sys_shmat(Int id, Address address, Flags flags) {
    return TRY(ipc::shm_attach(id, VirtAddr{address}, flags)).raw;
}

Answer sys_shmdt(Address address) { return ipc::shm_detach(VirtAddr{address}); }

Answer sys_shmctl(Int id, Int command, Address argument) {
    return ipc::shm_control(id, command & ~abi::kIPC_64, argument);
}

}  // namespace hd::syscall
