// SPDX-License-Identifier: MIT
// What the tests of threads and of futexes share: threads that do as they are told, and ways to see what a thread does.
// Only the thread that runs a test may CHECK; the others give values.
#pragma once
#include <pthread.h>

#include <deque>
#include <sstream>

#include "tests/guest/abi.hpp"

namespace guest {

// ---- what a thread does

// Polls, for as long as it takes: an emulated machine may be slow, and its CPU needed by the one that is awaited.
template <class Condition>
void await(Condition condition) {
    while (!condition()) usleep(200);
}

// "" if there is no such file, or not any more.
inline std::string text_of(const std::string& path) {
    char text[4096];
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t length = read(fd, text, sizeof text);
    if (fd >= 0) close(fd);
    return length > 0 ? std::string(text, static_cast<std::size_t>(length)) : "";
}

inline std::string task_file(pid_t tid, const std::string& name, pid_t pid = getpid()) {
    return text_of("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid) + "/" + name);
}

// A field of a thread's stat by its number in proc(5), from the third on; "" if there is no such thread.
inline std::string stat_field(pid_t tid, int number, pid_t pid = getpid()) {
    const std::string text = task_file(tid, "stat", pid);
    if (text.empty()) return "";
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string field;
    for (int i = 3; i <= number; ++i) fields >> field;
    return field;
}

// The rest of the line of a thread's status that begins with this word.
inline std::string status_field(pid_t tid, const std::string& name, pid_t pid = getpid()) {
    std::istringstream lines(task_file(tid, "status", pid));
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    }
    return "";
}

// 0 if there is no such thread.
inline char state_of(pid_t tid, pid_t pid = getpid()) {
    const std::string state = stat_field(tid, 3, pid);
    return state.empty() ? '\0' : state[0];
}

// Waits until a thread sleeps; false if it ends instead. It has to be seen asleep three times: for a moment it may also
// sleep inside the kernel on its way to the call that is meant.
inline bool sleeps(pid_t tid, pid_t pid = getpid()) {
    for (int seen = 0; seen < 3; usleep(200)) {
        const char state = state_of(tid, pid);
        if (state == '\0' || state == 'Z' || state == 'X') return false;
        seen = state == 'S' ? seen + 1 : 0;
    }
    return true;
}

inline std::set<pid_t> threads_of(pid_t pid = getpid()) {
    std::set<pid_t> tids;
    DIR* const folder = opendir(("/proc/" + std::to_string(pid) + "/task").c_str());
    if (folder == nullptr) return tids;
    while (const dirent* entry = readdir(folder)) {
        if (entry->d_name[0] != '.') tids.insert(std::atoi(entry->d_name));
    }
    closedir(folder);
    return tids;
}

// Whoever has joined a thread may still see it in /proc for a moment.
inline void await_alone() {
    await([] { return threads_of().size() == 1; });
}

[[gnu::noinline]] inline int dig(int depth) {  // until there is no stack left
    volatile char page[1000];
    page[0] = static_cast<char>(depth);
    return depth == INT_MAX ? 0 : dig(depth + 1) + page[0];
}

// ---- futexes

using Word = std::atomic<std::uint32_t>;

// The result of futex(2), or its errno, negative.
inline long futex(const volatile void* word, int operation, std::uint32_t value, const timespec* timeout = nullptr,
                  const volatile void* word2 = nullptr, std::uint32_t value3 = 0) {
    const long result = syscall(SYS_futex, word, operation, value, timeout, word2, value3);
    return result == -1 ? -errno : result;
}

// The same for the operations that have a second number in the place of the time.
inline long futex2(const volatile void* word, int operation, std::uint32_t value, std::uint64_t value2,
                   const volatile void* word2, std::uint32_t value3 = 0) {
    return futex(word, operation, value, reinterpret_cast<const timespec*>(value2), word2, value3);
}

inline timespec from_now(clockid_t clock, long milliseconds) {
    const long long time = now_ns(clock) + milliseconds * 1'000'000LL;
    return {time / 1'000'000'000, time % 1'000'000'000};
}

inline bool is_over(clockid_t clock, const timespec& time) {
    return now_ns(clock) >= time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

// ---- threads

// Runs one function, and is joined at the end. A cancelled one gives -1.
class Thread {
public:
    explicit Thread(std::function<long()> body, const pthread_attr_t* attributes = nullptr) : body_(std::move(body)) {
        if (pthread_create(&handle_, attributes, run, this) == 0) return;
        std::perror("pthread_create");
        std::abort();  // in a child an exception would go on with the test
    }
    ~Thread() { join(); }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    long join() {
        if (!joined_) pthread_join(handle_, &value_);
        joined_ = true;
        return reinterpret_cast<long>(value_);
    }
    pthread_t handle() const { return handle_; }
    pid_t tid() const {
        await([&] { return tid_ != 0; });
        return tid_;
    }

private:
    static void* run(void* self) {
        Thread& thread = *static_cast<Thread*>(self);
        thread.tid_ = gettid();
        return reinterpret_cast<void*>(thread.body_());
    }
    std::function<long()> body_;
    std::atomic<pid_t> tid_{0};
    pthread_t handle_{};
    void* value_ = nullptr;
    bool joined_ = false;
};

// A thread that does one thing after the other, as it is told.
class Worker {
public:
    ~Worker() { start(nullptr); }
    // Returns as soon as the thread has begun; from then on it sleeps only if the task does.
    void start(std::function<long()> task) {
        finish();
        task_ = std::move(task);
        stage_ = kGiven;
        futex(&stage_, FUTEX_WAKE_PRIVATE, 1);
        await([&] { return stage_ != kGiven; });
    }
    long finish() {
        await([&] { return stage_ != kTaken; });
        return result_;
    }
    long run(std::function<long()> task) {
        start(std::move(task));
        return finish();
    }
    bool is_done() const { return stage_ == kDone; }
    pthread_t handle() const { return thread_.handle(); }
    pid_t tid() const { return thread_.tid(); }

private:
    static constexpr std::uint32_t kDone = 0, kGiven = 1, kTaken = 2;
    long loop() {
        for (;;) {
            while (stage_ != kGiven) futex(&stage_, FUTEX_WAIT_PRIVATE, kDone);
            stage_ = kTaken;
            if (task_ == nullptr) return 0;
            result_ = task_();
            stage_ = kDone;
        }
    }
    std::function<long()> task_;
    Word stage_{kDone};
    long result_ = 0;
    Thread thread_{[this] { return loop(); }};
};

}  // namespace guest
