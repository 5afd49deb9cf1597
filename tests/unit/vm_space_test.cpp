// SPDX-License-Identifier: MIT
// Address spaces on the simulated MMU: every byte a program reads must be the one that a simple model says, through any
// sequence of mmap, munmap, mprotect, fork and exit; and in the end every frame is back.
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "kernel/core/call_function.hpp"
#include "kernel/mm/vm/address_space.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::mm;

namespace {

AddressSpace* g_loaded = nullptr;

// Plays the user program: loads a space into the simulated CPU and touches its memory.
struct Program {
    explicit Program(RefPtr<AddressSpace> in) : space(std::move(in)) {}
    RefPtr<AddressSpace> space;

    void load() const {
        if (g_loaded == space.get()) return;
        sched::switch_user_space(space.get());
        g_loaded = space.get();
    }
    void write(VirtAddr at, u8 value) const {
        load();
        const InterruptsBackOn guard;
        fake::user_write(at, value);
    }
    u8 read(VirtAddr at) const {
        load();
        const InterruptsBackOn guard;
        return fake::user_read(at);
    }

private:
    // A fault that is not resolved leaves the access by an exception, in the middle of the simulated fault handler.
    struct InterruptsBackOn {
        ~InterruptsBackOn() { arch::irq_enable(); }
    };
};

bool resolve(const upcall::PageFault& fault) {
    arch::irq_enable();
    const bool done =
        g_loaded->handle_fault(fault.address, {.write = fault.write, .execute = fault.execute}) == FaultResult::Done;
    arch::irq_disable();
    return done;
}

struct VmMachine : test::MmMachine {
    VmMachine() {
        g_loaded = nullptr;
        arch::irq_disable();
        sched::init_cpu(idle);
        arch::irq_enable();
        fake::g_hooks.page_fault = resolve;
        fake::g_hooks.call_function = core::run_calls;
    }
    ~VmMachine() {
        sched::switch_user_space(nullptr);
        g_loaded = nullptr;
    }
    sched::Entity idle;
};

constexpr Protection kReadWrite{.read = true, .write = true};

VirtAddr map_at(AddressSpace& space, u64 address, u64 pages, Protection protection = kReadWrite) {
    const auto at =
        space.map({.address = VirtAddr{address}, .size = pages * kPageSize, .protection = protection, .fixed = true});
    REQUIRE(at.has_value());
    return *at;
}

}  // namespace

TEST_CASE("fresh memory reads as zero and keeps what is written", "[vm]") {
    VmMachine machine;
    Program program(AddressSpace::create().value());
    const VirtAddr at = map_at(*program.space, 0x400000, 4);
    REQUIRE(program.read(at + 5) == 0);
    program.write(at + 5, 42);
    program.write(at + kPageSize, 43);
    REQUIRE(program.read(at + 5) == 42);
    REQUIRE(program.read(at + kPageSize) == 43);
    REQUIRE(program.read(at + 2 * kPageSize) == 0);
    REQUIRE_THROWS(program.read(at + 4 * kPageSize));
}

TEST_CASE("fork copies on write and reuses what has one owner", "[vm]") {
    VmMachine machine;
    Program parent(AddressSpace::create().value());
    const VirtAddr at = map_at(*parent.space, 0x400000, 8);
    parent.write(at, 1);
    parent.write(at + kPageSize, 2);
    const auto frame_before = fake::translate(at, false).value();
    {
        Program child(parent.space->fork().value());
        REQUIRE(child.read(at) == 1);
        parent.write(at, 10);
        REQUIRE(fake::translate(at, false).value() != frame_before);
        REQUIRE(child.read(at) == 1);
        child.write(at + kPageSize, 20);
        REQUIRE(parent.read(at + kPageSize) == 2);
        REQUIRE(child.read(at + kPageSize) == 20);
        parent.load();
    }
    // The child is gone: page 1 has one owner again, so the write must not copy it.
    const u64 free_before = frame_counts().free;
    const auto second = fake::translate(at + kPageSize, false).value();
    parent.write(at + kPageSize, 3);
    REQUIRE(fake::translate(at + kPageSize, false).value() == second);
    REQUIRE(frame_counts().free == free_before);
}

