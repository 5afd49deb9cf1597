// SPDX-License-Identifier: MIT
#include "kernel/fs/tmpfs/tmpfs.hpp"

#include <boost/intrusive/set.hpp>
#include <cstring>

#include "kernel/ipc/pipe.hpp"
#include "kernel/lib/late.hpp"
#include "kernel/lib/parse.hpp"
#include "kernel/mm/cache/page_cache.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/task/memory.hpp"

namespace hd::fs {

namespace {

// ---- regular files

constexpr u64 pages_of(u64 bytes) { return (bytes + mm::kPageSize - 1) / mm::kPageSize; }

// A page cache whose pages are the file. What is not in the cache is a hole and reads as zeros.
//
// Invariant: bytes of a cached page behind the end of the file are zero; so the file can grow by moving its end.
// Locking: the inode's `lock` (rank Inode) for changes of size and contents by system calls. page() runs under an address
// space's lock and takes only the cache's own; so a shared mapping may meet a truncation, see there.
class TmpfsFile final : public Inode {
public:
    TmpfsFile(TmpfsSystem& owner, u32 mode_in, u64 number_in) : Inode(owner, InodeKind::Regular, mode_in, number_in) {}
    // memfd_create(2): with a name that leads nowhere.
    TmpfsFile(TmpfsSystem& owner, u64 number_in, std::unique_ptr<char[]> label, bool sealable)
        : Inode(owner, InodeKind::Regular, 0777, number_in),
          label_(std::move(label)),
          seals_(sealable ? 0 : abi::kF_SEAL_SEAL) {}
    ~TmpfsFile() override { system().uncharge_pages(charged_.load(std::memory_order_relaxed)); }

    // acquire pairs with the release in set_size(): who sees the size sees the pages below it.
    u64 size() const override { return size_.load(std::memory_order_acquire); }

    Result<mm::FrameRef> page(u64 index, mm::PageUse use) override {
        if (index >= pages_of(size())) return fail(Errno::kENXIO);
        if (use != mm::PageUse::Write) return pages_.find(index);
        mm::FrameRef frame = TRY(find_or_add(index));
        // A truncation may have come between: the new page then lies past the end, full of zeros, where it does no harm. It must
        // not be mapped and written to.
        if (index >= pages_of(size())) return fail(Errno::kENXIO);
        return frame;
    }

    Result<mm::FrameRef> page_for_write(u64 index) REQUIRES(lock) override { return find_or_add(index); }

    void extend(u64 wanted) REQUIRES(lock) override {
        if (wanted > size()) set_size(wanted);
    }

    Result<> check_write(u64 end) REQUIRES(lock) override {
        const bool sealed = (seals_ & (abi::kF_SEAL_WRITE | abi::kF_SEAL_FUTURE_WRITE)) != 0 ||
                            (end > size() && (seals_ & abi::kF_SEAL_GROW) != 0);
        return sealed ? fail(Errno::kEPERM) : Result<>();
    }

    Result<> truncate(u64 wanted) REQUIRES(lock) override {
        const u64 before = size();
        const u32 forbidding = wanted < before ? abi::kF_SEAL_SHRINK : wanted > before ? abi::kF_SEAL_GROW : 0;
        if ((seals_ & forbidding) != 0) return fail(Errno::kEPERM);
        set_size(wanted);
        if (wanted >= before) return {};
        if (pages_.truncate(pages_of(wanted))) task::unmap_everywhere(identity(), pages_of(wanted) * mm::kPageSize);
        const u64 left = pages_.page_count();
        system().uncharge_pages(charged_.exchange(left, std::memory_order_relaxed) - left);
        const u64 in_page = wanted % mm::kPageSize;
        if (in_page != 0)
            if (const mm::FrameRef last = pages_.find(wanted / mm::kPageSize))
                std::memset(bytes_of(*last) + in_page, 0, mm::kPageSize - in_page);
        return {};
    }

