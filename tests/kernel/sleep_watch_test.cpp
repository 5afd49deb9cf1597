// SPDX-License-Identifier: MIT
// The watch over long sleeps: it tells of who sleeps without a reason, once, with the stack, and of nobody else.
#include <cstring>
#include <string_view>

#include "kernel/core/log.hpp"
#include "kernel/mm/slab/slab.hpp"
#include "kernel/sync/completion.hpp"
#include "kernel/sync/mutex.hpp"
#include "kernel/task/sleep_watch.hpp"
#include "kernel/task/tree.hpp"
#include "kernel/time/timer.hpp"
#include "tests/kernel/crew.hpp"

namespace hd::test {

namespace {

constexpr std::string_view kReport = " s without a reason, in ";

// Of a thread that sleeps for a mutex of this file: of its stack, and of its locks, which come last.
constexpr std::string_view kFrame = "Mutex::lock_slow+";
constexpr std::string_view kLastLine = " waited for at tests/kernel/sleep_watch_test.cpp:";

// Copies of the log, so big that they do not fit the stack; tests run one at a time.
constinit char g_log[65536];

u32 count_in_log(std::string_view wanted) {
    const std::string_view log(g_log, log::read_tail(g_log));
    u32 count = 0;
    for (auto at = log.find(wanted); at != log.npos; at = log.find(wanted, at + 1)) ++count;
    return count;
}

void nap(Nanoseconds time) {
    sync::WaitQueue nobody;
    (void)nobody.wait_interruptible("nap", [] { return false; }, time::now() + time);
}

template <class Condition> void nap_until(Condition condition) {
    while (!condition()) nap(milliseconds(20));
}

bool no_timer_is_left() { return !sync::g_sleeps_watched.load(); }

// Threads of a name of their own, each in a sleep; all end when told.
struct Sleepers {
    sync::Mutex mutex{core::Rank::Inode};
    sync::WaitQueue queue;
    std::atomic<bool> over{false};
    sync::Semaphore ended{0};