TEST_CASE("fork shares last-level tables: its cost does not grow with the touched memory", "[vm]") {
    VmMachine machine;
    Program parent(AddressSpace::create().value());
    const u64 pages = 512;
    const VirtAddr at = map_at(*parent.space, 0x400000, pages);
    for (u64 i = 0; i < pages; ++i) parent.write(at + i * kPageSize, static_cast<u8>(i));
    const u64 before = frame_counts().free;
    Program child(parent.space->fork().value());
    REQUIRE(before - frame_counts().free <= 8);  // upper levels and records only
    REQUIRE(child.read(at + 7 * kPageSize) == 7);
    child.write(at + 7 * kPageSize, 99);
    REQUIRE(parent.read(at + 7 * kPageSize) == 7);
    // The grandchild of a process that has not touched anything since its own fork.
    Program grandchild(child.space->fork().value());
    REQUIRE(grandchild.read(at + 7 * kPageSize) == 99);
    REQUIRE(grandchild.read(at + 8 * kPageSize) == 8);
    parent.write(at + 8 * kPageSize, 77);
    REQUIRE(grandchild.read(at + 8 * kPageSize) == 8);
    REQUIRE(child.read(at + 8 * kPageSize) == 8);
}

TEST_CASE("mprotect takes rights away at once and gives them back", "[vm]") {
    VmMachine machine;
    Program program(AddressSpace::create().value());
    const VirtAddr at = map_at(*program.space, 0x400000, 2);
    program.write(at, 5);
    REQUIRE(program.space->protect(at, kPageSize, {.read = true}));
    REQUIRE(program.read(at) == 5);
    REQUIRE_THROWS(program.write(at, 6));
    REQUIRE(program.space->protect(at, kPageSize, {}));
    REQUIRE_THROWS(program.read(at));
    REQUIRE(program.space->protect(at, kPageSize, kReadWrite));
    REQUIRE(program.read(at) == 5);
    program.write(at, 7);
    REQUIRE(program.read(at) == 7);
}

TEST_CASE("shared anonymous memory stays shared over fork", "[vm]") {
    VmMachine machine;
    Program parent(AddressSpace::create().value());
    const VirtAddr at = parent.space->map({.size = 2 * kPageSize, .protection = kReadWrite, .shared = true}).value();
    parent.write(at, 1);
    Program child(parent.space->fork().value());
    child.write(at, 2);
    REQUIRE(parent.read(at) == 2);
    parent.write(at + kPageSize, 3);  // untouched before the fork
    REQUIRE(child.read(at + kPageSize) == 3);
}

TEST_CASE("a stack grows down to its limit and not into its neighbour", "[vm]") {
    VmMachine machine;
    Program program(AddressSpace::create().value());
    program.space->stack_limit = 64 * kPageSize;
    const VirtAddr top{0x40000000};
    REQUIRE(program.space->map(
        {.address = top - kPageSize, .size = kPageSize, .protection = kReadWrite, .fixed = true, .grows_down = true}));
    program.write(top - 10 * kPageSize, 1);
    REQUIRE(program.read(top - 5 * kPageSize) == 0);
    REQUIRE_THROWS(program.write(top - 65 * kPageSize, 1));
}

TEST_CASE("mremap keeps the contents where it moves them", "[vm]") {
    VmMachine machine;
    Program program(AddressSpace::create().value());
    const VirtAddr at = map_at(*program.space, 0x400000, 3);
    map_at(*program.space, at.raw + 3 * kPageSize, 1, {.read = true});  // in the way of growing
    for (u64 i = 0; i < 3; ++i) program.write(at + i * kPageSize, static_cast<u8>(i + 1));
    REQUIRE(program.space->remap(at, 3 * kPageSize, 6 * kPageSize, false).error() == Errno::kENOMEM);
    const VirtAddr moved = program.space->remap(at, 3 * kPageSize, 6 * kPageSize, true).value();
    for (u64 i = 0; i < 3; ++i) REQUIRE(program.read(moved + i * kPageSize) == i + 1);
    REQUIRE(program.read(moved + 5 * kPageSize) == 0);
    REQUIRE_THROWS(program.read(at));
}

