// SPDX-License-Identifier: MIT
// What the tests of processes that talk to each other share: children that do not outlive their test, whatever happens
// in it, and calls that are interrupted. Children may not CHECK; they give errno values, or the place of what is wrong.
#pragma once
#include <sys/ipc.h>

#include "tests/guest/parallel.hpp"

namespace guest {

// A child that is awaited, or else killed, before this is gone.
class Child {
public:
    // What is thrown in it ends it: it must not go on with the test.
    template <class Body>
    explicit Child(Body body) : pid_(start_child([&]() noexcept { return body(); })) {}
    ~Child() {
        if (over_) return;
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    pid_t pid() const { return pid_; }
    bool blocks() const { return sleeps(pid_, pid_); }
    bool is_awaited() const { return over_; }
    bool has_ended() const { return over_ || state_of(pid_, pid_) == 'Z'; }
    bool kill_with(int signo) const { return kill(pid_, signo) == 0; }
    int status() {
        over_ = true;
        return wait_status(pid_);
    }
    // -1 if a signal ended it.
    int exit() {
        const int ended = status();
        return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
    }
    int result() { return exit(); }

private:
    const pid_t pid_;
    bool over_ = false;
};

// What a child gives that runs `body`; -1 if a signal ended it.
template <class Body>
int exit_of_child(Body body) {
    return Child(std::move(body)).exit();
}

// The place of the first of these children that has ended, of which there is one that should.
inline std::size_t first_ended(const std::deque<Child>& children) {
    for (;; usleep(200)) {
        for (std::size_t i = 0; i < children.size(); ++i) {
            if (children[i].has_ended()) return i;
        }
    }
}

// Whether these children, which may wait for each other, all end with 0. If one does not, the others are not awaited.
inline bool all_succeed(std::deque<Child>& children) {
    for (std::size_t left = children.size(); left != 0; usleep(200)) {
        for (Child& child : children) {
            if (child.is_awaited() || !child.has_ended()) continue;
            if (child.exit() != 0) return false;
            --left;
        }
    }
    return true;
}

// What a child says through a pipe; -1 if it ends without a word.
inline int hear(const Pipe& pipe, const Child& child) {
    pollfd polled{pipe.reader(), POLLIN, 0};
    while (poll(&polled, 1, 1) != 1) {
        if (child.has_ended() && poll(&polled, 1, 0) != 1) return -1;
    }
    return read_byte(pipe.reader());
}

// 0 or the errno of a call of the library: what a child can give.
inline int errno_of(long result) { return result == -1 ? errno : 0; }

inline std::atomic<int>* g_interruptions;

// What `call` gives in a child that gets signals, handled with `flags`, while it waits. If it is to go on all the same,
// it gets several, and `end` ends the waiting.
template <class Call, class End>
int interrupt(int flags, bool goes_on, Call call, End end) {
    const Shared<std::atomic<int>> interruptions;
    g_interruptions = &*interruptions;
    Child child([&] {
        struct sigaction action{};
        action.sa_handler = [](int) { ++*g_interruptions; };
        action.sa_flags = flags;
        sigaction(SIGUSR1, &action, nullptr);
        mask(SIG_UNBLOCK, {SIGUSR1});
        return call();
    });
    for (int i = 1; i <= (goes_on ? 3 : 1); ++i) {
        CHECK(child.blocks());
        CHECK(child.kill_with(SIGUSR1));
        await([&] { return *interruptions >= i || child.has_ended(); });
    }
    if (goes_on) {
        CHECK(child.blocks());
        end();
    }
    return child.result();
}

// The same for a child that is stopped and continued: no handler runs.
template <class Call, class End>
int stop_and_continue(bool goes_on, Call call, End end) {
    Child child(std::move(call));
    CHECK(child.blocks());
    CHECK(child.kill_with(SIGSTOP));
    int status = 0;
    CHECK(waitpid(child.pid(), &status, WUNTRACED) == child.pid());
    CHECK(child.kill_with(SIGCONT));
    if (goes_on) {
        CHECK(waitpid(child.pid(), &status, WCONTINUED) == child.pid());
        CHECK(child.blocks());
        end();
    }
    return child.result();
}

// Times that are kept in seconds, by a clock that may be a little late.
class Since {
public:
    bool covers(time_t stamp) const { return stamp >= begin_ - 1 && stamp <= time(nullptr) + 1; }

private:
    const time_t begin_ = time(nullptr);
};

// ---- System V

// Keys that nobody else is likely to use; up to four in a process and its children.
inline const key_t g_first_key = 0x2a00'0000 + getpid() * 4;

inline key_t key_of(int number) { return g_first_key + number; }

// Whether a call failed since its object is gone: another one may have the place of that already.
inline bool is_gone(long result) { return result == -1 && (errno == EINVAL || errno == EIDRM); }

}  // namespace guest
