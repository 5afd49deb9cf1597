// SPDX-License-Identifier: MIT
// System calls of scheduling (sched(7)): priorities, policies, affinity.
#include <algorithm>

#include "kernel/core/percpu.hpp"
#include "kernel/syscall/handlers.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/tree.hpp"

namespace hd::syscall {

namespace {

using task::PidLink;
using task::Thread;

// The thread that a call is about; 0 is the caller. EINVAL, ESRCH.
Result<RefPtr<Thread>> thread_or_self(PidArg id) {
    if (id < 0) return fail(Errno::kEINVAL);
    RefPtr<Thread> thread = id == 0 ? RefPtr<Thread>(&task::current_thread()) : task::find_thread(Pid{id});
    if (!thread) return fail(Errno::kESRCH);
    return thread;
}

// May the current process change how the other one is scheduled?
bool may_change(const task::Process& other) {
    const fs::Credentials& mine = process().credentials;
    return mine.euid == 0 || mine.euid == other.credentials.uid || mine.euid == other.credentials.euid;
}

Result<sched::Policy> policy_of(Int number) {
    const bool known = number == abi::kSCHED_OTHER || number == abi::kSCHED_FIFO || number == abi::kSCHED_RR ||
                       number == abi::kSCHED_BATCH || number == abi::kSCHED_IDLE;
    return known ? Result<sched::Policy>(static_cast<sched::Policy>(number)) : fail(Errno::kEINVAL);
}

Result<> change_policy(Thread& thread, sched::Policy policy, Int priority) {
    const bool realtime = sched::is_realtime(policy);
    if (realtime ? priority < 1 || priority > 99 : priority != 0) return fail(Errno::kEINVAL);
    if (!may_change(thread.process())) return fail(Errno::kEPERM);
    const bool allowed =
        process().credentials.euid == 0 || static_cast<u64>(priority) <= thread.process().limit(abi::kRLIMIT_RTPRIO);
    if (realtime && !allowed) return fail(Errno::kEPERM);
    return sched::set_policy(thread, policy, static_cast<u8>(priority));
}

// Calls visit(Thread&) for what getpriority(2) and setpriority(2) name. The lock order allows it to take signal locks only.
template <class Visitor> Result<> for_each_named(Int which, Int who, Visitor visit) {
    if (which < abi::kPRIO_PROCESS || which > abi::kPRIO_USER) return fail(Errno::kEINVAL);
    if (which == abi::kPRIO_PROCESS) {
        const auto thread = thread_or_self(who);
        if (!thread) return fail(Errno::kESRCH);
        visit(**thread);
        return {};
    }
    const u32 uid = who == 0 ? process().credentials.uid : static_cast<u32>(who);
    const i32 group = who == 0 && which == abi::kPRIO_PGRP ? TRY(task::group_id(0)) : who;
    bool found = false;
    const task::TreeGuard guard(task::g_tree_lock);
    for (PidLink* link = task::g_pids.find_from(1, task::PidKind::Process); link != nullptr;
         link = task::g_pids.find_from(link->number() + 1, task::PidKind::Process)) {
        auto& candidate = static_cast<task::Process&>(*link);
        if (which == abi::kPRIO_USER ? candidate.credentials.uid != uid : candidate.group->id() != group) continue;
        const task::SignalGuard signals(candidate.signal_lock);
        for (Thread& thread : candidate.threads) {
            found = true;
            visit(thread);
        }
    }
    return found ? Result<>() : fail(Errno::kESRCH);
}

}  // namespace

Result<u64> sys_sched_yield() {
    sched::yield();
    return 0;
}

// The kernel's value is 20 - nice, so that no result looks like an error (getpriority(2), "C library/kernel differences").
Result<u64> sys_getpriority(Int which, Int who) {
    i32 best = 20;
    TRY(for_each_named(which, who, [&](Thread& thread) { best = std::min<i32>(best, thread.nice); }));
    return static_cast<u64>(20 - best);
}

Result<u64> sys_setpriority(Int which, Int who, Int nice) {
    const i8 value = static_cast<i8>(std::clamp(nice, -20, 19));
    const fs::Credentials& mine = process().credentials;
    const u64 limit = process().limit(abi::kRLIMIT_NICE);
    Result<> result;
    TRY(for_each_named(which, who, [&](Thread& thread) {
        if (!may_change(thread.process()))
            result = fail(Errno::kEPERM);
        else if (value < thread.nice && mine.euid != 0 && static_cast<u64>(20 - value) > limit)
            result = fail(Errno::kEACCES);
        else
            sched::set_nice(thread, value);
    }));
    TRY(result);
    return 0;
}

Result<u64> sys_sched_setparam(PidArg id, In<abi::SchedParam> parameters) {
    if (!parameters) return fail(Errno::kEINVAL);
    const abi::SchedParam wanted = TRY(parameters.load());
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    TRY(change_policy(*thread, thread->policy, wanted.sched_priority));
    return 0;
}

Result<u64> sys_sched_getparam(PidArg id, Out<abi::SchedParam> parameters) {
    if (!parameters) return fail(Errno::kEINVAL);
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    TRY(parameters.store({thread->realtime_priority}));
    return 0;
}

Result<u64> sys_sched_setscheduler(PidArg id, Int policy, In<abi::SchedParam> parameters) {
    if (policy < 0 || !parameters) return fail(Errno::kEINVAL);
    const abi::SchedParam wanted = TRY(parameters.load());
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    TRY(change_policy(*thread, TRY(policy_of(policy & ~abi::kSCHED_RESET_ON_FORK)), wanted.sched_priority));
    thread->reset_on_fork = (policy & abi::kSCHED_RESET_ON_FORK) != 0;
    return 0;
}

Result<u64> sys_sched_getscheduler(PidArg id) {
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    return number(static_cast<Int>(thread->policy) | (thread->reset_on_fork ? abi::kSCHED_RESET_ON_FORK : 0));
}

Result<u64> sys_sched_get_priority_max(Int policy) { return sched::is_realtime(TRY(policy_of(policy))) ? 99 : 0; }

Result<u64> sys_sched_get_priority_min(Int policy) { return sched::is_realtime(TRY(policy_of(policy))) ? 1 : 0; }

Result<u64> sys_sched_rr_get_interval(PidArg id, Out<abi::Timespec> interval) {
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    const Nanoseconds slice = thread->policy == sched::Policy::Fifo ? Nanoseconds{0} : sched::kRoundRobinSlice;
    TRY(interval.store(abi::timespec_of(slice)));
    return 0;
}

// ---- affinity: the program's sets are arrays of bytes of any size, ours are one word

Result<u64> sys_sched_setaffinity(PidArg id, Size size, In<u8> mask) {
    u64 bits = 0;
    TRY(mm::copy_from_user(&bits, mask.address(), std::min<u64>(size, sizeof(bits))));
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    if (!may_change(thread->process())) return fail(Errno::kEPERM);
    TRY(sched::set_affinity(*thread, CpuMask{bits}));
    return 0;
}

Result<u64> sys_sched_getaffinity(PidArg id, Size size, Out<u8> mask) {
    if (size * 8 < core::cpu_count() || size % sizeof(u64) != 0) return fail(Errno::kEINVAL);
    const RefPtr<Thread> thread = TRY(thread_or_self(id));
    const u64 bits = (thread->affinity & core::online_cpus()).bits();
    TRY(mm::copy_to_user(mask.address(), &bits, sizeof(bits)));
    return sizeof(bits);
}

Result<u64> sys_getcpu(Out<u32> cpu, Out<u32> node, Address) {
    // relaxed: the answer may be out of date as soon as it is given.
    if (cpu) TRY(cpu.store(task::current_thread().cpu.load(std::memory_order_relaxed)));
    if (node) TRY(node.store(0));
    return 0;
}

}  // namespace hd::syscall
