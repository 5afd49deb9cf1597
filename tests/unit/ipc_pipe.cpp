// SPDX-License-Identifier: MIT
// Pipes and FIFOs: the rules of pipe(7) and fifo(7) one by one, then streams and wake-ups on simulated CPUs.
#include <catch2/catch.hpp>

#include "tests/unit/fs_machine.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using namespace hd::test;
using ipc::make_pipe;
using ipc::PipeEnds;

namespace {

constexpr int kEAGAIN = 11, kEPIPE = 32, kESPIPE = 29, kENXIO = 6, kEBADF = 9;

}  // namespace

TEST_CASE("a pipe gives bytes in order and then its end", "[ipc][pipe]") {
    FsMachine machine;
    PipeEnds pipe = make_pipe(0, kRootUser).value();
    CHECK(write_text(*pipe.writer, "hello").value() == 5);
    CHECK(read_text(*pipe.reader, 3).value() == "hel");
    CHECK(write_text(*pipe.writer, " world").value() == 6);
    CHECK(read_text(*pipe.reader, 100).value() == "lo world");
    CHECK(error_of(read_text(*pipe.writer, 1)) == kEBADF);
    CHECK(error_of(write_text(*pipe.reader, "x")) == kEBADF);
    CHECK(error_of(pipe.reader->seek(0, abi::kSEEK_SET)) == kESPIPE);
    CHECK(pipe.reader->poll(nullptr) == 0);
    CHECK(pipe.writer->poll(nullptr) == abi::kPOLLOUT);
    CHECK(write_text(*pipe.writer, "rest").value() == 4);
    CHECK(pipe.reader->poll(nullptr) == abi::kPOLLIN);
    pipe.writer = nullptr;
    CHECK(pipe.reader->poll(nullptr) == (abi::kPOLLIN | abi::kPOLLHUP));
    CHECK(read_text(*pipe.reader, 100).value() == "rest");
    CHECK(read_text(*pipe.reader, 100).value().empty());
    CHECK(pipe.reader->poll(nullptr) == abi::kPOLLHUP);
}

