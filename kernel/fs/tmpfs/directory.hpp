// SPDX-License-Identifier: MIT
// A directory of tmpfs: its entries in two trees, by name and by position. Positions only grow, so an entry keeps its own for
// life, and a reading that goes on at a position neither skips nor repeats what was there all the time (rm -r).
//
// Locking: the inode's `lock` (rank Directory) guards the trees. `count_` is atomic, since rmdir(2) decides about a directory
// whose lock it does not hold: it moves the count from 0 to kDead, while every new entry moves it up from anything but
// kDead; so either the directory is removed or the entry is made.
#pragma once
#include <boost/intrusive/set.hpp>

#include "kernel/fs/tmpfs/tmpfs.hpp"

namespace hd::fs {

class TmpfsDirectory final : public Inode {
public:
    TmpfsDirectory(FileSystem& owner, u32 mode_in, u64 number_in)
        : Inode(owner, InodeKind::Directory, mode_in, number_in) {
        links = 2;
    }
    ~TmpfsDirectory() override;

    Result<InodeRef> lookup(std::string_view name) REQUIRES(lock) override;
    Result<InodeRef> create(std::string_view name, InodeKind kind, u32 mode, u64 device, const Credentials& by)
        REQUIRES(lock) override;
    Result<InodeRef> symlink(std::string_view name, std::string_view target, const Credentials& by)
        REQUIRES(lock) override;
    Result<> link(std::string_view name, Inode& target) REQUIRES(lock) override;
    Result<> unlink(std::string_view name, Inode& target) REQUIRES(lock) override;
    Result<> rmdir(std::string_view name, Inode& target) REQUIRES(lock) override;
    Result<> rename(std::string_view old_name, Inode& moved, Inode& new_directory, std::string_view new_name,
                    Inode* replaced) REQUIRES(lock) override;
    Result<> read_directory(u64 position, DirentSink& sink) REQUIRES(lock) override;
    u64 size() const override;

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

    static Result<Entry*> make_entry(std::string_view name, InodeRef inode);
    static void destroy(Entry* entry);
    Result<> reserve_place();
    Result<> kill_if_empty();
    Result<> add(std::string_view name, InodeRef inode) REQUIRES(lock);
    void insert(Entry& entry) REQUIRES(lock);
    InodeRef erase(std::string_view name) REQUIRES(lock);

    Tree<&Entry::by_name, NameOf> names_ GUARDED_BY(lock);
    Tree<&Entry::by_position, PositionOf> positions_ GUARDED_BY(lock);
    u64 next_position_ GUARDED_BY(lock) = 2;
    std::atomic<u32> count_{0};
};

}  // namespace hd::fs
