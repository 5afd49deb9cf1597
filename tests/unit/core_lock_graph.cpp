// SPDX-License-Identifier: MIT
// The lock-order graph: what it learns from acquisitions, and what it must not learn.
#include <catch2/catch.hpp>

#include "kernel/core/lock_graph.hpp"
#include "kernel/sync/mutex.hpp"
#include "kernel/sync/rw_lock.hpp"
#include "tests/unit/simulation.hpp"

using namespace hd;
using core::Rank;
using core::lock_graph::knows;
using test::simulate;
using test::Simulation;

namespace {

class StringSink final : public TextSink {
public:
    void put(std::string_view piece) override { text += piece; }
    std::string text;
};

std::string text_of(void (*put)(TextSink&)) {
    StringSink sink;
    put(sink);
    return sink.text;
}

// Every test begins with an empty graph; ranks are the kernel's own, so other tests have left edges.
void forget_graph() {
    for (auto& inside : core::lock_graph::g_inside) inside = 0;
}

struct Locks {
    sync::Mutex position{Rank::FilePosition}, inode{Rank::Inode};
    sync::RwLock space{Rank::AddressSpace};
    core::Spinlock names{Rank::Dentry};
    core::IrqSpinlock timers{Rank::Timer};
};

std::string once(const std::function<void(Locks&)>& body) {
    forget_graph();
    return simulate(1, [&](Simulation& sim) {
        auto locks = std::make_shared<Locks>();
        sim.spawn([=] { body(*locks); });
    });
}

}  // namespace

TEST_CASE("the graph has an edge from the innermost lock to the next, over all kinds of locks", "[core]") {
    CHECK(once([](Locks& locks) {
              sync::MutexGuard a(locks.position);
              sync::MutexGuard b(locks.inode);
              sync::ReadGuard c(locks.space);
              core::LockGuard d(locks.names);
              core::LockGuard e(locks.timers);
          }) == "");
    CHECK(knows(Rank::FilePosition, Rank::Inode));
    CHECK(knows(Rank::Inode, Rank::AddressSpace));
    CHECK(knows(Rank::AddressSpace, Rank::Dentry));
    CHECK(knows(Rank::Dentry, Rank::Timer));
    CHECK(!knows(Rank::FilePosition, Rank::AddressSpace));  // follows from the others
    CHECK(!knows(Rank::Inode, Rank::Timer));
    CHECK_THAT(text_of(core::lock_graph::put_text),
               Catch::Contains("FilePosition -> Inode tests/unit/core_lock_graph.cpp:"));
    CHECK_THAT(text_of(core::lock_graph::put_dot), Catch::Contains("  Dentry -> Timer [tooltip="));
}

TEST_CASE("what was released is not held any more, in whatever order that was", "[core]") {
    CHECK(once([](Locks& locks) {
              locks.position.lock();
              locks.inode.lock();
              locks.position.unlock();
              locks.names.lock();
              locks.names.unlock();
              locks.inode.unlock();
              core::LockGuard guard(locks.timers);
          }) == "");
    CHECK(knows(Rank::Inode, Rank::Dentry));
    CHECK(!knows(Rank::FilePosition, Rank::Dentry));
    CHECK(knows(Rank::None, Rank::Timer));
    CHECK(!knows(Rank::Inode, Rank::Timer));
}

TEST_CASE("a sleeping lock is held by the thread that holds it, not by its CPU", "[core]") {
    forget_graph();
    CHECK(simulate(300, [](Simulation& sim) {
              auto locks = std::make_shared<Locks>();
              sim.spawn([=] {
                  for (int round = 0; round < 4; ++round) {
                      sync::MutexGuard guard(locks->inode);
                      sched::yield();
                      test::work(microseconds(1));
                  }
              });
              for (int i = 0; i < 3; ++i)
                  sim.spawn([=] {
                      for (int round = 0; round < 8; ++round) {
                          core::LockGuard guard(locks->names);
                          test::work(microseconds(1));
                      }
                      sched::yield();
                  });
          }) == "");
    CHECK(knows(Rank::None, Rank::Dentry));
    CHECK(!knows(Rank::Inode, Rank::Dentry));
}

TEST_CASE("trying a lock teaches nothing, and a wrong order is never known", "[core]") {
    CHECK(once([](Locks& locks) {
              sync::MutexGuard inode(locks.inode);
              fake::expect(locks.position.try_lock(), "nobody has it");
              locks.position.unlock();
          }) == "");
    CHECK(!knows(Rank::Inode, Rank::FilePosition));
    CHECK_THAT(once([](Locks& locks) {
                   sync::MutexGuard inode(locks.inode);
                   sync::MutexGuard position(locks.position);
               }),
               Catch::Contains("lock order: FilePosition wanted"));
    CHECK(!knows(Rank::Inode, Rank::FilePosition));
}

TEST_CASE("two of a rank are seen as a pair, and do not make a second one right", "[core]") {
    forget_graph();
    const auto run = [](bool nested) {
        return simulate(1, [=](Simulation& sim) {
            struct Two {
                sync::Mutex a{Rank::Directory}, b{Rank::Directory};
            };
            auto two = std::make_shared<Two>();
            sim.spawn([=] {
                if (nested) sync::MutexPairGuard pair(two->a, two->b);
                sync::MutexGuard a(two->a);
                sync::MutexGuard b(two->b);
            });
        });
    };
    CHECK_THAT(run(true), Catch::Contains("lock order: Directory wanted"));
    CHECK(!knows(Rank::Directory, Rank::Directory));
    const std::string text = text_of(core::lock_graph::put_text);
    const auto line = text.find("Directory ");
    REQUIRE(line != std::string::npos);
    CHECK_THAT(text.substr(line, text.find('\n', line) - line), Catch::Contains(" pairs"));
}
