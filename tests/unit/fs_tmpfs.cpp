// SPDX-License-Identifier: MIT
// tmpfs: contents of files against a plain string, directories that change while they are read, permissions, limits.
#include <catch2/catch.hpp>
#include <random>

#include "tests/unit/fs_machine.hpp"

using namespace hd;
using namespace hd::test;
using fs::FollowLast;
using fs::InodeKind;

namespace {

constexpr int kENOSPC = 28, kEACCES = 13, kEPERM = 1, kEROFS = 30, kEFBIG = 27;

fs::FileRef open_file(const FsMachine& machine, std::string_view path, u32 flags) {
    return fs::open(machine.start(), path, flags, 0644).value();
}

}  // namespace

TEST_CASE("a file is what was written to it", "[fs][tmpfs]") {
    FsMachine machine;
    auto file = open_file(machine, "file", abi::kO_RDWR | abi::kO_CREAT);
    std::string model;
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        const u64 offset = random() % 40000, size = random() % 9000;
        switch (random() % 4) {
        case 0: {  // write at a place, leaving a hole perhaps
            const std::string text(size, static_cast<char>('a' + round % 26));
            auto buffer = fs::IoBuffer::kernel(const_cast<char*>(text.data()), size);
            REQUIRE(file->write_at(buffer, offset, false).value() == size);
            if (size != 0 && model.size() < offset + size) model.resize(offset + size);
            model.replace(offset, size, text);
            break;
        }
        case 1:
            REQUIRE(fs::change_size(*file->inode, offset));
            model.resize(offset);
            break;
        default: {
            std::string text(size, '?');
            auto buffer = fs::IoBuffer::kernel(text.data(), size);
            text.resize(file->read_at(buffer, offset).value());
            REQUIRE(text == (offset < model.size() ? model.substr(offset, size) : ""));
        }
        }
        REQUIRE(file->inode->size() == model.size());
    }
}

TEST_CASE("positions, appending and the ends of files", "[fs][tmpfs]") {
    FsMachine machine;
    auto file = open_file(machine, "f", abi::kO_RDWR | abi::kO_CREAT | abi::kO_APPEND);
    auto other = open_file(machine, "f", abi::kO_WRONLY);
    CHECK(write_text(*file, "one").value() == 3);
    CHECK(write_text(*other, "O").value() == 1);
    CHECK(file->seek(0, abi::kSEEK_SET).value() == 0);
    CHECK(write_text(*file, "two").value() == 3);
    CHECK(file->seek(0, abi::kSEEK_CUR).value() == 6);
    CHECK(file->seek(-6, abi::kSEEK_END).value() == 0);
    CHECK(read_text(*file, 100).value() == "Onetwo");
    CHECK(read_text(*file, 100).value().empty());
    CHECK(error_of(file->seek(-1, abi::kSEEK_SET)) == 22);
    CHECK(error_of(file->seek(0, 9)) == 22);
    CHECK(file->seek(2, abi::kSEEK_DATA).value() == 2);
    CHECK(file->seek(2, abi::kSEEK_HOLE).value() == 6);
    CHECK(error_of(file->seek(6, abi::kSEEK_DATA)) == 6);
    CHECK(error_of(read_text(*other, 1)) == 9);
    CHECK(other->seek(static_cast<i64>(fs::kMaxFileSize), abi::kSEEK_SET));
    CHECK(error_of(write_text(*other, "x")) == kEFBIG);
    CHECK(error_of(fs::change_size(*file->inode, fs::kMaxFileSize + 1)) == kEFBIG);
    // A hole of a terabyte is only a number.
    CHECK(fs::change_size(*file->inode, u64{1} << 40));
    CHECK(other->seek((i64{1} << 40) - 1, abi::kSEEK_SET));
    CHECK(write_text(*other, "end").value() == 3);
    abi::Stat stat;
    file->inode->fill_stat(stat);
    CHECK(stat.st_blocks == 3 * 8);
}

TEST_CASE("readv and writev move pieces in order", "[fs][tmpfs]") {
    FsMachine machine;
    auto file = open_file(machine, "f", abi::kO_RDWR | abi::kO_CREAT);
    CHECK(write_text(*file, "0123456789").value() == 10);
    // User memory is not mapped here: the second half faults, what came before counts.
    const abi::IoVec nothing[] = {{0, 0}, {0x1000, 4}};
    auto faulting = fs::IoBuffer::vector(nothing, 4);
    CHECK(error_of(file->read_at(faulting, 0)) == 14);
    auto bad = fs::IoBuffer::user(0x1000, 4096);
    CHECK(error_of(file->write_at(bad, 8, false)) == 14);
    CHECK(read_whole(machine.start(), "f") == "0123456789");
    CHECK(fs::change_size(*file->inode, 4096));
    CHECK(read_whole(machine.start(), "f") == "0123456789" + std::string(4086, '\0'));
}

