// SPDX-License-Identifier: MIT
// What the tests of locks of files share: ways to take them, to see them from outside, and children that have them or
// wait for them. All of it is about a file "f" in the working directory.
#pragma once
#include <sys/file.h>

#include "tests/guest/ipc.hpp"

namespace guest {

inline constexpr off_t kLastOffset = LONG_MAX;

inline int open_file(int flags = O_RDWR) { return open("f", flags | O_CLOEXEC); }

inline int whole(int fd, int operation) { return errno_of(flock(fd, operation)); }

inline struct flock record_of(int type, off_t start, off_t length, int whence = SEEK_SET) {
    struct flock record{};
    record.l_type = static_cast<short>(type);
    record.l_whence = static_cast<short>(whence);
    record.l_start = start;
    record.l_len = length;
    return record;
}

inline int set(int fd, int type, off_t start, off_t length, int command = F_SETLK, int whence = SEEK_SET) {
    struct flock record = record_of(type, start, length, whence);
    return errno_of(fcntl(fd, command, &record));
}

// What keeps somebody from a lock; of type -1 if that cannot be said.
inline struct flock obstacle(int fd, int type, off_t start, off_t length, int command = F_GETLK) {
    struct flock record = record_of(type, start, length);
    if (fcntl(fd, command, &record) != 0) record.l_type = -1;
    return record;
}

inline bool is(const struct flock& record, int type, off_t start, off_t length, pid_t pid) {
    return record.l_type == type && record.l_whence == SEEK_SET && record.l_start == start && record.l_len == length &&
           record.l_pid == pid;
}

// How the first bytes of a file are locked for other processes: . not at all, r for reading, w for writing.
inline std::string locked(int fd, std::size_t count = 10) {
    const Shared<char[64]> text;
    CHECK(exit_of_child([&] {
              for (std::size_t i = 0; i < count; ++i) {
                  const int type = obstacle(fd, F_WRLCK, static_cast<off_t>(i), 1).l_type;
                  (*text)[i] = type == F_UNLCK ? '.' : type == F_RDLCK ? 'r' : type == F_WRLCK ? 'w' : '?';
              }
              return 0;
          }) == 0);
    return *text;
}

// Children that all wait for the same in `lock`, one after the other, and then let go of it in `unlock`: the order in
// which they had it, once `release` has let the first of them have it.
template <class Lock, class Unlock, class Release>
inline std::string waiters_served(Lock lock, Unlock unlock, Release release) {
    struct Order {
        std::atomic<std::size_t> count;
        char who[8];
    };
    const Shared<Order> order;
    std::deque<Child> children;
    for (const char who : {'a', 'b', 'c'}) {
        children.emplace_back([&, who] {
            const int fd = open_file();
            if (lock(fd) != 0) return 1;
            order->who[order->count++] = who;
            return unlock(fd);
        });
        CHECK(children.back().blocks());
    }
    CHECK(order->count == 0);
    release();
    CHECK(all_succeed(children));
    std::string served = order->who;
    std::sort(served.begin(), served.end());  // Linux wakes them in their order, but they race then
    return served;
}

// A child that holds something, having said so, until it hears something.
class Holder {
public:
    explicit Holder(std::function<int()> get)
        : child_([this, get] {
              if (const int wrong = get(); wrong != 0) return wrong;
              write_byte(said_.writer(), 'h');
              return read_byte(go_.reader()) == 'g' ? 0 : 100;
          }) {
        CHECK(hear(said_, child_) == 'h');
    }
    pid_t pid() const { return child_.pid(); }
    int let_go() {
        write_byte(go_.writer(), 'g');
        return child_.result();
    }

private:
    Pipe said_, go_;
    Child child_;
};

}  // namespace guest
