// SPDX-License-Identifier: MIT
// The queue of the waiting threads by itself, and the weights.
#include <catch2/catch.hpp>

#include <deque>
#include <random>
#include <thread>

#include "kernel/sched/run_queue.hpp"
#include "tests/unit/fake_arch/machine.hpp"

using namespace hd;
using namespace hd::sched;

TEST_CASE("the ready queue gives the least virtual runtime first, equals in order of arrival", "[sched]") {
    fake::reset();
    ReadyQueue queue;
    std::deque<Entity> threads(200);
    std::mt19937 random(7);
    for (Entity& thread : threads) {
        thread.virtual_runtime = random() % 50;
        thread.start_time = Nanoseconds{static_cast<i64>(&thread - &threads[0])};
        queue.enqueue(thread);
    }
    u64 last = 0;
    for (usize i = 0; i < threads.size(); ++i) {
        Entity* first = queue.take_first();
        REQUIRE(first != nullptr);
        CHECK(first->virtual_runtime >= last);
        last = first->virtual_runtime;
    }
    CHECK(queue.first() == nullptr);
    CHECK(queue.take_first() == nullptr);
}

TEST_CASE("the ready queue: random operations against a model", "[sched]") {
    fake::reset();
    ReadyQueue queue;
    std::deque<Entity> threads(40);
    std::vector<Entity*> out, in;
    for (Entity& thread : threads) out.push_back(&thread);
    std::mt19937 random(11);
    for (int step = 0; step < 20'000; ++step) {
        const u64 dice = random() % 3;
        if (dice == 0 && !out.empty()) {
            std::swap(out[random() % out.size()], out.back());
            out.back()->virtual_runtime = ~u64{0} - 100 + random() % 200;  // around the point where it wraps
            queue.enqueue(*out.back());
            in.push_back(out.back());
            out.pop_back();
        } else if (dice == 1 && !in.empty()) {
            std::swap(in[random() % in.size()], in.back());
            queue.dequeue(*in.back());
            out.push_back(in.back());
            in.pop_back();
        } else if (dice == 2 && !in.empty()) {
            Entity* first = queue.take_first();
            const auto least =
                std::min_element(in.begin(), in.end(), [](auto* a, auto* b) { return ReadyQueue::before(*a, *b); });
            REQUIRE(first->virtual_runtime == (*least)->virtual_runtime);
            in.erase(std::find(in.begin(), in.end(), first));
            out.push_back(first);
        }
        REQUIRE((queue.first() == nullptr) == in.empty());
    }
    while (queue.take_first() != nullptr) continue;
}

TEST_CASE("the ready queue's clock never goes back, and sleepers get a bounded credit", "[sched]") {
    fake::reset();
    ReadyQueue queue;
    Entity running, sleeper;
    running.virtual_runtime = 10'000'000;
    queue.advance(&running);
    CHECK(queue.minimum() == 10'000'000);
    sleeper.virtual_runtime = 5;
    sleeper.virtual_runtime = queue.virtual_runtime_when_woken(sleeper);
    CHECK(sleeper.virtual_runtime == 7'000'000);
    sleeper.virtual_runtime = 9'000'000;
    sleeper.virtual_runtime = queue.virtual_runtime_when_woken(sleeper);
    CHECK(sleeper.virtual_runtime == 9'000'000);  // a short sleep changes nothing
    sleeper.virtual_runtime = 30'000'000;
    sleeper.virtual_runtime = queue.virtual_runtime_when_woken(sleeper);
    CHECK(sleeper.virtual_runtime == 30'000'000);  // and no debt is forgiven
    running.virtual_runtime = 6'000'000;
    queue.advance(&running);
    CHECK(queue.minimum() == 10'000'000);
}

TEST_CASE("real-time threads: highest priority first, then order of arrival, and all before the fair ones", "[sched]") {
    fake::reset();
    ReadyQueue queue;
    std::deque<Entity> threads(8);
    const u8 slots[8] = {1, 99, 64, 63, 0, 99, 1, 0};
    threads[4].virtual_runtime = 700;
    threads[7].virtual_runtime = 500;
    for (usize i = 0; i < 8; ++i) {
        threads[i].queue_slot = slots[i];
        queue.enqueue(threads[i]);
    }
    CHECK(queue.first()->queue_slot == 99);
    CHECK(queue.first_fair() == &threads[7]);
    queue.advance(nullptr);
    CHECK(queue.minimum() == 500);  // the clock is the fair threads' alone
    queue.dequeue(threads[2]);
    queue.dequeue(threads[5]);
    queue.dequeue(threads[6]);
    queue.enqueue(threads[5], Among::First);
    queue.enqueue(threads[6], Among::First);
    const usize expected[] = {5, 1, 3, 6, 0, 7, 4};
    for (const usize i : expected) CHECK(queue.take_first() == &threads[i]);
    CHECK(queue.first() == nullptr);
    CHECK(queue.first_fair() == nullptr);
}

