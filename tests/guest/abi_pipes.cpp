// SPDX-License-Identifier: MIT
// Descriptors, locks, pipes and FIFOs.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- descriptors ---------------------------------------------------------------------------------------------------

TEST_CASE("dup, dup2, dup3, fcntl: what is shared and what is refused") {
    const Scratch scratch;
    const Opened file(make_file("f", "0123456789"));
    const Opened copy(dup(file));
    REQUIRE(lseek(file, 4, SEEK_SET) == 4);
    CHECK(read_byte(copy) == '4');
    REQUIRE(fcntl(file, F_SETFL, O_APPEND) == 0);
    CHECK((fcntl(copy, F_GETFL) & O_APPEND) != 0);
    REQUIRE(fcntl(file, F_SETFD, FD_CLOEXEC) == 0);
    CHECK(fcntl(copy, F_GETFD) == 0);
    const Opened own(open("f", O_RDONLY));
    CHECK(lseek(own, 0, SEEK_CUR) == 0);

    Pipe pipe;
    const int kept = dup2(pipe.writer(), 300);
    REQUIRE(kept == 300);
    pipe.close_writer();
    REQUIRE(write(kept, "x", 1) == 1);
    CHECK(dup2(file, kept) == kept);  // closes the pipe's last writer without a word
    CHECK(read_byte(pipe.reader()) == 'x');
    CHECK(read_byte(pipe.reader()) == -1);
    CHECK(fcntl(kept, F_GETFD) == 0);
    CHECK(dup3(file, kept, O_CLOEXEC) == kept);
    CHECK(fcntl(kept, F_GETFD) == FD_CLOEXEC);
    CHECK(dup2(kept, kept) == kept);
    CHECK(fcntl(kept, F_GETFD) == FD_CLOEXEC);  // that did nothing
    CHECK(error(SYS_dup2, 987, kept) == EBADF);
    CHECK(fcntl(kept, F_GETFD) == FD_CLOEXEC);  // nor did that
    CHECK(error(SYS_dup3, int{file}, kept, O_APPEND) == EINVAL);
    CHECK(error(SYS_dup3, int{file}, -1, 0) == EBADF);
    close(kept);

    const int high = fcntl(file, F_DUPFD_CLOEXEC, 250);
    CHECK(high >= 250);
    CHECK(fcntl(high, F_GETFD) == FD_CLOEXEC);
    const int higher = fcntl(file, F_DUPFD, high);
    CHECK(higher > high);
    CHECK(fcntl(higher, F_GETFD) == 0);
    CHECK(close(high) == 0);
    CHECK(close(higher) == 0);
    CHECK(fails(close(higher), EBADF));
    CHECK(child_exit([&] {
              const int first = lowest_free();
              const rlimit limit{static_cast<rlim_t>(first) + 1, static_cast<rlim_t>(first) + 1};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 100;
              return first_wrong({fcntl(file, F_DUPFD, 0) == first, error(SYS_fcntl, int{file}, F_DUPFD, 0) == EMFILE,
                                  error(SYS_fcntl, int{file}, F_DUPFD, first + 1) == EINVAL,
                                  error(SYS_dup2, int{file}, first + 1) == EBADF, dup2(file, first) == first});
          }) == 0);
}

// ---- pipes ---------------------------------------------------------------------------------------------------------

