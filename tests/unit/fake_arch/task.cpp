// SPDX-License-Identifier: MIT
// What the tests have in place of processes: nobody maps anything, and what would be unmapped or sent is remembered. A process here is
// its fields and a number; see task.hpp.
#include "tests/unit/fake_arch/task.hpp"

#include "kernel/ipc/robust_list.hpp"
#include "kernel/task/group.hpp"
#include "kernel/task/life.hpp"
#include "kernel/task/memory.hpp"
#include "kernel/task/posix_timer.hpp"
#include "kernel/task/signal/signal.hpp"
#include "tests/unit/fake_arch/machine.hpp"

namespace hd {

namespace {

constinit task::PidTable g_numbers;

// Compared, and never looked at: who shares memory shares it, others have other memory.
mm::AddressSpace* memory_of(const task::Process& process) {
    return reinterpret_cast<mm::AddressSpace*>(reinterpret_cast<u64>(&process) & ~u64{63});
}

}  // namespace

u64 fake::g_unmapped_from = 0;
std::atomic<u32> fake::g_signals_to_self{0};

void task::unmap_everywhere(const void*, u64 from) { fake::g_unmapped_from = from; }
void task::signal_self(int) { ++fake::g_signals_to_self; }

namespace task {

void (*g_wake_futex)(u64 address) = nullptr;
void (*g_leave_semaphores)(Process& process) = nullptr;
void (*g_leave_futexes)(Thread& self, bool for_good) = nullptr;

Process::Process() : PidLink(PidKind::Process), real_timer(nullptr), start_time{} {}
Process::~Process() {}
Thread::Thread(Process& process) : PidLink(PidKind::Thread), process_(&process) {}
Thread::~Thread() {}
Group::~Group() {}
Result<RefPtr<Thread>> Thread::create(Process& process) { return RefPtr<Thread>(kAdoptRef, ::new Thread(process)); }

RefPtr<Thread> find_thread(Pid tid) {
    return RefPtr<Thread>(static_cast<Thread*>(g_numbers.find(tid.raw, PidKind::Thread)));
}

}  // namespace task

void ipc::leave_robust_list(task::Thread&) {}

std::shared_ptr<task::Process> fake::make_process() {
    auto* const process = ::new task::Process;
    g_numbers.add(*process, *g_numbers.allocate());
    // This reference to it is never given back, nor is the first one to the process.
    process->space = RefPtr<mm::AddressSpace>(kAdoptRef, memory_of(*process));
    return {process, [](task::Process* gone) {
                (void)gone->space.release();
                g_numbers.remove(*gone);
                ::delete gone;
            }};
}

std::shared_ptr<task::Thread> fake::make_thread(std::shared_ptr<task::Process> process) {
    task::Thread* const thread = (*task::Thread::create(*process)).release();
    g_numbers.add(*thread, *g_numbers.allocate());
    return {thread, [process](task::Thread* gone) {
                g_numbers.remove(*gone);
                ::delete gone;
            }};
}

}  // namespace hd
