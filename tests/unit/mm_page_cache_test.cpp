// SPDX-License-Identifier: MIT
// The radix tree against std::map, with an allocator that fails when told; the page cache on top.
#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "kernel/lib/radix_tree.hpp"
#include "kernel/mm/cache/page_cache.hpp"
#include "tests/unit/fake_arch/explorer.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {

struct CountedNodes {
    static inline i64 in_use = 0, allowed = INT64_MAX;
    static RadixNode* allocate() {
        if (in_use >= allowed) return nullptr;
        ++in_use;
        return static_cast<RadixNode*>(::operator new(sizeof(RadixNode)));
    }
    static void free(RadixNode* node) {
        --in_use;
        ::operator delete(node);
    }
};
using Tree = RadixTree<int, CountedNodes>;

u64 random_index(std::mt19937_64& random) {
    const u64 all = random();
    switch (random() % 4) {
    case 0: return all % 64;
    case 1: return all % 10000;
    case 2: return all >> random() % 64;
    default: return ~u64{0} - all % 100;
    }
}

}  // namespace

TEST_CASE("radix tree: behaves as an ordered map", "[lib][radix]") {
    CountedNodes::in_use = 0;
    CountedNodes::allowed = INT64_MAX;
    std::mt19937_64 random(GENERATE(1u, 2u, 3u, 4u));
    Tree tree;
    std::map<u64, int*> model;
    int values[16] = {};
    for (int step = 0; step < 20000; ++step) {
        const u64 index = random_index(random);
        if (random() % 100 != 0) {
            int* value = &values[random() % 16];
            const bool inserted = model.emplace(index, value).second;
            const Result<> result = tree.insert(index, value);
            if (result.has_value() != inserted) FAIL("insert at " << index);
            if (!inserted) REQUIRE(result.error() == Errno::kEEXIST);
        } else {
            int* taken[64];
            const std::span room(taken, random() % 65);
            const usize count = tree.take(index, room);
            auto it = model.lower_bound(index);
            for (usize i = 0; i < count; ++i, it = model.erase(it))
                if (it == model.end() || taken[i] != it->second) FAIL("take from " << index);
            if (count < room.size() && it != model.end()) FAIL("take from " << index << " left something");
        }
        const u64 probe = random_index(random);
        const auto found = model.find(probe);
        if (tree.find(probe) != (found == model.end() ? nullptr : found->second)) FAIL("find at " << probe);
        if (tree.size() != model.size()) FAIL("size");
    }
    std::vector<int*> rest(model.size() + 1);
    REQUIRE(tree.take(0, rest) == model.size());
    REQUIRE(tree.size() == 0);
    REQUIRE(CountedNodes::in_use == 0);
}

TEST_CASE("radix tree: no memory loses nothing", "[lib][radix]") {
    CountedNodes::in_use = 0;
    Tree tree;
    int value = 0, other = 0;
    int* taken[2];
    for (u64 first : {u64{0}, u64{5}, u64{70000}}) {
        CountedNodes::allowed = INT64_MAX;
        REQUIRE(tree.insert(first, &value).has_value());
        for (i64 more = 0; more < 21; ++more) {
            CountedNodes::allowed = CountedNodes::in_use + more;
            if (const Result<> result = tree.insert(~u64{0}, &other)) {
                REQUIRE(tree.take(first + 1, taken) == 1);
                REQUIRE(taken[0] == &other);
            } else {
                REQUIRE(result.error() == Errno::kENOMEM);
            }
            REQUIRE(tree.find(first) == &value);
            REQUIRE(tree.find(~u64{0}) == nullptr);
            REQUIRE(tree.size() == 1);
        }
        REQUIRE(tree.take(0, taken) == 1);
        REQUIRE(CountedNodes::in_use == 0);
    }
    CountedNodes::allowed = 0;
    REQUIRE(tree.insert(1000, &value).error() == Errno::kENOMEM);
    REQUIRE(tree.insert(0, &value).has_value());
    REQUIRE(tree.take(0, taken) == 1);
}