TEST_CASE("without a reader writing fails, without blocking it takes what fits", "[ipc][pipe]") {
    FsMachine machine;
    const u64 free_before = mm::frame_counts().free;
    PipeEnds pipe = make_pipe(abi::kO_NONBLOCK, kRootUser).value();
    CHECK(error_of(read_text(*pipe.reader, 1)) == kEAGAIN);
    CHECK(read_text(*pipe.reader, 0).value().empty());
    CHECK(write_text(*pipe.writer, std::string(100'000, 'a')).value() == 65536);
    CHECK(error_of(write_text(*pipe.writer, "x")) == kEAGAIN);
    CHECK(pipe.writer->poll(nullptr) == 0);
    CHECK(read_text(*pipe.reader, 4095).value() == std::string(4095, 'a'));
    CHECK(pipe.writer->poll(nullptr) == 0);
    CHECK(error_of(write_text(*pipe.writer, std::string(4096, 'b'))) == kEAGAIN);  // whole or not at all
    CHECK(write_text(*pipe.writer, std::string(4095, 'c')).value() == 4095);
    CHECK(read_text(*pipe.reader, 65536).value() == std::string(65536 - 4095, 'a') + std::string(4095, 'c'));
    CHECK(write_text(*pipe.writer, std::string(30'000, 'd')).value() == 30'000);
    CHECK(read_text(*pipe.reader, 65536).value() == std::string(30'000, 'd'));
    CHECK(free_before - mm::frame_counts().free < 8);  // an empty pipe keeps one page
    pipe.reader = nullptr;
    CHECK(pipe.writer->poll(nullptr) == (abi::kPOLLOUT | abi::kPOLLERR));
    fake::g_signals_to_self = 0;
    CHECK(error_of(write_text(*pipe.writer, "x")) == kEPIPE);
    CHECK(fake::g_signals_to_self == 1);
    CHECK(write_text(*pipe.writer, "").value() == 0);
    pipe.writer = nullptr;
    CHECK(machine.frames_lost() == 0);
}

TEST_CASE("FIFOs open as fifo(7) says", "[ipc][fifo]") {
    FsMachine machine;
    const fs::WalkStart start = machine.start();
    REQUIRE(fs::make_node(start, "fifo", {fs::InodeKind::Fifo, 0644}));
    const auto open = [&](u32 flags) { return fs::open(start, "fifo", flags | abi::kO_NONBLOCK, 0); };
    CHECK(error_of(open(abi::kO_WRONLY)) == kENXIO);
    auto reader = open(abi::kO_RDONLY).value();
    CHECK(reader->poll(nullptr) == 0);  // no writer yet is no hang-up
    CHECK(read_text(*reader, 1).value().empty());
    auto writer = open(abi::kO_WRONLY).value();
    CHECK(error_of(read_text(*reader, 1)) == kEAGAIN);
    CHECK(write_text(*writer, "text").value() == 4);
    writer = nullptr;
    CHECK(reader->poll(nullptr) == (abi::kPOLLIN | abi::kPOLLHUP));
    CHECK(read_text(*reader, 10).value() == "text");
    auto both = fs::open(start, "fifo", abi::kO_RDWR, 0).value();
    CHECK(write_text(*both, "kept").value() == 4);
    reader = nullptr;
    CHECK(read_text(*both, 10).value() == "kept");
    CHECK(write_text(*both, "lost").value() == 4);
    both = nullptr;
    reader = open(abi::kO_RDONLY).value();
    CHECK(read_text(*reader, 10).value().empty());

    // A pipe opened again, as /proc/PID/fd/N does it.
    PipeEnds pipe = make_pipe(0, kRootUser).value();
    auto again = pipe.reader->inode->open(nullptr, abi::kO_WRONLY).value();
    CHECK(write_text(*again, "through").value() == 7);
    CHECK(read_text(*pipe.reader, 10).value() == "through");

    // The other side has left: nobody is waited for, whatever the mode.
    again = nullptr;
    CHECK(write_text(*pipe.writer, "left").value() == 4);
    pipe.writer = nullptr;
    again = pipe.reader->inode->open(nullptr, abi::kO_RDONLY).value();
    CHECK(again->poll(nullptr) == (abi::kPOLLIN | abi::kPOLLHUP));
    CHECK(read_text(*again, 10).value() == "left");
    CHECK(read_text(*again, 10).value().empty());
    const fs::InodeRef alone = make_pipe(0, kRootUser).value().reader->inode;
    for (const u32 mode : {abi::kO_WRONLY, abi::kO_WRONLY | abi::kO_NONBLOCK}) {
        again = alone->open(nullptr, mode).value();
        CHECK(error_of(write_text(*again, "x")) == kEPIPE);
    }
}

namespace {

// Records of equal bytes, each no longer than PIPE_BUF, from several writers to several readers.
void build_records(Simulation& sim) {
    struct Shared {
        FsMachine machine;
        PipeEnds pipe = make_pipe(0, kRootUser).value();
        std::atomic<u32> received[4] = {};
        std::atomic<int> writers{2};
    };
    constexpr usize kSize = 3000;  // no divisor of the pipe's size, so that records wrap
    constexpr u32 kEach = 30;
    auto shared = std::make_shared<Shared>();
    for (int id = 0; id < 2; ++id)
        sim.spawn([=] {
            const std::string record(kSize, static_cast<char>('0' + id));
            for (u32 i = 0; i < kEach; ++i)
                fake::expect(write_text(*shared->pipe.writer, record).value_or(0) == kSize, "a short record");
            if (--shared->writers == 0) shared->pipe.writer = nullptr;
        });
    for (int i = 0; i < 2; ++i)
        sim.spawn([=] {
            for (;;) {
                const std::string record = read_text(*shared->pipe.reader, kSize).value_or("failed");
                if (record.empty()) return;
                fake::expect(record.size() == kSize, "half a record");
                fake::expect(record.find_first_not_of(record[0]) == std::string::npos, "two records were mixed");
                ++shared->received[record[0] - '0'];
            }
        });
    sim.at_end([=] {
        shared->machine.settle();
        fake::expect(shared->received[0] == kEach && shared->received[1] == kEach, "records were lost");
    });
}

// One large write against reads of many sizes; then the reader goes, and the writer that sleeps hears of it.
void build_stream(Simulation& sim) {
    struct Shared {
        FsMachine machine;
        PipeEnds pipe = make_pipe(0, kRootUser).value();
    };
    auto shared = std::make_shared<Shared>();
    const u64 seed = sim.seed();
    sim.spawn([=] {
        std::string text(200'000, ' ');
        for (usize i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i % 251);
        const auto wrote = write_text(*shared->pipe.writer, text);
        fake::expect(wrote && *wrote < text.size(), "the reader left early");
        fake::expect(error_of(write_text(*shared->pipe.writer, "x")) == kEPIPE, "nobody reads");
    });
    sim.spawn([=] {
        u64 random = seed;
        for (usize at = 0; at < 100'000;) {
            random = random * 6364136223846793005 + 1;
            const auto text = read_text(*shared->pipe.reader, 1 + (random >> 33) % 20'000);
            fake::expect(text && !text->empty(), "the stream goes on");
            for (const char c : *text) fake::expect(c == static_cast<char>(at * at % 251), "in order"), ++at;
        }
        shared->pipe.reader = nullptr;
    });
    sim.at_end([=] { shared->machine.settle(); });
}

// One write wakes one reader; it must wake the next, for whom something is left.
void build_hand_on(Simulation& sim) {
    struct Shared {
        FsMachine machine;
        PipeEnds pipe = make_pipe(0, kRootUser).value();
    };
    auto shared = std::make_shared<Shared>();
    for (int i = 0; i < 3; ++i)
        sim.spawn([=] { fake::expect(read_text(*shared->pipe.reader, 1000).value_or("").size() == 1000, "a third"); });
    sim.spawn(
        [=] { fake::expect(write_text(*shared->pipe.writer, std::string(3000, 'x')).value_or(0) == 3000, "all"); });
    sim.at_end([=] { shared->machine.settle(); });
}

// A byte to and fro, over FIFOs whose openings wait for each other; the last word is a poll(2).
void build_ping_pong(Simulation& sim) {
    auto machine = std::make_shared<FsMachine>();
    for (const char* name : {"there", "back"})
        fs::make_node(machine->start(), name, {fs::InodeKind::Fifo, 0600}).value();
    sim.spawn([=] {
        auto there = fs::open(machine->start(), "there", abi::kO_WRONLY, 0).value();
        auto back = fs::open(machine->start(), "back", abi::kO_RDONLY, 0).value();
        for (int i = 0; i < 10; ++i) {
            fake::expect(write_text(*there, "p").value_or(0) == 1, "ping");
            fake::expect(read_text(*back, 1).value_or("") == "q", "pong");
        }
    });
    sim.spawn([=] {
        auto there = fs::open(machine->start(), "there", abi::kO_RDONLY, 0).value();
        auto back = fs::open(machine->start(), "back", abi::kO_WRONLY, 0).value();
        for (int i = 0; i < 10; ++i) {
            fake::expect(read_text(*there, 1).value_or("") == "p", "ping");
            fake::expect(write_text(*back, "q").value_or(0) == 1, "pong");
        }
        struct Table final : fs::PollTable {
            void add(sync::WaitQueue& wanted) override { queue = &wanted; }
            sync::WaitQueue* queue = nullptr;
        } table;
        static_cast<void>(there->poll(&table));
        table.queue->wait_until("poll", [&] { return (there->poll(nullptr) & abi::kPOLLHUP) != 0; });
        fake::expect(read_text(*there, 1).value_or("x").empty(), "the end");
    });
    sim.at_end([=] { machine->settle(); });
}

}  // namespace

TEST_CASE("records of a pipe arrive whole, once and from everybody", "[ipc][pipe][simulated]") {
    CHECK(simulate(100, build_records, 1, 4) == "");
}

TEST_CASE("what one write brings wakes all readers that it can serve", "[ipc][pipe][simulated]") {
    CHECK(simulate(100, build_hand_on, 1, 4) == "");
}

TEST_CASE("a stream through a pipe ends when the reader goes", "[ipc][pipe][simulated]") {
    CHECK(simulate(100, build_stream, 1, 3) == "");
}

TEST_CASE("FIFOs wake openers, readers and pollers", "[ipc][fifo][simulated]") {
    CHECK(simulate(300, build_ping_pong, 1, 3) == "");
}
