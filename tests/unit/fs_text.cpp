// SPDX-License-Identifier: MIT
// Generated files, as /proc has them: one reading sees one text, whatever its pieces; a new one starts at offset 0.
#include <catch2/catch.hpp>

#include "kernel/fs/procfs/text.hpp"
#include "tests/unit/fs_machine.hpp"

using namespace hd;
using namespace hd::test;

namespace {

class Numbers final : public fs::GeneratedInode {
public:
    explicit Numbers(fs::FileSystem& owner) : GeneratedInode(owner, 0644, 1) {}
    Result<> generate(TextSink& sink) override {
        ++generated;
        if (lines < 0) return fail(Errno::kESRCH);
        for (int i = 0; i < lines; ++i) format_to(sink, "{} {}\n", generated, i);
        return {};
    }
    Result<> store(std::string_view text) override {
        stored = text;
        return {};
    }
    int lines = 0, generated = 0;
    std::string stored;
};

}  // namespace

TEST_CASE("a generated file is one text for each reading", "[fs][proc]") {
    FsMachine machine;
    auto inode = mm::make_ref<Numbers>(machine.root->inode->file_system).value();
    auto file = inode->open(nullptr, abi::kO_RDWR).value();
    CHECK(read_text(*file, 100).value().empty());
    inode->lines = GENERATE(1, 100, 3000);
    CHECK(file->seek(0, abi::kSEEK_SET).value() == 0);

    std::string whole;
    for (usize piece = 1;; piece = piece * 2 % 5000 + 1) {
        const std::string text = read_text(*file, piece).value();
        if (text.empty()) break;
        whole += text;
    }
    CHECK(inode->generated == 2);
    std::string expected;
    for (int i = 0; i < inode->lines; ++i) expected += "2 " + std::to_string(i) + "\n";
    CHECK(whole == expected);

    std::string late(10, '?');
    auto buffer = fs::IoBuffer::kernel(late.data(), late.size());
    CHECK(file->read_at(buffer, whole.size() - 2).value() == 2);
    CHECK(late.substr(0, 2) == expected.substr(expected.size() - 2));
    CHECK(inode->generated == 2);
    CHECK(file->seek(0, abi::kSEEK_SET).value() == 0);
    CHECK(read_text(*file, 2).value() == "3 ");

    CHECK(write_text(*file, "a word\n").value() == 7);
    CHECK(inode->stored == "a word");
    CHECK(write_text(*file, std::string(1000, 'x')).value() == 1000);
    CHECK(inode->stored == std::string(255, 'x'));
    inode->lines = -1;
    CHECK(file->seek(0, abi::kSEEK_SET).value() == 0);
    CHECK(error_of(read_text(*file, 1)) == 3);
}
