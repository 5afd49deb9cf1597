// SPDX-License-Identifier: MIT
// Frames as the kernel sees them: per-CPU caches in front of the buddy allocator, references, clearing, the checks.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {

bool is_zero(const Frame& frame, u32 order = 0) {
    const u8* bytes = bytes_of(frame);
    return std::all_of(bytes, bytes + (kPageSize << order), [](u8 byte) { return byte == 0; });
}

}  // namespace

TEST_CASE("frames: boot gives away what is usable and nobody else's", "[mm][frame]") {
    test::MmMachine machine;
    const FrameCounts counts = frame_counts();
    const u64 records = arch::kDirectMapSize / kPageSize * sizeof(Frame) / kPageSize;
    REQUIRE(counts.total == (arch::kDirectMapSize - (2 << 20)) / kPageSize - records);
    REQUIRE(counts.free == counts.total - 1);  // the zero frame
    REQUIRE(counts.cached == 0);
    REQUIRE(is_zero(zero_frame()));

    std::set<u64> all;
    while (auto frame = allocate_frame(Zero::No)) all.insert(phys_of(**frame).raw);
    REQUIRE(all.size() == counts.free);
    REQUIRE(*all.begin() >= 2 << 20);
    REQUIRE_FALSE(all.contains(phys_of(zero_frame()).raw));
    REQUIRE(frame_counts().free == 0);
    for (u64 address : all) frame_at(PhysAddr{address}).unref();
    REQUIRE(machine.frames_lost() == 0);
    drain_frame_cache();
    const FrameCounts after = frame_counts();
    REQUIRE(std::equal(std::begin(counts.free_blocks), std::end(counts.free_blocks), after.free_blocks));
}

TEST_CASE("frames: addresses, records and the direct map agree", "[mm][frame]") {
    test::MmMachine machine;
    Frame& frame = *allocate_frame(Zero::No).value();
    REQUIRE(&frame_at(phys_of(frame) + 4095) == &frame);
    REQUIRE(&frame_of_direct_map(bytes_of(frame) + 17) == &frame);
    REQUIRE(is_ram(PhysAddr{arch::kDirectMapSize - 1}));
    REQUIRE_FALSE(is_ram(PhysAddr{arch::kDirectMapSize}));
    REQUIRE_THROWS_AS(frame_at(PhysAddr{arch::kDirectMapSize}), fake::Panic);
    frame.unref();
}

