// SPDX-License-Identifier: MIT
// futex(2) and its relatives without a library: waiting, waking, moving waiters, memory that is shared in several ways,
// waiting for several words, and what the kernel does with a thread's words when the thread ends.
#include "tests/guest/parallel.hpp"

using namespace guest;

namespace {

// Threads that wait, all asleep when this is made; each has its result in the end.
class Waiters {
public:
    Waiters(int count, std::function<long()> wait) {
        for (int i = 0; i < count; ++i) threads_.emplace_back(wait);
        for (const Thread& thread : threads_) CHECK(sleeps(thread.tid()));
    }
    long awake() const {
        return std::count_if(threads_.begin(), threads_.end(),
                             [](const Thread& one) { return state_of(one.tid()) == '\0'; });
    }
    // Whether so many have ended, and the others sleep.
    bool are_awake(long count) const {
        await([&] { return awake() >= count; });
        for (const Thread& thread : threads_) sleeps(thread.tid());
        return awake() == count;
    }
    // Whether all end, with this result.
    bool all_give(long result) {
        return std::all_of(threads_.begin(), threads_.end(), [&](Thread& thread) { return thread.join() == result; });
    }

private:
    std::deque<Thread> threads_;
};

long wake(const Word* word, std::uint32_t count, int flags = FUTEX_PRIVATE_FLAG) {
    return futex(word, FUTEX_WAKE | flags, count);
}

constexpr std::uint32_t kAll = INT_MAX;

futex_waitv waitv_of(const Word& word, std::uint32_t flags = FUTEX_32 | FUTEX_PRIVATE_FLAG) {
    return {0, reinterpret_cast<std::uint64_t>(&word), flags, 0};
}

long wait_for_any(const void* words, unsigned count, unsigned flags = 0, const timespec* timeout = nullptr,
                  clockid_t clock = CLOCK_MONOTONIC) {
    const long result = syscall(SYS_futex_waitv, words, count, flags, timeout, clock);
    return result == -1 ? -errno : result;
}

}  // namespace

