// SPDX-License-Identifier: MIT
// Threads that never leave the kernel. Each owns its stack and its record, and both are freed when it is dead.
#include <algorithm>
#include <cstring>
#include <new>

#include "kernel/mm/slab/vmap.hpp"
#include "kernel/sched/scheduler.hpp"

namespace hd::sched {

namespace {

struct KernelThread : Entity {
    void (*function)(void*) = nullptr;
    void* argument = nullptr;
};

void run_kernel_thread(void* record) {
    auto* thread = static_cast<KernelThread*>(record);
    begin_thread();
    thread->function(thread->argument);
    exit_current();
}

void reap_kernel_thread(Entity& dead) {
    mm::free_kernel_stack(dead.stack_top);
    delete static_cast<KernelThread*>(&dead);
}

}  // namespace

Result<Entity*> spawn_kernel_thread(const char* name, void (*function)(void*), void* argument, CpuMask affinity) {
    auto* thread = new (std::nothrow) KernelThread;
    if (thread == nullptr) return fail(Errno::kENOMEM);
    const Result<VirtAddr> stack = mm::allocate_kernel_stack();
    if (!stack) {
        delete thread;
        return fail(stack.error());
    }
    std::memcpy(thread->name, name, std::min(std::strlen(name), sizeof thread->name - 1));
    thread->stack_top = *stack;
    thread->function = function;
    thread->argument = argument;
    thread->affinity = affinity;
    thread->reap = &reap_kernel_thread;
    thread->context = arch::make_context(*stack, &run_kernel_thread, static_cast<void*>(thread));
    start(*thread);
    return thread;
}

}  // namespace hd::sched