    // What it gets before memory runs out it keeps, as if it had been written.
    Result<> allocate(u64 begin, u64 end) REQUIRES(lock) override {
        for (u64 index = begin / mm::kPageSize; index < pages_of(end); ++index) TRY(find_or_add(index));
        return {};
    }

    void fill_stat(abi::Stat& stat) override {
        Inode::fill_stat(stat);
        stat.st_blocks = static_cast<i64>(charged_.load(std::memory_order_relaxed) * (mm::kPageSize / 512));
    }

    Result<u32> seals() override {
        sync::MutexGuard guard(lock);
        return seals_;
    }
    Result<> add_seals(u32 added) override {
        sync::MutexGuard guard(lock);
        if ((added & ~abi::kF_ALL_SEALS) != 0) return fail(Errno::kEINVAL);
        if ((seals_ & abi::kF_SEAL_SEAL) != 0) return fail(Errno::kEPERM);
        // Who has it mapped could go on writing. A mapping that comes meanwhile looks at the seals after it is counted.
        if ((added & ~seals_ & abi::kF_SEAL_WRITE) != 0 && writable_mappings_.load() != 0) return fail(Errno::kEBUSY);
        seals_ |= added;
        return {};
    }
    void mapped(bool writable) override { writable_mappings_ += writable ? 1 : 0; }
    void unmapped(bool writable) override { writable_mappings_ -= writable ? 1 : 0; }
    void source_path(TextSink& sink) const override {
        if (label_)
            format_to(sink, "/memfd:{} (deleted)", label_.get());
        else
            Inode::source_path(sink);
    }

private:
    TmpfsSystem& system() { return static_cast<TmpfsSystem&>(file_system); }
    void set_size(u64 size) { size_.store(size, std::memory_order_release); }

    Result<mm::FrameRef> find_or_add(u64 index) {
        if (mm::FrameRef found = pages_.find(index)) return found;
        TRY(system().charge_page());
        bool made = false;
        auto page = pages_.get_or_create(index, &made);
        if (made)
            charged_.fetch_add(1, std::memory_order_relaxed);
        else
            system().uncharge_pages(1);  // no memory, or another thread was faster
        return page;
    }

    const std::unique_ptr<char[]> label_;  // null: it has, or had, a real name
    u32 seals_ GUARDED_BY(lock) = abi::kF_SEAL_SEAL;
    std::atomic<u32> writable_mappings_{0};  // of files without a dentry
    mm::PageCache pages_;
    std::atomic<u64> size_{0};
    // Pages that the mount's limit was charged for: those in the cache, give or take what other threads are about to add.
    // Relaxed: a sum.
    std::atomic<u64> charged_{0};
};

// ---- symbolic links

// A target, which never changes.
class TmpfsSymlink final : public Inode {
public:
    TmpfsSymlink(FileSystem& owner, u64 number_in, std::unique_ptr<char[]> text, usize text_size)
        : Inode(owner, InodeKind::Symlink, 0777, number_in), text_(std::move(text)), size_(text_size) {}

    Result<usize> read_link(std::span<char> buffer) override {
        return std::string_view(text_.get(), size_).copy(buffer.data(), buffer.size());
    }
    u64 size() const override { return size_; }

private:
    const std::unique_ptr<char[]> text_;
    const usize size_;
};

Result<InodeRef> make_symlink(TmpfsSystem& system, std::string_view target) {
    std::unique_ptr<char[]> text(new (std::nothrow) char[target.size()]);
    if (!text) return fail(Errno::kENOMEM);
    target.copy(text.get(), target.size());
    return mm::make_ref<TmpfsSymlink>(system, system.next_inode_number(), std::move(text), target.size());
}

// ---- directories

// The entries stand in two trees, by name and by position. Positions only grow, so an entry keeps its own for life, and a
// reading that goes on at a position neither skips nor repeats what was there all the time (rm -r).
//
// Locking: the inode's `lock` (rank Directory) guards the trees. `count_` is atomic, since rmdir(2) decides about a directory
// whose lock it does not hold: it moves the count from 0 to kDead, while every new entry moves it up from anything but
// kDead; so either the directory is removed or the entry is made.
class TmpfsDirectory final : public Inode {
public:
    TmpfsDirectory(TmpfsSystem& owner, u32 mode_in, u64 number_in)
        : Inode(owner, InodeKind::Directory, mode_in, number_in) {
        links = 2;
    }