TEST_CASE("what is removed while a directory is read does not hide the rest", "[fs][tmpfs]") {
    FsMachine machine;
    const fs::WalkStart start = machine.start();
    std::set<std::string> expected;
    for (int i = 0; i < 500; ++i) {
        const std::string name = "file" + std::to_string(i);
        write_whole(start, name, "");
        expected.insert(name);
    }
    auto directory = open_file(machine, ".", abi::kO_RDONLY | abi::kO_DIRECTORY);
    std::multiset<std::string> seen;
    for (int round = 0;; ++round) {
        char records[300];
        auto buffer = fs::IoBuffer::kernel(records, sizeof records);
        const u64 got = directory->read_entries(buffer).value();
        if (got == 0) break;
        for (u64 at = 0; at < got;) {
            u16 length;
            std::memcpy(&length, records + at + 16, sizeof length);
            const std::string name = records + at + 19;
            at += length;
            if (name.starts_with('.')) continue;
            seen.insert(name);
            if (name.starts_with("file")) REQUIRE(fs::unlink(start, name));
        }
        write_whole(start, "new" + std::to_string(round % 3), "");
        if (round % 3 == 2)
            for (int i = 0; i < 3; ++i) REQUIRE(fs::unlink(start, "new" + std::to_string(i)));
    }
    for (const std::string& name : expected) REQUIRE(seen.count(name) == 1);
    CHECK(directory->seek(0, abi::kSEEK_SET).value() == 0);
    for (const std::string& name : read_names(*directory, 4096)) CHECK(!name.starts_with("file"));
    // A buffer for not even one entry.
    CHECK(directory->seek(0, abi::kSEEK_SET).value() == 0);
    char tiny[8];
    auto buffer = fs::IoBuffer::kernel(tiny, sizeof tiny);
    CHECK(error_of(directory->read_entries(buffer)) == 22);
}

TEST_CASE("an unlinked file lives on while it is open", "[fs][tmpfs]") {
    FsMachine machine;
    const fs::WalkStart start = machine.start();
    auto file = open_file(machine, "f", abi::kO_RDWR | abi::kO_CREAT);
    CHECK(write_text(*file, "still here").value() == 10);
    char text[64];
    CHECK(fs::path_of(*file->dentry, *machine.root, text).value() == "/f");
    REQUIRE(fs::unlink(start, "f"));
    CHECK(fs::path_of(*file->dentry, *machine.root, text).value() == "/f (deleted)");
    write_whole(start, "f", "another");
    CHECK(file->seek(0, abi::kSEEK_SET).value() == 0);
    CHECK(read_text(*file, 100).value() == "still here");
    CHECK(file->inode->links == 0);

    // So does a directory, but nothing can be made in it.
    REQUIRE(fs::make_node(start, "dir", {InodeKind::Directory, 0755}));
    fs::WalkStart inside = start;
    inside.base = fs::walk(start, "dir", FollowLast::No).value();
    REQUIRE(fs::remove_directory(start, "dir"));
    CHECK(error_of(fs::open(inside, "x", abi::kO_CREAT | abi::kO_WRONLY, 0644)) == 2);
    CHECK(error_of(fs::make_node(inside, "x", {InodeKind::Symlink, 0777, 0, "target"})) == 2);
    CHECK(error_of(fs::link(start, "f", FollowLast::No, inside, "x")) == 2);
    CHECK(error_of(fs::rename(start, "f", inside, "x", 0)) == 2);
    CHECK(fs::walk(inside, "../f", FollowLast::No));
}

