// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdio>
#include <random>

#include "kernel/fs/initramfs/cpio.hpp"
#include "kernel/fs/initramfs/initramfs.hpp"
#include "tests/unit/fs_machine.hpp"

using namespace hd;

namespace {

struct Member {
    std::string name;
    u32 mode = 0100644;
    std::string data = {};
    u32 inode = 0, links = 1, uid = 0, gid = 0, mtime = 0, major = 0, minor = 0;
};

void pad(std::string& image) {
    while (image.size() % 4 != 0) image += '\0';
}

void append(std::string& image, const Member& member) {
    char header[111];
    std::snprintf(header, sizeof header, "070701%08x%08X%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", member.inode,
                  member.mode, member.uid, member.gid, member.links, member.mtime, static_cast<u32>(member.data.size()),
                  0, 0, member.major, member.minor, static_cast<u32>(member.name.size() + 1), 0);
    image += header;
    image += member.name;
    image += '\0';
    pad(image);
    image += member.data;
    pad(image);
}

std::string archive(const std::vector<Member>& members) {
    std::string image;
    for (const Member& member : members) append(image, member);
    append(image, {.name = "TRAILER!!!", .mode = 0});
    return image;
}

std::span<const u8> bytes(const std::string& image) {
    return {reinterpret_cast<const u8*>(image.data()), image.size()};
}

struct Names {
    std::vector<std::string> names, datas;
    std::vector<u32> archives;
};

std::expected<Names, fs::CpioError> read_all(const std::string& image) {
    Names all;
    fs::CpioReader reader(bytes(image));
    for (fs::CpioEntry entry;;) {
        const auto more = reader.next(entry);
        if (!more) return std::unexpected(more.error());
        if (!*more) return all;
        all.names.emplace_back(entry.name);
        all.datas.emplace_back(reinterpret_cast<const char*>(entry.data.data()), entry.data.size());
        all.archives.push_back(entry.archive);
    }
}

std::string error_in(const std::string& image) {
    const auto all = read_all(image);
    return all ? "" : std::to_string(all.error().offset) + ": " + all.error().reason;
}

}  // namespace

TEST_CASE("cpio archives are parsed entry by entry", "[fs][cpio]") {
    std::string image = archive({{.name = "one", .data = "hello"}, {.name = "dir", .mode = 040755}});
    image += std::string(512, '\0');
    image += archive({{.name = "two", .data = std::string(5000, 'x')}});
    const Names names = read_all(image).value();
    CHECK(names.names == std::vector<std::string>{"one", "dir", "two"});
    CHECK(names.datas == std::vector<std::string>{"hello", "", std::string(5000, 'x')});
    CHECK(names.archives == std::vector<u32>{0, 0, 1});
}

TEST_CASE("a corrupt cpio archive is refused with the place and the reason", "[fs][cpio]") {
    const std::string good = archive({{.name = "file", .data = "data"}});
    CHECK(error_in(good).empty());
    CHECK(error_in("") == "0: it is empty");
    CHECK(error_in(std::string(100, '\0')) == "0: it is empty");
    CHECK(error_in("\x1f\x8b" + std::string(200, 'z')).find("is it compressed?") != std::string::npos);
    CHECK(error_in(good.substr(0, 50)) == "0: the archive ends in the middle of a header");
    CHECK(error_in(good.substr(0, 112)) == "0: the archive ends in the middle of a name");
    CHECK(error_in(good.substr(0, 118)) == "0: the archive ends in the middle of a file");
    CHECK(error_in(good.substr(0, 120)) == "120: the archive has no trailer, so its end is missing");
    CHECK(error_in(good.substr(0, 120) + "junk" + good).find("120: this is no header") == 0);
    CHECK(error_in(std::string(2, '\0') + good) == "2: an archive does not begin at a multiple of 4");
    std::string broken = good;
    broken[20] = 'g';
    CHECK(error_in(broken) == "0: a number in the header is not hexadecimal");
    broken = good;
    broken[110 + 4] = 'x';
    CHECK(error_in(broken) == "0: the name does not end where its size says");
    CHECK(error_in(archive({{.name = ""}})) == "0: the name is empty or too long");
}

TEST_CASE("the cpio parser survives random damage", "[fs][cpio]") {
    std::mt19937 random(1);
    const std::string good = archive({{.name = "file", .data = "data"}, {.name = "b", .data = std::string(77, 'y')}});
    for (int round = 0; round < 20000; ++round) {
        std::string image = good.substr(0, random() % (good.size() + 1));
        for (int i = 0; i < 3 && !image.empty(); ++i)
            image[random() % image.size()] = static_cast<char>("0fF\0\xff"[random() % 5]);
        static_cast<void>(read_all(std::string(image.data(), image.size())));
    }
}

TEST_CASE("an initramfs becomes the root file system", "[fs][cpio]") {
    test::FsMachine machine;
    const fs::WalkStart start = machine.start();
    std::string image = archive({
        {.name = ".", .mode = 040755},
        {.name = "bin", .mode = 040711, .mtime = 1000},
        {.name = "bin/tool", .mode = 0104755, .data = std::string(10000, 't'), .uid = 1, .gid = 2, .mtime = 77},
        {.name = "bin/link", .mode = 0120777, .data = "tool"},
        {.name = "bin/first", .inode = 5, .links = 2},
        {.name = "bin/second", .data = "shared", .inode = 5, .links = 2},
        {.name = "null", .mode = 020666, .major = 1, .minor = 3},
        {.name = "fifo", .mode = 010644},
        {.name = "replaced", .data = "old"},
    });
    image += archive({{.name = "bin", .mode = 040755, .mtime = 2000},
                      {.name = "/replaced", .data = "new"},
                      {.name = "unrelated", .inode = 5, .links = 2}});
    char text[200];
    BufferSink sentence(text);
    REQUIRE(fs::unpack_archives(machine.root, bytes(image), sentence));

    abi::Stat stat;
    const auto look = [&](std::string_view path) {
        fs::walk(start, path, fs::FollowLast::No).value()->inode->fill_stat(stat);
        return stat;
    };
    CHECK(look("/bin").st_mode == 040755);
    CHECK(look("/bin").st_mtim.tv_sec == 2000);
    CHECK(look("/bin/tool").st_mode == 0104755);
    CHECK(look("/bin/tool").st_uid == 1);
    CHECK(look("/bin/tool").st_mtim.tv_sec == 77);
    CHECK(look("/bin/tool").st_size == 10000);
    CHECK(test::read_whole(start, "/bin/link") == std::string(10000, 't'));
    CHECK(test::read_whole(start, "/bin/first") == "shared");
    CHECK(look("/bin/first").st_nlink == 2);
    CHECK(look("/unrelated").st_nlink == 1);
    CHECK(look("/null").st_rdev == abi::makedev(1, 3));
    CHECK(look("/fifo").st_mode == 010644);
    CHECK(test::read_whole(start, "/replaced") == "new");

    const auto fails = [&](const std::string& bad) {
        BufferSink reason(text);
        CHECK_FALSE(fs::unpack_archives(machine.root, bytes(bad), reason));
        return std::string(reason.view());
    };
    CHECK(fails("nonsense") == "the initramfs is corrupt at byte 0: the archive ends in the middle of a header");
    CHECK(fails(archive({{.name = "a"}, {.name = "no/such/place"}})) ==
          "the initramfs cannot be unpacked at byte 112: the directory of this file is not in the archive");
    CHECK(fails(archive({{.name = "x", .mode = 0}})).find("its kind of file is unknown") != std::string::npos);
}
