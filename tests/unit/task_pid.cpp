// SPDX-License-Identifier: MIT
// Process numbers: never two at once, never reused while any kind still has them.
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "kernel/task/pid.hpp"

using namespace hd;
using namespace hd::task;

namespace {

struct Numbered : PidLink {
    using PidLink::PidLink;
};

}  // namespace

TEST_CASE("process numbers grow and wrap around above the low ones", "[task]") {
    auto table = std::make_unique<PidTable>();
    for (i32 expected = 1; expected < PidTable::kLimit; ++expected) REQUIRE(table->allocate().value() == expected);
    REQUIRE(table->allocate().error() == Errno::kEAGAIN);
    table->release(17);
    REQUIRE(table->allocate().error() == Errno::kEAGAIN);  // low numbers are not given twice
    table->release(4711);
    table->release(301);
    REQUIRE(table->allocate().value() == 301);
    REQUIRE(table->allocate().value() == 4711);
    REQUIRE(table->last() == 4711);
}

TEST_CASE("a number stays in use until no kind has it", "[task]") {
    auto table = std::make_unique<PidTable>();
    const i32 number = table->allocate().value();
    Numbered process(PidKind::Process), thread(PidKind::Thread), group(PidKind::Group);
    table->add(process, number);
    table->add(thread, number);
    table->add(group, number);
    CHECK(table->find(number, PidKind::Process) == &process);
    CHECK(table->find(number, PidKind::Group) == &group);
    CHECK(table->find(number, PidKind::Session) == nullptr);
    CHECK(table->find(number + 1024, PidKind::Process) == nullptr);  // the same bucket
    table->remove(thread);
    table->remove(process);
    CHECK_FALSE(process.numbered());
    CHECK(process.number() == number);
    for (i32 i = number + 1; i < PidTable::kLimit; ++i) (void)table->allocate().value();
    CHECK(table->allocate().error() == Errno::kEAGAIN);  // the group holds it
    CHECK(table->find_from(1, PidKind::Group) == &group);
    CHECK(table->find_from(1, PidKind::Process) == nullptr);
    table->remove(group);
    CHECK(table->find_from(1, PidKind::Group) == nullptr);
}

TEST_CASE("the table of process numbers agrees with a model", "[task]") {
    const auto seed = GENERATE(range(1U, 6U));
    CAPTURE(seed);
    std::mt19937 random(seed);
    auto table = std::make_unique<PidTable>();
    std::map<std::pair<i32, PidKind>, std::unique_ptr<Numbered>> model;
    const auto used = [&](i32 number) {
        const auto at = model.lower_bound({number, PidKind::Process});
        return at != model.end() && at->first.first == number;
    };
    for (int step = 0; step < 3000; ++step) {
        const auto kind = static_cast<PidKind>(random() % 4);
        if (model.empty() || random() % 5 < 3) {
            // A new number, or another kind for one that is there.
            i32 number;
            if (model.empty() || random() % 2 == 0) {
                number = table->allocate().value();
                REQUIRE_FALSE(used(number));
            } else {
                number = std::next(model.begin(), static_cast<long>(random() % model.size()))->first.first;
            }
            if (model.contains({number, kind})) continue;
            auto link = std::make_unique<Numbered>(kind);
            table->add(*link, number);
            model.emplace(std::pair(number, kind), std::move(link));
        } else {
            const auto victim = std::next(model.begin(), static_cast<long>(random() % model.size()));
            table->remove(*victim->second);
            model.erase(victim);
        }
        const i32 probe = static_cast<i32>(random() % 2000);
        for (const PidKind each : {PidKind::Process, PidKind::Thread, PidKind::Group, PidKind::Session}) {
            const auto at = model.find({probe, each});
            REQUIRE(table->find(probe, each) == (at == model.end() ? nullptr : at->second.get()));
            u32 count = 0;
            PidLink* next = nullptr;
            for (const auto& [key, link] : model) {
                count += key.second == each;
                if (next == nullptr && key.second == each && key.first >= probe) next = link.get();
            }
            REQUIRE(table->count(each) == count);
            REQUIRE(table->find_from(probe, each) == next);
        }
    }
    for (auto& [key, link] : model) table->remove(*link);
}
