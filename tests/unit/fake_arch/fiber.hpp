// SPDX-License-Identifier: MIT
// Fibers: stacks that a host thread switches between by itself. Kernel threads and the code of simulated CPUs run on them.
// AddressSanitizer and ThreadSanitizer are told of every switch. Not swapcontext(3): it makes two system calls, and
// AddressSanitizer's version of it clears the shadow of whole stacks.
#pragma once
#include <cstddef>

// Code of the simulator that every simulated CPU runs through: no part of what ThreadSanitizer is to check.
#define HD_SIMULATOR [[gnu::no_sanitize_thread]]

namespace hd::fake {

class Fiber {
public:
    Fiber();  // the host thread's own stack
    Fiber(void (*entry)(void*), void* argument);
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Leaves `from`, which must be what runs now, for this one; returns when somebody switches back. `ordered`: what came
    // before is visible after, as on one CPU; otherwise ThreadSanitizer takes the two for concurrent, as CPUs are.
    HD_SIMULATOR void switch_from(Fiber& from, bool ordered);

private:
    static constexpr std::size_t kStackSize = 256 * 1024;

    HD_SIMULATOR static void trampoline();
    HD_SIMULATOR void arrived(Fiber& from);

    void* stack_pointer_ = nullptr;  // while it is away
    void (*entry_)(void*) = nullptr;
    void* argument_ = nullptr;
    void* stack_ = nullptr;         // own memory; nullptr for the host thread's
    const void* bottom_ = nullptr;  // as the sanitizer sees it
    std::size_t size_ = 0;
    void* fake_stack_ = nullptr;  // AddressSanitizer's, while the fiber is away
    void* tsan_ = nullptr;
};

}  // namespace hd::fake