    void start(const char* name, void (*body)(Sleepers&)) {
        struct Start {
            Sleepers& all;
            void (*body)(Sleepers&);
            sync::Completion taken;
        } how{*this, body, {}};
        const auto thread = sched::spawn_kernel_thread(
            name,
            [](void* argument) {
                auto& [all, run, taken] = *static_cast<Start*>(argument);
                Sleepers& sleepers = all;
                const auto call = run;
                taken.complete();
                call(sleepers);
                sleepers.ended.release();
            },
            &how, CpuMask::all());
        KERNEL_CHECK(thread.has_value());
        if (thread) how.taken.wait();
    }
};

}  // namespace

KERNEL_TEST(a_sleep_without_a_reason_is_told_of_once) {
    const Nanoseconds usual = task::sleep_limit();
    KERNEL_CHECK(usual == milliseconds(30'000));
    const u32 before = count_in_log(kReport), before_here = count_in_log(kLastLine);
    const u32 stacks_before = count_in_log(kFrame);
    task::set_sleep_limit(milliseconds(1000));
    Sleepers sleepers;
    sleepers.mutex.lock();
    sleepers.start("for a mutex", [](Sleepers& all) { sync::MutexGuard guard(all.mutex); });
    sleepers.start("for a signal",
                   [](Sleepers& all) { (void)all.queue.wait_interruptible("test", [&] { return all.over.load(); }); });
    sleepers.start("for a child", [](Sleepers& all) {
        all.queue.wait_until("test", [&] { return all.over.load(); }, sched::SleepKind::Killable);
    });
    sleepers.start("now and then", [](Sleepers& all) {  // each sleep is shorter than the limit
        while (!all.over.load()) {
            sync::Completion done;
            struct Alarm : time::Timer {
                explicit Alarm(sync::Completion& completion)
                    : Timer([](time::Timer& timer) { static_cast<Alarm&>(timer).target.complete(); }),
                      target(completion) {}
                sync::Completion& target;
            } alarm(done);
            alarm.arm(time::now() + milliseconds(5));
            done.wait();
            alarm.cancel();
        }
    });
    nap_until([&] { return count_in_log(kLastLine) > before_here; });
    KERNEL_CHECK(count_in_log("thread 0 (for a mutex) of process 0 has slept for ") == 1);
    KERNEL_CHECK(count_in_log(kFrame) == stacks_before + 1);
    nap(milliseconds(1000));
    KERNEL_CHECK(count_in_log(kReport) == before + 1);  // once, and nobody else
    sleepers.over.store(true);
    sleepers.queue.wake_all();
    sleepers.mutex.unlock();
    for (int i = 0; i < 4; ++i) sleepers.ended.acquire();
    // The same thing anew is told of anew.
    sleepers.mutex.lock();
    sleepers.start("for a mutex", [](Sleepers& all) { sync::MutexGuard guard(all.mutex); });
    nap_until([&] { return count_in_log(kLastLine) > before_here + 1; });
    sleepers.mutex.unlock();
    sleepers.ended.acquire();
    task::set_sleep_limit(usual);
}

// A thread as user programs have them, in a process and with numbers, which never leaves the kernel.
KERNEL_TEST(a_user_thread_is_told_of_with_its_numbers) {
    static constinit std::atomic<bool> gone{false};
    static constinit sync::Mutex mutex{core::Rank::Inode};
    const Nanoseconds usual = task::sleep_limit();
    const u32 before = count_in_log(kLastLine);
    auto process = mm::make_ref<task::Process>();
    KERNEL_CHECK(process.has_value());
    if (!process) return;
    auto thread = task::Thread::create(**process);
    KERNEL_CHECK(thread.has_value());
    if (!thread) return;
    std::memcpy((*thread)->name, "of a process", 13);
    (*thread)->context = arch::make_context((*thread)->stack_top,
                                            [](void*) {
                                                sched::begin_thread();
                                                { sync::MutexGuard guard(mutex); }
                                                {
                                                    const task::TreeGuard guard(task::g_tree_lock);
                                                    task::g_pids.remove(task::current_thread());
                                                    task::g_pids.remove(task::current_process());
                                                }
                                                gone.store(true);
                                                sched::exit_current();
                                            },
                                            nullptr);
    {
        const task::TreeGuard guard(task::g_tree_lock);
        const i32 number = task::g_pids.allocate().value_or(0);
        task::g_pids.add(**process, number);
        task::g_pids.add(**thread, number);
        (*thread)->id = number;
    }
    char expected[64];
    BufferSink sink(expected);
    format_to(sink, "thread {} (of a process) of process {} has slept for ", (*thread)->id, (*process)->pid());
    task::set_sleep_limit(milliseconds(100));
    mutex.lock();
    sched::start(*thread->release());
    nap_until([&] { return count_in_log(kLastLine) > before; });
    KERNEL_CHECK(count_in_log(sink.view()) == 1);
    mutex.unlock();
    nap_until([] { return gone.load(); });
    task::set_sleep_limit(usual);
}

KERNEL_TEST(the_watch_has_a_timer_only_while_somebody_sleeps) {
    const Nanoseconds usual = task::sleep_limit();
    task::set_sleep_limit(milliseconds(80));
    nap_until(no_timer_is_left);
    Sleepers sleepers;
    sleepers.mutex.lock();
    sleepers.start("for another", [](Sleepers& all) { sync::MutexGuard guard(all.mutex); });
    nap_until([] { return !no_timer_is_left(); });
    nap_until(no_timer_is_left);  // it was told of, and there is nothing more to see
    sleepers.mutex.unlock();
    sleepers.ended.acquire();
    task::set_sleep_limit(Nanoseconds{0});
    nap(milliseconds(20));
    task::set_sleep_limit(usual);
}

}  // namespace hd::test