    // Unmounting frees a whole tree. The entries of a subdirectory that dies with this one are taken over and freed here, not
    // by recursion: the tree may be deeper than the kernel stack.
    ~TmpfsDirectory() override {
        names_.clear();
        while (!positions_.empty()) {
            Entry& entry = *positions_.begin();
            positions_.erase(positions_.begin());
            // acquire: sees what the holders of the other references, now gone, did to the directory; pairs with drop_reference().
            if (entry.inode->is_directory() && entry.inode->reference_count(std::memory_order_acquire) == 1) {
                auto& child = static_cast<TmpfsDirectory&>(*entry.inode);
                child.names_.clear();
                while (!child.positions_.empty()) {
                    Entry& taken = *child.positions_.begin();
                    child.positions_.erase(child.positions_.begin());
                    taken.position = next_position_++;
                    positions_.push_back(taken);
                }
            }
            destroy(&entry);
        }
    }

    Result<InodeRef> lookup(std::string_view name) REQUIRES(lock) override {
        const auto found = names_.find(name);
        if (found == names_.end()) return fail(Errno::kENOENT);
        return found->inode;
    }

    // The owner is `by`, the group the directory's where that says so (inode(7)).
    Result<InodeRef> create(std::string_view name, const NewNode& node, const Credentials& by) REQUIRES(lock) override {
        const bool group_of_directory = (mode & abi::kS_ISGID) != 0;
        InodeRef inode = TRY(make_inode(node));
        inode->uid = by.euid;
        inode->gid = group_of_directory ? gid.load() : by.egid;
        inode->device = node.device;
        if (group_of_directory && inode->is_directory()) inode->mode |= abi::kS_ISGID;
        TRY(add(name, inode));
        if (inode->is_directory()) ++links;  // its ".."
        return inode;
    }

    Result<> link(std::string_view name, Inode& target) REQUIRES(lock) override {
        sync::MutexGuard guard(target.lock);
        if (target.links == 0) return fail(Errno::kENOENT);  // linkat(2): the last name is gone
        TRY(add(name, InodeRef(&target)));
        ++target.links;
        target.touch_changed();
        return {};
    }

    Result<> unlink(std::string_view name, Inode& target) REQUIRES(lock) override {
        TRY(drop_link(target));
        erase(name);
        return {};
    }

    Result<> rename(std::string_view old_name, Inode& moved, Inode& new_directory, std::string_view new_name,
                    Inode* replaced) NO_THREAD_SAFETY_ANALYSIS override {
        auto& to = static_cast<TmpfsDirectory&>(new_directory);
        if (replaced == nullptr) {
            TRY(to.add(new_name, InodeRef(&moved)));
        } else {
            TRY(to.drop_link(*replaced));
            to.names_.find(new_name)->inode = InodeRef(&moved);  // the caller's dentry keeps the old one for now
            to.touch_modified();
        }
        erase(old_name);
        if (moved.is_directory()) {
            --links;
            ++to.links;
        } else {  // a directory's lock would be a third one of its rank: its ctime stays
            sync::MutexGuard guard(moved.lock);
            moved.touch_changed();
        }
        return {};
    }

    Result<> read_directory(u64 position, DirentSink& sink) REQUIRES(lock) override {
        for (auto entry = positions_.lower_bound(position); entry != positions_.end(); ++entry)
            if (!sink.entry(entry->name(), entry->inode->number, entry->inode->kind, entry->position + 1)) break;
        return {};
    }

