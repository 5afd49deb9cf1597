// SPDX-License-Identifier: MIT
// The buddy allocator over records of its own, against a model that marks who owns each frame.
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <vector>

#include "kernel/mm/phys/buddy.hpp"
#include "kernel/mm/phys/early.hpp"
#include "tests/unit/fake_arch/machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {

struct Memory {
    explicit Memory(usize count) : frames(count), buddy(frames) {}

    u64 index_of(const Frame& frame) const { return static_cast<u64>(&frame - frames.data()); }

    std::array<u64, kMaxOrder + 1> free_blocks() const {
        std::array<u64, kMaxOrder + 1> blocks{};
        for (u32 order = 0; order <= kMaxOrder; ++order) blocks[order] = buddy.free_blocks(order);
        return blocks;
    }

    // The invariants of buddy.hpp, read off the records.
    void check() const {
        u64 free = 0;
        std::array<u64, kMaxOrder + 1> blocks{};
        for (u64 i = 0; i < frames.size(); ++i) {
            if (frames[i].state != FrameState::Free) continue;
            const u32 order = frames[i].order;
            REQUIRE(i % (u64{1} << order) == 0);
            free += u64{1} << order;
            ++blocks[order];
            const u64 other = i ^ u64 { 1 } << order;
            if (order < kMaxOrder && other < frames.size())
                REQUIRE_FALSE((frames[other].state == FrameState::Free && frames[other].order == order));
            for (u64 j = i + 1; j < i + (u64{1} << order); ++j) REQUIRE(frames[j].state == FrameState::Reserved);
        }
        REQUIRE(free == buddy.free_frames());
        REQUIRE(blocks == free_blocks());
    }

    std::vector<Frame> frames;
    Buddy buddy;
};

}  // namespace

