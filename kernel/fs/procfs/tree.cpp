// SPDX-License-Identifier: MIT
// The inodes of /proc, made from the tables when their names are looked up. Each holds the record of the process that it
// tells of; when that is gone from the process table, everything in an old directory is ENOENT or ESRCH, even if the number
// is in use again.
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/fs/procfs/procfs.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs::proc {

namespace {

constexpr u64 kRootNumber = 1;
constexpr u64 kFirstNumber = 256;  // positions in a directory: the table first, then number N at 256 + N (Linux)

// A number that no other node has, and the same each time: whose it is, and where the table's line is or the descriptor.
u64 inode_number(i32 id, bool of_thread, const Node& node, int fd) {
    const u64 place = fd >= 0 ? static_cast<u64>(fd) + 1 : reinterpret_cast<u64>(&node) & 0x7fff'ffff;
    return u64{static_cast<u32>(id)} << 32 | u64{of_thread} << 31 | place;
}
u64 inode_number(const Subject& subject, const Node& node, int fd = -1) {
    return inode_number(subject.id(), subject.thread != nullptr, node, fd);
}

class ProcFile final : public GeneratedInode {
public:
    ProcFile(FileSystem& owner, const Node& node, const Subject& subject)
        : GeneratedInode(owner, node.mode, inode_number(subject, node)), node_(node), subject_(subject) {}

    Result<> generate(TextSink& sink) override {
        if (!subject_.exists()) return fail(Errno::kESRCH);
        return node_.text(sink, subject_);
    }
    Result<> store(std::string_view text) override {
        // Root may open all files for writing.
        if (node_.store == nullptr) return fail(subject_.process ? Errno::kEINVAL : Errno::kEIO);
        return node_.store(text, subject_);
    }

private:
    const Node& node_;
    const Subject subject_;
};

// A link to an object, not to a path, needs no search permission along a path when it is followed, and finds deleted files.
class ProcLink final : public Inode {
public:
    ProcLink(FileSystem& owner, const Node& node, const Subject& subject, int fd)
        : Inode(owner, InodeKind::Symlink, node.mode, inode_number(subject, node, fd)),
          node_(node),
          subject_(subject),
          fd_(fd) {}

    Result<DentryRef> follow_magic() override {
        if (node_.target == nullptr) return DentryRef{};
        const task::Resources resources = resources_of(*subject_.process);
        TRY(check_inspect(resources));
        return node_.target(resources, fd_);
    }
    Result<usize> read_link(std::span<char> buffer) override {
        const DentryRef dentry = TRY(follow_magic());
        if (!dentry) {
            BufferSink sink(buffer);
            TRY(node_.text(sink, subject_));
            return sink.view().size();
        }
        std::unique_ptr<char[]> space(new (std::nothrow) char[abi::kPATH_MAX]);
        if (!space) return fail(Errno::kENOMEM);
        const DentryRef root = task::current_process().fs->root();
        const std::string_view path = TRY(path_of(*dentry, *root, {space.get(), abi::kPATH_MAX}));
        return path.copy(buffer.data(), buffer.size());
    }

private:
    const Node& node_;
    const Subject subject_;
    const int fd_;
};

class ProcDirectory final : public Inode {
public:
    ProcDirectory(FileSystem& owner, const Node& node, const Subject& subject, u64 number_in)
        : Inode(owner, InodeKind::Directory, node.mode, number_in), node_(node), subject_(subject) {
        links = 2;
    }

    void fill_stat(abi::Stat& stat) override {
        Inode::fill_stat(stat);
        if (node_.count != nullptr) stat.st_nlink += node_.count(subject_);
    }

    Result<InodeRef> lookup(std::string_view name) override {
        if (!subject_.exists()) return fail(Errno::kENOENT);
        std::string_view digits = name;
        const auto value = take_number(digits);
        const bool is_number = value && digits.empty() && *value <= INT32_MAX && (name.front() != '0' || name == "0");
        if (is_number && node_.numbers != nullptr)
            return node_.numbers->make(file_system, subject_, static_cast<int>(*value));
        for (const Node& child : node_.children)
            if (name == child.name) return make_inode(file_system, child, subject_);
        return fail(Errno::kENOENT);
    }

    Result<InodeRef> create(std::string_view, const NewNode&, const Credentials&) override {
        return fail(Errno::kENOENT);  // as Linux's /proc has it
    }

    Result<> read_directory(u64 position, DirentSink& sink) override {
        if (!subject_.exists()) return fail(Errno::kENOENT);
        for (u64 i = position - 2; i < node_.children.size(); ++i) {
            const Node& child = node_.children[i];
            if (!sink.entry(child.name, inode_number(subject_, child), child.kind, i + 3)) return {};
        }
        if (node_.numbers != nullptr) read_numbers(std::max(position, kFirstNumber), sink);
        return {};
    }

    bool cacheable() const override { return false; }

private:
    void read_numbers(u64 position, DirentSink& sink) {
        const Node& each = node_.numbers->node;
        const bool of_threads = subject_.process != nullptr;
        while (position - kFirstNumber <= INT32_MAX) {  // lseek(2) takes any position
            const int entry = node_.numbers->next(subject_, static_cast<int>(position - kFirstNumber));
            if (entry < 0) return;
            const u64 at = each.kind == InodeKind::Directory ? inode_number(entry, of_threads, each, -1)
                                                             : inode_number(subject_, each, entry);
            char digits[16];
            BufferSink name(digits);
            format_to(name, "{}", entry);
            position = kFirstNumber + static_cast<u64>(entry) + 1;
            if (!sink.entry(name.view(), at, each.kind, position)) return;
        }
    }

    const Node& node_;
    const Subject subject_;
};

class ProcSystem final : public FileSystem {
public:
    ProcSystem() : FileSystem("proc") {}
    Result<InodeRef> root() override { return mm::make_ref<ProcDirectory>(*this, kRoot, Subject{}, kRootNumber); }
    void fill_statfs(abi::Statfs& statfs) const override { statfs.f_type = abi::kPROC_SUPER_MAGIC; }
};

Result<RefPtr<FileSystem>> make(std::string_view) {
    return mm::make_ref<ProcSystem>();  // hidepid= and gid= hide things from users: there is nobody to hide from
}

Result<InodeRef> new_inode(FileSystem& file_system, const Node& node, const Subject& subject, int fd) {
    switch (node.kind) {
    case InodeKind::Directory:
        return mm::make_ref<ProcDirectory>(file_system, node, subject, inode_number(subject, node));
    case InodeKind::Symlink: return mm::make_ref<ProcLink>(file_system, node, subject, fd);
    default: return mm::make_ref<ProcFile>(file_system, node, subject);
    }
}

}  // namespace

Result<InodeRef> make_inode(FileSystem& file_system, const Node& node, const Subject& subject, int fd) {
    InodeRef inode = TRY(new_inode(file_system, node, subject, fd));
    if (subject.process) {  // busybox and procps show whom the inodes belong to as the process's owner
        const Credentials whose = resources_of(*subject.process).credentials;
        inode->uid = whose.euid;
        inode->gid = whose.egid;
    }
    return inode;
}

}  // namespace hd::fs::proc

namespace hd::fs {

void mount_procfs() {
    register_file_system({"proc", proc::make});
    mount_at_boot("proc", "/proc", abi::kMS_NOSUID | abi::kMS_NODEV | abi::kMS_NOEXEC);
}

}  // namespace hd::fs
