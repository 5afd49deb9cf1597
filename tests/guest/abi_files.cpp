// SPDX-License-Identifier: MIT
// open(2) and the contents of files: flags, positions, truncation, vectors, what is unlinked.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- files: opening ------------------------------------------------------------------------------------------------

TEST_CASE("open: links, modes, and what F_GETFL shows of the flags") {
    const Scratch scratch;
    close(make_file("f", "text", 0604));
    REQUIRE(symlink("target", "dangling") == 0);
    CHECK(fails(open("dangling", O_RDONLY), ENOENT));
    CHECK(fails(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0644), EEXIST));
    CHECK(fails(open("dangling", O_RDONLY | O_NOFOLLOW), ELOOP));
    const Opened made(open("dangling", O_CREAT | O_WRONLY, 0666));  // makes what the link names
    CHECK(mode_of("target") == 0644);
    const struct stat before = status_of("f");
    const Opened again(open("f", O_CREAT | O_TRUNC | O_WRONLY, 0777));
    CHECK(status_of("f").st_ino == before.st_ino);
    CHECK(status_of("f").st_size == 0);
    CHECK(mode_of("f") == 0604);

    // O_NOFOLLOW is about the last component alone.
    REQUIRE(mkdir("d", 0755) == 0);
    REQUIRE(symlink("d", "link") == 0);
    close(make_file("link/g"));
    CHECK(Opened(open("link/g", O_RDONLY | O_NOFOLLOW)) >= 0);
    CHECK(Opened(open("link/", O_RDONLY | O_DIRECTORY)) >= 0);
    CHECK(fails(open("f", O_RDONLY | O_DIRECTORY | O_NOFOLLOW), ENOTDIR));

    const Opened flags(open("f", O_WRONLY | O_APPEND | O_NONBLOCK | O_CREAT | O_NOCTTY | O_TRUNC | O_CLOEXEC, 0644));
    constexpr int kShown = O_ACCMODE | O_APPEND | O_NONBLOCK | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC;
    CHECK((fcntl(flags, F_GETFL) & kShown) == (O_WRONLY | O_APPEND | O_NONBLOCK));
    CHECK(fcntl(flags, F_GETFD) == FD_CLOEXEC);
    REQUIRE(fcntl(flags, F_SETFL, O_RDWR | O_CREAT | O_TRUNC) == 0);  // what cannot be changed is ignored
    CHECK((fcntl(flags, F_GETFL) & kShown) == O_WRONLY);

    REQUIRE(chmod(".", 0777) == 0);
    CHECK(exit_of_user(kNobody, [] {  // whoever makes a file may use it, whatever its mode
              const int fd = open("locked", O_CREAT | O_EXCL | O_RDWR, 0);
              char byte;
              return first_wrong({fd >= 0, write(fd, "x", 1) == 1, pread(fd, &byte, 1, 0) == 1,
                                  fails(open("locked", O_RDONLY), EACCES)});
          }) == 0);
}

TEST_CASE("a descriptor that O_PATH gives is only a place") {
    const Scratch scratch;
    close(make_file("f", "text"));
    REQUIRE(symlink("f", "link") == 0);
    const Opened place(open("f", O_PATH)), link(open("link", O_PATH | O_NOFOLLOW)), folder(open(".", O_PATH));
    char byte = 0;
    int value = 0;
    CHECK(error(SYS_read, int{place}, &byte, 1) == EBADF);
    CHECK(error(SYS_write, int{place}, &byte, 1) == EBADF);
    CHECK(error(SYS_pread64, int{place}, &byte, 1, 0) == EBADF);
    CHECK(error(SYS_lseek, int{place}, 0, SEEK_CUR) == EBADF);
    CHECK(error(SYS_fchmod, int{place}, 0600) == EBADF);
    CHECK(error(SYS_fchown, int{place}, 0, 0) == EBADF);
    CHECK(error(SYS_ftruncate, int{place}, 0) == EBADF);
    CHECK(error(SYS_fsync, int{place}) == EBADF);
    CHECK(error(SYS_ioctl, int{place}, FIONREAD, &value) == EBADF);
    CHECK(error(SYS_getdents64, int{folder}, &byte, 1) == EBADF);
    CHECK(error(SYS_mmap, nullptr, kPageSize, PROT_READ, MAP_PRIVATE, int{place}, 0) == EBADF);
    CHECK(error(SYS_fcntl, int{place}, F_SETFL, O_APPEND) == EBADF);
    CHECK((fcntl(place, F_GETFL) & O_PATH) != 0);
    pollfd polled{place, POLLIN, 0};
    CHECK(poll(&polled, 1, 0) == 1);
    CHECK(polled.revents == POLLNVAL);

    struct stat status{};
    REQUIRE(fstat(place, &status) == 0);
    CHECK(status.st_ino == status_of("f").st_ino);
    REQUIRE(fstat(link, &status) == 0);
    CHECK(S_ISLNK(status.st_mode));
    char target[8] = {};
    CHECK(readlinkat(link, "", target, sizeof target) == 1);
    CHECK(Opened(openat(folder, "f", O_RDONLY)) >= 0);
    CHECK(fchdir(folder) == 0);
    CHECK(content(Opened(open(("/proc/self/fd/" + std::to_string(place)).c_str(), O_RDONLY))) == "text");
    REQUIRE(chmod("f", 0) == 0);
    CHECK(exit_of_user(kNobody, [] { return open("f", O_PATH) >= 0 && open("f", O_RDONLY) == -1 ? 0 : 1; }) == 0);
}

