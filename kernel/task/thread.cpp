// SPDX-License-Identifier: MIT
// Threads of user programs: kernel/task/thread.hpp.
#include "kernel/task/thread.hpp"

#include <bit>

#include "kernel/mm/slab/slab.hpp"
#include "kernel/mm/slab/vmap.hpp"
#include "kernel/task/process.hpp"

namespace hd::task {

Thread::Thread(Process& process) : PidLink(PidKind::Thread), process_(&process) { reap = reap_dead; }

Thread::~Thread() {
    if (stack_top.raw != 0) mm::free_kernel_stack(stack_top);
    if (fpu != nullptr) mm::kfree(fpu);
}

Result<RefPtr<Thread>> Thread::create(Process& process) {
    RefPtr<Thread> thread(kAdoptRef, new (std::nothrow) Thread(process));
    if (!thread) return fail(Errno::kENOMEM);
    thread->stack_top = TRY(mm::allocate_kernel_stack());
    thread->fpu = mm::kmalloc(std::bit_ceil(arch::fpu_state_size()));  // powers of two are aligned to their size
    if (thread->fpu == nullptr) return fail(Errno::kENOMEM);
    arch::fpu_init(thread->fpu);  // the parts that saving leaves alone must be zero (SDM 1, 13.4.2)
    return thread;
}

void Thread::reap_dead(sched::Entity& entity) { static_cast<Thread&>(entity).unref(); }

}  // namespace hd::task
