// SPDX-License-Identifier: MIT
// See fiber.hpp. Fiber stacks are kept for reuse: the explorer makes thousands of fibers.
#include "tests/unit/fake_arch/fiber.hpp"

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) && !defined(HD_EXPLORE_ATOMICS)
#include <sanitizer/tsan_interface.h>
#define HD_TSAN_FIBERS 1
#endif

// Pushes the callee-saved registers, changes the stack, pops them (System V ABI, x86-64 psABI 3.2.1).
extern "C" void hd_switch_stack(void** save, void* load);
asm(R"(
    .text
    .globl hd_switch_stack
hd_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace hd::fake {

namespace {

constexpr int kSavedRegisters = 6;

thread_local Fiber* t_leaving = nullptr;  // who made the switch that is under way
thread_local Fiber* t_arriving = nullptr;

struct StackPool {
    std::mutex mutex;
    std::vector<void*> free;
};
StackPool& stack_pool() {
    static StackPool& pool = *new StackPool;  // outlives every fiber, those in static variables too
    return pool;
}

void* take_stack(std::size_t size) {
    StackPool& pool = stack_pool();
    std::lock_guard guard(pool.mutex);
    if (!pool.free.empty()) {
        void* stack = pool.free.back();
        pool.free.pop_back();
        return stack;
    }
    void* stack = std::aligned_alloc(4096, size);
    if (stack == nullptr) std::abort();
    return stack;
}

void give_stack(void* stack, [[maybe_unused]] std::size_t size) {
#if defined(__SANITIZE_ADDRESS__)
    // A fiber that was abandoned in the middle left the red zones of its frames behind.
    __asan_unpoison_memory_region(stack, size);
#endif
    StackPool& pool = stack_pool();
    std::lock_guard guard(pool.mutex);
    pool.free.push_back(stack);
}

}  // namespace

Fiber::Fiber() {
#if defined(HD_TSAN_FIBERS)
    tsan_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(void (*entry)(void*), void* argument)
    : entry_(entry), argument_(argument), stack_(take_stack(kStackSize)), bottom_(stack_), size_(kStackSize) {
    // As if it had been switched away from at trampoline()'s first instruction.
    auto* top =
        reinterpret_cast<void**>(static_cast<char*>(stack_) + kStackSize - 8);  // entry of a function: 8 modulo 16
    top[0] = nullptr;                                                           // the trampoline's return address
    top[-1] = reinterpret_cast<void*>(&trampoline);
    for (int i = 2; i <= 1 + kSavedRegisters; ++i) top[-i] = nullptr;
    stack_pointer_ = &top[-1 - kSavedRegisters];
#if defined(HD_TSAN_FIBERS)
    tsan_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
    if (stack_ == nullptr) return;
#if defined(HD_TSAN_FIBERS)
    __tsan_destroy_fiber(tsan_);
#endif
    give_stack(stack_, kStackSize);
}

// The first thing on either side of a switch.
void Fiber::arrived([[maybe_unused]] Fiber& from) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack_, &from.bottom_, &from.size_);
#endif
}

void Fiber::trampoline() {
    Fiber& self = *t_arriving;
    self.arrived(*t_leaving);
    self.entry_(self.argument_);
    std::fputs("fake arch: a fiber's function returned\n", stderr);
    std::abort();
}

void Fiber::switch_from(Fiber& from, [[maybe_unused]] bool ordered) {
    t_leaving = &from;
    t_arriving = this;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&from.fake_stack_, bottom_, size_);
#endif
#if defined(HD_TSAN_FIBERS)
    __tsan_switch_to_fiber(tsan_, ordered ? 0 : __tsan_switch_to_fiber_no_sync);
#endif
    hd_switch_stack(&from.stack_pointer_, stack_pointer_);
    from.arrived(*t_leaving);
}

}  // namespace hd::fake