TEST_CASE("writes of PIPE_BUF bytes are not mixed with others") {
    constexpr int kRounds = 120;
    Pipe pipe;
    std::vector<pid_t> writers;
    for (const char letter : {'a', 'b'})
        writers.push_back(start_child([&, letter] {
            pipe.close_reader();
            const std::string block(PIPE_BUF, letter), small(37, letter);
            for (int i = 0; i < kRounds; ++i) {
                if (write(pipe.writer(), block.data(), block.size()) != PIPE_BUF) return 1;
                if (write(pipe.writer(), small.data(), small.size()) != 37) return 2;
            }
            return 0;
        }));
    pipe.close_writer();
    std::string all;
    char piece[1777];
    for (ssize_t got; (got = read(pipe.reader(), piece, sizeof piece)) > 0;)
        all.append(piece, static_cast<std::size_t>(got));
    for (const pid_t pid : writers) CHECK(WEXITSTATUS(wait_status(pid)) == 0);
    REQUIRE(all.size() == 2 * kRounds * (PIPE_BUF + 37));
    // A run of one letter is made of whole writes, in turns of a large and a small one.
    std::map<char, bool> large_next{{'a', true}, {'b', true}};
    for (std::size_t at = 0; at < all.size();) {
        const char letter = all[at];
        const std::size_t size = large_next[letter] ? PIPE_BUF : 37;
        REQUIRE(all.compare(at, size, std::string(size, letter)) == 0);
        large_next[letter] = !large_next[letter];
        at += size;
    }
}