TEST_CASE("page cache: pages are made once, zero, and counted", "[mm][cache]") {
    test::MmMachine machine;
    {
        PageCache cache;
        REQUIRE_FALSE(cache.find(0));
        {
            const FrameRef page = cache.get_or_create(7).value();
            REQUIRE(std::all_of(bytes_of(*page), bytes_of(*page) + kPageSize, [](u8 byte) { return byte == 0; }));
            REQUIRE(page->references == 2);
            bytes_of(*page)[9] = 1;
        }
        REQUIRE(bytes_of(*cache.find(7))[9] == 1);
        REQUIRE(cache.get_or_create(7).value().get() == cache.find(7).get());
        REQUIRE(cache.find(7)->references == 2);
        for (u64 index = 0; index < 300; ++index) REQUIRE(cache.get_or_create(index * 3 + 1).has_value());
        REQUIRE(cache.page_count() == 300);
        REQUIRE(cached_pages() == 300);
        cache.truncate(450);
        REQUIRE(cache.page_count() == 150);
        REQUIRE(cache.find(448));
        REQUIRE_FALSE(cache.find(451));
        const FrameRef survivor = cache.find(1);
        cache.truncate(0);
        REQUIRE(cache.page_count() == 0);
        REQUIRE(survivor->references == 1);
        REQUIRE(cache.get_or_create(~u64{0}).has_value());
        REQUIRE(cached_pages() == 1);
    }
    REQUIRE(cached_pages() == 0);
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("page cache: out of memory is an error and takes nothing", "[mm][cache]") {
    test::MmMachine machine;
    {
        PageCache cache;
        u64 index = 0;
        for (;; index += 1000) {
            const auto page = cache.get_or_create(index);
            if (!page) {
                REQUIRE(page.error() == Errno::kENOMEM);
                break;
            }
        }
        REQUIRE(cache.page_count() == index / 1000);
        REQUIRE(cached_pages() == index / 1000);
        REQUIRE_FALSE(cache.find(index));
    }
    REQUIRE(machine.frames_lost() == 0);
}

// What the explored CPUs work on: they run functions without arguments.
namespace {

struct Race {
    static constexpr u64 kPages = 4;
    PageCache cache;
    Frame* seen[2][kPages] = {};
    std::atomic<u32> finished{0};
};
Race* g_race = nullptr;

void make_pages(CpuId cpu) {
    arch::irq_enable();
    for (u64 index = 0; index < Race::kPages; ++index) {
        const auto page = g_race->cache.get_or_create(index * 64);
        fake::expect(page.has_value(), "a page that another CPU makes at the same time is an error");
        g_race->seen[cpu.raw][index] = page->get();
    }
    ++g_race->finished;
    for (;;) {
        arch::irq_disable();
        arch::halt_until_interrupt();
    }
}

}  // namespace

TEST_CASE("page cache: two CPUs make the same page, interleaved in every way", "[mm][cache][explore]") {
    for (u64 seed = 1; seed <= 100; ++seed) {
        test::MmMachine machine(2);
        Race race;
        g_race = &race;
        const auto strategy = seed % 2 == 0 ? fake::Strategy::Random : fake::Strategy::Pct;
        REQUIRE(fake::explore({.seed = seed, .strategy = strategy}, make_pages, [] { return g_race->finished == 2; }) ==
                "");
        for (u64 index = 0; index < Race::kPages; ++index) REQUIRE(race.seen[0][index] == race.seen[1][index]);
        race.cache.truncate(0);
        REQUIRE(machine.frames_lost() == 0);
    }
}

TEST_CASE("page cache: CPUs that want the same page get the same frame", "[mm][cache][threads]") {
    constexpr u32 kCpus = 4;
    constexpr u64 kPages = 500;
    test::MmMachine machine(kCpus);
    {
        PageCache cache;
        std::vector<std::vector<Frame*>> seen(kCpus, std::vector<Frame*>(kPages));
        std::vector<std::thread> threads;
        for (u32 cpu = 0; cpu < kCpus; ++cpu)
            threads.emplace_back([&, cpu] {
                fake::become_cpu(CpuId{cpu});
                for (u64 index = 0; index < kPages; ++index)
                    seen[cpu][index] = cache.get_or_create(index).value().get();
            });
        for (std::thread& thread : threads) thread.join();
        for (u32 cpu = 1; cpu < kCpus; ++cpu) REQUIRE(seen[cpu] == seen[0]);
        REQUIRE(cache.page_count() == kPages);
        REQUIRE(cached_pages() == kPages);
    }
    REQUIRE(machine.frames_lost() == 0);
}