TEST_CASE("virtual time follows Linux's weights", "[sched]") {
    Entity thread;
    CHECK(weighted(thread, milliseconds(4)) == 4'000'000);
    thread.nice = 19;
    CHECK(weighted(thread, milliseconds(15)) == 1'024'000'000);
    thread.nice = -20;
    CHECK(weighted(thread, milliseconds(88'761)) == 1'024'000'000);
    thread.nice = 0;
    thread.policy = Policy::Idle;
    CHECK(weighted(thread, milliseconds(3)) == 1'024'000'000);
}

// It became Sleeping, was woken and forbidden its CPU before the pending list was drained: all in one section of the switch.
TEST_CASE("a thread whose registers are still in the CPU is not sent to another one", "[sched]") {
    fake::reset(2);
    Entity idle[2], thread;
    for (u32 i = 2; i-- > 0;) {
        fake::become_cpu(CpuId{i});
        arch::irq_disable();
        init_cpu(idle[i]);
        arch::irq_enable();
    }
    RunQueue& queue = run_queue_of(CpuId{0});
    queue.current = &thread;
    thread.state = State::Runnable;
    thread.affinity = CpuMask(2);
    const arch::IrqState irqs = queue.lock.lock();
    queue.push(thread);
    CHECK(queue.take_only_pending() == nullptr);
    queue.drain(RunQueue::Claims::Ignore);
    CHECK(queue.previous_leaves);  // finish_switch() sends it
    CHECK(run_queue_of(CpuId{1}).pending == nullptr);
    CHECK(queue.waiting == 0);
    queue.lock.unlock(irqs);
    for (u32 i = 0; i < 2; ++i) g_scheduling_cpus.remove(CpuId{i});
}

// Real threads, for ThreadSanitizer: what a waker wrote to a thread before the push is seen by the CPU that drains.
TEST_CASE("the pending list takes pushes from all sides and loses none", "[sched][threads]") {
    constexpr u32 kPushers = 3, kThreads = 20, kRounds = 200;
    fake::reset(4);
    g_scheduling_cpus.add(CpuId{0});
    Entity idle;
    RunQueue queue(CpuId{0}, idle, Nanoseconds{0});
    std::deque<Entity> threads(kPushers * kThreads);
    std::deque<std::atomic<bool>> away(threads.size());
    std::atomic<u64> interrupts{0};
    std::vector<std::thread> pushers;
    for (u32 i = 0; i < kPushers; ++i)
        pushers.emplace_back([&, i] {
            fake::become_cpu(CpuId{i + 1});
            for (u32 round = 0; round < kRounds; ++round)
                for (u32 j = i * kThreads; j < (i + 1) * kThreads; ++j) {
                    while (away[j]) std::this_thread::yield();
                    away[j] = true;
                    ++threads[j].virtual_runtime;
                    if (queue.push(threads[j])) ++interrupts;
                }
        });
    u64 drained = 0, batches = 0;
    while (drained < u64{kPushers} * kThreads * kRounds) {
        const arch::IrqState state = queue.lock.lock();
        queue.drain(RunQueue::Claims::Compare);
        bool any = false;
        while (Entity* thread = queue.take_first()) {
            ++drained;
            any = true;
            away[static_cast<usize>(
                std::find_if(threads.begin(), threads.end(), [&](auto& t) { return &t == thread; }) -
                threads.begin())] = false;
        }
        batches += any ? 1 : 0;
        queue.lock.unlock(state);
        if (!any) std::this_thread::yield();
    }
    for (std::thread& pusher : pushers) pusher.join();
    CHECK(interrupts >= batches);  // each batch was announced by at least one push onto an empty list
    CHECK(queue.waiting == 0);
    g_scheduling_cpus.remove(CpuId{0});
}

TEST_CASE("spinlocks on real threads", "[core][threads]") {
    fake::reset(4);
    core::Spinlock lock(core::Rank::PageTable);
    core::IrqSpinlock irq_lock(core::Rank::Signal);
    u64 counter = 0;
    std::vector<std::thread> threads;
    for (u32 i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            fake::become_cpu(CpuId{i});
            for (int round = 0; round < 5'000; ++round) {
                core::LockGuard<core::Spinlock> outer(lock);
                core::LockGuard<core::IrqSpinlock> inner(irq_lock);
                ++counter;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(counter == 20'000);
}
