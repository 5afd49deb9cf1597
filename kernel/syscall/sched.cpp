// SPDX-License-Identifier: MIT
// System calls of scheduling (sched(7)): priorities, policies, affinity.
#include <algorithm>

#include "kernel/core/percpu.hpp"
#include "kernel/ipc/pi_futex.hpp"
#include "kernel/syscall/helpers.hpp"
#include "kernel/task/livelock.hpp"
#include "kernel/task/tree.hpp"

namespace hd::syscall {

namespace {

using task::Thread;

// The thread that a sched_ call is about. EINVAL, ESRCH.
Result<RefPtr<Thread>> thread_of(PidArg id) {
    if (id < 0) return fail(Errno::kEINVAL);
    return thread_or_self(id);
}

// May the current process change how the other one is scheduled?
bool may_change(const task::Process& other) {
    return me().is_root() || me().euid == other.credentials.uid || me().euid == other.credentials.euid;
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
    const bool allowed = me().is_root() || static_cast<u64>(priority) <= thread.process().limit(abi::kRLIMIT_RTPRIO);
    if (realtime && !allowed) return fail(Errno::kEPERM);
    TRY(sched::set_policy(thread, policy, static_cast<u8>(priority)));
    ipc::pi_priority_changed(thread);
    return {};
}

// Calls visit(Thread&) for what getpriority(2) and setpriority(2) name. The lock order allows it to take signal locks only.
template <class Visitor> Result<> for_each_named(Int which, Int who, Visitor visit) {
    if (which < abi::kPRIO_PROCESS || which > abi::kPRIO_USER) return fail(Errno::kEINVAL);
    if (which == abi::kPRIO_PROCESS) {
        visit(*TRY(thread_or_self(who)));
        return {};
    }
    const u32 uid = who == 0 ? me().uid : static_cast<u32>(who);
    const i32 group = who == 0 && which == abi::kPRIO_PGRP ? TRY(task::group_id(0)) : who;
    bool found = false;
    const task::TreeGuard guard(task::g_tree_lock);
    for (task::Process* candidate = task::next_process_locked(1); candidate != nullptr;
         candidate = task::next_process_locked(candidate->pid() + 1)) {
        if (which == abi::kPRIO_USER ? candidate->credentials.uid != uid : candidate->group->id() != group) continue;
        const task::SignalGuard signals(candidate->signal_lock);
        for (Thread& thread : candidate->threads) {
            found = true;
            visit(thread);
        }
    }
    return found ? Result<>() : fail(Errno::kESRCH);
}

}  // namespace

Answer sys_sched_yield() {
    task::note_futile();
    sched::yield();
    return 0;
}

// The kernel's value is 20 - nice, so that no result looks like an error (getpriority(2), "C library/kernel differences").
Answer sys_getpriority(Int which, Int who) {
    i32 best = 20;
    TRY(for_each_named(which, who, [&](Thread& thread) { best = std::min<i32>(best, thread.nice); }));
    return 20 - best;
}

Answer sys_setpriority(Int which, Int who, Int nice) {
    const i8 value = static_cast<i8>(std::clamp(nice, -20, 19));
    const u64 limit = process().limit(abi::kRLIMIT_NICE);
    Result<> result;
    TRY(for_each_named(which, who, [&](Thread& thread) {
        if (!may_change(thread.process()))
            result = fail(Errno::kEPERM);
        else if (value < thread.nice && !me().is_root() && static_cast<u64>(20 - value) > limit)
            result = fail(Errno::kEACCES);
        else
            sched::set_nice(thread, value);
    }));
    return result;
}

Answer sys_sched_setparam(PidArg id, In<abi::SchedParam> parameters) {
    if (!parameters) return fail(Errno::kEINVAL);
    const abi::SchedParam wanted = TRY(parameters.load());
    const RefPtr<Thread> thread = TRY(thread_of(id));
    return change_policy(*thread, thread->policy, wanted.sched_priority);
}

Answer sys_sched_getparam(PidArg id, Out<abi::SchedParam> parameters) {
    if (!parameters) return fail(Errno::kEINVAL);
    const RefPtr<Thread> thread = TRY(thread_of(id));
    return parameters.store({thread->realtime_priority});
}

Answer sys_sched_setscheduler(PidArg id, Int policy, In<abi::SchedParam> parameters) {
    if (policy < 0 || !parameters) return fail(Errno::kEINVAL);
    const abi::SchedParam wanted = TRY(parameters.load());
    const RefPtr<Thread> thread = TRY(thread_of(id));
    TRY(change_policy(*thread, TRY(policy_of(policy & ~abi::kSCHED_RESET_ON_FORK)), wanted.sched_priority));
    thread->reset_on_fork = (policy & abi::kSCHED_RESET_ON_FORK) != 0;
    return 0;
}

Answer sys_sched_getscheduler(PidArg id) {
    const RefPtr<Thread> thread = TRY(thread_of(id));
    return static_cast<Int>(thread->policy) | (thread->reset_on_fork ? abi::kSCHED_RESET_ON_FORK : 0);
}

// ---- sched_setattr(2): a structure that says its own size

namespace {

// What a later kernel has added must be zero, or it is told how much there is here. EFAULT, E2BIG.
Result<abi::SchedAttr> load_attributes(u64 address) {
    abi::SchedAttr given{};
    u32 size = TRY(In<u32>(address).load());
    if (size == 0) size = abi::kSCHED_ATTR_SIZE_VER0;
    bool fits = size >= abi::kSCHED_ATTR_SIZE_VER0 && size <= mm::kPageSize;
    for (u64 at = sizeof given; fits && at < size; ++at) fits = TRY(In<u8>(address + at).load()) == 0;
    if (!fits) {
        TRY(Out<u32>(address).store(sizeof given));
        return fail(Errno::kE2BIG);
    }
    TRY(mm::copy_from_user(&given, address, std::min<u64>(size, sizeof given)));
    return given;
}

Result<> change_nice(Thread& thread, i32 nice) {
    const i8 value = static_cast<i8>(std::clamp(nice, -20, 19));
    const bool allowed = me().is_root() || static_cast<u64>(20 - value) <= process().limit(abi::kRLIMIT_NICE);
    if (value < thread.nice && !allowed) return fail(Errno::kEPERM);
    sched::set_nice(thread, value);
    return {};
}

}  // namespace

Answer sys_sched_setattr(PidArg id, Address attributes, Flags flags) {
    constexpr u64 kKnown = abi::kSCHED_FLAG_RESET_ON_FORK | abi::kSCHED_FLAG_KEEP_POLICY | abi::kSCHED_FLAG_KEEP_PARAMS;
    if (attributes == 0 || id < 0 || flags != 0) return fail(Errno::kEINVAL);
    const abi::SchedAttr wanted = TRY(load_attributes(attributes));
    const RefPtr<Thread> thread = TRY(thread_of(id));
    if ((wanted.sched_flags & ~kKnown) != 0) return fail(Errno::kEINVAL);
    const bool keep_policy = (wanted.sched_flags & abi::kSCHED_FLAG_KEEP_POLICY) != 0;
    const sched::Policy policy = keep_policy ? thread->policy : TRY(policy_of(static_cast<Int>(wanted.sched_policy)));
    // To keep the parameters is to keep the policy as well (Linux: __sched_setscheduler()).
    if ((wanted.sched_flags & abi::kSCHED_FLAG_KEEP_PARAMS) != 0) {
        if (!may_change(thread->process())) return fail(Errno::kEPERM);
    } else {
        TRY(change_policy(*thread, policy, static_cast<Int>(wanted.sched_priority)));
        if (!sched::is_realtime(policy)) TRY(change_nice(*thread, wanted.sched_nice));
    }
    thread->reset_on_fork = (wanted.sched_flags & abi::kSCHED_FLAG_RESET_ON_FORK) != 0;
    return 0;
}

Answer sys_sched_getattr(PidArg id, Address attributes, UInt size, Flags flags) {
    if (attributes == 0 || id < 0 || flags != 0 || size < abi::kSCHED_ATTR_SIZE_VER0 || size > mm::kPageSize)
        return fail(Errno::kEINVAL);
    const RefPtr<Thread> thread = TRY(thread_of(id));
    abi::SchedAttr found{};
    found.size = static_cast<u32>(std::min<u64>(size, sizeof found));
    found.sched_policy = static_cast<u32>(thread->policy);
    if (thread->reset_on_fork) found.sched_flags = abi::kSCHED_FLAG_RESET_ON_FORK;
    if (sched::is_realtime(thread->policy))
        found.sched_priority = thread->realtime_priority;
    else
        found.sched_nice = thread->nice;
    return mm::copy_to_user(attributes, &found, found.size);
}

Answer sys_sched_get_priority_max(Int policy) { return sched::is_realtime(TRY(policy_of(policy))) ? 99 : 0; }

Answer sys_sched_get_priority_min(Int policy) { return sched::is_realtime(TRY(policy_of(policy))) ? 1 : 0; }

Answer sys_sched_rr_get_interval(PidArg id, Out<abi::Timespec> interval) {
    const RefPtr<Thread> thread = TRY(thread_of(id));
    const Nanoseconds slice = thread->policy == sched::Policy::Fifo ? Nanoseconds{0} : sched::kRoundRobinSlice;
    return interval.store(abi::timespec_of(slice));
}

// ---- affinity: the program's sets are arrays of bytes of any size, ours are one word

Answer sys_sched_setaffinity(PidArg id, Size size, In<u8> mask) {
    u64 bits = 0;
    TRY(mm::copy_from_user(&bits, mask.address(), std::min<u64>(size, sizeof(bits))));
    const RefPtr<Thread> thread = TRY(thread_of(id));
    if (!may_change(thread->process())) return fail(Errno::kEPERM);
    return sched::set_affinity(*thread, CpuMask{bits});
}

Answer sys_sched_getaffinity(PidArg id, Size size, Out<u8> mask) {
    if (size * 8 < core::cpu_count() || size % sizeof(u64) != 0) return fail(Errno::kEINVAL);
    const RefPtr<Thread> thread = TRY(thread_of(id));
    const u64 bits = (thread->affinity & core::online_cpus()).bits();
    TRY(mm::copy_to_user(mask.address(), &bits, sizeof(bits)));
    return sizeof(bits);
}

Answer sys_getcpu(Out<u32> cpu, Out<u32> node, Address) {
    // relaxed: the answer may be out of date as soon as it is given.
    TRY(store_if_wanted(cpu, task::current_thread().cpu.load(std::memory_order_relaxed)));
    return store_if_wanted(node, 0);
}

}  // namespace hd::syscall