TEST_CASE("an open for which there is no descriptor changes nothing") {
    const Scratch scratch;
    close(make_file("f", "text"));
    CHECK(child_exit([] {
              const int limit = lowest_free();
              const rlimit none{static_cast<rlim_t>(limit), static_cast<rlim_t>(limit)};
              int ends[2];
              if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 100;
              return first_wrong({
                  fails(open("f", O_WRONLY | O_TRUNC), EMFILE),
                  fails(open("new", O_CREAT | O_WRONLY, 0644), EMFILE),
                  fails(dup(0), EMFILE) || fails(dup(0), EBADF),  // whoever started us may have closed it
                  fails(pipe(ends), EMFILE),
                  error(SYS_dup2, 1, limit) == EBADF,
              });
          }) == 0);
    CHECK(access("new", F_OK) == -1);
    CHECK(status_of("f").st_size == 4);
}

TEST_CASE("a program that runs cannot be written to, and what is written to cannot be run") {
    const Scratch scratch;
    const Opened self(open(kSelf, O_RDONLY));
    struct stat status{};
    REQUIRE(fstat(self, &status) == 0);
    char* const image = map(static_cast<std::size_t>(status.st_size), PROT_READ, MAP_PRIVATE, self);
    {
        const Opened copy(open("program", O_CREAT | O_WRONLY, 0755));
        REQUIRE(write(copy, image, static_cast<std::size_t>(status.st_size)) == status.st_size);
    }
    Pipe ready, end;
    const pid_t pid = start_child([&] {
        alarm(20);
        return Role("hold", {ready.writer(), end.reader()}).take("program");
    });
    ready.close_writer();
    REQUIRE(await_byte(ready.reader()) == 'r');
    CHECK(fails(open("program", O_WRONLY), ETXTBSY));
    CHECK(fails(open("program", O_RDWR), ETXTBSY));
    CHECK(fails(truncate("program", 0), ETXTBSY));
    CHECK(Opened(open("program", O_RDONLY)) >= 0);
    CHECK(rename("program", "other") == 0);
    CHECK(status_of("other").st_size == status.st_size);
    REQUIRE(write_byte(end.writer(), 'e'));
    CHECK(WEXITSTATUS(wait_status(pid)) == 0);
    const Opened writer(open("other", O_WRONLY));
    CHECK(child_exit([&] { return Role("hold", {-1, -1}).take("other"); }) == 100 + ETXTBSY);
    munmap(image, static_cast<std::size_t>(status.st_size));
}

// ---- files: contents -----------------------------------------------------------------------------------------------

