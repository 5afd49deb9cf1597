// SPDX-License-Identifier: MIT
// System calls of identity and limits: user and group ids (credentials(7)), getrlimit(2).
#include <algorithm>

#include "kernel/syscall/helpers.hpp"
#include "kernel/task/cpu_clock.hpp"
#include "kernel/task/tree.hpp"

namespace hd::syscall {

namespace {

constexpr u32 kKeep = ~u32{0};  // -1: leave this id as it is

// Changes the credentials in one step for readers from outside.
template <class Change> Result<> change_credentials(Change change) {
    const task::TreeGuard guard(task::g_tree_lock);
    fs::Credentials fresh = me();
    change(fresh);
    set_credentials_locked(process(), fresh);
    return {};
}

// The three ids of a kind, so that the rules for users and groups are written once.
struct Ids {
    u32 real, effective, saved;
    bool has(u32 id) const { return id == real || id == effective || id == saved; }
};
Ids users() { return {me().uid, me().euid, me().suid}; }
Ids groups() { return {me().gid, me().egid, me().sgid}; }
Result<> set_users(Ids ids) {
    return change_credentials([ids](fs::Credentials& who) {
        who.uid = ids.real;
        who.euid = ids.effective;
        who.suid = ids.saved;
    });
}
Result<> set_groups(Ids ids) {
    return change_credentials([ids](fs::Credentials& who) {
        who.gid = ids.real;
        who.egid = ids.effective;
        who.sgid = ids.saved;
    });
}

// setuid(2), setgid(2)
Result<Ids> set_one(Ids ids, u32 id) {
    if (id == kKeep) return fail(Errno::kEINVAL);
    if (me().is_root()) return Ids{id, id, id};
    if (id != ids.real && id != ids.saved) return fail(Errno::kEPERM);
    return Ids{ids.real, id, ids.saved};
}

// setreuid(2), setregid(2)
Result<Ids> set_two(Ids ids, u32 real, u32 effective) {
    Ids result = ids;
    if (real != kKeep) {
        if (!me().is_root() && real != ids.real && real != ids.effective) return fail(Errno::kEPERM);
        result.real = real;
    }
    if (effective != kKeep) {
        if (!me().is_root() && !ids.has(effective)) return fail(Errno::kEPERM);
        result.effective = effective;
    }
    if (real != kKeep || (effective != kKeep && effective != ids.real)) result.saved = result.effective;
    return result;
}

// setresuid(2), setresgid(2)
Result<Ids> set_three(Ids ids, u32 real, u32 effective, u32 saved) {
    for (const u32 id : {real, effective, saved})
        if (id != kKeep && !me().is_root() && !ids.has(id)) return fail(Errno::kEPERM);
    return Ids{real == kKeep ? ids.real : real, effective == kKeep ? ids.effective : effective,
               saved == kKeep ? ids.saved : saved};
}

Result<> get_three(Ids ids, Out<u32> real, Out<u32> effective, Out<u32> saved) {
    TRY(real.store(ids.real));
    TRY(effective.store(ids.effective));
    return saved.store(ids.saved);
}

}  // namespace

Answer sys_getuid() { return me().uid; }
Answer sys_geteuid() { return me().euid; }
Answer sys_getgid() { return me().gid; }
Answer sys_getegid() { return me().egid; }
Answer sys_setuid(UInt uid) { return set_users(TRY(set_one(users(), uid))); }
Answer sys_setgid(UInt gid) { return set_groups(TRY(set_one(groups(), gid))); }
Answer sys_setreuid(UInt real, UInt effective) { return set_users(TRY(set_two(users(), real, effective))); }
Answer sys_setregid(UInt real, UInt effective) { return set_groups(TRY(set_two(groups(), real, effective))); }
Answer sys_setresuid(UInt real, UInt effective, UInt saved) {
    return set_users(TRY(set_three(users(), real, effective, saved)));
}
Answer sys_setresgid(UInt real, UInt effective, UInt saved) {
    return set_groups(TRY(set_three(groups(), real, effective, saved)));
}
Answer sys_getresuid(Out<u32> real, Out<u32> effective, Out<u32> saved) {
    return get_three(users(), real, effective, saved);
}
Answer sys_getresgid(Out<u32> real, Out<u32> effective, Out<u32> saved) {
    return get_three(groups(), real, effective, saved);
}

Answer sys_getgroups(Int count, Out<u32> result) {
    if (count < 0) return fail(Errno::kEINVAL);
    const usize have = me().group_count;
    if (count == 0) return have;
    if (static_cast<usize>(count) < have) return fail(Errno::kEINVAL);
    TRY(mm::copy_to_user(result.address(), me().groups, have * sizeof(u32)));
    return have;
}

// Linux: up to 65536 groups; here fewer, the errno for more is the same.
Answer sys_setgroups(Int count, In<u32> from) {
    TRY(check_root());
    if (static_cast<u32>(count) > fs::Credentials::kMaxGroups) return fail(Errno::kEINVAL);
    u32 list[fs::Credentials::kMaxGroups];
    const usize size = static_cast<usize>(count);
    TRY(mm::copy_from_user(list, from.address(), size * sizeof(u32)));
    return change_credentials([&](fs::Credentials& who) {
        std::copy_n(list, size, who.groups);
        who.group_count = size;
    });
}

// ---- capabilities: root has all of them, until it gives all of them up; others have none

namespace {

// The number of CapData that the header's version means. EINVAL: it is unknown, and now the one to be used; `asks`: that was the
// question (capget(2)).
Result<usize> capability_words(InOut<abi::CapHeader> header, bool asks, abi::CapHeader& given) {
    given = TRY(header.load());
    switch (given.version) {
    case abi::kCapabilityVersion1: return 1;
    case abi::kCapabilityVersion2:
    case abi::kCapabilityVersion3: return 2;
    default: break;
    }
    TRY(header.store({abi::kCapabilityVersion3, given.pid}));
    return asks ? Result<usize>(0) : fail(Errno::kEINVAL);
}

abi::CapData capabilities_of(const fs::Credentials& who, usize word) {
    const bool may_be_root = !who.powerless && (who.euid == 0 || who.uid == 0 || who.suid == 0);
    const u32 all = static_cast<u32>(abi::kAllCapabilities >> word * 32);
    return {who.is_root() ? all : 0, may_be_root ? all : 0, 0};
}

}  // namespace

Answer sys_capget(InOut<abi::CapHeader> header, Out<abi::CapData> data) {
    abi::CapHeader given;
    const usize words = TRY(capability_words(header, !data, given));
    if (words == 0) return 0;
    if (given.pid < 0) return fail(Errno::kEINVAL);
    const RefPtr<task::Thread> target =
        given.pid == 0 ? RefPtr<task::Thread>(&task::current_thread()) : task::find_thread(Pid{given.pid});
    if (!target) return fail(Errno::kESRCH);
    if (!data) return 0;
    const fs::Credentials who = task::resources_of(target->process()).credentials;
    for (usize word = 0; word < words; ++word)
        TRY(Out<abi::CapData>(data.address() + word * sizeof(abi::CapData)).store(capabilities_of(who, word)));
    return 0;
}

// EPERM for some of them (Linux: any subset of those permitted).
Answer sys_capset(InOut<abi::CapHeader> header, In<abi::CapData> data) {
    abi::CapHeader given;
    const usize words = TRY(capability_words(header, false, given));
    if (given.pid != 0 && given.pid != task::current_thread().number()) return fail(Errno::kEPERM);
    bool stays = true, none = true;
    for (usize word = 0; word < words; ++word) {
        const abi::CapData wanted = TRY(In<abi::CapData>(data.address() + word * sizeof(abi::CapData)).load());
        const abi::CapData has = capabilities_of(me(), word);
        stays &= wanted == abi::CapData{has.effective, has.permitted, 0};
        none &= wanted == abi::CapData{};
    }
    if (stays) return 0;
    if (!none) return fail(Errno::kEPERM);
    return change_credentials([](fs::Credentials& who) { who.powerless = true; });
}

// ---- limits

static Result<> set_limit(task::Process& target, u32 resource, const abi::RLimit& limit) {
    if (limit.rlim_cur > limit.rlim_max) return fail(Errno::kEINVAL);
    if (resource == abi::kRLIMIT_NOFILE && limit.rlim_max > fs::FdTable::kHardLimit) return fail(Errno::kEPERM);
    const task::TreeGuard guard(task::g_tree_lock);
    abi::RLimit& place = target.limits[resource];
    if (limit.rlim_max > place.rlim_max && !me().is_root()) return fail(Errno::kEPERM);
    if (resource == abi::kRLIMIT_CPU)
        task::set_cpu_limit(target, limit);
    else
        place = limit;
    return {};
}

Answer sys_prlimit64(PidArg pid, UInt resource, In<abi::RLimit> limit, Out<abi::RLimit> old_limit) {
    if (resource >= abi::kRLimitCount) return fail(Errno::kEINVAL);
    RefPtr<task::Process> target(&process());
    abi::RLimit fresh;
    if (limit) fresh = TRY(limit.load());
    if (pid != 0) target = task::find_process(Pid{pid});
    if (!target) return fail(Errno::kESRCH);
    if (target != &process() && !me().is_root()) {
        const fs::Credentials theirs = task::resources_of(*target).credentials;
        for (const u32 id : {theirs.uid, theirs.euid, theirs.suid})
            if (id != me().uid) return fail(Errno::kEPERM);
    }
    const abi::RLimit old = target->limits[resource];
    if (limit) TRY(set_limit(*target, resource, fresh));
    return store_if_wanted(old_limit, old);
}

Answer sys_getrlimit(UInt resource, Out<abi::RLimit> limit) {
    if (resource >= abi::kRLimitCount) return fail(Errno::kEINVAL);
    return limit.store(process().limits[resource]);
}

Answer sys_setrlimit(UInt resource, In<abi::RLimit> limit) {
    const abi::RLimit fresh = TRY(limit.load());
    if (resource >= abi::kRLimitCount) return fail(Errno::kEINVAL);
    return set_limit(process(), resource, fresh);
}

}  // namespace hd::syscall
