// SPDX-License-Identifier: MIT
// Path walk and directory operations with Linux as the oracle: the same random calls go to the host's file system and to a
// tmpfs here; every result, errno included, must be the same, and so must the trees in the end.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "tests/unit/fs_machine.hpp"

using namespace hd;
using namespace hd::test;

namespace {

// Each ".." of a path or link climbs one of these, so that no walk leaves the test's own directories.
constexpr int kNest = 64;

int host_error(long result) { return result < 0 ? errno : 0; }

class HostTree {
public:
    HostTree() {
        std::string name = std::string(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + "/heddle-oracle-XXXXXX";
        if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory");
        path_ = name;
        umask(0);
        int at = open(name.c_str(), O_RDONLY | O_DIRECTORY);
        for (int i = 0; i < kNest; ++i) {
            mkdirat(at, "j", 0755);
            const int next = openat(at, "j", O_RDONLY | O_DIRECTORY);
            close(at);
            at = next;
        }
        base = at;
    }
    ~HostTree() {
        close(base);
        std::filesystem::remove_all(path_);
    }
    int base = -1;

private:
    std::string path_;
};

class Pair {
public:
    explicit Pair(u64 seed) : random_(seed) {
        mine_ = machine_.start();
        for (int i = 0; i < kNest; ++i)
            mine_.base = fs::make_node(mine_, "j", {fs::InodeKind::Directory, 0755}).value();
    }

    void step() {
        a_ = path(), b_ = path();
        switch (pick(11)) {
        case 0:
            return same("mkdir", host_error(mkdirat(host_.base, a_.c_str(), 0755)),
                        error_of(fs::make_node(mine_, a_, {fs::InodeKind::Directory, 0755})));
        case 1: return create();
        case 2: return same("unlink", host_error(unlinkat(host_.base, a_.c_str(), 0)), error_of(fs::unlink(mine_, a_)));
        case 3:
            return same("rmdir", host_error(unlinkat(host_.base, a_.c_str(), AT_REMOVEDIR)),
                        error_of(fs::remove_directory(mine_, a_)));
        case 4:
        case 5: return rename();
        case 6:
            return same("symlink", host_error(symlinkat(b_.c_str(), host_.base, a_.c_str())),
                        error_of(fs::make_node(mine_, a_, {fs::InodeKind::Symlink, 0777, 0, b_})));
        case 7: {
            const bool follow = pick(2) == 0;
            return same(
                "link",
                host_error(linkat(host_.base, a_.c_str(), host_.base, b_.c_str(), follow ? AT_SYMLINK_FOLLOW : 0)),
                error_of(fs::link(mine_, a_, follow ? fs::FollowLast::Yes : fs::FollowLast::No, mine_, b_)));
        }
        case 8: return list();
        default: return look();
        }
    }

    void compare_trees() { compare(host_.base, mine_.base, "."); }

private:
    u64 pick(u64 below) { return random_() % below; }

    std::string path() {
        static const char* const kNames[] = {"a", "b", "c", "d", "a-name-longer-than-a-dentry-has-room-for", "f"};
        std::string text;
        int climbs = 0;
        const u64 parts = 1 + pick(4);
        for (u64 i = 0; i < parts; ++i) {
            const u64 kind = pick(16);
            if (kind == 0)
                text += ".";
            else if (kind == 1 && climbs++ == 0)
                text += "..";
            else
                text += kNames[pick(6)];
            if (i + 1 < parts) text += pick(12) == 0 ? "//" : "/";
        }
        if (pick(10) == 0) text += "/";
        if (pick(200) == 0) text += std::string(256, 'x');
        if (pick(300) == 0) text.clear();
        return text;
    }

    void same(const char* what, int host, int mine) {
        INFO(what << " '" << a_ << "' '" << b_ << "'");
        REQUIRE(host == mine);
    }

    void create() {
        b_.clear();
        u32 flags = pick(3) == 0 ? O_RDWR : O_WRONLY;
        if (pick(4) != 0) flags |= O_CREAT;
        if (pick(4) == 0) flags |= O_EXCL;
        if (pick(4) == 0) flags |= O_TRUNC;
        if (pick(4) == 0) flags |= O_NOFOLLOW;
        if (pick(8) == 0 && (flags & O_CREAT) == 0)
            flags = (flags & ~static_cast<u32>(O_ACCMODE | O_TRUNC)) | O_DIRECTORY;
        if ((flags & O_CREAT) == 0) flags &= ~static_cast<u32>(O_EXCL);
        const int fd = openat(host_.base, a_.c_str(), static_cast<int>(flags), 0644);
        const int host = host_error(fd);
        const auto mine = fs::open(mine_, a_, flags, 0644);
        INFO("flags " << std::oct << flags);
        same("open", host, error_of(mine));
        if (fd < 0) return;
        if ((flags & O_DIRECTORY) == 0) {
            const std::string text(pick(20), 'x');
            REQUIRE(write(fd, text.data(), text.size()) == static_cast<ssize_t>(write_text(**mine, text).value()));
        }
        close(fd);
    }

