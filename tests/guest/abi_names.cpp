// SPDX-License-Identifier: MIT
// Names and attributes: folders, renames, links, times, modes, and who may do what.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- files: names --------------------------------------------------------------------------------------------------

namespace {

struct Entry {
    std::uint64_t number;
    std::int64_t next;
    unsigned char type;
    std::string name;
};

// One getdents64(2) with a buffer of that size. Each record is checked for its form.
std::vector<Entry> entries(int fd, std::size_t size) {
    std::vector<char> buffer(size);
    const long got = syscall(SYS_getdents64, fd, buffer.data(), size);
    REQUIRE(got >= 0);
    std::vector<Entry> list;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
        Entry entry;
        std::uint16_t length;
        std::memcpy(&entry.number, &buffer[at], 8);
        std::memcpy(&entry.next, &buffer[at + 8], 8);
        std::memcpy(&length, &buffer[at + 16], 2);
        entry.type = static_cast<unsigned char>(buffer[at + 18]);
        entry.name = &buffer[at + 19];
        REQUIRE(length % 8 == 0);
        REQUIRE(length > 19 + entry.name.size());
        list.push_back(entry);
        at += length;
    }
    return list;
}

std::multiset<std::string> names(int fd, std::size_t size) {
    std::multiset<std::string> result;
    for (;;) {
        const std::vector<Entry> some = entries(fd, size);
        if (some.empty()) return result;
        for (const Entry& entry : some) result.insert(entry.name);
    }
}

}  // namespace

TEST_CASE("getdents64: small buffers, going back, and what an entry tells") {
    const Scratch scratch;
    std::multiset<std::string> expected{".", ".."};
    for (const char* const name : {"a", "b", "cc", "dd"}) {
        close(make_file(name));
        expected.insert(name);
    }
    REQUIRE(mkdir("dir", 0755) == 0);
    REQUIRE(mkfifo("ff", 0600) == 0);
    REQUIRE(symlink("a", "ln") == 0);
    expected.insert({"dir", "ff", "ln"});
    const Opened folder(open(".", O_RDONLY | O_DIRECTORY));
    char tiny[23];
    CHECK(error(SYS_getdents64, int{folder}, tiny, sizeof tiny) == EINVAL);  // "." takes 24
    CHECK(names(folder, 24) == expected);                                    // one entry at a time
    CHECK(names(folder, 24).empty());
    REQUIRE(lseek(folder, 0, SEEK_SET) == 0);
    CHECK(names(folder, 70) == expected);
    close(make_file("new"));
    expected.insert("new");
    REQUIRE(lseek(folder, 0, SEEK_SET) == 0);
    CHECK(names(folder, 4096) == expected);

    REQUIRE(lseek(folder, 0, SEEK_SET) == 0);
    const std::vector<Entry> all = entries(folder, 4096);
    REQUIRE(all.size() == expected.size());
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {  // d_off is where the next one begins
        REQUIRE(lseek(folder, all[i].next, SEEK_SET) == all[i].next);
        CHECK(entries(folder, 4096).front().name == all[i + 1].name);
    }
    for (const Entry& entry : all) {
        CAPTURE(entry.name);
        const struct stat status = status_of(entry.name.c_str());
        CHECK(entry.number == status.st_ino);
        CHECK((entry.type == DT_UNKNOWN || entry.type == IFTODT(status.st_mode)));
    }
    const std::string long_name(255, 'n');
    close(make_file(long_name.c_str()));
    REQUIRE(lseek(folder, 0, SEEK_SET) == 0);
    CHECK(names(folder, 280).count(long_name) == 1);
}