namespace {

// Every free frame, to be given back a few at a time: what needs memory then fails at a later place each time.
class Hoard {
public:
    Hoard() {
        while (const auto frame = allocate_frame(Zero::No)) frames_.push_back(*frame);
    }
    ~Hoard() {
        while (give_one()) continue;
    }
    Hoard(const Hoard&) = delete;
    Hoard& operator=(const Hoard&) = delete;
    bool give_one() {
        if (frames_.empty()) return false;
        frames_.back()->unref();
        frames_.pop_back();
        return true;
    }

private:
    std::vector<Frame*> frames_;
};

}  // namespace

TEST_CASE("mremap and mprotect change everything or, out of memory, nothing", "[vm]") {
    constexpr u64 kSpan = arch::span_of_level(1);
    VmMachine machine;
    Program parent(AddressSpace::create().value());
    // Three last-level tables, all of them shared with a child, and so is the one that the target of a move begins in.
    const VirtAddr at = map_at(*parent.space, 0x40000000, 2 * kSpan / kPageSize + 8);
    map_at(*parent.space, at.raw + 2 * kSpan + 8 * kPageSize, 1, {.read = true});  // in the way of growing
    const u64 size = 2 * kSpan + 8 * kPageSize;
    for (u64 offset = 0; offset < size; offset += kSpan / 4)
        parent.write(at + offset, static_cast<u8>(offset / (kSpan / 4)));
    Program child(parent.space->fork().value());

    Hoard hoard;
    VirtAddr moved = at;
    bool protected_once = false;
    for (int given = 0; moved == at; ++given, (void)hoard.give_one()) {
        REQUIRE(given < 64);
        if (!protected_once)
            protected_once = parent.space->protect(at, size, {.read = true}).has_value();
        else if (const auto result = parent.space->remap(at, size, size + kPageSize, true))
            moved = *result;
        for (u64 offset = 0; offset < size; offset += kSpan / 4)
            if (moved == at) REQUIRE(parent.read(at + offset) == offset / (kSpan / 4));
    }
    for (u64 offset = 0; offset < size; offset += kSpan / 4)
        REQUIRE(parent.read(moved + offset) == offset / (kSpan / 4));
    REQUIRE_THROWS(parent.write(moved, 1));
    REQUIRE_THROWS(parent.read(at));
    for (u64 offset = 0; offset < size; offset += kSpan / 4) REQUIRE(child.read(at + offset) == offset / (kSpan / 4));
}

TEST_CASE("a space that was reaped has no pages and answers no access", "[vm]") {
    VmMachine machine;
    Program program(AddressSpace::create().value());
    const VirtAddr at = map_at(*program.space, 0x400000, 64);
    const u64 before = frame_counts().free;
    for (u64 i = 0; i < 64; ++i) program.write(at + i * kPageSize, 1);
    REQUIRE(frame_counts().free <= before - 64);
    program.space->reap();
    REQUIRE(frame_counts().free >= before);
    REQUIRE(program.space->resident_pages() == 0);
    REQUIRE(program.space->handle_fault(at, {}) == FaultResult::BadAddress);
    REQUIRE_THROWS(program.read(at));
}

TEST_CASE("running out of memory in fork or fault is an answer, and nothing leaks", "[vm]") {
    VmMachine machine;
    Program parent(AddressSpace::create().value());
    const VirtAddr at = map_at(*parent.space, 0x400000, 64);
    for (u64 i = 0; i < 64; ++i) parent.write(at + i * kPageSize, static_cast<u8>(i));
    {
        Hoard hoard;
        REQUIRE(parent.space->fork().error() == Errno::kENOMEM);
        for (int given = 0; given < 12; ++given) {
            hoard.give_one();
            auto child = parent.space->fork();
            if (!child) REQUIRE(child.error() == Errno::kENOMEM);
        }
    }
    for (u64 i = 0; i < 64; ++i) REQUIRE(parent.read(at + i * kPageSize) == static_cast<u8>(i));
    parent.write(at, 200);
    REQUIRE(parent.read(at) == 200);
}