    void rename() {
        const u32 flags = pick(4) == 0 ? abi::kRENAME_NOREPLACE : 0;
        same("rename", host_error(syscall(SYS_renameat2, host_.base, a_.c_str(), host_.base, b_.c_str(), flags)),
             error_of(fs::rename(mine_, a_, mine_, b_, flags)));
    }

    void look() {
        b_.clear();
        const bool follow = pick(2) == 0;
        struct stat host{};
        const int error = host_error(fstatat(host_.base, a_.c_str(), &host, follow ? 0 : AT_SYMLINK_NOFOLLOW));
        const auto mine = fs::walk(mine_, a_, follow ? fs::FollowLast::Yes : fs::FollowLast::No);
        same("stat", error, error_of(mine));
        if (mine) compare_stat(host, *mine);
    }

    void compare_stat(const struct stat& host, const fs::DentryRef& mine) {
        abi::Stat stat;
        mine->inode->fill_stat(stat);
        REQUIRE((host.st_mode & S_IFMT) == (stat.st_mode & S_IFMT));
        if (mine->inode == mine_.base->inode) return;  // the host's nest lies elsewhere, but here and there it is one
        if (mine->name() != "j") REQUIRE(host.st_nlink == stat.st_nlink);
        if (!S_ISDIR(host.st_mode)) REQUIRE(host.st_size == stat.st_size);
        const auto [known, fresh] = numbers_.try_emplace(host.st_ino, stat.st_ino);
        if (!fresh && S_ISREG(host.st_mode) && host.st_nlink > 1) REQUIRE(known->second == stat.st_ino);
    }

    void list() {
        b_.clear();
        const int fd = openat(host_.base, a_.c_str(), O_RDONLY | O_DIRECTORY);
        const int error = host_error(fd);
        const auto mine = fs::open(mine_, a_, O_RDONLY | O_DIRECTORY, 0);
        same("opendir", error, error_of(mine));
        if (fd >= 0) REQUIRE(host_names(fd) == names(**mine));
    }

    static std::set<std::string> names(fs::File& directory) {
        const auto list = read_names(directory, 200 + 24);
        const std::set<std::string> all(list.begin(), list.end());
        REQUIRE(all.size() == list.size());
        return all;
    }
    static std::set<std::string> host_names(int fd) {
        std::set<std::string> all;
        DIR* stream = fdopendir(fd);
        while (const dirent* entry = readdir(stream)) all.insert(entry->d_name);
        closedir(stream);
        return all;
    }

    void compare(int host, const fs::DentryRef& mine, const std::string& where) {
        INFO(where);
        const fs::WalkStart start{machine_.root, mine, &kRootUser};
        const auto all = names(*fs::open(start, ".", O_RDONLY | O_DIRECTORY, 0).value());
        REQUIRE(host_names(openat(host, ".", O_RDONLY | O_DIRECTORY)) == all);
        for (const std::string& name : all) {
            if (name == "." || name == ".." || name == "j") continue;
            struct stat stat{};
            REQUIRE(fstatat(host, name.c_str(), &stat, AT_SYMLINK_NOFOLLOW) == 0);
            const fs::DentryRef entry = fs::walk(start, name, fs::FollowLast::No).value();
            compare_stat(stat, entry);
            char target[2][512];
            if (S_ISLNK(stat.st_mode)) {
                const auto size = static_cast<usize>(readlinkat(host, name.c_str(), target[0], 512));
                REQUIRE(entry->inode->read_link(target[1]).value() == size);
                REQUIRE(std::memcmp(target[0], target[1], size) == 0);
            }
            if (!S_ISDIR(stat.st_mode)) continue;
            const int child = openat(host, name.c_str(), O_RDONLY | O_DIRECTORY);
            compare(child, entry, where + "/" + name);
            close(child);
        }
    }

    FsMachine machine_;
    HostTree host_;
    std::mt19937_64 random_;
    fs::WalkStart mine_;
    std::string a_, b_;
    std::map<ino_t, u64> numbers_;
};

}  // namespace

TEST_CASE("random calls with paths give what Linux gives", "[fs]") {
    for (u64 seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        Pair pair(seed);
        for (int i = 0; i < 400; ++i) pair.step();
        pair.compare_trees();
    }
}
