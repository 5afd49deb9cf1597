// SPDX-License-Identifier: MIT
// The set of VMAs against a model that knows every page by itself.
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "kernel/mm/vm/vma.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {

constexpr u64 kPages = 256;
VirtAddr page_address(u64 page) { return VirtAddr{(page + 16) * kPageSize}; }

std::unique_ptr<Vma> make_range(u64 begin, u64 end, Protection protection) {
    auto vma = mm::make<Vma>().value();
    vma->begin = page_address(begin);
    vma->end = page_address(end);
    vma->protection = protection;
    return vma;
}

void check_invariant(VmaSet& set) {
    VirtAddr last{0};
    const Vma* before = nullptr;
    for (const Vma& vma : set) {
        REQUIRE(vma.begin < vma.end);
        REQUIRE(vma.begin >= last);
        if (before != nullptr) REQUIRE_FALSE((before->end == vma.begin && before->protection == vma.protection));
        last = vma.end;
        before = &vma;
    }
}

}  // namespace

TEST_CASE("VMA set agrees with a page-by-page model", "[vm]") {
    test::MmMachine machine;
    const auto seed = GENERATE(range(1U, 21U));
    CAPTURE(seed);
    std::mt19937 random(seed);
    VmaSet set;
    std::map<u64, Protection> model;  // page -> rights

    for (int step = 0; step < 400; ++step) {
        const u64 begin = random() % kPages, end = std::min<u64>(begin + 1 + random() % 24, kPages);
        const Protection protection{.read = true, .write = (random() & 1) != 0, .execute = false};
        const bool free = [&] {
            for (u64 page = begin; page < end; ++page)
                if (model.contains(page)) return false;
            return true;
        }();
        REQUIRE(set.range_is_free(page_address(begin), page_address(end)) == free);
        switch (random() % 3) {
        case 0:
            if (!free) break;
            set.insert(make_range(begin, end, protection));
            for (u64 page = begin; page < end; ++page) model[page] = protection;
            break;
        case 1:
            REQUIRE(set.split_at(page_address(begin)));
            REQUIRE(set.split_at(page_address(end)));
            set.extract(page_address(begin), page_address(end), [](std::unique_ptr<Vma>) {});
            for (u64 page = begin; page < end; ++page) model.erase(page);
            break;
        default:
            REQUIRE(set.split_at(page_address(begin)));
            REQUIRE(set.split_at(page_address(end)));
            set.set_protection(page_address(begin), page_address(end), protection);
            for (u64 page = begin; page < end; ++page)
                if (model.contains(page)) model[page] = protection;
        }
        for (u64 page = 0; page < kPages; ++page) {
            const Vma* vma = set.find(page_address(page) + 123);
            REQUIRE((vma != nullptr) == model.contains(page));
            if (vma != nullptr) REQUIRE(vma->protection == model[page]);
        }
        if (step % 20 == 0) {
            const u64 size = 1 + random() % 20;
            const auto gap = set.find_gap(size * kPageSize, page_address(0), page_address(kPages));
            u64 best = kPages, run = 0;  // the highest run of free pages
            for (u64 page = kPages; page-- > 0;) {
                run = model.contains(page) ? 0 : run + 1;
                if (run >= size) {
                    best = page;
                    break;
                }
            }
            REQUIRE(gap.has_value() == (best != kPages));
            if (gap) REQUIRE(*gap == page_address(best));
        }
    }
    for (const Vma& vma : set) REQUIRE(vma.size() > 0);
}

TEST_CASE("neighbours that are alike become one range", "[vm]") {
    test::MmMachine machine;
    VmaSet set;
    const Protection rw{.read = true, .write = true};
    set.insert(make_range(0, 1, rw));
    set.insert(make_range(2, 3, rw));
    REQUIRE(set.count() == 2);
    set.insert(make_range(1, 2, rw));
    REQUIRE(set.count() == 1);
    check_invariant(set);
    REQUIRE(set.split_at(page_address(1)));
    set.set_protection(page_address(1), page_address(3), {.read = true});
    REQUIRE(set.count() == 2);
    set.set_protection(page_address(1), page_address(3), rw);
    REQUIRE(set.count() == 1);
}