TEST_CASE("O_APPEND: writers with descriptors of their own lose nothing") {
    constexpr int kWriters = 3, kRecords = 300, kSize = 61;
    const Scratch scratch;
    const Opened log(make_file("log"));
    std::vector<pid_t> writers;
    for (int i = 0; i < kWriters; ++i)
        writers.push_back(start_child([i] {
            const int fd = open("log", O_WRONLY | O_APPEND);
            const std::string record(kSize, static_cast<char>('a' + i));
            for (int n = 0; n < kRecords; ++n)
                if (write(fd, record.data(), kSize) != kSize) return 1;
            return 0;
        }));
    for (const pid_t pid : writers) CHECK(WEXITSTATUS(wait_status(pid)) == 0);
    const std::string text = content(log);
    REQUIRE(text.size() == kWriters * kRecords * kSize);
    std::map<char, int> seen;
    for (std::size_t at = 0; at < text.size(); at += kSize) {
        const std::string record = text.substr(at, kSize);
        REQUIRE(record == std::string(kSize, record[0]));
        ++seen[record[0]];
    }
    for (const auto& [letter, count] : seen) CHECK(count == kRecords);

    // The flag can come and go; reading has a position of its own, and pwrite(2) says that it appends as well.
    REQUIRE(ftruncate(log, 0) == 0);
    REQUIRE(write(log, "0123456789", 10) == 10);
    REQUIRE(fcntl(log, F_SETFL, O_APPEND) == 0);
    REQUIRE(lseek(log, 2, SEEK_SET) == 2);
    CHECK(read_byte(log) == '2');
    CHECK(write(log, "A", 1) == 1);
    CHECK(lseek(log, 0, SEEK_CUR) == 11);
    CHECK(pwrite(log, "P", 1, 3) == 1);
    REQUIRE(fcntl(log, F_SETFL, 0) == 0);
    CHECK(pwrite(log, "p", 1, 3) == 1);
    CHECK(content(log) == "012p456789AP");
}

TEST_CASE("lseek on each kind of file") {
    const Scratch scratch;
    const Opened file(make_file("f", "0123456789"));
    char byte = 'x';
    CHECK(lseek(file, 100, SEEK_SET) == 100);
    CHECK(read(file, &byte, 1) == 0);
    CHECK(status_of("f").st_size == 10);  // only a write makes it longer
    CHECK(lseek(file, 5, SEEK_END) == 15);
    CHECK(write(file, "E", 1) == 1);
    CHECK(content(file) == std::string("0123456789\0\0\0\0\0E", 16));
    CHECK(lseek(file, -16, SEEK_CUR) == 0);
    CHECK(fails(lseek(file, -1, SEEK_CUR), EINVAL));
    CHECK(lseek(file, 0, SEEK_CUR) == 0);
    CHECK(lseek(file, 3, SEEK_DATA) == 3);
    CHECK(lseek(file, 3, SEEK_HOLE) == 16);  // every file ends in a hole
    CHECK(fails(lseek(file, 16, SEEK_DATA), ENXIO));
    CHECK(fails(lseek(file, 16, SEEK_HOLE), ENXIO));

    Pipe pipe;
    REQUIRE(mkfifo("fifo", 0600) == 0);
    const Opened fifo(open("fifo", O_RDWR));
    std::vector<int> streams{pipe.reader(), pipe.writer(), fifo};
    for (const char* const path : {"/dev/tty", "/dev/console", "/dev/ptmx"})
        if (const int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK); fd >= 0) streams.push_back(fd);
    for (const int fd : streams) {
        CAPTURE(fd);
        for (const int whence : {SEEK_SET, SEEK_CUR, SEEK_END}) CHECK(error(SYS_lseek, fd, 0, whence) == ESPIPE);
        CHECK(error(SYS_pread64, fd, &byte, 1, 0) == ESPIPE);
    }
    for (std::size_t i = 3; i < streams.size(); ++i) close(streams[i]);
    const Opened null(open("/dev/null", O_RDWR));
    CHECK(error(SYS_lseek, int{null}, 0, SEEK_SET) == 0);
}

TEST_CASE("pread, pwrite and ftruncate at odd places, against a model") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    std::vector<char> model;
    std::mt19937 random(6);
    const auto pick = [&](unsigned below) { return static_cast<std::size_t>(random() % below); };
    const char* const seen = map(8 * kPageSize, PROT_READ, MAP_SHARED, file);
    for (int step = 0; step < 600; ++step) {
        CAPTURE(step);
        const std::size_t at = pick(20'000), length = pick(9'000);
        std::vector<char> bytes(length, static_cast<char>('a' + step % 26));
        switch (pick(4)) {
        case 0:
            REQUIRE(pwrite(file, bytes.data(), length, static_cast<off_t>(at)) == static_cast<ssize_t>(length));
            if (length != 0) model.resize(std::max(model.size(), at + length));
            std::copy(bytes.begin(), bytes.end(),
                      model.begin() + static_cast<std::ptrdiff_t>(std::min(at, model.size())));
            break;
        case 1:
            REQUIRE(ftruncate(file, static_cast<off_t>(at)) == 0);
            model.resize(at);
            break;
        default: {
            const std::size_t want = at < model.size() ? std::min(length, model.size() - at) : 0;
            REQUIRE(pread(file, bytes.data(), length, static_cast<off_t>(at)) == static_cast<ssize_t>(want));
            REQUIRE(std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(want),
                               model.begin() + static_cast<std::ptrdiff_t>(std::min(at, model.size()))));
            REQUIRE(std::equal(model.begin(), model.end(), seen));  // a mapping shows the same
        }
        }
    }
    CHECK(lseek(file, 0, SEEK_CUR) == 0);  // none of them moves the position
    munmap(const_cast<char*>(seen), 8 * kPageSize);
}