TEST_CASE("futex: every error of the man page") {
    alignas(4) static char bytes[16];
    static Word word{7}, second{7};
    const Mapping nothing(kPageSize, PROT_NONE), constant(kPageSize, PROT_READ);
    const auto* const bad_time = reinterpret_cast<const timespec*>(nothing.data());
    const void* const kernel = reinterpret_cast<void*>(0xffff'8000'0000'0000);
    static const timespec negative{-1, 0}, too_many{0, 1'000'000'000}, zero{0, 0};
    const auto count = [](long number) { return reinterpret_cast<const timespec*>(number); };
    constexpr int kReal = FUTEX_CLOCK_REALTIME, kPrivate = FUTEX_PRIVATE_FLAG;
    const struct {
        const void* word;
        int operation;
        std::uint32_t value;
        const timespec* timeout;
        const void* word2;
        std::uint32_t value3;
        long expected;
    } rows[] = {
        {&word, FUTEX_WAIT, 6, nullptr, nullptr, 0, -EAGAIN},
        {&word, FUTEX_WAIT, 7, &zero, nullptr, 0, -ETIMEDOUT},
        {bytes + 2, FUTEX_WAIT, 0, nullptr, nullptr, 0, -EINVAL},
        {nothing.data(), FUTEX_WAIT, 0, nullptr, nullptr, 0, -EFAULT},
        {nullptr, FUTEX_WAIT | kPrivate, 0, nullptr, nullptr, 0, -EFAULT},
        {kernel, FUTEX_WAIT, 0, nullptr, nullptr, 0, -EFAULT},
        {constant.data(), FUTEX_WAIT | kPrivate, 1, nullptr, nullptr, 0, -EAGAIN},
        {constant.data(), FUTEX_WAIT | kPrivate, 0, &zero, nullptr, 0, -ETIMEDOUT},
        {constant.data(), FUTEX_WAIT, 0, &zero, nullptr, 0, -EFAULT},  // nobody could ever change it
        {&word, FUTEX_WAIT, 6, &negative, nullptr, 0, -EINVAL},        // times are looked at first
        {&word, FUTEX_WAIT, 7, &too_many, nullptr, 0, -EINVAL},
        {&word, FUTEX_WAIT, 7, bad_time, nullptr, 0, -EFAULT},
        {&word, FUTEX_WAIT_BITSET, 7, &negative, nullptr, 1, -EINVAL},
        {&word, FUTEX_WAIT_BITSET, 7, &zero, nullptr, 1, -ETIMEDOUT},
        {&word, FUTEX_WAIT_BITSET | kReal, 7, &zero, nullptr, 1, -ETIMEDOUT},
        {&word, FUTEX_WAIT_BITSET, 7, nullptr, nullptr, 0, -EINVAL},
        {&word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 0, -EINVAL},
        {&word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 1, 0},
        {&word, FUTEX_WAKE, kAll, nullptr, nullptr, 0, 0},
        {bytes + 2, FUTEX_WAKE, 1, nullptr, nullptr, 0, -EINVAL},
        {nothing.data(), FUTEX_WAKE, 1, nullptr, nullptr, 0, -EFAULT},
        {nothing.data(), FUTEX_WAKE | kPrivate, 1, nullptr, nullptr, 0, 0},  // it need not be looked at
        {kernel, FUTEX_WAKE | kPrivate, 1, nullptr, nullptr, 0, -EFAULT},
        {&word, FUTEX_WAIT | kReal, 7, &zero, nullptr, 0, -ENOSYS},  // whatever the man page says: not since Linux 5.13
        {&word, FUTEX_WAKE | kReal, 1, nullptr, nullptr, 0, -ENOSYS},
        {&word, FUTEX_REQUEUE | kReal, 1, count(1), &second, 0, -ENOSYS},
        {&word, FUTEX_LOCK_PI | kReal, 0, nullptr, nullptr, 0, -ENOSYS},
        {&word, FUTEX_FD, 0, nullptr, nullptr, 0, -ENOSYS},
        {&word, 1000, 0, nullptr, nullptr, 0, -ENOSYS},
        {&word, FUTEX_CMP_REQUEUE, 1, count(1), &second, 7, 0},
        {&word, FUTEX_CMP_REQUEUE, 1, count(-1), &second, 7, -EINVAL},
        {&word, FUTEX_CMP_REQUEUE, static_cast<std::uint32_t>(-1), count(1), &second, 7, -EINVAL},
        {&word, FUTEX_CMP_REQUEUE, 1, count(1), bytes + 2, 7, -EINVAL},
        {&word, FUTEX_CMP_REQUEUE, 1, count(1), nothing.data(), 7, -EFAULT},
        {nothing.data(), FUTEX_CMP_REQUEUE | kPrivate, 1, count(1), &second, 7, -EFAULT},
        {bytes + 2, FUTEX_REQUEUE, 1, count(1), &second, 0, -EINVAL},
        {&word, FUTEX_REQUEUE, 1, count(1), &word, 0, 0},
        {&word, FUTEX_WAKE_OP, 1, count(1), bytes + 2, 0, -EINVAL},
        {&word, FUTEX_WAKE_OP, 1, count(1), nothing.data(), 0, -EFAULT},
        {&word, FUTEX_WAKE_OP, 1, count(1), constant.data(), 0, -EFAULT},
        {&word, FUTEX_WAKE_OP, 1, count(1), &second, FUTEX_OP(7, 0, FUTEX_OP_CMP_EQ, 0), -ENOSYS},
        {&word, FUTEX_WAKE_OP, 1, count(1), &second, FUTEX_OP(FUTEX_OP_ADD, 0, 6, 0), -ENOSYS},
    };
    for (const auto& row : rows) {
        CAPTURE(&row - rows);
        CHECK(futex(row.word, row.operation, row.value, row.timeout, row.word2, row.value3) == row.expected);
    }
    CHECK(word == 7);
    CHECK(second == 7);
}

TEST_CASE("FUTEX_WAIT and FUTEX_WAKE: how many, how long, and only those that are meant") {
    Word word{3}, other{3};
    for (const int flags : {0, FUTEX_PRIVATE_FLAG}) {
        Waiters waiters(5, [&] { return futex(&word, FUTEX_WAIT | flags, 3); });
        CHECK(wake(&other, kAll, flags) == 0);
        word = 4;  // changes nothing for those who wait
        CHECK(wake(&word, 2, flags) == 2);
        CHECK(waiters.are_awake(2));
        CHECK(wake(&word, 0, flags) == 1);  // never none
        CHECK(waiters.are_awake(3));
        CHECK(wake(&word, kAll, flags) == 2);
        CHECK(waiters.all_give(0));
        CHECK(wake(&word, kAll, flags) == 0);
        word = 3;
    }
    const timespec some{0, 10'000'000};
    const long long begin = now_ns();
    CHECK(futex(&word, FUTEX_WAIT, 3, &some) == -ETIMEDOUT);  // a span of time
    CHECK(now_ns() - begin >= 10'000'000);
    CHECK(wake(&word, 1) == 0);
    for (const int flag : {0, FUTEX_CLOCK_REALTIME}) {
        const clockid_t clock = flag == 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
        const timespec soon = from_now(clock, 10), before = from_now(clock, -1), later = from_now(clock, 1000'000);
        CHECK(futex(&word, FUTEX_WAIT_BITSET | flag, 3, &soon, nullptr, 1) == -ETIMEDOUT);  // a point in time
        CHECK(is_over(clock, soon));
        CHECK(futex(&word, FUTEX_WAIT_BITSET | flag, 3, &before, nullptr, 1) == -ETIMEDOUT);
        Waiters one(1, [&] { return futex(&word, FUTEX_WAIT_BITSET | flag, 3, &later, nullptr, 1); });
        CHECK(futex(&word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 2) == 0);
        CHECK(futex(&word, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 3) == 1);
        CHECK(one.all_give(0));
    }
    // FUTEX_WAIT waits for all bits, and FUTEX_WAKE wakes all.
    const auto wait_for = [&](std::uint32_t bits) {
        return futex(&word, FUTEX_WAIT_BITSET, 3, nullptr, nullptr, bits);
    };
    Waiters low(2, [&] { return wait_for(0x0000'0001); }), high(2, [&] { return wait_for(0x8000'0001); });
    Waiters any(2, [&] { return futex(&word, FUTEX_WAIT, 3); });
    CHECK(futex(&word, FUTEX_WAKE_BITSET, kAll, nullptr, nullptr, 0x7fff'fffe) == 2);
    CHECK(any.all_give(0));
    CHECK(futex(&word, FUTEX_WAKE_BITSET, kAll, nullptr, nullptr, 0x8000'0000) == 2);
    CHECK(high.all_give(0));
    CHECK(low.are_awake(0));
    CHECK(wake(&word, kAll, 0) == 2);
    CHECK(low.all_give(0));
    // A handler ends the call, and the waiter is gone.
    handle(SIGUSR1);
    Thread interrupted([&] { return futex(&word, FUTEX_WAIT, 3); });
    CHECK(sleeps(interrupted.tid()));
    CHECK(pthread_kill(interrupted.handle(), SIGUSR1) == 0);
    CHECK(interrupted.join() == -EINTR);
    CHECK(wake(&word, kAll, 0) == 0);
    dispose(SIGUSR1, SIG_DFL);
}

TEST_CASE("FUTEX_REQUEUE and FUTEX_CMP_REQUEUE move waiters to another word") {
    Word from{1}, to{2};
    for (const int operation : {FUTEX_REQUEUE_PRIVATE, FUTEX_CMP_REQUEUE_PRIVATE}) {
        CAPTURE(operation);
        Waiters waiters(6, [&] { return futex(&from, FUTEX_WAIT_PRIVATE, 1); });
        CHECK(futex2(&from, FUTEX_CMP_REQUEUE_PRIVATE, 1, kAll, &to, 0) == -EAGAIN);
        CHECK(waiters.are_awake(0));
        CHECK(futex2(&from, operation, 1, 2, &to, 1) == 3);  // one is awake, two have moved
        CHECK(waiters.are_awake(1));
        CHECK(wake(&to, kAll) == 2);
        CHECK(waiters.are_awake(3));
        CHECK(futex2(&from, operation, 0, 2, &to, 1) == 2);  // here none really is none
        CHECK(waiters.are_awake(3));
        CHECK(wake(&from, kAll) == 1);
        CHECK(futex2(&to, operation, 0, kAll, &from, 2) == 2);  // and back
        CHECK(wake(&to, kAll) == 0);
        CHECK(wake(&from, kAll) == 2);
        CHECK(waiters.all_give(0));
        CHECK(futex2(&from, operation, kAll, kAll, &to, 1) == 0);
    }
    // Whoever has moved still has its limit of time, its bits, and hears of signals.
    const timespec time{0, 50'000'000};
    const long long begin = now_ns();
    Thread limited([&] { return futex(&from, FUTEX_WAIT_PRIVATE, 1, &time); });
    await([&] { return futex2(&from, FUTEX_REQUEUE_PRIVATE, 0, 1, &to) == 1 || now_ns() - begin > 50'000'000; });
    CHECK(limited.join() == -ETIMEDOUT);
    CHECK(wake(&to, kAll) == 0);
    handle(SIGUSR1);
    Thread signalled([&] { return futex(&from, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 4); });
    CHECK(sleeps(signalled.tid()));
    CHECK(futex2(&from, FUTEX_REQUEUE_PRIVATE, 0, 1, &to) == 1);
    CHECK(futex(&to, FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG, 1, nullptr, nullptr, 3) == 0);
    CHECK(pthread_kill(signalled.handle(), SIGUSR1) == 0);
    CHECK(signalled.join() == -EINTR);
    dispose(SIGUSR1, SIG_DFL);
}

TEST_CASE("FUTEX_WAKE_OP: changes a word, wakes at another, and perhaps at the first as well") {
    Word first{0}, second{0};
    constexpr std::uint32_t kShift = FUTEX_OP_OPARG_SHIFT;
    const struct {
        std::uint32_t operation, operand, before, after;
    } operations[] = {
        {FUTEX_OP_SET, 5, 9, 5},
        {FUTEX_OP_SET, 0xfff, 9, 0xffff'ffff},  // 12 bits with a sign
        {FUTEX_OP_ADD, 5, 9, 14},
        {FUTEX_OP_ADD, 0xffe, 9, 7},
        {FUTEX_OP_ADD, 1, 0xffff'ffff, 0},
        {FUTEX_OP_OR, 6, 9, 15},
        {FUTEX_OP_ANDN, 0xc, 0xff, 0xf3},
        {FUTEX_OP_XOR, 0x5, 0xff, 0xfa},
        {FUTEX_OP_SET | kShift, 10, 9, 1024},
        {FUTEX_OP_OR | kShift, 31, 1, 0x8000'0001},
        {FUTEX_OP_ANDN | kShift, 0, 9, 8},
    };
    for (const auto& row : operations) {
        CAPTURE(&row - operations);
        second = row.before;
        CHECK(futex2(&first, FUTEX_WAKE_OP, 1, 1, &second, FUTEX_OP(row.operation, row.operand, FUTEX_OP_CMP_EQ, 0)) ==
              0);
        CHECK(second == row.after);
    }
    // What is compared is the value before, with its sign.
    const struct {
        std::uint32_t compare, operand;
        bool of_minus_2, of_0, of_3;
    } compares[] = {
        {FUTEX_OP_CMP_EQ, 0, false, true, false}, {FUTEX_OP_CMP_EQ, 0xffe, true, false, false},
        {FUTEX_OP_CMP_NE, 3, true, true, false},  {FUTEX_OP_CMP_LT, 0, true, false, false},
        {FUTEX_OP_CMP_LE, 0, true, true, false},  {FUTEX_OP_CMP_GT, 0, false, false, true},
        {FUTEX_OP_CMP_GE, 0, false, true, true},  {FUTEX_OP_CMP_GE, 0xffe, true, true, true},
    };
    for (const auto& row : compares) {
        CAPTURE(&row - compares);
        for (const auto& [number, wakes] : {std::pair{-2, row.of_minus_2}, {0, row.of_0}, {3, row.of_3}}) {
            const auto value = static_cast<std::uint32_t>(number);
            second = value;
            Waiters one(1, [&] { return futex(&second, FUTEX_WAIT_PRIVATE, value); });
            const std::uint32_t how = FUTEX_OP(FUTEX_OP_ADD, 1, row.compare, row.operand);
            CHECK(futex2(&first, FUTEX_WAKE_OP_PRIVATE, 1, 1, &second, how) == (wakes ? 1 : 0));
            CHECK(second == value + 1);
            CHECK(wake(&second, 1) == (wakes ? 0 : 1));
            CHECK(one.all_give(0));
        }
    }
    second = 1;
    Waiters at_first(3, [&] { return futex(&first, FUTEX_WAIT_PRIVATE, 0); });
    Waiters at_second(3, [&] { return futex(&second, FUTEX_WAIT_PRIVATE, 1); });
    const auto both = [&](std::uint32_t compared) {
        return futex2(&first, FUTEX_WAKE_OP_PRIVATE, 1, 2, &second,
                      FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, compared));
    };
    CHECK(both(0) == 1);
    CHECK(at_first.are_awake(1));
    CHECK(at_second.are_awake(0));
    CHECK(both(1) == 3);
    CHECK(at_first.are_awake(2));
    CHECK(at_second.are_awake(2));
    CHECK(wake(&first, 1) == 1);
    CHECK(wake(&second, 1) == 1);
}

TEST_CASE("words in memory that is shared: by processes, and by mappings") {
    const Scratch scratch;
    const Opened fd(make_file("words", std::string(2 * kPageSize, '\0')));
    const auto mapped = [&](int flags, int protection = PROT_READ | PROT_WRITE) {
        return reinterpret_cast<Word*>(map(kPageSize, protection, flags, fd, kPageSize) + 64);
    };
    Word *const one = mapped(MAP_SHARED), *const same = mapped(MAP_SHARED),
                *const constant = mapped(MAP_SHARED, PROT_READ);
    Word* const copy = mapped(MAP_PRIVATE);
    const Shared<Word> anonymous;
    // A child waits at `child_word`: how many a wake at `parent_word` reaches.
    const auto wakes = [](Word* child_word, Word* parent_word) {
        const pid_t child = start_child([&] { return static_cast<int>(-futex(child_word, FUTEX_WAIT, 0)); });
        CHECK(sleeps(child, child));
        const long woken = wake(parent_word, 1, 0);
        if (woken == 0) kill(child, SIGKILL);
        CHECK(wait_status(child) == (woken == 1 ? 0 : SIGKILL));
        return woken;
    };
    Word mine{0};
    CHECK(wakes(&*anonymous, &*anonymous) == 1);
    CHECK(wakes(one, one) == 1);
    CHECK(wakes(one, same) == 1);
    CHECK(wakes(constant, same) == 1);  // whoever waits only reads
    CHECK(wakes(copy, one) == 0);
    CHECK(wakes(copy, copy) == 0);
    CHECK(wakes(&mine, &mine) == 0);  // the child has its own at the same address
    // The same within a process; a private futex is its address.
    Waiters waiters(2, [&] { return futex(one, FUTEX_WAIT, 0); });
    CHECK(wake(same, 1, FUTEX_PRIVATE_FLAG) == 0);
    CHECK(wake(same, 1, 0) == 1);
    CHECK(futex2(constant, FUTEX_REQUEUE, 0, 1, &*anonymous) == 1);
    CHECK(wake(one, 1, 0) == 0);
    CHECK(child_exit([&] { return static_cast<int>(wake(&*anonymous, 1, 0)); }) == 1);
    CHECK(waiters.all_give(0));
}

TEST_CASE("futex_waitv waits for several words at once") {
    Word words[128]{};
    std::vector<futex_waitv> all;
    for (Word& word : words) all.push_back(waitv_of(word));
    const timespec soon = from_now(CLOCK_MONOTONIC, 5), soon_real = from_now(CLOCK_REALTIME, 10), negative{-1, 0};
    const long first = wait_for_any(all.data(), 3, 0, &soon);
    if (first == -ENOSYS) {  // before Linux 5.16
        WARN("no futex_waitv here");
        return;
    }
    CHECK(first == -ETIMEDOUT);
    CHECK(is_over(CLOCK_MONOTONIC, soon));
    CHECK(wait_for_any(all.data(), 128, 0, &soon_real, CLOCK_REALTIME) == -ETIMEDOUT);
    CHECK(is_over(CLOCK_REALTIME, soon_real));
    CHECK(wait_for_any(all.data(), 0) == -EINVAL);
    CHECK(wait_for_any(all.data(), 129) == -EINVAL);
    CHECK(wait_for_any(all.data(), 1, 1) == -EINVAL);
    CHECK(wait_for_any(nullptr, 1) == -EINVAL);
    CHECK(wait_for_any(reinterpret_cast<void*>(16), 1) == -EFAULT);
    CHECK(wait_for_any(all.data(), 1, 0, &soon, CLOCK_PROCESS_CPUTIME_ID) == -EINVAL);
    CHECK(wait_for_any(all.data(), 1, 0, &negative) == -EINVAL);
    const auto wrong = [&](auto change) {
        futex_waitv two[2]{all[0], all[1]};
        change(two[1]);
        return wait_for_any(two, 2, 0, &soon);
    };
    CHECK(wrong([](futex_waitv& one) { one.val = 1; }) == -EAGAIN);
    CHECK(wrong([](futex_waitv& one) { one.uaddr += 2; }) == -EINVAL);
    CHECK(wrong([](futex_waitv& one) { one.uaddr = 0; }) == -EFAULT);
    CHECK(wrong([](futex_waitv& one) { one.__reserved = 1; }) == -EINVAL);
    CHECK(wrong([](futex_waitv& one) { one.flags = 0x40; }) == -EINVAL);
    CHECK(wrong([](futex_waitv& one) { one.flags = 0; }) == -EINVAL);  // a word of another size
    const Shared<Word> shared;
    all[5] = waitv_of(*shared, FUTEX_32);
    // What is woken gives its place. (A waiter sleeps a moment before all of it can be woken.)
    for (const std::size_t which : {0, 77, 127, 5}) {
        Thread waiter([&] { return wait_for_any(all.data(), 128); });
        CHECK(sleeps(waiter.tid()));
        if (which == 5) {
            CHECK(child_exit([&] {
                      await([&] { return wake(&*shared, 1, 0) == 1; });
                      return 0;
                  }) == 0);
        } else {
            await([&] { return wake(&words[which], 1) == 1; });
        }
        CHECK(waiter.join() == static_cast<long>(which));
        CHECK(wake(&words[1], 1) == 0);  // and is gone from all others
    }
    handle(SIGUSR1);
    Thread interrupted([&] { return wait_for_any(all.data(), 2); });
    CHECK(sleeps(interrupted.tid()));
    CHECK(pthread_kill(interrupted.handle(), SIGUSR1) == 0);
    CHECK(interrupted.join() == -EINTR);
    dispose(SIGUSR1, SIG_DFL);
}

namespace {

// A process in this one's memory, ended by `end`; and the word that tells of its end.
struct Guest {
    Word word{1};
    int (*end)(void*) = nullptr;
    alignas(16) char stack[16384];
    pid_t start() {
        return clone(end, std::end(stack), CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | SIGCHLD, this, nullptr,
                     nullptr, &word);
    }
};

Pipe* g_go;
const Role* g_role;

}  // namespace

TEST_CASE("CLONE_CHILD_CLEARTID and set_tid_address: a word is cleared, and one waiter woken") {
    Pipe go;
    g_go = &go;
    const Role role("hold", {1000});  // made here: the guests have this thread's heap, and its part of the library
    g_role = &role;
    const auto hear = [](void*) {
        char byte = 0;
        return syscall(SYS_read, g_go->reader(), &byte, 1) == 1 ? int{byte} : 2;
    };
    static Word moved;
    const auto move = [](void*) {
        char byte = 0;
        syscall(SYS_set_tid_address, &moved);
        return syscall(SYS_read, g_go->reader(), &byte, 1) == 1 ? int{byte} : 2;
    };
    const auto execute = [](void*) {
        char byte = 0;
        return syscall(SYS_read, g_go->reader(), &byte, 1) == 1 ? g_role->take() : 2;
    };
    for (int (*const end)(void*) : {+hear, +move, +execute}) {
        static Guest guest;
        guest.end = end;
        guest.word = 1;
        moved = 1;
        Word& told = end == +move ? moved : guest.word;
        const pid_t child = guest.start();
        REQUIRE(child > 0);
        CHECK(sleeps(child, child));
        Waiters waiters(2, [&] { return futex(&told, FUTEX_WAIT, 1); });
        CHECK(write_byte(go.writer(), 'g'));
        CHECK(waiters.are_awake(1));
        CHECK(told == 0);
        CHECK(wake(&told, 2, 0) == 1);
        CHECK(waiters.all_give(0));
        CHECK(guest.word == (end == +move ? 1 : 0));
        CHECK(WEXITSTATUS(wait_status(child)) == (end == +execute ? 1 : 'g'));
    }
    // Nobody is told of a process that was alone in its memory.
    const Shared<Word> shared;
    *shared = 1;
    CHECK(child_exit([&] { return syscall(SYS_set_tid_address, &*shared) == getpid() ? 0 : 1; }) == 0);
    CHECK(*shared == 1);
}

namespace {

// A lock as the kernel sees it on a robust list: a link, and the word at an offset from it.
struct Lock {
    robust_list link;
    Word word;
};
struct Locks {
    robust_list_head head;
    Lock lock[6];
    Word go;
};

void make_list(Locks& locks, std::initializer_list<int> members) {
    locks.head = {{&locks.head.list}, offsetof(Lock, word), nullptr};
    robust_list* last = &locks.head.list;
    for (const int member : members) last = last->next = &locks.lock[member].link;
    last->next = &locks.head.list;
}

long set_list(Locks& locks) { return error(SYS_set_robust_list, &locks.head, sizeof locks.head); }

}  // namespace

TEST_CASE("robust lists: what a thread held when it ended") {
    const Shared<Locks> shared;
    Locks& locks = *shared;
    const auto kill_self = [] { return kill(getpid(), SIGKILL); };
    const auto exit_now = [] { return static_cast<int>(syscall(SYS_exit, 0)); };
    const auto execute = [] { return Role("arguments", {1000}).take(); };
    for (const int way : {0, 1, 2, 3}) {
        CAPTURE(way);
        constexpr std::uint32_t kForeign = 12345;
        for (Lock& lock : locks.lock) lock.word = 0;
        locks.go = 0;
        const pid_t owner = start_child([&] {
            make_list(locks, {0, 1, 2, 3});
            const auto own = [&] {
                const auto tid = static_cast<std::uint32_t>(gettid());
                locks.lock[0].word = tid;
                locks.lock[1].word = tid | FUTEX_WAITERS;
                locks.lock[2].word = kForeign | FUTEX_WAITERS;  // somebody else's
                locks.lock[4].word = tid | FUTEX_WAITERS;       // taken, and not in the list yet
                locks.head.list_op_pending = &locks.lock[4].link;
                if (set_list(locks) != 0) return 3;
                locks.go = 1;
                while (locks.go == 1) futex(&locks.go, FUTEX_WAIT, 1);
                return 0;
            };
            if (way == 3) {
                Thread thread([&] { return own(); });
                thread.join();
                await([&] { return locks.go == 3; });  // the process lives
                return 0;
            }
            if (own() != 0) return 4;
            return way == 0 ? exit_now() : way == 1 ? kill_self() : execute();
        });
        await([&] { return locks.go == 1; });
        const std::uint32_t tid = locks.lock[0].word;
        const auto wait_at = [&](std::size_t which) {
            return [&locks, which, value = locks.lock[which].word.load()] {
                return futex(&locks.lock[which].word, FUTEX_WAIT, value);
            };
        };
        Waiters listed(2, wait_at(1)), foreign(1, wait_at(2)), pending(1, wait_at(4));
        locks.go = 2;
        wake(&locks.go, 1, 0);
        CHECK(listed.are_awake(1));  // the others are for the one that comes
        CHECK(pending.all_give(0));
        CHECK(locks.lock[0].word == FUTEX_OWNER_DIED);
        CHECK(locks.lock[1].word == (FUTEX_OWNER_DIED | FUTEX_WAITERS));
        CHECK(locks.lock[2].word == (kForeign | FUTEX_WAITERS));
        CHECK(locks.lock[3].word == 0);
        CHECK(locks.lock[4].word == (FUTEX_OWNER_DIED | FUTEX_WAITERS));
        CHECK(foreign.are_awake(0));
        CHECK(wake(&locks.lock[1].word, 1, 0) == 1);
        CHECK(wake(&locks.lock[2].word, 1, 0) == 1);
        CHECK((way == 3) == (tid != static_cast<std::uint32_t>(owner)));
        locks.go = 3;
        const int status = wait_status(owner);
        CHECK(status == (way == 1 ? SIGKILL : way == 2 ? W_EXITCODE(1, 0) : 0));
    }
}

TEST_CASE("robust lists that are odd, and who may see them") {
    const Shared<Locks> shared;
    Locks& locks = *shared;
    const auto end_with = [&](auto prepare) {
        return child_exit([&] {
                   make_list(locks, {0, 1});
                   for (Lock& lock : locks.lock) lock.word = static_cast<std::uint32_t>(gettid());
                   prepare();
                   set_list(locks);
                   return 0;
               }) == 0;
    };
    const auto died = [&](std::size_t which) { return locks.lock[which].word == FUTEX_OWNER_DIED; };
    CHECK(end_with([&] { locks.lock[1].link.next = &locks.lock[0].link; }));  // without an end
    CHECK((died(0) && died(1)));
    CHECK(end_with([&] { locks.lock[0].link.next = reinterpret_cast<robust_list*>(16); }));
    CHECK((died(0) && !died(1)));
    CHECK(end_with([&] { locks.head.list.next = nullptr; }));
    CHECK((!died(0) && !died(1)));
    CHECK(end_with([&] { locks.head.list_op_pending = &locks.lock[0].link; }));  // in the list as well
    CHECK((died(0) && died(1)));
    // Whoever has let go of a lock and not yet woken anybody leaves a word of 0: somebody is woken all the same.
    Word& word = locks.lock[4].word;
    const pid_t owner = start_child([&] {
        make_list(locks, {});
        word = 0;
        locks.head.list_op_pending = &locks.lock[4].link;
        locks.go = 1;
        while (locks.go == 1) futex(&locks.go, FUTEX_WAIT, 1);
        return static_cast<int>(set_list(locks));
    });
    await([&] { return locks.go == 1; });
    Waiters waiters(2, [&] { return futex(&word, FUTEX_WAIT, 0); });
    locks.go = 2;
    wake(&locks.go, 1, 0);
    CHECK(wait_status(owner) == 0);
    CHECK(waiters.are_awake(1));
    CHECK(word == 0);
    CHECK(wake(&word, 1, 0) == 1);

    robust_list_head *head = nullptr, *mine = nullptr;
    std::size_t size = 0;
    CHECK(error(SYS_set_robust_list, &locks.head, sizeof locks.head - 1) == EINVAL);
    CHECK(error(SYS_get_robust_list, 0, &mine, &size) == 0);
    CHECK(size == sizeof *head);
    Worker worker;
    CHECK(worker.run([&] {
        robust_list_head* before;
        if (error(SYS_get_robust_list, 0, &before, &size) != 0 || before == mine || set_list(locks) != 0) return 1L;
        const long result = error(SYS_get_robust_list, gettid(), &head, &size);
        syscall(SYS_set_robust_list, before, sizeof *before);
        return result;
    }) == 0);
    CHECK(head == &locks.head);
    CHECK(error(SYS_get_robust_list, 1 << 22, &head, &size) == ESRCH);
    CHECK(error(SYS_get_robust_list, 0, nullptr, &size) == EFAULT);
    const pid_t child = static_cast<pid_t>(syscall(SYS_fork));  // the library would set one
    if (child == 0) _exit(error(SYS_get_robust_list, 0, &head, &size) == 0 && head == nullptr ? 0 : 1);
    CHECK(wait_status(child) == 0);
}