TEST_CASE("a tmpfs is as large as its mount says, and gives everything back", "[fs][tmpfs]") {
    FsMachine machine;
    const u64 before = mm::frame_counts().free;
    machine.root = make_tree("size=64k,mode=700");
    const fs::WalkStart start = machine.start();
    auto file = open_file(machine, "f", abi::kO_RDWR | abi::kO_CREAT);
    CHECK(write_text(*file, std::string(100'000, 'x')).value() == 65536);
    CHECK(error_of(write_text(*file, "y")) == kENOSPC);
    abi::Statfs statfs;
    fs::fill_statfs(*machine.root, statfs);
    CHECK(statfs.f_type == 0x01021994);
    CHECK(statfs.f_blocks == 16);
    CHECK(statfs.f_bfree == 0);
    REQUIRE(fs::change_size(*file->inode, 1));
    fs::fill_statfs(*machine.root, statfs);
    CHECK(statfs.f_bfree == 15);
    // A mapping that touches a hole is charged too.
    REQUIRE(fs::change_size(*file->inode, u64{1} << 20));
    for (u64 page = 1; page < 16; ++page) REQUIRE(file->inode->page(page, mm::PageUse::Write));
    CHECK(error_of(file->inode->page(16, mm::PageUse::Write)) == kENOSPC);
    CHECK(!file->inode->page(16, mm::PageUse::Read).value());
    CHECK(error_of(file->inode->page(256, mm::PageUse::Read)) == 6);
    REQUIRE(fs::unlink(start, "f"));
    file = nullptr;
    fs::fill_statfs(*machine.root, statfs);
    CHECK(statfs.f_bfree == 16);
    machine.root = nullptr;
    fs::DentryCache::drop_unused();
    CHECK(machine.frames_lost() == 0);
    CHECK(mm::frame_counts().free <= before);

    for (const char* bad : {"size=", "size=5x", "mode=9", "nonsense", "uid=99999999999", "size=99999999999999g", ","})
        CHECK(error_of(fs::TmpfsSystem::make(bad)) == 22);
}

TEST_CASE("deep trees and removed chains are freed without recursion", "[fs][tmpfs]") {
    FsMachine machine;
    fs::WalkStart start = machine.start();
    for (int i = 0; i < 20000; ++i) start.base = fs::make_node(start, "d", {InodeKind::Directory, 0755}).value();
    CHECK(error_of(fs::path_of(*start.base, *machine.root, {})) == 36);
    SECTION("unmounted") {}
    SECTION("moved, but not into themselves") {
        REQUIRE(fs::make_node(machine.start(), "other", {InodeKind::Directory, 0755}));
        CHECK(error_of(fs::rename(machine.start(), "d", start, "x", 0)) == 22);
        CHECK(error_of(fs::rename(start, "../d", machine.start(), "d", 0)) == 39);
        CHECK(fs::rename(machine.start(), "d", machine.start(), "other/d", 0));
    }
    SECTION("removed from below") {
        while (start.base != machine.root) {
            const fs::WalkStart above{machine.root, start.base->parent(), &kRootUser};
            if (start.base->parent() == machine.root) break;
            REQUIRE(fs::remove_directory(above, "d"));
            // The dentry is kept by its child alone: a chain of 20,000.
            start.base = above.base;
        }
    }
}

TEST_CASE("a truncation takes pages that somebody refers to out of the mappings", "[fs][tmpfs]") {
    FsMachine machine;
    auto file = open_file(machine, "file", abi::kO_RDWR | abi::kO_CREAT);
    REQUIRE(fs::change_size(*file->inode, 3 * mm::kPageSize));
    fake::g_unmapped_from = 0;
    {
        const auto mapped = file->inode->page(2, mm::PageUse::Write).value();
        REQUIRE(fs::change_size(*file->inode, mm::kPageSize + 1));
        CHECK(fake::g_unmapped_from == 2 * mm::kPageSize);
    }
    CHECK(file->inode->page(1, mm::PageUse::Write));
    fake::g_unmapped_from = 0;
    REQUIRE(fs::change_size(*file->inode, 0));
    CHECK(fake::g_unmapped_from == 0);  // nobody else had that one
}

TEST_CASE("permissions are those of path_resolution(7)", "[fs][tmpfs]") {
    FsMachine machine;
    fs::Credentials user{};
    user.uid = user.euid = user.suid = 1000;
    user.gid = user.egid = user.sgid = 100;
    user.groups[0] = 7;
    user.group_count = 1;
    const fs::WalkStart root = machine.start(), mine{machine.root, machine.root, &user};
    const auto mkdir = [&](const char* path, u32 mode) {
        REQUIRE(fs::make_node(root, path, {InodeKind::Directory, mode}));
        REQUIRE(fs::change_mode(*fs::walk(root, path, FollowLast::No).value()->inode, mode, kRootUser));
    };
    const auto inode = [&](const char* path) { return fs::walk(root, path, FollowLast::No).value()->inode; };

    mkdir("closed", 0700);
    write_whole(root, "closed/f", "");
    CHECK(error_of(fs::walk(mine, "closed/f", FollowLast::No)) == kEACCES);
    CHECK(error_of(fs::open(mine, "new", abi::kO_CREAT | abi::kO_WRONLY, 0644)) == kEACCES);
    CHECK(error_of(fs::open(mine, "closed", abi::kO_RDONLY, 0)) == kEACCES);

    mkdir("tmp", 01777);
    write_whole(root, "tmp/roots", "");
    write_whole(mine, "tmp/own", "text");
    CHECK(inode("tmp/own")->uid == 1000);
    CHECK(inode("tmp/own")->gid == 100);
    CHECK(error_of(fs::unlink(mine, "tmp/roots")) == kEPERM);
    CHECK(error_of(fs::rename(mine, "tmp/own", mine, "tmp/roots", 0)) == kEPERM);
    CHECK(error_of(fs::open(mine, "tmp/roots", abi::kO_WRONLY, 0)) == kEACCES);
    CHECK(fs::open(mine, "tmp/roots", abi::kO_RDONLY, 0));
    CHECK(error_of(fs::open(mine, "tmp/roots", abi::kO_RDONLY | abi::kO_TRUNC, 0)) == kEACCES);
    CHECK(error_of(fs::make_node(mine, "tmp/null", {InodeKind::CharacterDevice, 0666, 0x103})) == kEPERM);

    CHECK(error_of(fs::change_mode(*inode("tmp/roots"), 0777, user)) == kEPERM);
    CHECK(error_of(fs::change_owner(*inode("tmp/own"), 0, ~u32{0}, user)) == kEPERM);
    CHECK(error_of(fs::change_owner(*inode("tmp/own"), ~u32{0}, 8, user)) == kEPERM);
    REQUIRE(fs::change_mode(*inode("tmp/own"), 06755, user));
    CHECK(inode("tmp/own")->mode == 06755);
    REQUIRE(fs::change_owner(*inode("tmp/own"), ~u32{0}, 7, user));
    CHECK(inode("tmp/own")->gid == 7);
    CHECK(inode("tmp/own")->mode == 0755);
    CHECK(error_of(fs::change_times(*inode("tmp/roots"), {1, 0}, {1, 0}, user)) == kEPERM);
    CHECK(error_of(fs::change_times(*inode("tmp/roots"), {0, abi::kUTIME_NOW}, {0, abi::kUTIME_NOW}, user)) == kEACCES);
    REQUIRE(fs::change_times(*inode("tmp/own"), {5, 6}, {0, abi::kUTIME_OMIT}, user));
    abi::Stat stat;
    inode("tmp/own")->fill_stat(stat);
    CHECK(stat.st_atim == abi::Timespec{5, 6});
    CHECK(error_of(fs::change_times(*inode("tmp/own"), {5, -1}, {5, 0}, user)) == 22);

    // The creator may write what its mode forbids; everybody needs an x bit to execute, even root.
    auto file = fs::open(mine, "tmp/readonly", abi::kO_CREAT | abi::kO_RDWR, 0400).value();
    CHECK(write_text(*file, "x").value() == 1);
    CHECK(error_of(fs::open(mine, "tmp/readonly", abi::kO_WRONLY, 0)) == kEACCES);
    CHECK(error_of(inode("tmp/readonly")->check_access(kRootUser, fs::kMayExecute)) == kEACCES);
    CHECK(inode("closed")->check_access(kRootUser, fs::kMayExecute));

    mkdir("shared", 02777);
    REQUIRE(fs::change_owner(*inode("shared"), 0, 55, kRootUser));
    REQUIRE(fs::make_node(mine, "shared/sub", {InodeKind::Directory, 0755}));
    CHECK(inode("shared/sub")->gid == 55);
    CHECK(inode("shared/sub")->mode == 02755);

    machine.root->inode->file_system.flags = abi::kMS_RDONLY | abi::kMS_NOEXEC;
    CHECK(error_of(fs::unlink(root, "tmp/own")) == kEROFS);
    CHECK(error_of(fs::open(root, "tmp/own", abi::kO_RDWR, 0)) == kEROFS);
    CHECK(error_of(fs::change_mode(*inode("tmp/own"), 0, kRootUser)) == kEROFS);
    CHECK(error_of(inode("tmp/own")->check_access(kRootUser, fs::kMayExecute)) == kEACCES);
}

TEST_CASE("times move when they should", "[fs][tmpfs]") {
    FsMachine machine;
    const fs::WalkStart start = machine.start();
    const auto now = [&] {
        fake::advance_clock(milliseconds(1));
        return fs::current_time();
    };
    abi::Stat stat;
    const auto look = [&](const char* path) {
        fs::walk(start, path, FollowLast::No).value()->inode->fill_stat(stat);
        return stat;
    };
    REQUIRE(fs::make_node(start, "d", {InodeKind::Directory, 0755}));
    auto before = now();
    write_whole(start, "d/f", "text");
    CHECK(look("d").st_mtim == before);
    CHECK(look("d/f").st_mtim == before);
    auto linked = now();
    REQUIRE(fs::link(start, "d/f", FollowLast::No, start, "g"));
    CHECK(look("g").st_ctim == linked);
    CHECK(look("g").st_mtim == before);
    auto read = now();
    CHECK(read_whole(start, "g") == "text");
    CHECK(look("g").st_atim == read);
    now();
    CHECK(read_whole(start, "g") == "text");
    CHECK(look("g").st_atim == read);  // not again before the next change
    auto removed = now();
    REQUIRE(fs::unlink(start, "d/f"));
    CHECK(look("d").st_mtim == removed);
    CHECK(look("g").st_ctim == removed);
    CHECK(look("g").st_mtim == before);
}
