// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <optional>
#include <random>

#include "kernel/fs/vfs/fd_table.hpp"
#include "tests/unit/fs_machine.hpp"

using namespace hd;
using namespace hd::test;
using fs::FdTable;

TEST_CASE("a descriptor table is what a map of numbers would be", "[fs][fd]") {
    FsMachine machine;
    struct Open {
        fs::File* file;
        bool cloexec;
    };
    std::map<int, Open> model;
    auto table = FdTable::create().value();
    std::vector<fs::FileRef> files;
    for (int i = 0; i < 8; ++i) {
        const u32 path_only = i == 0 ? abi::kO_PATH : 0;
        files.push_back(
            fs::open(machine.start(), "f" + std::to_string(i), path_only | abi::kO_RDWR | abi::kO_CREAT, 0644)
                .value_or(fs::open(machine.start(), ".", abi::kO_PATH, 0).value()));
    }
    std::mt19937 random(3);
    const bool shared = GENERATE(false, true);
    if (shared) table->mark_shared();
    for (int round = 0; round < 20000; ++round) {
        const int fd = static_cast<int>(random() % (round < 10000 ? 100 : 700)) - 1;
        const fs::FileRef& file = files[random() % files.size()];
        const bool cloexec = random() % 4 == 0;
        const bool open = model.contains(fd);
        switch (random() % 8) {
        case 0:
        case 1: {
            const u32 limit = random() % 2 == 0 ? 1024 : 64;
            const int from = fd < 0 ? 0 : fd;
            int expected = from;
            while (model.contains(expected)) ++expected;
            const auto got = table->install(file, cloexec, from, limit);
            if (expected >= static_cast<int>(limit)) {
                REQUIRE(error_of(got) == 24);
            } else {
                REQUIRE(got.value() == expected);
                model[expected] = {file.get(), cloexec};
            }
            break;
        }
        case 2:
            REQUIRE(table->install_at(fd, file, cloexec, 1024).has_value() == (fd >= 0));
            if (fd >= 0) model[fd] = {file.get(), cloexec};
            break;
        case 3:
        case 4:
            REQUIRE(table->close(fd).has_value() == open);
            model.erase(fd);
            break;
        case 5: {
            REQUIRE(error_of(table->cloexec(fd)) == (open ? 0 : 9));
            if (open) REQUIRE(table->cloexec(fd).value() == model[fd].cloexec);
            REQUIRE(table->set_cloexec(fd, cloexec).has_value() == open);
            if (open) model[fd].cloexec = cloexec;
            break;
        }
        case 6: {
            const auto next = model.lower_bound(fd < 0 ? 0 : fd);
            if (fd >= 0) REQUIRE(table->next_open(fd) == (next == model.end() ? -1 : next->first));
            REQUIRE(table->open_count() == model.size());
            break;
        }
        default:
            if (random() % 100 == 0) {
                table->close_on_exec();
                std::erase_if(model, [](const auto& entry) { return entry.second.cloexec; });
            } else if (random() % 100 == 0) {
                auto copy = table->copy().value();
                for (const auto& [number, entry] : model) REQUIRE(copy->get_any(number).value().get() == entry.file);
                REQUIRE(copy->open_count() == model.size());
                if (!shared) table = copy;
            } else if (random() % 50 == 0 && fd >= 0) {
                const bool only_mark = random() % 2 == 0;
                const u32 last = static_cast<u32>(fd) + static_cast<u32>(random() % 50);
                table->close_range(static_cast<u32>(fd), last, only_mark);
                for (auto it = model.lower_bound(fd); it != model.end() && it->first <= static_cast<int>(last);) {
                    it->second.cloexec |= only_mark;
                    it = only_mark ? std::next(it) : model.erase(it);
                }
            }
        }
        REQUIRE(error_of(table->get_any(fd)) == (model.contains(fd) ? 0 : 9));
        const bool usable = model.contains(fd) && !model[fd].file->path_only();
        REQUIRE(error_of(table->get(fd)) == (usable ? 0 : 9));
        if (usable) REQUIRE(table->get(fd).value().get() == model[fd].file);
    }
    table->close_range(0, ~u32{0}, false);
    // Taken, though not open: only fill() and give_back() change that.
    const int taken = table->reserve(true, 0, 1024).value();
    CHECK(table->reserve(false, 0, 1024).value() == taken + 1);
    table->give_back(taken + 1);
    CHECK(error_of(table->get_any(taken)) == 9);
    CHECK(error_of(table->close(taken)) == 9);
    CHECK(error_of(table->install_at(taken, files[0], false, 1024)) == 16);
    table->close_range(0, ~u32{0}, false);
    CHECK(table->next_open(0) == -1);
    CHECK(table->copy().value()->reserve(false, 0, 1024).value() == taken);
    table->fill(taken, files[1]);
    CHECK(table->get(taken).value() == files[1]);
    CHECK(table->cloexec(taken).value());
    table->close_on_exec();
    CHECK(table->open_count() == 0);
    table = nullptr;
    for (const fs::FileRef& file : files) CHECK(file->reference_count() == 1);
}