    u64 size() const override {
        const u32 count = count_.load();
        return count == kDead ? 0 : u64{20} * (count + 2);  // as Linux's tmpfs counts: 20 bytes an entry
    }

private:
    struct Entry {
        boost::intrusive::set_member_hook<> by_name, by_position;
        u64 position = 0;
        InodeRef inode;
        usize name_size = 0;
        char name_bytes[1];  // the rest of the name follows
        std::string_view name() const { return {name_bytes, name_size}; }
    };
    struct NameOf {
        using type = std::string_view;
        std::string_view operator()(const Entry& entry) const { return entry.name(); }
    };
    struct PositionOf {
        using type = u64;
        const u64& operator()(const Entry& entry) const { return entry.position; }
    };
    template <auto Hook, class Key>
    using Tree =
        boost::intrusive::set<Entry, boost::intrusive::member_hook<Entry, boost::intrusive::set_member_hook<>, Hook>,
                              boost::intrusive::key_of_value<Key>, boost::intrusive::constant_time_size<false>>;

    static constexpr u32 kDead = ~u32{0};

    static Result<Entry*> make_entry(std::string_view name, InodeRef inode) {
        void* memory = mm::kmalloc(sizeof(Entry) + name.size());
        if (memory == nullptr) return fail(Errno::kENOMEM);
        Entry* entry = new (memory) Entry;
        entry->inode = std::move(inode);
        entry->name_size = name.size();
        std::memcpy(entry->name_bytes, name.data(), name.size());
        return entry;
    }

    static void destroy(Entry* entry) {
        entry->~Entry();
        mm::kfree(entry);
    }

    Result<InodeRef> make_inode(const NewNode& node) {
        auto& system = static_cast<TmpfsSystem&>(file_system);
        const u64 inode_number = system.next_inode_number();
        switch (node.kind) {
        case InodeKind::Regular: return mm::make_ref<TmpfsFile>(system, node.mode, inode_number);
        case InodeKind::Directory: return mm::make_ref<TmpfsDirectory>(system, node.mode, inode_number);
        case InodeKind::Symlink: return make_symlink(system, node.target);
        case InodeKind::Fifo: return mm::make_ref<ipc::PipeInode>(system, node.mode, inode_number);
        default: return mm::make_ref<Inode>(system, node.kind, node.mode, inode_number);
        }
    }

    Result<> add(std::string_view name, InodeRef inode) REQUIRES(lock) {
        Entry* entry = TRY(make_entry(name, std::move(inode)));
        u32 seen = count_.load();
        do
            if (seen == kDead) return destroy(entry), fail(Errno::kENOENT);
        while (!count_.compare_exchange_weak(seen, seen + 1));
        entry->position = next_position_++;
        names_.insert(*entry);
        positions_.push_back(*entry);
        touch_modified();
        return {};
    }

    // One name in this directory fewer leads to `target`. ENOTEMPTY.
    Result<> drop_link(Inode& target) {
        if (target.is_directory()) {
            u32 expected = 0;
            if (!static_cast<TmpfsDirectory&>(target).count_.compare_exchange_strong(expected, kDead))
                return fail(Errno::kENOTEMPTY);
            target.links = 0;
            --links;  // its ".."
        } else {
            sync::MutexGuard guard(target.lock);
            --target.links;
            target.touch_changed();
        }
        return {};
    }

    void erase(std::string_view name) REQUIRES(lock) {
        Entry& entry = *names_.find(name);
        names_.erase(names_.iterator_to(entry));
        positions_.erase(positions_.iterator_to(entry));
        --count_;
        destroy(&entry);
        touch_modified();
    }

