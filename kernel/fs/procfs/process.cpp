// SPDX-License-Identifier: MIT
// /proc/PID and /proc/PID/task/TID: directories made from one table, the magic links exe, cwd and root, and the open files
// in fd. Each inode holds its process's record; when the process is gone from the table, everything in an old
// directory is ENOENT or ESRCH, even if the number is in use again.
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs::proc {

namespace {

using task::Resources;

// ptrace(2)'s rule, as far as it goes here: root, and processes of the same user.
Result<> check_inspect(const Resources& target) {
    const Credentials& who = task::current_process().credentials;
    const Credentials& whose = target.credentials;
    if (who.is_root() || (who.fsuid == whose.uid && who.fsuid == whose.euid && who.fsuid == whose.suid)) return {};
    return fail(Errno::kEACCES);
}

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

Result<> put_own_maps(TextSink& sink, const Subject& subject) {
    TRY(check_inspect(resources_of(*subject.process)));
    return put_maps(sink, subject);
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

Result<> put_wchan(TextSink& sink, const Subject& subject) {
    const auto thread = subject.speaker();
    const bool sleeps = thread && task::state_letter(*thread) != 'R' && thread->wait_channel[0] != '\0';
    sink.put(sleeps ? thread->wait_channel : "0");
    return {};
}

// ---- the table

enum class Where : u8 { Both, ProcessOnly };

// What a link leads to. ENOENT: a zombie has it no more. `fd`: of the links in fd.
using Target = Result<DentryRef> (*)(const Resources& resources, int fd);

struct Entry {
    const char* name;
    InodeKind kind;
    u32 mode;
    SubjectText text;  // of a regular file
    Target target;     // of a link
    Where where = Where::Both;
};

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

constexpr Entry text(const char* name, SubjectText put, u32 mode = 0444) {
    return {name, InodeKind::Regular, mode, put, nullptr};
}
constexpr Entry magic(const char* name, Target target) { return {name, InodeKind::Symlink, 0777, nullptr, target}; }
constexpr Entry kEntries[] = {
    {"task", InodeKind::Directory, 0555, nullptr, nullptr, Where::ProcessOnly},
    {"fd", InodeKind::Directory, 0500, nullptr, nullptr},
    text("cmdline", put_cmdline),
    text("comm", put_comm, 0644),
    text("environ", put_environ, 0400),
    text("maps", put_own_maps),
    text("mountinfo", put_mountinfo),
    text("mounts", put_mounts),
    text("stat", put_stat),
    text("statm", put_statm),
    text("status", put_status),
    text("wchan", put_wchan),
    magic("exe", target_exe),
    magic("cwd", target_cwd),
    magic("root", target_root),
};
enum : usize { kTask, kFd };

// Inode numbers: the process's or thread's number, whether it is a thread's, the entry, and the descriptor.
u64 number_of(const Subject& subject, usize entry, u32 fd = 0) {
    return u64{static_cast<u32>(subject.id())} << 32 | u64{subject.thread ? 1u : 0u} << 31 | u64{entry} << 24 | fd;
}
constexpr usize kDirectoryItself = 0;  // the number of the directory is pid << 32, so the entries count from 1

// The inodes belong to the process's user: busybox and procps show that as the process's owner.
template <class T, class... Arguments>
Result<InodeRef> make_owned(const Subject& subject, Arguments&&... arguments) {
    auto inode = TRY(mm::make_ref<T>(std::forward<Arguments>(arguments)...));
    const Credentials whose = resources_of(*subject.process).credentials;
    inode->uid = whose.euid;
    inode->gid = whose.egid;
    return inode;
}

// ---- inodes

class SubjectFile final : public GeneratedInode {
public:
    SubjectFile(FileSystem& owner, u64 number_in, const Subject& subject, const Entry& entry)
        : GeneratedInode(owner, entry.mode, number_in), subject_(subject), entry_(entry) {}

    Result<> generate(TextSink& sink) override {
        if (!subject_.exists()) return fail(Errno::kESRCH);
        return entry_.text(sink, subject_);
    }
    Result<> store(std::string_view value) override {
        if (entry_.text != put_comm) return fail(Errno::kEINVAL);
        const auto thread = subject_.speaker();
        if (!thread) return fail(Errno::kESRCH);
        // Changed from outside as on Linux; a reader of the name may meanwhile see a mixture of both.
        BufferSink name({thread->name, sizeof thread->name - 1});
        name.put(value);
        thread->name[name.view().size()] = '\0';
        return {};
    }

private:
    const Subject subject_;
    const Entry& entry_;
};

// A link to an object, not to a path: following it needs no search permission along a path, and finds deleted files.
class MagicLink final : public Inode {
public:
    MagicLink(FileSystem& owner, u32 mode_in, u64 number_in, const Subject& subject, Target target, int fd)
        : Inode(owner, InodeKind::Symlink, mode_in, number_in), subject_(subject), target_(target), fd_(fd) {}

    Result<DentryRef> follow_magic() override {
        const Resources resources = resources_of(*subject_.process);
        TRY(check_inspect(resources));
        return target_(resources, fd_);
    }
    Result<usize> read_link(std::span<char> buffer) override {
        const DentryRef dentry = TRY(follow_magic());
        std::unique_ptr<char[]> space(new (std::nothrow) char[abi::kPATH_MAX]);
        if (!space) return fail(Errno::kENOMEM);
        const DentryRef root = task::current_process().fs->root();
        const std::string_view path = TRY(path_of(*dentry, *root, {space.get(), abi::kPATH_MAX}));
        return path.copy(buffer.data(), buffer.size());
    }

private:
    const Subject subject_;
    const Target target_;
    const int fd_;
};

class SubjectDirectory : public Inode {
public:
    SubjectDirectory(FileSystem& owner, u32 mode_in, u64 number_in, const Subject& subject)
        : Inode(owner, InodeKind::Directory, mode_in, number_in), subject_(subject) {
        links = 2;
    }
    bool cacheable() const override { return false; }

protected:
    // A directory of numbers: `next` gives the lowest one from the given on, or a negative one.
    template <class Next> Result<> read_numbers(u64 position, DirentSink& sink, InodeKind kind_of_entries, Next next) {
        while (position - 2 <= INT32_MAX) {  // lseek(2) takes any position
            const int entry = next(static_cast<int>(position - 2));
            if (entry < 0) break;
            char digits[16];
            BufferSink name(digits);
            format_to(name, "{}", entry);
            position = static_cast<u64>(entry) + 3;
            if (!sink.entry(name.view(), position, kind_of_entries, position)) break;
        }
        return {};
    }
    static Result<int> parse(std::string_view name) {
        const bool zero_first = name.size() > 1 && name.front() == '0';
        const auto value = take_number(name);
        if (!value || !name.empty() || zero_first || *value > INT32_MAX) return fail(Errno::kENOENT);
        return static_cast<int>(*value);
    }
    const Subject subject_;
};

class FdDirectory final : public SubjectDirectory {
public:
    FdDirectory(FileSystem& owner, const Subject& subject)
        : SubjectDirectory(owner, 0500, number_of(subject, kFd + 1), subject) {}

    Result<InodeRef> lookup(std::string_view name) override {
        const int fd = TRY(parse(name));
        const FileRef file = TRY(file_at(resources_of(*subject_.process), fd));
        const u64 at = number_of(subject_, kFd + 1, static_cast<u32>(fd) + 1);
        const u32 bits = (file->readable() ? 0500u : 0u) | (file->writable() ? 0300u : 0u);
        return make_owned<MagicLink>(subject_, file_system, bits, at, subject_, target_fd, fd);
    }
    Result<> read_directory(u64 position, DirentSink& sink) override {
        const Resources resources = resources_of(*subject_.process);
        if (!resources.files) return {};
        return read_numbers(position, sink, InodeKind::Symlink,
                            [&](int from) { return resources.files->next_open(from); });
    }
};

class EntriesDirectory final : public SubjectDirectory {
public:
    EntriesDirectory(FileSystem& owner, const Subject& subject)
        : SubjectDirectory(owner, 0555, number_of(subject, kDirectoryItself), subject) {}
    Result<InodeRef> lookup(std::string_view name) override;
    Result<> read_directory(u64 position, DirentSink& sink) override;
};

class TaskDirectory final : public SubjectDirectory {
public:
    TaskDirectory(FileSystem& owner, const Subject& subject)
        : SubjectDirectory(owner, 0555, number_of(subject, kTask + 1), subject) {}

    Result<InodeRef> lookup(std::string_view name) override {
        const Pid wanted{TRY(parse(name))};
        const auto thread = task::find_thread(wanted);
        if (!thread || &thread->process() != subject_.process.get()) return fail(Errno::kENOENT);
        const Subject subject{subject_.process, thread};
        return make_owned<EntriesDirectory>(subject, file_system, subject);
    }
    Result<> read_directory(u64 position, DirentSink& sink) override {
        return read_numbers(position, sink, InodeKind::Directory, [&](int from) {
            const auto thread = next_thread(*subject_.process, Pid{from});
            return thread ? thread->number() : -1;
        });
    }
};

Result<InodeRef> EntriesDirectory::lookup(std::string_view name) {
    if (!subject_.exists()) return fail(Errno::kENOENT);
    for (usize i = 0; i < std::size(kEntries); ++i) {
        const Entry& entry = kEntries[i];
        if (name != entry.name || (entry.where == Where::ProcessOnly && subject_.thread)) continue;
        if (i == kTask) return make_owned<TaskDirectory>(subject_, file_system, subject_);
        if (i == kFd) return make_owned<FdDirectory>(subject_, file_system, subject_);
        const u64 at = number_of(subject_, i + 1);
        if (entry.kind == InodeKind::Symlink)
            return make_owned<MagicLink>(subject_, file_system, 0777u, at, subject_, entry.target, 0);
        return make_owned<SubjectFile>(subject_, file_system, at, subject_, entry);
    }
    return fail(Errno::kENOENT);
}

Result<> EntriesDirectory::read_directory(u64 position, DirentSink& sink) {
    if (!subject_.exists()) return fail(Errno::kENOENT);
    for (u64 i = position - 2; i < std::size(kEntries); ++i) {
        if (kEntries[i].where == Where::ProcessOnly && subject_.thread) continue;
        if (!sink.entry(kEntries[i].name, number_of(subject_, i + 1), kEntries[i].kind, i + 3)) break;
    }
    return {};
}

}  // namespace

Result<InodeRef> make_process_directory(FileSystem& file_system, Subject subject) {
    return make_owned<EntriesDirectory>(subject, file_system, subject);
}

}  // namespace hd::fs::proc
