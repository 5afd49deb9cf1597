// SPDX-License-Identifier: MIT
// The name cache and the mounts: by themselves, and under simulated CPUs that look names up while others change them.
#include <catch2/catch.hpp>

#include "tests/unit/fs_machine.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using namespace hd::test;
using fs::DentryCache;
using fs::FollowLast;
using fs::InodeKind;

TEST_CASE("names are cached once, found by one probe and dropped when unused", "[fs][dentry]") {
    FsMachine machine;
    const fs::WalkStart start = machine.start();
    REQUIRE(fs::make_node(start, "d", {InodeKind::Directory, 0755}));
    const fs::DentryRef directory = fs::walk(start, "d", FollowLast::No).value();
    CHECK(DentryCache::find(*machine.root, "d") == directory);
    CHECK(fs::walk(start, "d/../d/.", FollowLast::No).value() == directory);
    CHECK(!DentryCache::find(*directory, "d"));

    const u64 before = DentryCache::size();
    write_whole(start, "d/file", "");
    CHECK(DentryCache::size() == before + 1);
    DentryCache::drop_unused();
    CHECK(DentryCache::size() == before);  // the directory is held here
    CHECK(!DentryCache::find(*directory, "file"));
    const fs::DentryRef file = fs::walk(start, "d/file", FollowLast::No).value();
    REQUIRE(fs::rename(start, "d/file", start, "a-name-that-needs-memory-of-its-own-to-be-kept", 0));
    CHECK(file->parent() == machine.root);
    char text[100];
    CHECK(fs::path_of(*file, *machine.root, text).value() == "/a-name-that-needs-memory-of-its-own-to-be-kept");
    REQUIRE(fs::rename(start, "d", start, "e", 0));
    CHECK(fs::path_of(*directory, *machine.root, text).value() == "/e");
}

TEST_CASE("who gets no memory for a name's dentry has made no file", "[fs][dentry]") {
    FsMachine machine;
    const bool by_open = GENERATE(false, true);
    for (u64 news = 0;; ++news) {
        fake::g_news_left = news;
        const int error = by_open ? error_of(fs::open(machine.start(), "new", abi::kO_CREAT | abi::kO_WRONLY, 0644))
                                  : error_of(fs::make_node(machine.start(), "new", {InodeKind::Directory, 0755}));
        fake::g_news_left = ~u64{0};
        if (error == 0) break;
        CHECK(error == 12);
        sync::MutexGuard guard(machine.root->inode->lock);
        // An open file needs memory after its name was made.
        if (!by_open || news < 2) CHECK(error_of(machine.root->inode->lookup("new")) == 2);
    }
}

TEST_CASE("the name cache does not grow without bounds", "[fs][dentry]") {
    FsMachine machine;
    const fs::WalkStart start = machine.start();
    for (int i = 0; i < 12000; ++i)
        REQUIRE(fs::make_node(start, "n" + std::to_string(i), {InodeKind::Symlink, 0777, 0, "target"}));
    for (int i = 0; i < 12000; ++i) REQUIRE(fs::walk(start, "n" + std::to_string(i), FollowLast::No));
    CHECK(DentryCache::size() < 9000);
}

TEST_CASE("mounts are crossed in both directions", "[fs][mount]") {
    FsMachine machine;
    fs::tmpfs_init();
    const fs::WalkStart start = machine.start();
    REQUIRE(fs::make_node(start, "mnt", {InodeKind::Directory, 0755}));
    write_whole(start, "mnt/below", "");
    REQUIRE(fs::mount(start, "first", "mnt", "tmpfs", 0, "mode=711"));
    CHECK(error_of(fs::walk(start, "mnt/below", FollowLast::No)) == 2);
    write_whole(start, "mnt/above", "");
    CHECK(fs::walk(start, "mnt/..", FollowLast::No).value() == machine.root);
    REQUIRE(fs::mount(start, "second", "mnt", "tmpfs", abi::kMS_RDONLY));
    CHECK(error_of(fs::walk(start, "mnt/above", FollowLast::No)) == 2);
    CHECK(error_of(fs::open(start, "mnt/new", abi::kO_CREAT | abi::kO_WRONLY, 0644)) == 30);
    CHECK(error_of(fs::link(start, "mnt/x", FollowLast::No, start, "y")) == 2);
    CHECK(error_of(fs::rename(start, "mnt", start, "elsewhere", 0)) == 16);
    CHECK(error_of(fs::remove_directory(start, "mnt")) == 16);
    CHECK(error_of(fs::unmount(start, "mnt/..", 0)) == 22);
    REQUIRE(fs::unmount(start, "mnt", 0));

    char text[100];
    const fs::DentryRef above = fs::walk(start, "mnt/above", FollowLast::No).value();
    CHECK(fs::path_of(*above, *machine.root, text).value() == "/mnt/above");
    // A root directory holds even where the walk climbs over mounts.
    const fs::WalkStart jailed{above->parent(), above->parent(), &kRootUser};
    CHECK(fs::walk(jailed, "../../..", FollowLast::No).value() == jailed.root);
    CHECK(fs::walk(jailed, "/../above", FollowLast::No).value() == above);
    REQUIRE(fs::mount(start, "over", "mnt", "tmpfs", 0));  // nor is there a way out through what covers it
    fs::DentryRef cover = fs::walk(start, "mnt", FollowLast::No).value();
    CHECK(fs::walk(jailed, "/..", FollowLast::No).value() == cover);
    CHECK(fs::walk({jailed.root, cover, &kRootUser}, "../..", FollowLast::No).value() == cover);
    CHECK(fs::mount(start, "x", "mnt", "tmpfs", abi::kMS_REMOUNT | abi::kMS_NOATIME));
    CHECK(error_of(fs::mount(start, "x", "mnt/..", "tmpfs", abi::kMS_REMOUNT)) == 22);
    cover = nullptr;
    REQUIRE(fs::unmount(start, "mnt", 0));
    CHECK(error_of(fs::rename(start, "mnt/above", start, "here", 0)) == 18);

    CHECK(error_of(fs::unmount(start, "mnt", 0)) == 16);
    REQUIRE(fs::unmount(start, "mnt", abi::kMNT_DETACH));
    CHECK(fs::walk(start, "mnt/below", FollowLast::No));
    CHECK(fs::walk(jailed, "above", FollowLast::No).value() == above);
    fs::Credentials user{};
    user.euid = 5;
    CHECK(error_of(fs::mount({machine.root, machine.root, &user}, "x", "mnt", "tmpfs", 0)) == 1);
    CHECK(error_of(fs::mount(start, "x", "mnt", "nosuchfs", 0)) == 19);
    CHECK(error_of(fs::mount(start, "x", "mnt/below", "tmpfs", 0)) == 20);
}