TEST_CASE("frames: zeroed when asked, one reference, no owner data", "[mm][frame]") {
    test::MmMachine machine;
    for (u32 order : {0u, 1u, 4u, kMaxOrder}) {
        Frame* dirty = allocate_frames(order, Zero::No).value();
        std::memset(bytes_of(*dirty), 0xee, kPageSize << order);
        dirty->owner_data = 77;
        dirty->unref();
        Frame* clean = allocate_frames(order, Zero::Yes).value();
        REQUIRE(is_zero(*clean, order));
        REQUIRE(clean->references == 1);
        REQUIRE(clean->owner_data == 0);
        REQUIRE(phys_of(*clean).is_aligned(kPageSize << order));
        clean->unref();
    }
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("frames: the last reference gives the frame back", "[mm][frame]") {
    test::MmMachine machine;
    Frame& frame = *allocate_frame(Zero::No).value();
    REQUIRE(sole_owner(frame));
    frame.ref();
    REQUIRE_FALSE(sole_owner(frame));
    const u64 before = frame_counts().free;
    frame.unref();
    REQUIRE(sole_owner(frame));
    REQUIRE(frame_counts().free == before);
    frame.unref();
    REQUIRE(frame_counts().free == before + 1);
    REQUIRE(frame.state == FrameState::Cached);
    REQUIRE_THROWS_AS(frame.unref(), fake::Panic);
}

TEST_CASE("frames: a write after the last reference is found", "[mm][frame]") {
    test::MmMachine machine;
    Frame& frame = *allocate_frame(Zero::No).value();
    frame.unref();
    bytes_of(frame)[3] ^= 1;
    REQUIRE_THROWS_AS(allocate_frame(Zero::Yes), fake::Panic);
}

TEST_CASE("frames: a CPU's cache is its own, and goes back by batches and by draining", "[mm][frame]") {
    test::MmMachine machine(2);
    std::vector<Frame*> held;
    for (int i = 0; i < 200; ++i) held.push_back(allocate_frame(Zero::No).value());
    const u64 on_first = frame_counts().cached;
    REQUIRE(on_first < 64);
    fake::become_cpu(CpuId{1});
    for (Frame* frame : held) frame->unref();
    REQUIRE(frame_counts().cached > on_first);
    REQUIRE(frame_counts().cached <= on_first + 64);
    drain_frame_cache();
    REQUIRE(frame_counts().cached == on_first);
    fake::become_cpu(CpuId{0});
    drain_frame_cache();
    REQUIRE(frame_counts().cached == 0);
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("frames: a block that only cached frames keep apart is found", "[mm][frame]") {
    test::MmMachine machine;
    std::vector<Frame*> held;
    while (auto frame = allocate_frame(Zero::No)) held.push_back(*frame);
    // Give back one aligned block of 16, frame by frame: they stay in the cache.
    std::erase_if(held, [first = u64{4} << 20](Frame* frame) {
        const u64 at = phys_of(*frame).raw;
        if (at < first || at >= first + 16 * kPageSize) return false;
        frame->unref();
        return true;
    });
    REQUIRE(frame_counts().cached == 16);
    Frame* block = allocate_frames(4, Zero::No).value();
    REQUIRE(phys_of(*block).raw == u64{4} << 20);
    REQUIRE(allocate_frame(Zero::No).error() == Errno::kENOMEM);
    REQUIRE(allocate_frames(1, Zero::No).error() == Errno::kENOMEM);
    block->unref();
    for (Frame* frame : held) frame->unref();
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("frames: memory that boot used comes later", "[mm][frame]") {
    fake::reset();
    arch::BootInfo info = arch::g_boot_info;
    info.initramfs = {PhysAddr{(8 << 20) + 5}, PhysAddr{(9 << 20) + 5}};  // touches 257 pages
    early_init(info);
    frames_init();
    const u64 before = frame_counts().total;
    release_range(info.initramfs);
    REQUIRE(frame_counts().total == before + 257);
    REQUIRE(frame_counts().free == before + 256);
}

TEST_CASE("frames: too little memory ends the boot with a sentence", "[mm][frame]") {
    fake::reset();
    early_init(arch::g_boot_info);
    REQUIRE_THROWS_WITH(early_frames(arch::kDirectMapSize / kPageSize), Catch::Contains("too little memory"));
    const PhysAddr some = early_frames(3);
    REQUIRE(some.raw == 2 << 20);
    REQUIRE(early_frames(1) == some + 3 * kPageSize);
}

TEST_CASE("frames: CPUs allocate and free at the same time", "[mm][frame][threads]") {
    constexpr u32 kCpus = 4;
    test::MmMachine machine(kCpus);
    std::vector<std::thread> threads;
    std::atomic<u64> wrong{0};
    for (u32 cpu = 0; cpu < kCpus; ++cpu)
        threads.emplace_back([cpu, &wrong] {
            fake::become_cpu(CpuId{cpu});
            std::mt19937 random(cpu);
            struct Block {
                Frame* frame;
                u64 stamp;
            };
            std::vector<Block> held;
            for (u64 step = 0; step < 4000; ++step) {
                if (random() % 2 == 0 || held.empty()) {
                    const auto order = static_cast<u32>(random() % 8 == 0 ? random() % 4 : 0);
                    const auto frame = allocate_frames(order, Zero::No);
                    if (!frame) continue;
                    held.push_back({*frame, u64{cpu} << 32 | step});
                    std::memcpy(bytes_of(**frame), &held.back().stamp, sizeof(u64));
                } else {
                    std::swap(held[random() % held.size()], held.back());
                    wrong += std::memcmp(bytes_of(*held.back().frame), &held.back().stamp, sizeof(u64)) != 0;
                    held.back().frame->unref();
                    held.pop_back();
                }
            }
            for (const Block& block : held) block.frame->unref();
        });
    for (std::thread& thread : threads) thread.join();
    REQUIRE(wrong == 0);
    REQUIRE(machine.frames_lost() == 0);
}
