// SPDX-License-Identifier: MIT
// The inodes of what is always in /proc, made from the table when they are looked up, and the root, which adds processes.
#include "kernel/fs/procfs/nodes.hpp"
#include "kernel/fs/procfs/procfs.hpp"
#include "kernel/fs/vfs/path.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/mm/slab/slab.hpp"

namespace hd::fs::proc {

namespace {

constexpr u64 kRootNumber = 1;
constexpr u64 kFirstProcess =
    256;  // positions in the root directory: the table first, then a process at 256 + pid (Linux)

// A number that no other node has, and the same each time: where the node is. Processes' numbers are larger.
u64 number_of(const Node& node) { return reinterpret_cast<u64>(&node) & 0xffff'ffff; }

class NodeFile final : public GeneratedInode {
public:
    NodeFile(FileSystem& owner, const Node& node) : GeneratedInode(owner, node.mode, number_of(node)), node_(node) {}
    Result<> generate(TextSink& sink) override { return node_.generate(sink), Result<>{}; }
    Result<> store(std::string_view text) override {
        return node_.store != nullptr ? node_.store(text) : fail(Errno::kEIO);  // root may open all files for writing
    }

private:
    const Node& node_;
};

class NodeLink final : public Inode {
public:
    NodeLink(FileSystem& owner, const Node& node)
        : Inode(owner, InodeKind::Symlink, 0777, number_of(node)), node_(node) {}
    Result<usize> read_link(std::span<char> buffer) override {
        BufferSink sink(buffer);
        node_.generate(sink);
        return sink.view().size();
    }

private:
    const Node& node_;
};

class NodeDirectory : public Inode {
public:
    NodeDirectory(FileSystem& owner, u64 number_in, std::span<const Node> nodes)
        : Inode(owner, InodeKind::Directory, 0555, number_in), nodes_(nodes) {
        links = 2;
    }

    Result<InodeRef> lookup(std::string_view name) override {
        for (const Node& node : nodes_)
            if (name == node.name) return make(node);
        return fail(Errno::kENOENT);
    }
    Result<InodeRef> create(std::string_view, const NewNode&, const Credentials&) override {
        return fail(Errno::kENOENT);  // as Linux's /proc has it
    }
    Result<> read_directory(u64 position, DirentSink& sink) override { return read_nodes(position, sink), Result<>{}; }
    bool cacheable() const override { return false; }

protected:
    // False: the sink is full.
    bool read_nodes(u64 position, DirentSink& sink) {
        for (u64 i = position - 2; i < nodes_.size(); ++i)
            if (!sink.entry(nodes_[i].name, number_of(nodes_[i]), nodes_[i].kind, i + 3)) return false;
        return true;
    }

private:
    Result<InodeRef> make(const Node& node) {
        switch (node.kind) {
        case InodeKind::Directory: return mm::make_ref<NodeDirectory>(file_system, number_of(node), node.children);
        case InodeKind::Symlink: return mm::make_ref<NodeLink>(file_system, node);
        default: return mm::make_ref<NodeFile>(file_system, node);
        }
    }

    const std::span<const Node> nodes_;
};

class RootDirectory final : public NodeDirectory {
public:
    explicit RootDirectory(FileSystem& owner) : NodeDirectory(owner, kRootNumber, root_nodes()) {}

    Result<InodeRef> lookup(std::string_view name) override {
        std::string_view digits = name;
        const auto pid = take_number(digits);
        if (!pid || !digits.empty() || name.front() == '0' || *pid >= task::PidTable::kLimit)
            return NodeDirectory::lookup(name);
        // A thread's number works as well, though only processes are listed (proc(5)).
        Subject subject{task::find_process(Pid{static_cast<i32>(*pid)}), nullptr};
        if (!subject.process)
            if (const auto thread = task::find_thread(Pid{static_cast<i32>(*pid)}))
                subject.process = RefPtr<task::Process>(&thread->process());
        if (!subject.process) return fail(Errno::kENOENT);
        return make_process_directory(file_system, std::move(subject));
    }

    Result<> read_directory(u64 position, DirentSink& sink) override {
        if (position < kFirstProcess) {
            if (!read_nodes(position, sink)) return {};
            position = kFirstProcess;
        }
        // lseek(2) takes any position: behind the last number there is nobody.
        while (position - kFirstProcess < task::PidTable::kLimit) {
            const auto process = task::next_process(Pid{static_cast<i32>(position - kFirstProcess)});
            if (!process) return {};
            const u64 pid = static_cast<u64>(process->pid());
            char digits[16];
            BufferSink name(digits);
            format_to(name, "{}", pid);
            position = kFirstProcess + pid + 1;
            if (!sink.entry(name.view(), pid << 32, InodeKind::Directory, position)) break;
        }
        return {};
    }
};

class ProcSystem final : public FileSystem {
public:
    ProcSystem() : FileSystem("proc") {}
    Result<InodeRef> root() override { return mm::make_ref<RootDirectory>(*this); }
    void fill_statfs(abi::Statfs& statfs) const override { statfs.f_type = abi::kPROC_SUPER_MAGIC; }
};

Result<RefPtr<FileSystem>> make(std::string_view) {
    return mm::make_ref<ProcSystem>();  // hidepid= and gid= hide things from users: there is nobody to hide from
}

}  // namespace

}  // namespace hd::fs::proc

namespace hd::fs {

void mount_procfs() {
    register_file_system({"proc", proc::make});
    mount_at_boot("proc", "/proc", abi::kMS_NOSUID | abi::kMS_NODEV | abi::kMS_NOEXEC);
}

}  // namespace hd::fs
