// SPDX-License-Identifier: MIT
// epoll on simulated CPUs: files become ready while threads wait, are handed out and get ready again. No event is lost: whoever waits
// hears of each file that is ready (level), of each time that it became so (edge), once (one-shot); and nobody sleeps for ever.
#include <catch2/catch.hpp>

#include "kernel/ipc/epoll.hpp"
#include "kernel/sync/semaphore.hpp"
#include "tests/unit/simulation.hpp"

namespace {

using namespace hd;
using namespace hd::test;

// Something that counts, like an eventfd without its bytes.
class Counter final : public ipc::AnonymousFile {
public:
    Counter() : AnonymousFile(ipc::AnonymousKind::EventFd, abi::kO_RDWR) {}
    u32 poll(fs::PollTable* table) override {
        if (table != nullptr) table->add(queue_);
        return count_.load() != 0 ? abi::kPOLLIN : 0;
    }
    void add() {
        ++count_;
        queue_.wake_all(sched::WakeHint::None, abi::kPOLLIN);
    }
    int take() { return count_.exchange(0); }

private:
    std::atomic<int> count_{0};
    sync::WaitQueue queue_;
};

constexpr int kFiles = 2, kConsumers = 2, kProducers = 2, kAdds = 4;

// Each thread's events, as user memory.
struct Memory {
    abi::EpollEvent events[kConsumers][4];
} g_memory;
constexpr u64 kBase = 0x10000;

struct World {
    World() : epoll(kAdoptRef, ::new ipc::Epoll) {
        for (auto& file : files) file = RefPtr<Counter>(kAdoptRef, ::new Counter);
    }
    RefPtr<ipc::Epoll> epoll;
    std::array<RefPtr<Counter>, kFiles> files;
    std::atomic<int> taken{0};
};

// Producers make files ready; consumers wait for events, take what there is, and count. All is over when everything was taken.
std::string run(u32 seeds, u32 how, bool rearm) {
    return simulate(seeds, [=](Simulation& sim) {
        sim.use_memory();
        auto world = std::make_shared<std::unique_ptr<World>>();
        auto begun = std::make_shared<sync::Semaphore>(0);
        constexpr int kAll = kProducers * kAdds;
        for (int i = 0; i < kConsumers; ++i)
            sim.spawn([=] {
                fake::g_hooks.user_memory = [](u64 address) {
                    return reinterpret_cast<u8*>(&g_memory) + (address - kBase);
                };
                if (i == 0) {
                    *world = std::make_unique<World>();
                    for (int j = 0; j < kFiles; ++j)
                        fake::expect((*world)
                                         ->epoll
                                         ->add(j, *(*world)->files[static_cast<usize>(j)],
                                               {abi::kPOLLIN | how, static_cast<u64>(j)})
                                         .has_value(),
                                     "a file cannot be watched");
                    for (int j = 0; j < kConsumers + kProducers - 1; ++j) begun->release();
                } else {
                    begun->acquire();
                }
                World& here = **world;
                const mm::UserPtr<abi::EpollEvent> events(kBase + static_cast<u64>(i) * sizeof g_memory.events[0]);
                while (here.taken < kAll) {
                    // Somebody else may take the last: the limit is for that alone.
                    const auto count =
                        here.epoll->wait(events, 1 + static_cast<u32>(i) * 3, time::now() + milliseconds(1));
                    fake::expect(count.has_value(), "epoll_wait fails");
                    fake::expect(*count != 0 || here.taken == kAll,
                                 "there is something to take, and nobody was told of it");
                    for (u32 k = 0; k < *count; ++k) {
                        const u64 which = g_memory.events[i][k].data;
                        here.taken += here.files[which]->take();
                        if (rearm)
                            fake::expect(
                                here.epoll
                                    ->modify(static_cast<int>(which), *here.files[which], {abi::kPOLLIN | how, which})
                                    .has_value(),
                                "it is not watched");
                    }
                }
            });
        for (int i = 0; i < kProducers; ++i) {
            std::array<u64, kAdds> order;
            for (u64& which : order) which = sim.random(kFiles);
            sim.spawn([=] {
                begun->acquire();
                for (const u64 which : order) {
                    (*world)->files[which]->add();
                    fake::step();
                }
            });
        }
        // What goes back to the slabs must go on a CPU of this run.
        sim.at_end([=] {
            fake::expect((*world)->taken == kAll, "not everything was taken");
            world->reset();
        });
    });
}

}  // namespace

TEST_CASE("epoll loses no event, however it is told of it", "[ipc]") {
    ipc::init_anonymous_files();
    ipc::init_epoll();
    CHECK(run(400, 0, false) == "");
    CHECK(run(400, abi::kEPOLLET, false) == "");
    CHECK(run(400, abi::kEPOLLONESHOT, true) == "");
    CHECK(run(400, abi::kEPOLLEXCLUSIVE, false) == "");
    fake::g_hooks.user_memory = nullptr;
}
