// SPDX-License-Identifier: MIT
// /proc/PID and /proc/PID/task/TID: their table, the shorter texts in it, the magic links exe, cwd and root, and the open
// files in fd.
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/ipc/deadlock/wait.hpp"
#include "kernel/task/livelock.hpp"
#include "kernel/task/tree.hpp"

namespace hd::fs::proc {

using task::Resources;

Result<> check_inspect(const Resources& target) {
    const Credentials& who = task::current_process().credentials;
    const Credentials& whose = target.credentials;
    if (who.is_root() || (who.euid == whose.uid && who.euid == whose.euid && who.euid == whose.suid)) return {};
    return fail(Errno::kEACCES);
}

namespace {

// ---- small texts

// Bytes of the program's memory, from `begin` to `end`: its arguments and environment.
Result<> put_memory(TextSink& sink, const Subject& subject, VirtAddr mm::AddressSpace::Layout::* begin,
                    VirtAddr mm::AddressSpace::Layout::* end) {
    const Resources resources = resources_of(*subject.process);
    if (!resources.space) return {};  // a zombie
    const auto& layout = resources.space->layout;
    for (VirtAddr at = layout.*begin; at < layout.*end;) {
        char text[512];
        const u64 got = resources.space->read_foreign(at, text, std::min<u64>(sizeof text, layout.*end - at));
        if (got == 0) break;
        sink.put({text, got});
        at += got;
    }
    return {};
}

Result<> put_cmdline(TextSink& sink, const Subject& subject) {
    using Layout = mm::AddressSpace::Layout;
    return put_memory(sink, subject, &Layout::arguments_start, &Layout::arguments_end);
}

Result<> put_environ(TextSink& sink, const Subject& subject) {
    using Layout = mm::AddressSpace::Layout;
    TRY(check_inspect(resources_of(*subject.process)));
    return put_memory(sink, subject, &Layout::environment_start, &Layout::environment_end);
}

Result<> put_comm(TextSink& sink, const Subject& subject) {
    put_name(sink, subject);
    sink.put("\n");
    return {};
}

Result<> store_comm(std::string_view text, const Subject& subject) {
    const auto thread = subject.speaker();
    if (!thread) return fail(Errno::kESRCH);
    // Changed from outside as on Linux; a reader of the name may meanwhile see a mixture of both.
    BufferSink name({thread->name, sizeof thread->name - 1});
    name.put(text);
    thread->name[name.view().size()] = '\0';
    return {};
}

Result<> put_wchan(TextSink& sink, const Subject& subject) {
    const auto thread = subject.speaker();
    const bool sleeps = thread && task::state_letter(*thread) != 'R' && thread->wait_channel[0] != '\0';
    sink.put(sleeps ? thread->wait_channel : "0");
    return {};
}

Result<> put_waits(TextSink& sink, const Subject& subject) {
    TRY(check_inspect(resources_of(*subject.process)));
    ipc::describe_waits(sink, *subject.process);
    return {};
}

Result<> put_livelock(TextSink& sink, const Subject& subject) {
    task::describe_livelock(sink, *subject.process);
    return {};
}

// ---- what links lead to

Result<DentryRef> present(DentryRef dentry) {
    if (!dentry) return fail(Errno::kENOENT);
    return dentry;
}
Result<DentryRef> target_exe(const Resources& resources, int) {
    return present(resources.executable ? resources.executable->dentry : nullptr);
}
Result<DentryRef> target_cwd(const Resources& resources, int) {
    return present(resources.fs ? resources.fs->working_directory() : DentryRef{});
}
Result<DentryRef> target_root(const Resources& resources, int) {
    return present(resources.fs ? resources.fs->root() : DentryRef{});
}
Result<FileRef> file_at(const Resources& resources, int fd) {
    if (resources.files)
        if (auto file = resources.files->get_from_outside(fd)) return file;
    return fail(Errno::kENOENT);
}
Result<DentryRef> target_fd(const Resources& resources, int fd) {
    const FileRef file = TRY(file_at(resources, fd));
    if (file->dentry) return file->dentry;
    return Dentry::make(file->inode);  // a pipe: opening the link opens it anew
}

// ---- threads and open files

// A zombie's last thread is gone, but still listed, under the process's number (Linux: the leader stays until it is waited for).
bool is_zombie(const task::Process& process) {
    const task::SignalGuard guard(process.signal_lock);
    return process.threads.empty();
}

int next_thread_from(const Subject& subject, int from) {
    if (const auto thread = next_thread(*subject.process, Pid{from})) return thread->number();
    const int pid = subject.process->pid();
    return from <= pid && is_zombie(*subject.process) ? pid : -1;
}
Result<InodeRef> make_thread(FileSystem& file_system, const Subject& subject, int number);
extern const Node kThread;
constexpr Numbers kThreads{kThread, next_thread_from, make_thread};

int next_file_from(const Subject& subject, int from) {
    const Resources resources = resources_of(*subject.process);
    return resources.files ? resources.files->next_open(from) : -1;
}
constexpr Node kFile = magic_link("", target_fd);
Result<InodeRef> make_file_link(FileSystem& file_system, const Subject& subject, int fd) {
    const FileRef file = TRY(file_at(resources_of(*subject.process), fd));
    InodeRef inode = TRY(make_inode(file_system, kFile, subject, fd));
    inode->mode = (file->readable() ? 0500u : 0u) | (file->writable() ? 0300u : 0u);
    return inode;
}
constexpr Numbers kFiles{kFile, next_file_from, make_file_link};

// ---- the table

u64 count_threads(const Subject& subject) {
    const task::Process& process = *subject.process;
    const task::SignalGuard guard(process.signal_lock);
    return process.threads.size() + (process.ended_leader || process.threads.empty() ? 1 : 0);
}

constexpr Node task_directory() {
    Node node = directory("task", {}, &kThreads);
    node.count = count_threads;
    return node;
}

constexpr Node kEntries[] = {
    task_directory(),  // of a process, not of a thread
    directory("fd", {}, &kFiles, 0500),
    file("cmdline", put_cmdline),
    file("comm", put_comm, 0644, store_comm),
    file("environ", put_environ, 0400),
    file("livelock", put_livelock),
    file("maps", put_maps),
    file("mountinfo", put_mountinfo),
    file("mounts", put_mounts),
    file("stat", put_stat),
    file("statm", put_statm),
    file("status", put_status),
    file("waits", put_waits),
    file("wchan", put_wchan),
    magic_link("exe", target_exe),
    magic_link("cwd", target_cwd),
    magic_link("root", target_root),
};
constexpr Node kProcess = directory("", kEntries);
constexpr Node kThread = directory("", std::span(kEntries).subspan(1));

Result<InodeRef> make_thread(FileSystem& file_system, const Subject& subject, int number) {
    const auto thread = task::find_thread(Pid{number});
    if (!thread && number == subject.process->pid() && is_zombie(*subject.process))
        return make_inode(file_system, kThread, {subject.process, nullptr});
    if (!thread || &thread->process() != subject.process.get()) return fail(Errno::kENOENT);
    return make_inode(file_system, kThread, {subject.process, thread});
}

int next_process_from(const Subject&, int from) {
    const auto process = task::next_process(Pid{from});
    return process ? process->pid() : -1;
}
// A thread's number works as well, though only processes are listed (proc(5)).
Result<InodeRef> make_process(FileSystem& file_system, const Subject&, int number) {
    Subject subject{task::find_process(Pid{number}), nullptr};
    if (!subject.process)
        if (const auto thread = task::find_thread(Pid{number}))
            subject.process = RefPtr<task::Process>(&thread->process());
    if (!subject.process) return fail(Errno::kENOENT);
    return make_inode(file_system, kProcess, subject);
}

}  // namespace

constinit const Numbers kProcesses{kProcess, next_process_from, make_process};

}  // namespace hd::fs::proc