TEST_CASE("rename: itself, other names of itself, empty and full folders, links") {
    const Scratch scratch;
    close(make_file("f", "F"));
    REQUIRE(link("f", "same") == 0);
    CHECK(rename("f", "f") == 0);
    CHECK(rename("f", "same") == 0);  // two names of one file: nothing happens
    CHECK(status_of("f").st_nlink == 2);
    CHECK(status_of("same").st_ino == status_of("f").st_ino);

    REQUIRE(mkdir("full", 0755) == 0);
    REQUIRE(mkdir("full/sub", 0755) == 0);
    REQUIRE(mkdir("empty", 0755) == 0);
    CHECK(rename("empty", "full") == -1);
    CHECK((errno == ENOTEMPTY || errno == EEXIST));
    const ino_t full = status_of("full").st_ino;
    const Opened replaced(open("empty", O_RDONLY));
    CHECK(rename("full", "empty") == 0);
    CHECK(status_of("empty").st_ino == full);
    CHECK(access("empty/sub", F_OK) == 0);
    CHECK(fails(openat(replaced, "x", O_CREAT | O_WRONLY, 0644), ENOENT));  // what was there is removed
    CHECK(rename("empty/", "full/") == 0);                                  // of folders the slashes mean nothing
    CHECK(fails(rename("f", "x/"), ENOTDIR));
    CHECK(fails(rename("f/", "x"), ENOTDIR));
    CHECK(fails(rename("full/sub/.", "x"), EBUSY));
    CHECK(fails(rename("f", "full/.."), EBUSY));
    CHECK(fails(rename("full", "full/sub/x"), EINVAL));
    CHECK(fails(rename("f", "f/x"), ENOTDIR));
    CHECK(fails(rename("f", "nothing/x"), ENOENT));
    CHECK(fails(rename("f", std::string(256, 'n').c_str()), ENAMETOOLONG));
    CHECK(fails(rename("", "x"), ENOENT));
    CHECK(fails(rename("f", ""), ENOENT));

    REQUIRE(mkdir("home", 0755) == 0);
    CHECK(rename("full/sub", "home/sub") == 0);
    CHECK(status_of("home/sub/..").st_ino == status_of("home").st_ino);

    // A symbolic link is what is moved, and what is replaced; not what it leads to.
    REQUIRE(symlink("home", "link") == 0);
    REQUIRE(symlink("f", "other") == 0);
    CHECK(rename("link", "moved") == 0);
    CHECK(S_ISLNK(status_of("moved").st_mode));
    const Opened open_file(open("same", O_RDONLY));
    CHECK(rename("same", "other") == 0);
    CHECK(S_ISREG(status_of("other").st_mode));
    CHECK(content(open_file) == "F");
    close(make_file("busy"));
    CHECK(error(SYS_renameat2, AT_FDCWD, "busy", AT_FDCWD, "f", 1) == EEXIST);  // RENAME_NOREPLACE
    CHECK(error(SYS_renameat2, AT_FDCWD, "busy", AT_FDCWD, "free", 1) == 0);
    const struct stat here = status_of("."), there = status_of("/dev/shm");
    if (here.st_dev != there.st_dev) {
        CHECK(fails(rename("free", "/dev/shm/abi_test"), EXDEV));
        CHECK(fails(link("free", "/dev/shm/abi_test"), EXDEV));
    }
}

TEST_CASE("link, symlink, readlink") {
    const Scratch scratch;
    close(make_file("f"));
    REQUIRE(mkdir("d", 0755) == 0);
    REQUIRE(symlink("f", "link") == 0);
    CHECK(link("link", "hard") == 0);  // to the link itself
    CHECK(S_ISLNK(status_of("hard").st_mode));
    CHECK(status_of("link").st_nlink == 2);
    CHECK(linkat(AT_FDCWD, "link", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW) == 0);
    CHECK(status_of("followed").st_ino == status_of("f").st_ino);
    CHECK(fails(link("nothing", "x"), ENOENT));
    CHECK(fails(link("f", "nothing/x"), ENOENT));
    CHECK(fails(link("f", "f/x"), ENOTDIR));
    CHECK(fails(link("f/", "x"), ENOTDIR));
    CHECK(fails(link("f", "d"), EEXIST));
    CHECK(fails(link("f", std::string(256, 'n').c_str()), ENAMETOOLONG));
    CHECK(error(SYS_linkat, AT_FDCWD, "f", AT_FDCWD, "x", 1) == EINVAL);

    CHECK(fails(symlink("x", "nothing/y"), ENOENT));
    CHECK(fails(symlink("x", "f/y"), ENOTDIR));
    CHECK(fails(symlink("x", ""), ENOENT));
    CHECK(fails(symlink("x", "link"), EEXIST));
    CHECK(fails(symlink(std::string(4096, 't').c_str(), "y"), ENAMETOOLONG));
    const std::string longest(4095, 't');
    REQUIRE(symlink(longest.c_str(), "long") == 0);
    CHECK(status_of("long").st_size == 4095);
    char text[5000];
    CHECK(readlink("long", text, sizeof text) == 4095);
    std::memset(text, '#', sizeof text);
    CHECK(readlink("long", text, 3) == 3);  // cut off, and no NUL behind it
    CHECK(std::string(text, 4) == "ttt#");
    CHECK(fails(readlink("d", text, sizeof text), EINVAL));
    CHECK(fails(readlink("f/x", text, sizeof text), ENOTDIR));
    CHECK(fails(readlink("", text, sizeof text), ENOENT));
    CHECK(fails(open("long", O_RDONLY), ENAMETOOLONG));

    // Forty links on the way are allowed (path_resolution(7)).
    REQUIRE(symlink("f", "l1") == 0);
    for (int i = 2; i <= 41; ++i)
        REQUIRE(symlink(("l" + std::to_string(i - 1)).c_str(), ("l" + std::to_string(i)).c_str()) == 0);
    CHECK(Opened(open("l40", O_RDONLY)) >= 0);
    CHECK(fails(open("l41", O_RDONLY), ELOOP));
    CHECK(fails(access("l41", F_OK), ELOOP));
    CHECK(unlink("l41") == 0);
    REQUIRE(symlink("../d/../link", "d/up") == 0);
    CHECK(Opened(open("d/up", O_RDONLY)) >= 0);
    CHECK(fails(open("d/up/", O_RDONLY), ENOTDIR));
    CHECK(fails(rmdir("link"), ENOTDIR));
    CHECK(fails(rmdir("hard/"), ENOTDIR));
}

