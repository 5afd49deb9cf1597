// SPDX-License-Identifier: MIT
// The block at the top of a new program's stack, read back as a C library reads it.
#include <catch2/catch.hpp>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "kernel/task/exec/arguments.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::task;

namespace {

constexpr u64 kTop = 0x7fff'ffff'f000;

class Stack {
public:
    explicit Stack(u64 size) : bytes_(size), base_(kTop - size) {}
    Result<> write(u64 address, std::span<const u8> bytes) {
        REQUIRE(address >= base_);
        REQUIRE(address + bytes.size() <= kTop);
        for (usize i = 0; i < bytes.size(); ++i) {
            REQUIRE(bytes_[address - base_ + i] == 0);  // nothing is written over something else
            bytes_[address - base_ + i] = bytes[i];
        }
        return {};
    }
    u64 word(u64 address) const {
        u64 value;
        std::memcpy(&value, &bytes_[address - base_], sizeof(value));
        return value;
    }
    std::string text(u64 address) const { return reinterpret_cast<const char*>(&bytes_[address - base_]); }

private:
    std::vector<u8> bytes_;
    u64 base_;
};

void fill(StringBlock& block, const std::vector<std::string>& strings) {
    for (const std::string& string : strings) REQUIRE(block.append(string));
}

void check_stack(const std::vector<std::string>& arguments, const std::vector<std::string>& environment,
                 const std::string& file_name) {
    Program program{.path = file_name, .arguments = {}, .environment = {}};
    fill(program.arguments, arguments);
    fill(program.environment, environment);
    const std::array<u8, 16> random{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    const StackLayout layout = plan_stack(kTop, program, "x86_64", 3);
    REQUIRE(layout.stack_pointer % 16 == 0);
    Stack stack(align_up<u64>(kTop - layout.stack_pointer, 4096));
    const abi::AuxEntry auxiliary[] = {
        {abi::kAT_RANDOM, layout.random}, {abi::kAT_EXECFN, layout.file_name}, {abi::kAT_NULL, 0}};
    static Stack* target;
    target = &stack;
    const StackWriter write = [](u64 address, std::span<const u8> bytes) { return target->write(address, bytes); };
    REQUIRE(write_stack(write, layout, program, "x86_64", random, auxiliary));

    u64 at = layout.stack_pointer;
    REQUIRE(stack.word(at) == arguments.size());
    for (const std::string& argument : arguments) REQUIRE(stack.text(stack.word(at += 8)) == argument);
    REQUIRE(stack.word(at += 8) == 0);
    for (const std::string& variable : environment) REQUIRE(stack.text(stack.word(at += 8)) == variable);
    REQUIRE(stack.word(at += 8) == 0);
    std::map<u64, u64> values;
    for (at += 8; stack.word(at) != abi::kAT_NULL; at += 16) values[stack.word(at)] = stack.word(at + 8);
    CHECK(stack.text(values[abi::kAT_EXECFN]) == file_name);
    CHECK(stack.word(values[abi::kAT_RANDOM]) == 0x0807'0605'0403'0201);
    CHECK(stack.text(layout.platform) == "x86_64");
    CHECK(stack.word(kTop - 8) == 0);
    // /proc/PID/cmdline shows this range.
    if (!arguments.empty()) CHECK(layout.environment - layout.arguments == program.arguments.size());
}

}  // namespace

TEST_CASE("a program finds its arguments, environment and auxiliary vector", "[task]") {
    test::MmMachine machine;
    {
        check_stack({"ls", "-l", ""}, {"PATH=/bin", "A="}, "/bin/ls");
        check_stack({""}, {}, "x");
        check_stack({std::string(70'000, 'a'), "b"}, std::vector<std::string>(1000, std::string(37, 'e')), "./long");
        std::mt19937 random(7);
        for (int round = 0; round < 20; ++round) {
            const auto strings = [&] {
                std::vector<std::string> list(random() % 200);
                for (std::string& each : list) each.assign(random() % 300, static_cast<char>('a' + random() % 26));
                return list;
            };
            check_stack(strings(), strings(), std::string(1 + random() % 100, 'f'));
        }
    }
    CHECK(machine.frames_lost() == 0);
}

TEST_CASE("a script's arguments replace the first one", "[task]") {
    test::MmMachine machine;
    StringBlock old_block;
    fill(old_block, {"./script", "one", std::string(9000, 'x')});
    StringBlock block;
    fill(block, {"/bin/sh", "-e", "./script"});
    REQUIRE(block.append_tail(old_block));
    CHECK(block.count() == 5);
    std::string all;
    REQUIRE(block.for_each_piece([&](std::span<const u8> piece) -> Result<> {
        all.append(piece.begin(), piece.end());
        return {};
    }));
    std::string expected;
    for (const std::string& each : {std::string("/bin/sh"), std::string("-e"), std::string("./script"),
                                    std::string("one"), std::string(9000, 'x')})
        expected += each + '\0';
    CHECK(all == expected);
    CHECK(block.size() == expected.size());

    StringBlock alone;
    fill(alone, {"only"});
    StringBlock rest;
    REQUIRE(rest.append_tail(alone));
    CHECK(rest.count() == 0);
    CHECK(rest.size() == 0);
}

TEST_CASE("running out of memory for arguments is an error", "[task]") {
    test::MmMachine machine;
    {
        StringBlock block;
        const std::string large(100'000, 'x');
        Result<> result;
        while ((result = block.append(large))) {}
        CHECK(result.error() == Errno::kENOMEM);
    }
    CHECK(machine.frames_lost() == 0);
}