TEST_CASE("buddy: memory in odd pieces becomes the largest aligned blocks", "[mm][buddy]") {
    Memory memory(5000);
    memory.buddy.add(3, 1021);  // up to 1024: 1 + 4 + 8 + ... + 512
    memory.check();
    REQUIRE(memory.free_blocks() == std::array<u64, 11>{1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0});
    memory.buddy.add(0, 3);  // the missing piece
    REQUIRE(memory.free_blocks() == std::array<u64, 11>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
    memory.buddy.add(2048, 5000 - 2048);
    memory.check();
    REQUIRE(memory.buddy.total_frames() == 1024 + 5000 - 2048);
    REQUIRE_THROWS_AS(memory.buddy.add(4999, 2), fake::Panic);
}

TEST_CASE("buddy: any sequence of allocations and frees keeps blocks apart and ends where it began", "[mm][buddy]") {
    Memory memory(6000);
    memory.buddy.add(100, 5800);
    const auto start = memory.free_blocks();
    const u64 all = memory.buddy.free_frames();

    std::vector<bool> owned(6000);
    struct Block {
        Frame* frame;
        u32 order;
    };
    std::vector<Block> held;
    std::mt19937 random(GENERATE(1u, 2u, 3u));
    u64 held_frames = 0;
    const auto mark = [&](const Block& block, bool to) {
        for (u64 i = 0; i < u64{1} << block.order; ++i) {
            const u64 at = memory.index_of(*block.frame) + i;
            if (at < 100 || at >= 5900 || owned[at] == to)
                FAIL("frame " << at << " was given twice or is none of ours");
            owned[at] = to;
        }
    };
    for (int step = 0; step < 6000; ++step) {
        const bool grow = random() % 100 < (step / 1000 % 2 == 0 ? 60u : 40u);
        if (grow) {
            const auto order = static_cast<u32>(random() % 4 == 0 ? random() % (kMaxOrder + 1) : random() % 3);
            if (Frame* frame = memory.buddy.allocate(order)) {
                REQUIRE(memory.index_of(*frame) % (u64{1} << order) == 0);
                REQUIRE(frame->state == FrameState::Allocated);
                mark({frame, order}, true);
                held.push_back({frame, order});
                held_frames += u64{1} << order;
            }
        } else if (!held.empty()) {
            std::swap(held[random() % held.size()], held.back());
            mark(held.back(), false);
            memory.buddy.free(*held.back().frame, held.back().order);
            held_frames -= u64{1} << held.back().order;
            held.pop_back();
        }
        if (step % 500 == 0) memory.check();
        if (memory.buddy.free_frames() != all - held_frames) FAIL("the count of free frames is wrong");
    }
    for (const Block& block : held) memory.buddy.free(*block.frame, block.order);
    memory.check();
    REQUIRE(memory.free_blocks() == start);
}

TEST_CASE("buddy: exhausted means nullptr, and everything comes back in any order", "[mm][buddy]") {
    Memory memory(1024);
    memory.buddy.add(0, 1024);
    std::vector<Frame*> all;
    while (Frame* frame = memory.buddy.allocate(0)) all.push_back(frame);
    REQUIRE(all.size() == 1024);
    for (u32 order = 0; order <= kMaxOrder; ++order) REQUIRE(memory.buddy.allocate(order) == nullptr);
    REQUIRE(memory.buddy.free_frames() == 0);
    std::shuffle(all.begin(), all.end(), std::mt19937(7));
    for (Frame* frame : all) memory.buddy.free(*frame, 0);
    REQUIRE(memory.buddy.free_blocks(kMaxOrder) == 1);
}

TEST_CASE("buddy: singles come from the smallest blocks and come back as one", "[mm][buddy]") {
    Memory memory(4096);
    memory.buddy.add(1, 4095);
    const auto start = memory.free_blocks();
    std::array<Frame*, 32> singles{};
    REQUIRE(memory.buddy.allocate_singles(singles) == 32);
    // The blocks of 1, 2, 4, 8 and 16 frames and one of the block of 32.
    std::array<bool, 33> seen{};
    for (Frame* frame : singles) {
        REQUIRE(frame->state == FrameState::Cached);
        REQUIRE(frame->order == 0);
        const u64 index = memory.index_of(*frame);
        REQUIRE((index >= 1 && index <= 32 && !seen[index]));
        seen[index] = true;
    }
    memory.check();
    for (Frame* frame : singles) memory.buddy.free(*frame, 0);
    REQUIRE(memory.free_blocks() == start);

    // Fewer when there are fewer.
    std::vector<Frame*> many(5000);
    REQUIRE(memory.buddy.allocate_singles(many) == 4095);
    REQUIRE(memory.buddy.allocate_singles(many) == 0);
}

TEST_CASE("buddy: what is not an allocated block is refused", "[mm][buddy]") {
    Memory memory(1024);
    memory.buddy.add(0, 1024);
    Frame* block = memory.buddy.allocate(3);
    REQUIRE_THROWS_AS(memory.buddy.free(*block, 2), fake::Panic);
    REQUIRE_THROWS_AS(memory.buddy.free(block[1], 0), fake::Panic);
    memory.buddy.free(*block, 3);
    REQUIRE_THROWS_AS(memory.buddy.free(*block, 3), fake::Panic);
    memory.check();
}

TEST_CASE("early memory: reserved ranges are never given out", "[mm][early]") {
    const auto page = [](u64 n) { return PhysAddr{n * kPageSize}; };
    EarlyMemory memory;
    memory.add({page(0), page(100)});
    memory.add({page(200), page(300)});
    memory.reserve({page(0), page(10)});
    memory.reserve({page(20) + 1, page(30) - 1});  // in the middle, pages in part
    memory.reserve({page(90), page(210)});         // over the hole
    memory.reserve({page(250), page(250)});        // nothing
    memory.reserve({page(290), page(400)});
    std::vector<std::pair<u64, u64>> left;
    for (const arch::PhysRange& range : memory.ranges())
        if (range.size() != 0) left.emplace_back(range.begin.raw / kPageSize, range.end.raw / kPageSize);
    REQUIRE(left == std::vector<std::pair<u64, u64>>{{10, 20}, {30, 90}, {210, 290}});

    REQUIRE(memory.take(10 * kPageSize) == page(10));  // the first range, whole
    REQUIRE(memory.take(70 * kPageSize) == page(210));
    REQUIRE(memory.take(60 * kPageSize) == page(30));
    REQUIRE(memory.take(10 * kPageSize) == page(280));
    REQUIRE(memory.take(kPageSize) == PhysAddr{0});
}