    Tree<&Entry::by_name, NameOf> names_ GUARDED_BY(lock);
    Tree<&Entry::by_position, PositionOf> positions_ GUARDED_BY(lock);
    u64 next_position_ GUARDED_BY(lock) = 2;
    std::atomic<u32> count_{0};
};

// ---- the file system

Result<u64> parse_pages(std::string_view text) {
    const auto number = take_number(text);
    if (!number) return fail(Errno::kEINVAL);
    if (text == "%") return mm::frame_counts().total * std::min<u64>(*number, 100) / 100;
    const u32 shift = text.empty() ? 0 : text == "k" ? 10 : text == "m" ? 20 : text == "g" ? 30 : 64;
    if (shift == 64 || *number > ~u64{0} >> (shift + 1)) return fail(Errno::kEINVAL);
    return ((*number << shift) + mm::kPageSize - 1) / mm::kPageSize;
}

}  // namespace

TmpfsSystem::TmpfsSystem(const char* type_in, const Options& options)
    : FileSystem(type_in),
      options_(options),
      limit_pages_(options.limit_pages != 0 ? options.limit_pages : mm::frame_counts().total / 2) {}

Result<TmpfsSystem::Options> TmpfsSystem::parse_options(std::string_view text) {
    Options options;
    while (!text.empty()) {
        const usize comma = std::min(text.find(','), text.size());
        const std::string_view option = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const usize equals = std::min(option.find('='), option.size() - 1);
        const std::string_view name = option.substr(0, equals);
        std::string_view value = option.substr(equals + 1);
        if (name == "size") {
            options.limit_pages = TRY(parse_pages(value));
            continue;
        }
        u32* const field = name == "mode"  ? &options.mode
                           : name == "uid" ? &options.uid
                           : name == "gid" ? &options.gid
                                           : nullptr;
        const auto number = take_number(value, name == "mode" ? 8 : 10);
        if (field == nullptr || !number || !value.empty() || *number > ~u32{0}) return fail(Errno::kEINVAL);
        *field = static_cast<u32>(*number);
    }
    return options;
}

Result<RefPtr<FileSystem>> TmpfsSystem::make(std::string_view options) {
    const Options parsed = TRY(parse_options(options));
    return mm::make_ref<TmpfsSystem>("tmpfs", parsed);
}

Result<InodeRef> TmpfsSystem::root() {
    auto inode = TRY(mm::make_ref<TmpfsDirectory>(*this, options_.mode & 07777, next_inode_number()));
    inode->uid = options_.uid;
    inode->gid = options_.gid;
    return inode;
}

Result<> TmpfsSystem::charge_page() {
    if (used_pages_.fetch_add(1, std::memory_order_relaxed) < limit_pages_) return {};
    used_pages_.fetch_sub(1, std::memory_order_relaxed);
    return fail(Errno::kENOSPC);
}

void TmpfsSystem::uncharge_pages(u64 count) { used_pages_.fetch_sub(count, std::memory_order_relaxed); }

void TmpfsSystem::fill_statfs(abi::Statfs& statfs) const {
    const u64 used = used_pages_.load(std::memory_order_relaxed);
    statfs.f_type = abi::kTMPFS_MAGIC;
    statfs.f_blocks = limit_pages_;
    statfs.f_bfree = statfs.f_bavail = limit_pages_ - std::min(used, limit_pages_);
}

void TmpfsSystem::describe_options(TextSink& sink) const {
    if (options_.limit_pages != 0) format_to(sink, ",size={}k", options_.limit_pages * mm::kPageSize / 1024);
    if (options_.mode != 01777) format_to(sink, ",mode={:o}", options_.mode);
    if (options_.uid != 0) format_to(sink, ",uid={}", options_.uid);
    if (options_.gid != 0) format_to(sink, ",gid={}", options_.gid);
}

namespace {
constinit Late<TmpfsSystem> g_memory_files{};  // the home of memfds; never mounted
}

Result<FileRef> make_memory_file(std::string_view name, bool sealable, const Credentials& by) {
    std::unique_ptr<char[]> label(new (std::nothrow) char[name.size() + 1]);
    if (!label) return fail(Errno::kENOMEM);
    label[name.copy(label.get(), name.size())] = '\0';
    auto inode =
        TRY(mm::make_ref<TmpfsFile>(*g_memory_files, g_memory_files->next_inode_number(), std::move(label), sealable));
    inode->uid = by.euid;
    inode->gid = by.egid;
    inode->links = 0;
    return mm::make_ref<File>(InodeRef(inode), nullptr, abi::kO_RDWR);
}

void tmpfs_init() {
    register_file_system({"tmpfs", TmpfsSystem::make});
    g_memory_files.construct("tmpfs", TmpfsSystem::Options{});
}

}  // namespace hd::fs
