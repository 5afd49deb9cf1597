// SPDX-License-Identifier: MIT
// Process numbers. Processes, threads, process groups and sessions share one number space (Linux; credentials(7)): a number is
// free again only when none of the four uses it. One table finds all of them: number and kind -> object.
//
// Locking: the caller's; the kernel's one table is guarded by g_tree_lock. Pure: tested on the host.
#pragma once
#include <boost/intrusive/list.hpp>

#include "kernel/lib/result.hpp"
#include "kernel/lib/types.hpp"

namespace hd::task {

enum class PidKind : u8 { Process, Thread, Group, Session };

// The base of whatever has a number. In the table from add() to remove().
class PidLink {
public:
    explicit PidLink(PidKind kind) : kind_(kind) {}
    PidLink(const PidLink&) = delete;
    PidLink& operator=(const PidLink&) = delete;

    // Constant from add() on; keeps its value after remove().
    i32 number() const { return number_; }
    bool numbered() const { return in_table_; }

private:
    friend class PidTable;
    PidLink* next_ = nullptr;  // in its chain
    bool in_table_ = false;
    i32 number_ = 0;
    const PidKind kind_;
};

// What has a number is also on lists by what it belongs to. `Tag` says which list a hook is for.
template <class Tag> using HookOf = boost::intrusive::list_base_hook<boost::intrusive::tag<Tag>>;
template <class T, class Tag, bool kCounted = false>
using ListOf =
    boost::intrusive::list<T, boost::intrusive::base_hook<HookOf<Tag>>, boost::intrusive::constant_time_size<kCounted>>;

class PidTable {
public:
    static constexpr i32 kLimit = 32768;  // numbers are below it: /proc/sys/kernel/pid_max
    static constexpr i32 kFirstReused =
        300;  // where the search begins again: low numbers stay with early daemons (Linux)

    constexpr PidTable() = default;

    // The next free number after the last one given. EAGAIN: all are in use (fork(2)).
    Result<i32> allocate();
    // `number` comes from allocate(), or belongs to another kind already.
    void add(PidLink& link, i32 number);
    void remove(PidLink& link);
    // Gives back a number that add() was never called for.
    void release(i32 number);

    PidLink* find(i32 number, PidKind kind);
    // The object of that kind with the lowest number >= `from`, or nullptr. For listing /proc.
    PidLink* find_from(i32 from, PidKind kind);
    u32 count(PidKind kind) const { return counts_[static_cast<usize>(kind)]; }
    i32 last() const { return last_; }  // the number given last

private:
    static constexpr usize kBuckets = 1024;

    // Chains by hand: Boost's lists point to themselves, so a table of them could not be ready before any code runs.
    PidLink*& chain(i32 number) { return chains_[static_cast<u32>(number) % kBuckets]; }
    i32 next_free(i32 from) const;  // kLimit: none

    PidLink* chains_[kBuckets] = {};
    u64 used_[kLimit / 64] = {1};  // 0 is no process
    u32 counts_[4] = {};
    i32 last_ = 0;
};

}  // namespace hd::task