TEST_CASE("truncate: what grows is zero, what it may not do") {
    const Scratch scratch;
    const Opened file(make_file("f", std::string(5000, 'x')));
    REQUIRE(symlink("f", "link") == 0);
    REQUIRE(symlink("nothing", "dangling") == 0);
    REQUIRE(mkfifo("fifo", 0666) == 0);
    REQUIRE(lseek(file, 4000, SEEK_SET) == 4000);
    REQUIRE(truncate("link", 4500) == 0);
    REQUIRE(ftruncate(file, 9000) == 0);
    const std::string text = content(file);
    CHECK(text == std::string(4500, 'x') + std::string(4500, '\0'));
    CHECK(lseek(file, 0, SEEK_CUR) == 4000);
    CHECK(fails(truncate("dangling", 0), ENOENT));
    CHECK(fails(truncate("nothing", 0), ENOENT));
    CHECK(fails(truncate("f/x", 0), ENOTDIR));
    CHECK(fails(truncate("fifo", 0), EINVAL));
    CHECK(fails(truncate("", 0), ENOENT));
    CHECK(exit_of_user(kNobody, [] { return fails(truncate("f", 0), EACCES) ? 0 : 1; }) == 0);
    CHECK(status_of("f").st_size == 9000);
    const struct stat before = status_of("f");
    sleep_ms(40);
    REQUIRE(truncate("f", 8999) == 0);
    const struct stat after = status_of("f");
    const auto later = [](const timespec& a, const timespec& b) {
        return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
    };
    CHECK(later(after.st_mtim, before.st_mtim));
    CHECK(later(after.st_ctim, before.st_ctim));
}

TEST_CASE("readv and writev: limits, and parts that cannot be moved") {
    const Scratch scratch;
    const Opened file(make_file("f"));
    std::string letters(1024, '\0');
    std::vector<iovec> pieces(1025);
    for (std::size_t i = 0; i < letters.size(); ++i) {
        letters[i] = static_cast<char>('a' + i % 26);
        pieces[i] = {&letters[i], 1};
    }
    CHECK(writev(file, pieces.data(), 1024) == 1024);
    CHECK(content(file) == letters);
    CHECK(error(SYS_writev, int{file}, pieces.data(), 1025) == EINVAL);
    CHECK(error(SYS_readv, int{file}, pieces.data(), 0) == 0);
    CHECK(error(SYS_writev, int{file}, pieces.data(), 0) == 0);
    char a[3], b[2000];
    const iovec in[] = {{a, sizeof a}, {nullptr, 0}, {b, sizeof b}};
    CHECK(preadv(file, in, 3, 1000) == 24);  // no more than there is
    CHECK(std::string(a, 3) == letters.substr(1000, 3));
    CHECK(std::string(b, 21) == letters.substr(1003));
    CHECK(lseek(file, 0, SEEK_CUR) == 1024);
    CHECK(fails(preadv(file, in, 3, -1), EINVAL));
    const iovec out[] = {{a, 1}, {b, 1}};
    CHECK(pwritev(file, out, 2, 5000) == 2);
    CHECK(status_of("f").st_size == 5002);

    Pipe pipe;
    CHECK(fails(pwritev(pipe.writer(), out, 2, 0), ESPIPE));
    REQUIRE(write(pipe.writer(), "hello", 5) == 5);
    CHECK(readv(pipe.reader(), in, 3) == 5);  // a short read fills the first ones
    CHECK(std::string(a, 3) + std::string(b, 2) == "hello");
    Mapping memory(2 * kPageSize);
    REQUIRE(munmap(memory.data() + kPageSize, kPageSize) == 0);
    memory[kPageSize - 1] = 'm';
    const iovec bad[] = {{memory.data() + kPageSize - 1, 1}, {memory.data() + kPageSize, 1}};
    const ssize_t written = writev(pipe.writer(), bad, 2);
    CHECK((written == 1 || fails(written, EFAULT)));
    const iovec huge[] = {{a, 1}, {b, SIZE_MAX}};
    CHECK(error(SYS_writev, int{file}, huge, 2) == EINVAL);
}

