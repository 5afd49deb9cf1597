// SPDX-License-Identifier: MIT
// What several guest tests need: children, memory and clocks, in as few words as the tests allow.
#pragma once
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cerrno>
#include <cstddef>
#include <utility>

namespace guest {

inline constexpr std::size_t kPageSize = 4096;

// Runs `body` in a child whose exit status is what it returns; the child never returns into the test. Returns its pid.
template <class Body>
pid_t start_child(Body body) {
    const pid_t pid = fork();
    if (pid == 0) _exit(body());
    REQUIRE(pid > 0);
    return pid;
}

inline int wait_status(pid_t pid) {
    int status = 0;
    REQUIRE(waitpid(pid, &status, 0) == pid);
    return status;
}

template <class Body>
int child_status(Body body) {
    return wait_status(start_child(std::move(body)));
}

// The exit status of a child that runs `body`; fails the test if a signal ended it.
template <class Body>
int child_exit(Body body) {
    const int status = child_status(std::move(body));
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

// The signal that ends a child that runs `body`; fails the test if none did.
template <class Body>
int child_signal(Body body) {
    const int status = child_status(std::move(body));
    REQUIRE(WIFSIGNALED(status));
    return WTERMSIG(status);
}

// Private anonymous memory, gone with the object.
class Mapping {
public:
    explicit Mapping(std::size_t size, int protection = PROT_READ | PROT_WRITE, int flags = MAP_PRIVATE)
        : size_(size), base_(static_cast<char*>(mmap(nullptr, size, protection, flags | MAP_ANONYMOUS, -1, 0))) {
        REQUIRE(base_ != MAP_FAILED);
    }
    ~Mapping() { munmap(base_, size_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    char* data() const { return base_; }
    char& operator[](std::size_t offset) const { return base_[offset]; }

private:
    std::size_t size_;
    char* base_;
};

// Memory that children of fork share.
template <class T>
class Shared {
public:
    T* operator->() const { return reinterpret_cast<T*>(memory_.data()); }
    T& operator*() const { return *reinterpret_cast<T*>(memory_.data()); }

private:
    Mapping memory_{(sizeof(T) + kPageSize - 1) / kPageSize * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED};
};

// A pipe whose ends close with the object.
class Pipe {
public:
    Pipe() { REQUIRE(pipe(ends_) == 0); }
    ~Pipe() {
        close_reader();
        close_writer();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    int reader() const { return ends_[0]; }
    int writer() const { return ends_[1]; }
    void close_reader() { close_end(0); }
    void close_writer() { close_end(1); }

private:
    void close_end(int end) {
        if (ends_[end] >= 0) close(ends_[end]);
        ends_[end] = -1;
    }
    int ends_[2];
};

inline long long now_ns(clockid_t clock = CLOCK_MONOTONIC) {
    timespec time{};
    clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

inline void sleep_ms(long milliseconds) {
    timespec left{milliseconds / 1000, milliseconds % 1000 * 1'000'000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

}  // namespace guest