namespace {

// What a page should look like: rights and one byte of contents.
struct ModelPage {
    bool writable;
    u8 value;
};
struct ModelProgram {
    std::unique_ptr<Program> program;
    std::map<u64, ModelPage> pages;
};

}  // namespace

TEST_CASE("random mmap, munmap, mprotect, fork, exit agree with a model", "[vm]") {
    const auto seed = GENERATE(range(1U, 31U));
    CAPTURE(seed);
    VmMachine machine;
    std::mt19937 random(seed);
    constexpr u64 kBase = 0x400000 - 64 * kPageSize, kSpan = 1200;  // over the border of several last-level tables
    std::vector<ModelProgram> family;
    family.push_back({std::make_unique<Program>(AddressSpace::create().value()), {}});

    for (int step = 0; step < 3000; ++step) {
        ModelProgram& one = family[random() % family.size()];
        AddressSpace& space = *one.program->space;
        const u64 first = random() % kSpan,
                  count = std::min<u64>(1 + random() % (random() % 8 == 0 ? 600 : 8), kSpan - first);
        const VirtAddr at{kBase + first * kPageSize};
        switch (random() % 16) {
        case 0:
        case 1: {
            const bool writable = random() % 4 != 0;
            map_at(space, at.raw, count, {.read = true, .write = writable});
            for (u64 i = 0; i < count; ++i) one.pages[first + i] = {writable, 0};
            break;
        }
        case 2:
            REQUIRE(space.unmap(at, count * kPageSize));
            for (u64 i = 0; i < count; ++i) one.pages.erase(first + i);
            break;
        case 3: {
            bool all = true;
            for (u64 i = 0; i < count; ++i) all &= one.pages.contains(first + i);
            const bool writable = random() % 2 != 0;
            REQUIRE(space.protect(at, count * kPageSize, {.read = true, .write = writable}).has_value() == all);
            if (all)
                for (u64 i = 0; i < count; ++i) one.pages[first + i].writable = writable;
            break;
        }
        case 4:
            if (family.size() < 4) {
                auto child = std::make_unique<Program>(space.fork().value());
                auto pages = one.pages;
                family.push_back({std::move(child), std::move(pages)});
            }
            break;
        case 5:
            if (family.size() > 1 && random() % 4 == 0) {
                const usize gone = random() % family.size();
                if (g_loaded == family[gone].program->space.get()) {
                    sched::switch_user_space(nullptr);
                    g_loaded = nullptr;
                }
                family.erase(family.begin() + static_cast<long>(gone));
            }
            break;
        case 6: {
            bool all = true;
            for (u64 i = 0; i < count; ++i) all &= one.pages.contains(first + i);
            REQUIRE(space.discard(at, count * kPageSize).has_value() == all);
            if (all)
                for (u64 i = 0; i < count; ++i) one.pages[first + i].value = 0;
            break;
        }
        case 7:
        case 8:
        case 9:
        case 10: {
            const auto page = one.pages.find(first);
            const u8 value = static_cast<u8>(random());
            if (page != one.pages.end() && page->second.writable) {
                one.program->write(at + 17, value);
                page->second.value = value;
            } else {
                REQUIRE_THROWS(one.program->write(at + 17, value));
            }
            break;
        }
        default: {
            const auto page = one.pages.find(first);
            if (page == one.pages.end())
                REQUIRE_THROWS(one.program->read(at + 17));
            else
                REQUIRE(one.program->read(at + 17) == page->second.value);
        }
        }
    }
    for (const ModelProgram& one : family)
        for (const auto& [page, expected] : one.pages)
            REQUIRE(one.program->read(VirtAddr{kBase + page * kPageSize + 17}) == expected.value);
    sched::switch_user_space(nullptr);
    family.clear();
    REQUIRE(machine.frames_lost() == 0);
}