TEST_CASE("what is unlinked lives on while it is open, mapped, or a place to be") {
    const Scratch scratch;
    int fd = make_file("f", "old");
    char* const memory = map(kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    const ino_t number = status_of("f").st_ino;
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    REQUIRE(unlink("f") == 0);
    CHECK(fails(unlink("f"), ENOENT));
    const Opened other(make_file("f", "new"));
    CHECK(status_of("f").st_ino != number);
    char target[100] = {};
    REQUIRE(readlink(link.c_str(), target, sizeof target - 1) > 0);
    CHECK(std::string(target) == scratch.path() + "/f (deleted)");
    const Opened again(open(link.c_str(), O_RDWR));
    CHECK(content(again) == "old");
    CHECK(fails(linkat(AT_FDCWD, link.c_str(), AT_FDCWD, "back", AT_SYMLINK_FOLLOW), ENOENT));
    close(fd);
    memory[0] = 'O';
    CHECK(content(again) == "Old");
    REQUIRE(ftruncate(again, 2) == 0);
    CHECK(memory[1] == 'l');
    CHECK(memory[2] == 0);
    munmap(memory, kPageSize);

    REQUIRE(mkdir("d", 0755) == 0);
    const Opened folder(open("d", O_RDONLY));
    REQUIRE(rmdir("d") == 0);
    CHECK(fails(openat(folder, "x", O_CREAT | O_WRONLY, 0644), ENOENT));
    CHECK(fails(mkdirat(folder, "x", 0755), ENOENT));
    CHECK(fails(linkat(AT_FDCWD, "f", folder, "x", 0), ENOENT));
    CHECK(fails(renameat(AT_FDCWD, "f", folder, "x"), ENOENT));
    struct stat status{};
    CHECK(fstatat(folder, ".", &status, 0) == 0);
}

// ---- files: room for what is to be written --------------------------------------------------------------------------

TEST_CASE("fallocate: room beyond the end, with and without moving it, and the errors") {
    const Scratch scratch;
    const Opened file(open("f", O_RDWR | O_CREAT, 0644)), reader(open("f", O_RDONLY)), folder(open(".", O_RDONLY));
    REQUIRE(write(file, "text", 4) == 4);
    CHECK(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 20000) == 0);
    CHECK(status_of("f").st_size == 4);
    CHECK(status_of("f").st_blocks >= 20000 / 512);
    CHECK(fallocate(file, 0, 10000, 5) == 0);
    CHECK(status_of("f").st_size == 10005);
    CHECK(fallocate(file, 0, 0, 100) == 0);  // never makes it shorter
    CHECK(status_of("f").st_size == 10005);
    char bytes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    CHECK(pread(file, bytes, 8, 2) == 8);
    CHECK(memcmp(bytes, "xt\0\0\0\0\0\0", 8) == 0);
    CHECK(pread(file, bytes, 8, 10000) == 5);
    CHECK(ftruncate(file, 20000) == 0);
    CHECK(pread(file, bytes, 8, 19992) == 8);
    CHECK(memcmp(bytes, "\0\0\0\0\0\0\0\0", 8) == 0);
    CHECK(posix_fallocate(file, 0, 30000) == 0);
    CHECK(status_of("f").st_size == 30000);

    CHECK(fails(fallocate(file, 0, -1, 1), EINVAL));
    CHECK(fails(fallocate(file, 0, 0, 0), EINVAL));
    CHECK(fails(fallocate(file, 0, 0, -1), EINVAL));
    CHECK(fails(fallocate(reader, 0, 0, 1), EBADF));
    CHECK(fails(fallocate(-1, 0, 0, 1), EBADF));
    CHECK(fails(fallocate(file, 0, INT64_MAX - 10, 100), EFBIG));
    CHECK(fails(fallocate(file, 0x4000, 0, 1), EOPNOTSUPP));
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK(fails(fallocate(ends[1], 0, 0, 1), ESPIPE));
    for (const int end : ends) close(end);
    const Opened null(open("/dev/null", O_WRONLY));
    CHECK(fails(fallocate(null, 0, 0, 1), ENODEV));
}
