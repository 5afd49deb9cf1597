// SPDX-License-Identifier: MIT
// The shape of /proc: the files that are always there, from one table, and how a process becomes a directory.
#pragma once
#include "kernel/fs/procfs/text.hpp"
#include "kernel/fs/vfs/file_system.hpp"
#include "kernel/task/process.hpp"

namespace hd::fs::proc {

// A line of the table: a file (`generate`), a symbolic link (`generate` gives its target) or a directory (`children`).
struct Node {
    const char* name;
    InodeKind kind = InodeKind::Regular;
    u32 mode = 0444;
    void (*generate)(TextSink& sink) = nullptr;
    Result<> (*store)(std::string_view text) = nullptr;
    std::span<const Node> children{};
};
std::span<const Node> root_nodes();

// The process, or one thread of it, that a directory tells of.
struct Subject {
    RefPtr<task::Process> process;
    RefPtr<task::Thread> thread;  // null: of the process as a whole

    i32 id() const { return thread ? thread->number() : process->pid(); }
    // The thread that speaks for it; null: a zombie.
    RefPtr<task::Thread> speaker() const { return thread ? thread : next_thread(*process, Pid{0}); }
    // Is it still in the process table, zombie or not?
    bool exists() const { return task::find_process(Pid{process->pid()}) == process.get(); }
};

// The comm: what the program is called.
void put_name(TextSink& sink, const Subject& subject);

// /proc/PID. ENOMEM.
Result<InodeRef> make_process_directory(FileSystem& file_system, Subject subject);

// Texts of /proc/PID/...
using SubjectText = Result<> (*)(TextSink& sink, const Subject& subject);
Result<> put_stat(TextSink& sink, const Subject& subject);
Result<> put_status(TextSink& sink, const Subject& subject);
Result<> put_statm(TextSink& sink, const Subject& subject);
Result<> put_maps(TextSink& sink, const Subject& subject);
Result<> put_mounts(TextSink& sink, const Subject& subject);
Result<> put_mountinfo(TextSink& sink, const Subject& subject);

}  // namespace hd::fs::proc