TEST_CASE("utimensat: now, left out, links, descriptors, and who may") {
    const Scratch scratch;
    const Opened file(make_file("f", "", 0644));
    REQUIRE(symlink("f", "link") == 0);
    const auto same = [](const timespec& a, const timespec& b) {
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
    };
    const timespec both[] = {{1000, 1}, {2000, 2}}, first[] = {{3000, 3}, {9, UTIME_OMIT}},
                   second[] = {{9, UTIME_OMIT}, {9, UTIME_NOW}}, none[] = {{9, UTIME_OMIT}, {9, UTIME_OMIT}},
                   now[] = {{9, UTIME_NOW}, {9, UTIME_NOW}}, wrong[] = {{0, -1}, {0, 0}};
    REQUIRE(utimensat(AT_FDCWD, "link", both, 0) == 0);
    CHECK(same(status_of("f").st_atim, both[0]));
    CHECK(same(status_of("f").st_mtim, both[1]));
    CHECK(status_of("f").st_ctim.tv_sec > 1'500'000'000);
    REQUIRE(utimensat(AT_FDCWD, "f", first, 0) == 0);
    CHECK(same(status_of("f").st_atim, first[0]));
    CHECK(same(status_of("f").st_mtim, both[1]));
    REQUIRE(futimens(file, second) == 0);
    CHECK(same(status_of("f").st_atim, first[0]));
    CHECK(status_of("f").st_mtim.tv_sec > 1'500'000'000);
    REQUIRE(utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(same(status_of("link").st_mtim, both[1]));
    CHECK(status_of("f").st_mtim.tv_sec > 1'500'000'000);
    REQUIRE(utimensat(AT_FDCWD, "f", nullptr, 0) == 0);
    CHECK(status_of("f").st_atim.tv_sec > 1'500'000'000);
    CHECK(error(SYS_utimensat, AT_FDCWD, "nothing", none, 0) == 0);  // nothing to do, nobody to do it to
    CHECK(error(SYS_utimensat, AT_FDCWD, "f", wrong, 0) == EINVAL);
    CHECK(error(SYS_utimensat, AT_FDCWD, "f", both, 1) == EINVAL);
    CHECK(error(SYS_utimensat, AT_FDCWD, nullptr, both, 0) == EFAULT);
    CHECK(error(SYS_utimensat, int{file}, nullptr, both, AT_SYMLINK_NOFOLLOW) == EINVAL);
    CHECK(error(SYS_utimensat, AT_FDCWD, "", both, 0) == ENOENT);

    close(make_file("writable", "", 0666));
    close(make_file("own", "", 0, is_root() ? kNobody : geteuid()));
    CHECK(exit_of_user(kNobody, [&] {
              const auto try_it = [](const char* name, const timespec* times) {
                  return error(SYS_utimensat, AT_FDCWD, name, times, 0);
              };
              return first_wrong({try_it("f", nullptr) == EACCES, try_it("f", now) == EACCES,
                                  try_it("f", both) == EPERM, try_it("f", second) == EPERM, try_it("f", none) == 0,
                                  try_it("writable", nullptr) == 0, try_it("writable", now) == 0,
                                  try_it("writable", both) == EPERM, try_it("own", both) == 0,
                                  try_it("own", nullptr) == 0});
          }) == 0);
}

// ---- files: who may ------------------------------------------------------------------------------------------------

TEST_CASE("umask, and the modes of what is made") {
    const Scratch scratch;
    CHECK(umask(0121) == 022);
    CHECK(umask(07777) == 0121);
    CHECK(umask(0121) == 0777);  // there are no other bits
    REQUIRE(mkdir("d", 01777) == 0);
    REQUIRE(mkfifo("fifo", 0666) == 0);
    REQUIRE(mknod("node", S_IFREG | 0777, 0) == 0);
    close(open("f", O_CREAT | O_WRONLY, 06777));
    CHECK(mode_of("d") == 01656);
    CHECK(mode_of("fifo") == 0646);
    CHECK(mode_of("node") == 0656);
    CHECK(S_ISREG(status_of("node").st_mode));
    CHECK((mode_of("f") & 0777) == 0656);
    REQUIRE(symlink("f", "link") == 0);
    CHECK(mode_of("link") == 0777);
    CHECK(child_exit([] { return umask(0) == 0121 && umask(0) == 0 ? 0 : 1; }) == 0);
    CHECK(umask(022) == 0121);  // the child's is its own
    if (!is_root()) return;
    // A folder with the set-group-ID bit hands its group on, and the bit to folders.
    REQUIRE(mkdir("shared", 0755) == 0);
    REQUIRE(chown("shared", 0, 4711) == 0);
    REQUIRE(chmod("shared", 02777) == 0);
    REQUIRE(mkdir("shared/d", 0755) == 0);
    close(make_file("shared/f", "", 0644, 0, static_cast<gid_t>(-1)));
    CHECK(status_of("shared/d").st_gid == 4711);
    CHECK((mode_of("shared/d") & S_ISGID) != 0);
    CHECK(status_of("shared/f").st_gid == 4711);
}

TEST_CASE("permission bits: the first class that fits decides, and folders guard what is in them") {
    if (!is_root()) return;
    const Scratch scratch;
    close(make_file("own", "", 0077, kNobody, 0));
    close(make_file("group", "", 0060, 0, 4711));
    close(make_file("not_group", "", 0606, 0, 4711));
    close(make_file("others", "", 0006));
    close(make_file("private", "", 0600));
    for (const auto& [name, mode] : std::map<const char*, mode_t>{
             {"no_search", 0776}, {"no_list", 0773}, {"no_write", 0775}, {"free", 0777}, {"sticky", 01777}}) {
        REQUIRE(mkdir(name, 0755) == 0);
        close(make_file((std::string(name) + "/f").c_str()));
        close(make_file((std::string(name) + "/mine").c_str(), "", 0644, kNobody));
        REQUIRE(chmod(name, mode) == 0);
    }
    const auto opens = [](const char* name, int flags = O_RDONLY) {
        const int fd = open(name, flags, 0644);
        if (fd >= 0) close(fd);
        return fd >= 0;
    };
    CHECK(exit_of_user(kNobody,
                       [&] {
                           return first_wrong({
                               !opens("own"),
                               opens("group", O_RDWR),
                               !opens("not_group"),
                               opens("others", O_RDWR),
                               fails(access("own", R_OK), EACCES),
                               access("group", R_OK | W_OK) == 0,
                               fails(access("group", X_OK), EACCES),
                               fails(open("no_search/f", O_RDONLY), EACCES),
                               opens("no_search", O_RDONLY | O_DIRECTORY),
                               fails(chdir("no_search"), EACCES),
                               fails(access("no_search/nothing", F_OK), EACCES),
                               opens("no_list/f"),
                               fails(open("no_list", O_RDONLY), EACCES),
                               fails(open("no_write/new", O_CREAT | O_WRONLY, 0644), EACCES),
                               fails(unlink("no_write/mine"), EACCES),
                               fails(rename("no_write/mine", "no_write/x"), EACCES),
                               opens("no_write/mine", O_RDWR),
                               fails(mkdir("no_write/f", 0755), EEXIST),
                               unlink("free/f") == 0,
                               fails(unlink("sticky/f"), EPERM),
                               fails(rename("sticky/mine", "sticky/f"), EPERM),
                               rename("sticky/mine", "sticky/x") == 0,
                               unlink("sticky/x") == 0,
                               link("others", "free/others") == 0 || errno == EPERM,  // proc(5), protected_hardlinks
                               chmod("own", 0700) == 0,
                               opens("own", O_RDWR),
                               fails(chmod("group", 0666), EPERM),
                               fails(chown("own", 0, static_cast<gid_t>(-1)), EPERM),
                               fails(chown("own", static_cast<uid_t>(-1), 77), EPERM),
                               chown("own", static_cast<uid_t>(-1), 4711) == 0,  // a group that one is in
                           });
                       },
                       {4711}) == 0);

    // access(2) asks for the real user; everything else for the effective one.
    CHECK(child_exit([&] {
              if (setgroups(0, nullptr) != 0 || setresuid(kNobody, 0, 0) != 0) return 100;
              const int before = first_wrong({fails(access("private", R_OK), EACCES), opens("private"),
                                              faccessat(AT_FDCWD, "private", R_OK, AT_EACCESS) == 0});
              if (before != 0) return before;
              if (setresuid(0, kNobody, 0) != 0) return 101;
              return 10 *
                     first_wrong({access("private", R_OK) == 0, !opens("private"), seteuid(0) == 0, opens("private")});
          }) == 0);
}

TEST_CASE("chown and chmod take set-id bits away") {
    if (!is_root()) return;
    const Scratch scratch;
    close(make_file("program", "", 06755));
    REQUIRE(chown("program", kNobody, 4711) == 0);
    CHECK(mode_of("program") == 0755);
    REQUIRE(chmod("program", 06755) == 0);
    CHECK(exit_of_user(kNobody, [] {
              if (chown("program", static_cast<uid_t>(-1), kNobody) != 0) return 1;
              return mode_of("program") == 0755 ? 0 : 2;
          }) == 0);
    REQUIRE(chown("program", kNobody, 4711) == 0);
    CHECK(exit_of_user(kNobody, [] {  // not its group: the bit is dropped without a word (chmod(2))
              return chmod("program", 02755) == 0 && mode_of("program") == 0755 ? 0 : 1;
          }) == 0);
    CHECK(exit_of_user(kNobody, [] { return chmod("program", 02755) == 0 && mode_of("program") == 02755 ? 0 : 1; },
                       {4711}) == 0);
    REQUIRE(mkdir("d", 0755) == 0);
    REQUIRE(chmod("d", 06755) == 0);
    REQUIRE(chown("d", kNobody, 4711) == 0);
    CHECK(mode_of("d") == 06755);  // only programs lose them
}

TEST_CASE("user ids: real, effective, saved") {
    if (!is_root()) return;
    uid_t real, effective, saved;
    const auto ids = [&](uid_t a, uid_t b, uid_t c) {
        return getresuid(&real, &effective, &saved) == 0 && real == a && effective == b && saved == c;
    };
    CHECK(child_exit([&] {
              return first_wrong({seteuid(100) == 0, ids(0, 100, 0), fails(seteuid(200), EPERM), seteuid(0) == 0,
                                  setreuid(300, 400) == 0, ids(300, 400, 400), setreuid(400, 300) == 0,
                                  ids(400, 300, 300), fails(setuid(0), EPERM), fails(setresuid(0, 300, 300), EPERM),
                                  setresuid(300, 400, 300) == 0, ids(300, 400, 300), setuid(300) == 0,
                                  ids(300, 300, 300), fails(seteuid(400), EPERM), error(SYS_setuid, -1) == EINVAL});
          }) == 0);
    CHECK(child_exit([&] {
              gid_t groups[4] = {};
              const gid_t wanted[] = {7, 9};
              return first_wrong(
                  {setgroups(2, wanted) == 0, getgroups(0, nullptr) == 2, fails(getgroups(1, groups), EINVAL),
                   getgroups(4, groups) == 2, groups[0] == 7 && groups[1] == 9, setuid(100) == 0, ids(100, 100, 100),
                   fails(seteuid(0), EPERM), fails(setgroups(0, nullptr), EPERM), getgroups(4, groups) == 2});
          }) == 0);
}
