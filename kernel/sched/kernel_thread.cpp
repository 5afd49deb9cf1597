// SPDX-License-Identifier: MIT
// Threads that never leave the kernel. Each owns its stack and its record, and both are freed when it is dead.
#include <algorithm>
#include <cstring>
#include <new>

#include "kernel/core/spinlock.hpp"
#include "kernel/mm/slab/vmap.hpp"
#include "kernel/sched/scheduler.hpp"

namespace hd::sched {

namespace {

struct KernelThread : Entity {
    void (*function)(void*) = nullptr;
    void* argument = nullptr;
    KernelThread *next = nullptr,
                 **link = nullptr;  // on the list of all; `link` is what points here. Guarded by g_lock
};

constinit core::Spinlock g_lock{core::Rank::KernelThreads};
constinit KernelThread* g_first GUARDED_BY(g_lock) = nullptr;

void run_kernel_thread(void* record) {
    auto* thread = static_cast<KernelThread*>(record);
    begin_thread();
    thread->function(thread->argument);
    exit_current();
}

void reap_kernel_thread(Entity& dead) {
    auto* thread = static_cast<KernelThread*>(&dead);
    {
        const core::LockGuard guard(g_lock);
        *thread->link = thread->next;
        if (thread->next != nullptr) thread->next->link = thread->link;
    }
    mm::free_kernel_stack(thread->stack_top);
    delete thread;
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
    {
        const core::LockGuard guard(g_lock);
        thread->next = g_first;
        thread->link = &g_first;
        if (g_first != nullptr) g_first->link = &thread->next;
        g_first = thread;
    }
    start(*thread);
    return thread;
}

void for_each_kernel_thread(void (*visit)(Entity& thread, void* argument), void* argument) {
    const core::LockGuard guard(g_lock);
    for (KernelThread* thread = g_first; thread != nullptr; thread = thread->next) visit(*thread, argument);
}

}  // namespace hd::sched
