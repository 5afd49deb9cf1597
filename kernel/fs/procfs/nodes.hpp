// SPDX-License-Identifier: MIT
// The shape of /proc: tables of what is always there, in the root and in each process's directory, and lists of numbers.
#pragma once
#include "kernel/fs/procfs/text.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/task/process.hpp"

namespace hd::fs::proc {

// The process, or one thread of it, that a directory or file tells of; or, without a process, the machine.
struct Subject {
    RefPtr<task::Process> process;
    RefPtr<task::Thread> thread;  // null: of the process as a whole

    i32 id() const { return thread ? thread->number() : process ? process->pid() : 0; }
    // The thread that speaks for it; null: a zombie.
    RefPtr<task::Thread> speaker() const { return thread ? thread : next_thread(*process, Pid{0}); }
    // Is it still in the process table, zombie or not?
    bool exists() const { return !process || task::find_process(Pid{process->pid()}) == process.get(); }
};

struct Node;

// Entries of a directory whose names are numbers.
struct Numbers {
    const Node& node;                               // what each of them is
    int (*next)(const Subject& subject, int from);  // the lowest from there on; negative: none
    Result<InodeRef> (*make)(FileSystem& file_system, const Subject& subject, int number);  // ENOENT
};

// A line of a table.
struct Node {
    const char* name;
    InodeKind kind;
    u32 mode;
    // A file's text, or a link's. An error is read(2)'s.
    Result<> (*text)(TextSink& sink, const Subject& subject) = nullptr;
    // write(2) to a file; null: refused.
    Result<> (*store)(std::string_view text, const Subject& subject) = nullptr;
    // The object that a link leads to, if it is one that has no text. `fd`: of the links in /proc/PID/fd. ENOENT: a zombie has
    // it no more.
    Result<DentryRef> (*target)(const task::Resources& resources, int fd) = nullptr;
    // Entries of a directory; `numbers` come last.
    std::span<const Node> children = {};
    const Numbers* numbers = nullptr;
    // A directory's subdirectories, if that many are to be told as links.
    u64 (*count)(const Subject& subject) = nullptr;
};
constexpr Node file(const char* name, decltype(Node::text) text, u32 mode = 0444,
                    decltype(Node::store) store = nullptr) {
    return {name, InodeKind::Regular, mode, text, store};
}
constexpr Node link(const char* name, decltype(Node::text) text) { return {name, InodeKind::Symlink, 0777, text}; }
constexpr Node magic_link(const char* name, decltype(Node::target) target) {
    return {name, InodeKind::Symlink, 0777, nullptr, nullptr, target};
}
constexpr Node directory(const char* name, std::span<const Node> children, const Numbers* numbers = nullptr,
                         u32 mode = 0555) {
    return {name, InodeKind::Directory, mode, nullptr, nullptr, nullptr, children, numbers};
}

extern const Node kRoot;
extern const Numbers kProcesses;  // those of the root

// `fd`: of a link in /proc/PID/fd. ENOMEM.
Result<InodeRef> make_inode(FileSystem& file_system, const Node& node, const Subject& subject, int fd = -1);

// ptrace(2)'s rule, as far as it goes here: root, and processes of the same user. EACCES.
Result<> check_inspect(const task::Resources& target);
// The comm: what the program is called.
void put_name(TextSink& sink, const Subject& subject);

// Texts of /proc/PID/...
Result<> put_stat(TextSink& sink, const Subject& subject);
Result<> put_status(TextSink& sink, const Subject& subject);
Result<> put_statm(TextSink& sink, const Subject& subject);
Result<> put_maps(TextSink& sink, const Subject& subject);
Result<> put_mounts(TextSink& sink, const Subject& subject);
Result<> put_mountinfo(TextSink& sink, const Subject& subject);

}  // namespace hd::fs::proc