namespace {

// Every cached name is in its directory, and the other way round.
void check_cache(const FsMachine& machine, const char* path) {
    const fs::WalkStart start = machine.start();
    const fs::DentryRef directory = fs::walk(start, path, FollowLast::No).value();
    for (const char* name : {"a", "b", "target", "d", "new"}) {
        const fs::DentryRef cached = DentryCache::find(*directory, name);
        sync::MutexGuard guard(directory->inode->lock);
        const auto real = directory->inode->lookup(name);
        if (cached) fake::expect(real && cached->inode == *real, "the cache has a name that the directory has not");
    }
}

// A directory that is renamed between two others while its parent is asked for, walked through, and emptied.
void build_renames(Simulation& sim) {
    auto machine = std::make_shared<FsMachine>();
    const fs::WalkStart start = machine->start();
    for (const char* name : {"one", "two", "one/d"}) fs::make_node(start, name, {InodeKind::Directory, 0755}).value();
    write_whole(start, "one/target", "");
    write_whole(start, "one/d/inside", "");
    const auto run = [&](std::function<void(const fs::WalkStart&)> body) {
        sim.spawn([=] {
            const fs::WalkStart mine = machine->start();
            for (int round = 0; round < 4; ++round) body(mine);
        });
    };
    run([](const fs::WalkStart& mine) {
        fake::expect(fs::rename(mine, "one/d", mine, "two/d", 0).has_value(), "moving there");
        fake::expect(fs::rename(mine, "two/d", mine, "one/d", 0).has_value(), "moving back");
    });
    run([](const fs::WalkStart& mine) {
        write_whole(mine, "one/new", "");
        fake::expect(fs::rename(mine, "one/new", mine, "one/target", 0).has_value(), "replacing");
    });
    run([](const fs::WalkStart& mine) {
        fake::expect(fs::walk(mine, "one/target", FollowLast::No).has_value(), "a name that is replaced was missing");
        for (const char* path : {"one/d/inside", "two/d/inside", "one/d/../d/inside"}) {
            const auto found = fs::walk(mine, path, FollowLast::No);
            if (!found) continue;
            char text[64];
            const std::string_view where = fs::path_of(**found, *mine.root, text).value();
            fake::expect(where == "/one/d/inside" || where == "/two/d/inside", "a path that never was");
        }
    });
    run([](const fs::WalkStart& mine) {
        const auto made = fs::make_node(mine, "two/b", {InodeKind::Directory, 0755});
        if (made) fake::expect(fs::remove_directory(mine, "two/b").has_value(), "removing one's own directory");
        DentryCache::drop_unused();
    });
    sim.at_end([=] {
        machine->settle();
        for (const char* path : {"one", "two", "one/d"}) check_cache(*machine, path);
        fake::expect(fs::walk(machine->start(), "one", FollowLast::No).value()->inode->links == 3, "link counts");
    });
}

// Files are made in a directory that others remove: whoever made one finds it, and no file is lost in a removed directory.
void build_removal(Simulation& sim) {
    auto machine = std::make_shared<FsMachine>();
    for (int maker = 0; maker < 2; ++maker)
        sim.spawn([=] {
            const fs::WalkStart mine = machine->start();
            const std::string name = "d/" + std::string(1, static_cast<char>('a' + maker));
            for (int round = 0; round < 4; ++round) {
                static_cast<void>(fs::make_node(mine, "d", {InodeKind::Directory, 0755}));
                if (!fs::make_node(mine, name, {InodeKind::Regular, 0644})) continue;
                fake::expect(error_of(fs::remove_directory(mine, "d")) == 39, "a directory with a file was removed");
                fake::expect(fs::unlink(mine, name).has_value(), "one's own file");
            }
        });
    sim.spawn([=] {
        for (int round = 0; round < 6; ++round) static_cast<void>(fs::remove_directory(machine->start(), "d"));
    });
    sim.at_end([=] {
        machine->settle();
        static_cast<void>(fs::remove_directory(machine->start(), "d"));
        check_cache(*machine, ".");
        fake::expect(machine->root->inode->links == 2, "link counts");
    });
}

}  // namespace

TEST_CASE("lookups, renames and evictions on several CPUs", "[fs][dentry][simulated]") {
    CHECK(simulate(300, build_renames, 1, 4) == "");
}

TEST_CASE("a directory is either removed or gets a file, never both", "[fs][dentry][simulated]") {
    CHECK(simulate(300, build_removal, 1, 4) == "");
}