TEST_CASE("the ends of a pipe: hang-ups, waiting, not waiting") {
    char bytes[100];
    {
        Pipe pipe;
        REQUIRE(fcntl(pipe.reader(), F_SETFL, O_NONBLOCK) == 0);
        CHECK(fails(read(pipe.reader(), bytes, 1), EAGAIN));
        CHECK(write(pipe.writer(), bytes, 0) == 0);
        CHECK(fails(read(pipe.reader(), bytes, 1), EAGAIN));  // that was no byte
        CHECK(write(pipe.writer(), "abc", 3) == 3);
        pipe.close_writer();
        pollfd polled{pipe.reader(), POLLIN | POLLOUT, 0};
        CHECK(poll(&polled, 1, 0) == 1);
        CHECK(polled.revents == (POLLIN | POLLHUP));
        CHECK(read(pipe.reader(), bytes, sizeof bytes) == 3);  // what was written is there
        CHECK(read(pipe.reader(), bytes, sizeof bytes) == 0);
        CHECK(poll(&polled, 1, 0) == 1);
        CHECK(polled.revents == POLLHUP);
        CHECK(fails(write(pipe.reader(), "x", 1), EBADF));
    }
    {
        Pipe pipe;
        pipe.close_reader();
        pollfd polled{pipe.writer(), POLLOUT, 0};
        CHECK(poll(&polled, 1, 0) == 1);
        CHECK((polled.revents & POLLERR) != 0);
        CHECK(child_exit([&] {
                  handle(SIGPIPE);
                  const bool failed = fails(write(pipe.writer(), "x", 1), EPIPE);
                  const bool told = g_count == 1 && g_info.si_signo == SIGPIPE;
                  dispose(SIGPIPE, SIG_IGN);
                  return first_wrong(
                      {failed, told, fails(write(pipe.writer(), "x", 1), EPIPE), write(pipe.writer(), "x", 0) == 0});
              }) == 0);
        CHECK(child_signal([&] {
                  dispose(SIGPIPE, SIG_DFL);
                  return static_cast<int>(write(pipe.writer(), "x", 1));
              }) == SIGPIPE);
    }
    {  // A writer that waits for room learns that nobody will make any.
        Pipe pipe;
        const pid_t writer = start_child([&] {
            pipe.close_reader();
            dispose(SIGPIPE, SIG_IGN);
            const std::string much(200'000, 'm');
            const ssize_t written = write(pipe.writer(), much.data(), much.size());
            return first_wrong({written > 0 && written < 200'000, fails(write(pipe.writer(), "x", 1), EPIPE)});
        });
        REQUIRE(read(pipe.reader(), bytes, sizeof bytes) == sizeof bytes);
        sleep_ms(30);
        pipe.close_reader();
        CHECK(WEXITSTATUS(wait_status(writer)) == 0);
    }
    {
        int ends[2];
        REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        const Opened reader(ends[0]), writer(ends[1]);
        CHECK(fcntl(reader, F_GETFD) == FD_CLOEXEC);
        CHECK((fcntl(writer, F_GETFL) & (O_NONBLOCK | O_ACCMODE)) == (O_NONBLOCK | O_WRONLY));
        const std::string much(200'000, 'm');
        const ssize_t written = write(writer, much.data(), much.size());
        CHECK(written >= PIPE_BUF);
        CHECK(written < 200'000);
        int waiting = 0;
        REQUIRE(ioctl(reader, FIONREAD, &waiting) == 0);
        CHECK(waiting == written);
        struct stat status{};
        REQUIRE(fstat(reader, &status) == 0);
        CHECK(S_ISFIFO(status.st_mode));
        int off = 0;
        REQUIRE(ioctl(reader, FIONBIO, &off) == 0);
        CHECK((fcntl(reader, F_GETFL) & O_NONBLOCK) == 0);
        CHECK((fcntl(writer, F_GETFL) & O_NONBLOCK) != 0);
    }
}

TEST_CASE("FIFOs: opening one end waits for the other") {
    const Scratch scratch;
    REQUIRE(mkfifo("fifo", 0600) == 0);
    CHECK(fails(mkfifo("fifo", 0600), EEXIST));
    CHECK(fails(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO));
    char bytes[10];
    {
        const Opened reader(open("fifo", O_RDONLY | O_NONBLOCK));
        CHECK(read(reader, bytes, sizeof bytes) == 0);  // nobody writes
        pollfd polled{reader, POLLIN, 0};
        CHECK(poll(&polled, 1, 0) == 0);
        const Opened writer(open("fifo", O_WRONLY | O_NONBLOCK));
        CHECK(fails(read(reader, bytes, sizeof bytes), EAGAIN));
        CHECK(write(writer, "one", 3) == 3);
        CHECK(read(reader, bytes, sizeof bytes) == 3);
    }
    {
        const Opened both(open("fifo", O_RDWR));  // never waits, never alone
        CHECK(write(both, "two", 3) == 3);
        CHECK(read(both, bytes, 3) == 3);
        const Opened writer(open("fifo", O_WRONLY | O_NONBLOCK));
        CHECK(write(writer, "x", 1) == 1);
    }
    for (const int mode : {O_RDONLY, O_WRONLY}) {  // each side in turn is the one that waits
        CAPTURE(mode);
        const pid_t pid = start_child([&] {
            alarm(20);
            if (mode == O_WRONLY) sleep_ms(60);
            const int fd = open("fifo", mode == O_WRONLY ? O_RDONLY : O_WRONLY);
            if (mode == O_WRONLY) return fd >= 0 && read_byte(fd) == 'w' && read_byte(fd) == -1 ? 0 : 1;
            return fd >= 0 && write_byte(fd, 'r') ? 0 : 1;
        });
        if (mode == O_RDONLY) sleep_ms(30);
        {
            const Opened end(open("fifo", mode));
            if (mode == O_WRONLY)
                CHECK(write_byte(end, 'w'));
            else
                CHECK(read_byte(end) == 'r');
        }
        CHECK(WEXITSTATUS(wait_status(pid)) == 0);
    }
    {  // End of file is not for ever, and the name is only needed to come in.
        const Opened reader(open("fifo", O_RDONLY | O_NONBLOCK));
        for (const char byte : {'a', 'b'}) {
            const Opened writer(open("fifo", O_WRONLY));
            REQUIRE(write_byte(writer, byte));
        }
        CHECK(read(reader, bytes, sizeof bytes) == 2);
        CHECK(read(reader, bytes, sizeof bytes) == 0);
        pollfd polled{reader, POLLIN, 0};
        CHECK(poll(&polled, 1, 0) == 1);
        CHECK(polled.revents == POLLHUP);
        const Opened writer(open("fifo", O_WRONLY));
        REQUIRE(unlink("fifo") == 0);
        CHECK(write_byte(writer, 'c'));
        CHECK(read_byte(reader) == 'c');
        CHECK(fails(open("fifo", O_RDONLY), ENOENT));
    }
}
