// SPDX-License-Identifier: MIT
// Pending signals against a model: standard ones once, real-time ones in order, urgent ones first.
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>

#include "kernel/task/signal/pending.hpp"
#include "tests/unit/mm_machine.hpp"

using namespace hd;
using namespace hd::task;

namespace {

std::unique_ptr<QueuedSignal> record(int signo, u64 value) {
    abi::SigInfo info;
    info.signo = signo;
    info.code = abi::kSI_QUEUE;
    info.rt.value = value;
    return std::unique_ptr<QueuedSignal>(new (std::nothrow) QueuedSignal(info));
}

}  // namespace

TEST_CASE("a standard signal is pending once, a real-time signal queues", "[task]") {
    test::MmMachine machine;
    PendingSignals pending;
    for (u64 value = 1; value <= 3; ++value) {
        pending.add(abi::kSIGUSR1, record(abi::kSIGUSR1, value));
        pending.add(abi::kSIGRTMIN + 5, record(abi::kSIGRTMIN + 5, value));
    }
    CHECK(pending.queued() == 4);
    abi::SigInfo info;
    REQUIRE(pending.take(~u64{0}, info));
    CHECK(info.signo == abi::kSIGUSR1);
    CHECK(info.rt.value == 1);
    for (u64 value = 1; value <= 3; ++value) {
        REQUIRE(pending.take(~u64{0}, info));
        CHECK(info.signo == abi::kSIGRTMIN + 5);
        CHECK(info.rt.value == value);
    }
    CHECK_FALSE(pending.take(~u64{0}, info));
    CHECK(pending.set() == 0);
}

TEST_CASE("a fault's signal comes before lower numbers", "[task]") {
    test::MmMachine machine;
    PendingSignals pending;
    for (const int signo : {abi::kSIGHUP, abi::kSIGSEGV, abi::kSIGINT, abi::kSIGILL})
        pending.add(signo, record(signo, 0));
    abi::SigInfo info;
    for (const int expected : {abi::kSIGILL, abi::kSIGSEGV, abi::kSIGHUP, abi::kSIGINT}) {
        REQUIRE(pending.take(~u64{0}, info));
        CHECK(info.signo == expected);
    }
}

TEST_CASE("a signal without a record keeps its number", "[task]") {
    test::MmMachine machine;
    PendingSignals pending;
    pending.add(abi::kSIGTERM, nullptr);
    abi::SigInfo info;
    CHECK_FALSE(pending.take(~abi::signal_bit(abi::kSIGTERM), info));
    REQUIRE(pending.take(~u64{0}, info));
    CHECK(info.signo == abi::kSIGTERM);
    CHECK(info.code == abi::kSI_USER);
}

TEST_CASE("pending signals agree with a model", "[task]") {
    test::MmMachine machine;
    {
        const auto seed = GENERATE(range(1U, 11U));
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        PendingSignals pending;
        std::map<int, std::deque<u64>> model;
        for (u64 step = 0; step < 2000; ++step) {
            const int signo = 1 + static_cast<int>(random() % abi::kSignalCount);
            switch (random() % 4) {
            case 0:
            case 1:
                if (signo >= abi::kSIGRTMIN || !model.contains(signo)) model[signo].push_back(step);
                pending.add(signo, record(signo, step));
                break;
            case 2: {
                const u64 wanted = random() | random();
                int expected = 0;
                for (const auto& [number, values] : model) {
                    if ((abi::signal_bit(number) & wanted) == 0) continue;
                    const auto urgent = [](int n) { return (abi::signal_bit(n) & kSynchronousSignals) != 0; };
                    if (expected == 0 || (urgent(number) && !urgent(expected))) expected = number;
                }
                abi::SigInfo info;
                REQUIRE(pending.take(wanted, info) == (expected != 0));
                if (expected == 0) break;
                REQUIRE(info.signo == expected);
                REQUIRE(info.rt.value == model[expected].front());
                model[expected].pop_front();
                if (model[expected].empty()) model.erase(expected);
                break;
            }
            case 3:
                if (random() % 8 != 0) break;
                pending.remove(abi::signal_bit(signo));
                model.erase(signo);
                break;
            }
            u64 set = 0;
            for (const auto& [number, values] : model) set |= abi::signal_bit(number);
            REQUIRE(pending.set() == set);
        }
    }
    CHECK(machine.frames_lost() == 0);
}

TEST_CASE("default actions are those of signal(7)", "[task]") {
    const auto in = [](u64 set, int signo) { return (set & abi::signal_bit(signo)) != 0; };
    for (const int signo : {abi::kSIGCHLD, abi::kSIGURG, abi::kSIGWINCH, abi::kSIGCONT})
        CHECK(in(kHarmlessSignals, signo));
    for (const int signo : {abi::kSIGSTOP, abi::kSIGTSTP, abi::kSIGTTIN, abi::kSIGTTOU}) CHECK(in(kStopSignals, signo));
    for (const int signo :
         {abi::kSIGHUP, abi::kSIGKILL, abi::kSIGPIPE, abi::kSIGIO, abi::kSIGSYS, abi::kSIGRTMIN, abi::kSIGRTMAX})
        CHECK_FALSE(in(kHarmlessSignals | kStopSignals, signo));
    CHECK((kHarmlessSignals & kStopSignals) == 0);
}
