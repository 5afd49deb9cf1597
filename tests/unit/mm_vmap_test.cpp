// SPDX-License-Identifier: MIT
// Kernel stacks and device mappings.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <vector>

#include "arch/context.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {
u8* bottom_of(VirtAddr top) { return reinterpret_cast<u8*>(top.raw - arch::kKernelStackSize); }
}  // namespace

TEST_CASE("vmap: stacks are memory of their own with a hole below", "[mm][vmap]") {
    test::MmMachine machine;
    std::vector<VirtAddr> tops;
    for (u8 i = 0; i < 20; ++i) {
        tops.push_back(allocate_kernel_stack().value());
        std::memset(bottom_of(tops.back()), i, arch::kKernelStackSize);
    }
    for (u8 i = 0; i < 20; ++i) {
        const u8* bottom = bottom_of(tops[i]);
        REQUIRE(std::all_of(bottom, bottom + arch::kKernelStackSize, [i](u8 byte) { return byte == i; }));
        REQUIRE(tops[i].is_aligned(16));
        REQUIRE(is_stack_guard(virt_of(bottom) - 1));
        REQUIRE(is_stack_guard(virt_of(bottom) - kPageSize));
        REQUIRE_FALSE(is_stack_guard(virt_of(bottom)));
        REQUIRE_FALSE(is_stack_guard(tops[i] - 1));
        REQUIRE_FALSE(arch::translate_kernel(virt_of(bottom) - 1).has_value());
    }
    REQUIRE(kernel_stack_count() == 20);
    REQUIRE_FALSE(is_stack_guard(arch::kVmapBase + 20 * 2 * arch::kKernelStackSize));
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("vmap: freed stacks are used again, on any CPU, and no new ones are made", "[mm][vmap]") {
    test::MmMachine machine(2);
    std::set<u64> first;
    for (int i = 0; i < 40; ++i) first.insert(allocate_kernel_stack().value().raw);
    for (u64 top : first) free_kernel_stack(VirtAddr{top});
    const u64 frames = vmap_frames();
    // Eight at most stay with CPU 0.
    fake::become_cpu(CpuId{1});
    std::set<u64> second;
    for (int i = 0; i < 32; ++i) second.insert(allocate_kernel_stack().value().raw);
    REQUIRE(std::includes(first.begin(), first.end(), second.begin(), second.end()));
    REQUIRE(second.size() == 32);
    REQUIRE(kernel_stack_count() == 40);
    REQUIRE(vmap_frames() == frames);
    for (u64 top : second) free_kernel_stack(VirtAddr{top});
}

TEST_CASE("vmap: no memory for a stack is an error, and takes nothing", "[mm][vmap]") {
    test::MmMachine machine;
    const VirtAddr kept = allocate_kernel_stack().value();
    std::vector<Frame*> all;
    while (auto frame = allocate_frame(Zero::No)) all.push_back(*frame);
    constexpr usize kTooFew = arch::kKernelStackSize / kPageSize - 1;
    for (usize i = 0; i < kTooFew; ++i) {
        all.back()->unref();
        all.pop_back();
    }
    REQUIRE(allocate_kernel_stack().error() == Errno::kENOMEM);
    REQUIRE(frame_counts().free == kTooFew);
    free_kernel_stack(kept);
    REQUIRE(allocate_kernel_stack().value() == kept);
    for (Frame* frame : all) frame->unref();
    REQUIRE(machine.frames_lost() == 0);
}

TEST_CASE("vmap: a stack that is none, or is free already, is refused", "[mm][vmap]") {
    test::MmMachine machine;
    const VirtAddr top = allocate_kernel_stack().value();
    REQUIRE_THROWS_AS(free_kernel_stack(top - 16), fake::Panic);
    REQUIRE_THROWS_AS(free_kernel_stack(top + 2 * arch::kKernelStackSize), fake::Panic);
    free_kernel_stack(top);
    REQUIRE_THROWS_AS(free_kernel_stack(top), fake::Panic);
}

TEST_CASE("vmap: devices appear where they are asked for", "[mm][vmap]") {
    test::MmMachine machine;
    // The simulated machine has no device, so a part of its memory plays one.
    auto* memory = static_cast<u8*>(direct_map(PhysAddr{1 << 20}));
    const VirtAddr first = map_device(PhysAddr{(1 << 20) + 100}, 5000).value();
    const VirtAddr second = map_device(PhysAddr{(1 << 20) + 4096}, 4096).value();
    REQUIRE(first.raw % kPageSize == 100);
    *reinterpret_cast<u8*>(first.raw + 4999) = 0x42;
    REQUIRE(memory[5099] == 0x42);
    REQUIRE(*reinterpret_cast<u8*>(second.raw + 5099 - 4096) == 0x42);
    REQUIRE((second > first + 5000 || second + 4096 < first));
    REQUIRE(map_device(PhysAddr{0}, arch::kVmapEnd - arch::kVmapBase).error() == Errno::kENOMEM);
}
