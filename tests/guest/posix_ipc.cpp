// SPDX-License-Identifier: MIT
// Semaphores and memory that processes share: named semaphores, unnamed ones in shared memory, shm_open, memfd_create
// with its seals, and anonymous memory that is inherited.
#include <semaphore.h>

#include "tests/guest/ipc.hpp"

using namespace guest;

namespace {

const std::string g_prefix = "/heddle." + std::to_string(getpid()) + ".";

// Whether the host has a place for shared memory: glibc does not say where it is.
bool has_shared_memory() {
    const int fd = shm_open((g_prefix + "probe").c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        WARN("no shm_open here");
        return false;
    }
    shm_unlink((g_prefix + "probe").c_str());
    return close(fd) == 0;
}

// A semaphore with a name, which is gone with the object.
class Named {
public:
    explicit Named(unsigned value, const std::string& name = g_prefix + "s", mode_t mode = 0600)
        : name_(name), semaphore_(sem_open(name_.c_str(), O_CREAT | O_EXCL, mode, value)) {
        REQUIRE(semaphore_ != SEM_FAILED);
    }
    ~Named() {
        sem_close(semaphore_);
        sem_unlink(name_.c_str());
    }
    Named(const Named&) = delete;
    Named& operator=(const Named&) = delete;
    operator sem_t*() const { return semaphore_; }
    const char* name() const { return name_.c_str(); }

private:
    const std::string name_;
    sem_t* const semaphore_;
};

int value_of(sem_t* semaphore) {
    int value = -1;
    return sem_getvalue(semaphore, &value) == 0 ? value : -1;
}

int take(sem_t* semaphore) { return errno_of(sem_wait(semaphore)); }

bool is_failure(const sem_t* semaphore, int wanted) { return semaphore == SEM_FAILED && errno == wanted; }
bool is_failure(const void* memory, int wanted) { return memory == MAP_FAILED && errno == wanted; }

// Memory of a file, gone with the object.
class View {
public:
    View(int fd, std::size_t size, int protection = PROT_READ | PROT_WRITE, int flags = MAP_SHARED)
        : size_(size), base_(map(size, protection, flags, fd)) {}
    ~View() { munmap(base_, size_); }
    View(const View&) = delete;
    View& operator=(const View&) = delete;
    char* data() const { return base_; }
    char& operator[](std::size_t offset) const { return base_[offset]; }

private:
    const std::size_t size_;
    char* const base_;
};

void* try_map(int fd, int protection, int flags = MAP_SHARED) {
    return mmap(nullptr, kPageSize, protection, flags, fd, 0);
}

}  // namespace

TEST_CASE("named semaphores: made, opened, and without their name") {
    if (!has_shared_memory()) return;
    const std::string name = g_prefix + "s";
    CHECK(is_failure(sem_open(name.c_str(), 0), ENOENT));
    CHECK(fails(sem_unlink(name.c_str()), ENOENT));
    CHECK(is_failure(sem_open(name.c_str(), O_CREAT, 0600, SEM_VALUE_MAX + 1U), EINVAL));
    const Named semaphore(2);
    CHECK(value_of(semaphore) == 2);
    CHECK(is_failure(sem_open(name.c_str(), O_CREAT | O_EXCL, 0600, 1), EEXIST));
    sem_t* const again = sem_open(name.c_str(), O_CREAT, 0600, 7);  // it has its value already
    CHECK(again == semaphore);                                      // and a process has it once
    CHECK(value_of(again) == 2);
    CHECK(sem_close(again) == 0);
    CHECK(value_of(semaphore) == 2);
    CHECK(exit_of_child([&] {  // by its name, and inherited
              sem_t* const own = sem_open(name.c_str(), 0);
              return first_wrong({take(own) == 0, take(semaphore) == 0, fails(sem_trywait(own), EAGAIN),
                                  value_of(semaphore) == 0, sem_post(own) == 0});
          }) == 0);
    CHECK(value_of(semaphore) == 1);
    CHECK(exit_of_user(stranger(), [&] { return sem_open(name.c_str(), 0) == SEM_FAILED ? errno : 0; }) ==
          (is_root() ? EACCES : 0));
    CHECK(sem_unlink(name.c_str()) == 0);
    CHECK(is_failure(sem_open(name.c_str(), 0), ENOENT));
    const Named other(5);  // of the same name
    CHECK(other != semaphore);
    CHECK(sem_post(semaphore) == 0);
    CHECK(value_of(semaphore) == 2);
    CHECK(value_of(other) == 5);
    // A value stays while nobody has the semaphore open.
    CHECK(exit_of_child([&] {
              sem_t* const own = sem_open(name.c_str(), 0);
              return first_wrong({value_of(own) == 5, sem_post(own) == 0});
          }) == 0);
    CHECK(exit_of_child([&] { return value_of(sem_open(name.c_str(), 0)); }) == 6);
}

TEST_CASE("named semaphores: who waits, and how long") {
    if (!has_shared_memory()) return;
    const Named semaphore(0);
    const auto wait_for_it = [&] { return take(semaphore); };
    {
        // By its name, so that nothing of the address is known to both.
        std::deque<Child> children;
        children.emplace_back([&] { return take(sem_open(semaphore.name(), 0)); });
        children.emplace_back(wait_for_it);
        CHECK((children[0].blocks() && children[1].blocks()));
        CHECK(sem_post(semaphore) == 0);
        const std::size_t served = first_ended(children);
        REQUIRE(served < 2);
        CHECK(children[1 - served].blocks());
        CHECK(value_of(semaphore) == 0);
        CHECK(exit_of_child([&] { return errno_of(sem_post(semaphore)); }) == 0);
        CHECK(all_succeed(children));
        CHECK(value_of(semaphore) == 0);
    }
    {
        Child killed(wait_for_it), last(wait_for_it);
        CHECK((killed.blocks() && last.blocks()));
        CHECK(killed.kill_with(SIGKILL));
        CHECK(killed.status() == SIGKILL);
        CHECK(sem_post(semaphore) == 0);
        CHECK(last.result() == 0);
    }
    const timespec past = from_now(CLOCK_REALTIME, -1), soon = from_now(CLOCK_REALTIME, 5);
    const timespec soon_monotonic = from_now(CLOCK_MONOTONIC, 10), wrong{0, 1'000'000'000};
    CHECK(fails(sem_timedwait(semaphore, &past), ETIMEDOUT));
    CHECK(fails(sem_timedwait(semaphore, &soon), ETIMEDOUT));
    CHECK(is_over(CLOCK_REALTIME, soon));
    CHECK(fails(sem_clockwait(semaphore, CLOCK_MONOTONIC, &soon_monotonic), ETIMEDOUT));
    CHECK(is_over(CLOCK_MONOTONIC, soon_monotonic));
    CHECK(fails(sem_timedwait(semaphore, &wrong), EINVAL));
    CHECK(sem_post(semaphore) == 0);
    CHECK(sem_timedwait(semaphore, &past) == 0);  // what is there needs no time
    const auto post = [&] { CHECK(sem_post(semaphore) == 0); };
    const auto wait_long = [&] {
        const timespec limit = from_now(CLOCK_REALTIME, 1'000'000);
        return errno_of(sem_timedwait(semaphore, &limit));
    };
    CHECK(interrupt(0, false, wait_for_it, post) == EINTR);
    CHECK(interrupt(SA_RESTART, true, wait_for_it, post) == 0);
    CHECK(interrupt(SA_RESTART, false, wait_long, post) == EINTR);  // with a limit it does not begin again
    CHECK(stop_and_continue(true, wait_for_it, post) == 0);
    CHECK(stop_and_continue(true, wait_long, post) == 0);
    CHECK(value_of(semaphore) == 0);
}

TEST_CASE("unnamed semaphores in memory that processes share") {
    struct Place {
        sem_t mutex, items, room;
        int counter, next, buffer[4];
    };
    const Shared<Place> place;
    CHECK(fails(sem_init(&place->mutex, 1, SEM_VALUE_MAX + 1U), EINVAL));
    REQUIRE(sem_init(&place->mutex, 1, SEM_VALUE_MAX) == 0);
    CHECK(fails(sem_post(&place->mutex), EOVERFLOW));
    CHECK(value_of(&place->mutex) == SEM_VALUE_MAX);
    REQUIRE(sem_init(&place->mutex, 1, 1) == 0);
    REQUIRE(sem_init(&place->items, 1, 0) == 0);
    REQUIRE(sem_init(&place->room, 1, 4) == 0);
    constexpr int kRounds = 50;
    {
        std::deque<Child> children;
        for (int i = 0; i < 3; ++i) {
            children.emplace_back([&] {
                for (int round = 0; round < kRounds; ++round) {
                    if (take(&place->mutex) != 0) return 1;
                    const int seen = *static_cast<volatile int*>(&place->counter);
                    sched_yield();  // for the others to try it
                    place->counter = seen + 1;
                    if (sem_post(&place->mutex) != 0) return 2;
                }
                return 0;
            });
        }
        CHECK(all_succeed(children));
    }
    CHECK(place->counter == 3 * kRounds);
    std::deque<Child> pair;
    pair.emplace_back([&] {
        for (int i = 0; i < 2 * kRounds; ++i) {
            if (take(&place->items) != 0 || place->buffer[i % 4] != i || sem_post(&place->room) != 0) return 1;
        }
        return 0;
    });
    pair.emplace_back([&] {
        for (int i = 0; i < 2 * kRounds; ++i) {
            if (take(&place->room) != 0) return 1;
            place->buffer[i % 4] = i;
            if (sem_post(&place->items) != 0) return 2;
        }
        return 0;
    });
    CHECK(all_succeed(pair));
    CHECK(value_of(&place->room) == 4);
    // In a file that each has mapped by itself.
    const Opened file(memfd_create("semaphore", 0));
    REQUIRE(ftruncate(file, kPageSize) == 0);
    const View view(file, kPageSize);
    auto* const semaphore = reinterpret_cast<sem_t*>(&view[128]);
    REQUIRE(sem_init(semaphore, 1, 0) == 0);
    Child waits([&] {
        const View own(file, kPageSize);
        const timespec limit = from_now(CLOCK_REALTIME, 1'000'000);
        return errno_of(sem_timedwait(reinterpret_cast<sem_t*>(&own[128]), &limit));
    });
    CHECK(waits.blocks());
    CHECK(sem_post(semaphore) == 0);
    CHECK(waits.result() == 0);
    for (sem_t* const one : {semaphore, &place->mutex, &place->items, &place->room}) CHECK(sem_destroy(one) == 0);
}

TEST_CASE("shm_open: memory with a name") {
    if (!has_shared_memory()) return;
    const std::string text = g_prefix + "m";
    const char* const name = text.c_str();
    struct Remove {
        const char* name;
        ~Remove() { shm_unlink(name); }
    } const remove{name};
    CHECK(fails(shm_open(name, O_RDWR, 0), ENOENT));
    CHECK(fails(shm_unlink(name), ENOENT));
    const mode_t before = umask(022);
    const Opened memory(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0666));
    umask(before);
    struct stat status{};
    CHECK(fstat(memory, &status) == 0);
    CHECK((S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0644 && status.st_size == 0));
    CHECK((status.st_uid == geteuid() && status.st_nlink == 1));
    CHECK(fcntl(memory, F_GETFD) == FD_CLOEXEC);
    CHECK(fails(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST));
    CHECK(ftruncate(memory, 2 * kPageSize + 100) == 0);
    const View view(memory, 4 * kPageSize);
    CHECK(view[2 * kPageSize] == 0);
    view[5] = 'p';
    CHECK(exit_of_child([&] {
              const Opened own(shm_open(name, O_RDWR | O_CREAT, 0600));
              const View mine(own, kPageSize);
              const bool seen = mine[5] == 'p';
              mine[6] = 'q';
              return first_wrong({seen, pwrite(own, "r", 1, 7) == 1, view[7] == 'r', mine.data() != view.data()});
          }) == 0);
    CHECK(std::memcmp(&view[5], "pqr", 3) == 0);
    CHECK(exit_of_user(stranger(), [&] {
              const int own = shm_open(name, O_RDONLY, 0);
              const bool unwritable = fails(shm_open(name, O_RDWR, 0), EACCES);
              return first_wrong({own >= 0, unwritable, is_failure(try_map(own, PROT_READ | PROT_WRITE), EACCES),
                                  try_map(own, PROT_READ) != MAP_FAILED, fails(ftruncate(own, 0), EINVAL),
                                  shm_unlink(name) == -1});
          }) == 0);
    // There is nothing behind its last page, wherever that is.
    CHECK(is_fault(fault_of([&] { touch(&view[3 * kPageSize]); }), SIGBUS, BUS_ADRERR, &view[3 * kPageSize]));
    std::memset(&view[kPageSize], 'x', kPageSize);
    CHECK(ftruncate(memory, kPageSize + 10) == 0);
    CHECK(is_fault(fault_of([&] { touch(&view[2 * kPageSize]); }), SIGBUS, BUS_ADRERR, &view[2 * kPageSize]));
    CHECK(ftruncate(memory, 4 * kPageSize) == 0);
    CHECK((view[kPageSize + 9] == 'x' && view[kPageSize + 10] == 0 && view[2 * kPageSize - 1] == 0));
    CHECK((view[2 * kPageSize] == 0 && view[4 * kPageSize - 1] == 0));
    CHECK(shm_unlink(name) == 0);
    CHECK(fails(shm_open(name, O_RDWR, 0), ENOENT));
    CHECK(fstat(memory, &status) == 0);
    CHECK(status.st_nlink == 0);
    const Opened second(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
    CHECK(ftruncate(second, kPageSize) == 0);
    CHECK(View(second, kPageSize)[5] == 0);
    CHECK(view[5] == 'p');
    CHECK(pwrite(second, "s", 1, 0) == 1);
    const Opened emptied(shm_open(name, O_RDWR | O_TRUNC, 0));
    CHECK(lseek(second, 0, SEEK_END) == 0);
}

TEST_CASE("memfd_create: a file without a name") {
    CHECK(fails(memfd_create("x", 0x4000'0000), EINVAL));
    CHECK(fails(memfd_create(std::string(250, 'n').c_str(), 0), EINVAL));
    CHECK(error(SYS_memfd_create, 16, 0) == EFAULT);
    const Opened file(memfd_create("weft", 0)), other(memfd_create("weft", MFD_CLOEXEC));
    const Opened longest(memfd_create(std::string(249, 'n').c_str(), 0)), unnamed(memfd_create("", 0));
    CHECK(fcntl(file, F_GETFD) == 0);
    CHECK(fcntl(other, F_GETFD) == FD_CLOEXEC);
    CHECK((fcntl(file, F_GETFL) & O_ACCMODE) == O_RDWR);
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    char link[100] = {};
    CHECK(readlink(path.c_str(), link, sizeof link - 1) > 0);
    CHECK(std::string(link) == "/memfd:weft (deleted)");
    struct stat status{}, second{};
    CHECK((fstat(file, &status) == 0 && fstat(other, &second) == 0));
    CHECK((S_ISREG(status.st_mode) && status.st_size == 0 && status.st_nlink == 0));
    CHECK(status.st_ino != second.st_ino);  // names are for people

    CHECK(write(file, "hello", 5) == 5);
    CHECK(content(file) == "hello");
    CHECK(ftruncate(file, 3 * kPageSize) == 0);
    const View view(file, 3 * kPageSize), copy(file, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK(std::string(view.data()) == "hello");
    view[2 * kPageSize] = 'v';
    copy[0] = 'j';
    char byte = 0;
    CHECK((pread(file, &byte, 1, 2 * kPageSize) == 1 && byte == 'v'));
    CHECK((pread(file, &byte, 1, 0) == 1 && byte == 'h'));
    CHECK(exit_of_child([&] {  // a child has the descriptor and the memory
              const View own(file, 3 * kPageSize, PROT_READ);
              const bool same = own[2 * kPageSize] == 'v';
              view[1] = 'a';
              return first_wrong({same, own[1] == 'a', lseek(file, 100, SEEK_SET) == 100});
          }) == 0);
    CHECK(view[1] == 'a');
    CHECK(lseek(file, 0, SEEK_CUR) == 100);
    const Opened again(open(path.c_str(), O_RDONLY | O_CLOEXEC));  // opened anew, it has a position of its own
    CHECK((read(again, &byte, 1) == 1 && byte == 'h'));
    CHECK(lseek(file, 0, SEEK_CUR) == 100);
    CHECK(fails(write(again, "x", 1), EBADF));
    CHECK(is_failure(try_map(again, PROT_READ | PROT_WRITE), EACCES));
    CHECK(ftruncate(file, 1) == 0);
    CHECK(is_fault(fault_of([&] { touch(&view[kPageSize]); }), SIGBUS, BUS_ADRERR, &view[kPageSize]));
    CHECK(content(again) == "h");
}

namespace {

int seals_of(int fd) { return fcntl(fd, F_GET_SEALS); }
int seal(int fd, int seals) { return errno_of(fcntl(fd, F_ADD_SEALS, seals)); }

}  // namespace

TEST_CASE("seals: what nobody can do to a file any more") {
    const Opened never(memfd_create("never", 0)), file(memfd_create("sealed", MFD_ALLOW_SEALING | MFD_CLOEXEC));
    const Pipe pipe;
    CHECK(seals_of(never) == F_SEAL_SEAL);
    CHECK(seal(never, F_SEAL_GROW) == EPERM);
    CHECK(fails(seals_of(pipe.writer()), EINVAL));
    CHECK(seal(pipe.writer(), F_SEAL_GROW) == EINVAL);
    CHECK(fails(seals_of(-1), EBADF));
    CHECK(seals_of(file) == 0);
    CHECK(seal(file, 0x4000) == EINVAL);
    CHECK(seal(file, 0) == 0);
    const std::string path = "/proc/self/fd/" + std::to_string(file);
    const Opened reader(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(seal(reader, F_SEAL_GROW) == EPERM);
    REQUIRE(ftruncate(file, kPageSize) == 0);

    CHECK(seal(file, F_SEAL_SHRINK) == 0);
    CHECK(seals_of(reader) == F_SEAL_SHRINK);  // it is the file that is sealed
    CHECK(fails(ftruncate(file, kPageSize - 1), EPERM));
    CHECK(fails(open(path.c_str(), O_RDWR | O_TRUNC), EPERM));
    CHECK(ftruncate(file, kPageSize) == 0);
    CHECK(pwrite(file, "g", 1, 2 * kPageSize - 1) == 1);
    CHECK(exit_of_child([&] { return seal(file, F_SEAL_GROW); }) == 0);
    CHECK(seals_of(file) == (F_SEAL_SHRINK | F_SEAL_GROW));
    CHECK(fails(ftruncate(file, 2 * kPageSize + 1), EPERM));
    CHECK(fails(pwrite(file, "g", 1, 2 * kPageSize), EPERM));
    CHECK(ftruncate(file, 2 * kPageSize) == 0);
    CHECK(pwrite(file, "w", 1, 0) == 1);
    {
        const View view(file, kPageSize);
        CHECK(seal(file, F_SEAL_WRITE) == EBUSY);
        CHECK(seal(file, F_SEAL_WRITE | F_SEAL_SEAL) == EBUSY);
        CHECK(seals_of(file) == (F_SEAL_SHRINK | F_SEAL_GROW));  // not a part of it, either
        view[1] = 'v';
    }
    {  // It may be anybody's mapping.
        Pipe said;
        Child child([&] {
            const View view(file, kPageSize);
            write_byte(said.writer(), 'm');
            return pause();
        });
        CHECK(hear(said, child) == 'm');
        CHECK(seal(file, F_SEAL_WRITE) == EBUSY);
    }
    const View reads(reader, kPageSize, PROT_READ), copy(file, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK(seal(file, F_SEAL_WRITE) == 0);  // for those the file does not change
    CHECK(fails(pwrite(file, "x", 1, 0), EPERM));
    CHECK(is_failure(try_map(file, PROT_READ | PROT_WRITE), EPERM));
    CHECK(is_failure(try_map(file, PROT_WRITE), EPERM));
    CHECK(fails(mprotect(reads.data(), kPageSize, PROT_READ | PROT_WRITE), EACCES));
    copy[0] = 'c';
    CHECK((reads[0] == 'w' && reads[1] == 'v'));
    void* const more = try_map(file, PROT_READ);
    if (more != MAP_FAILED) {  // since Linux 6.7
        CHECK(*static_cast<char*>(more) == 'w');
        CHECK(fails(mprotect(more, kPageSize, PROT_READ | PROT_WRITE), EACCES));
        munmap(more, kPageSize);
    } else {
        WARN("no shared mapping of a sealed file here");
    }
    CHECK(seal(file, F_SEAL_SEAL) == 0);
    CHECK(seal(file, F_SEAL_FUTURE_WRITE) == EPERM);
    CHECK(seal(file, F_SEAL_SHRINK) == EPERM);  // even what it has
    CHECK(seals_of(file) == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
}

TEST_CASE("F_SEAL_FUTURE_WRITE leaves the mappings that there are") {
    const Opened file(memfd_create("future", MFD_ALLOW_SEALING));
    REQUIRE(ftruncate(file, kPageSize) == 0);
    const View view(file, kPageSize);
    if (seal(file, F_SEAL_FUTURE_WRITE) == EINVAL) {  // before Linux 5.1
        WARN("no F_SEAL_FUTURE_WRITE here");
        return;
    }
    CHECK(seals_of(file) == F_SEAL_FUTURE_WRITE);
    view[0] = 'a';
    CHECK(content(file)[0] == 'a');
    CHECK(exit_of_child([&] {
              view[0] = 'b';
              return 0;
          }) == 0);
    CHECK(content(file)[0] == 'b');
    CHECK(fails(pwrite(file, "x", 1, 0), EPERM));
    CHECK(is_failure(try_map(file, PROT_READ | PROT_WRITE), EPERM));
    const View reads(file, kPageSize, PROT_READ);
    CHECK(fails(mprotect(reads.data(), kPageSize, PROT_READ | PROT_WRITE), EACCES));
    CHECK(reads[0] == 'b');
    CHECK(ftruncate(file, 0) == 0);  // that is another seal's
}

TEST_CASE("shared anonymous memory is one's and one's children's") {
    constexpr std::size_t kSize = 4 * kPageSize;
    const Mapping shared(kSize, PROT_READ | PROT_WRITE, MAP_SHARED), separate(kSize);
    shared[0] = separate[0] = 'p';
    shared[kPageSize] = 'u';
    Pipe go, said;
    Child child([&] {
        const bool inherited = shared[0] == 'p' && shared[2 * kPageSize] == 0 && separate[0] == 'p';
        shared[0] = separate[0] = 'c';
        const int grandchild = exit_of_child([&] {
            const bool seen = shared[0] == 'c' && separate[0] == 'c';
            shared[1] = 'g';
            separate[1] = 'g';
            return seen ? 0 : 1;
        });
        // What one does to its mapping is its own.
        const bool closed = mprotect(shared.data() + kPageSize, kPageSize, PROT_NONE) == 0;
        write_byte(said.writer(), 's');
        if (read_byte(go.reader()) != 'g') return 90;
        const bool kept = shared[0] == 'P' && shared[1] == 'g' && shared[3 * kPageSize] == 'l' && separate[1] == 0;
        munmap(shared.data(), kPageSize);
        write_byte(said.writer(), 's');
        return first_wrong({inherited, grandchild == 0, closed, kept});
    });
    CHECK(hear(said, child) == 's');
    CHECK((shared[0] == 'c' && shared[1] == 'g' && separate[0] == 'p' && separate[1] == 0));
    shared[0] = 'P';
    CHECK(shared[kPageSize] == 'u');
    shared[3 * kPageSize] = 'l';  // a page that nobody had touched before
    CHECK(write_byte(go.writer(), 'g'));
    CHECK(hear(said, child) == 's');
    CHECK(child.result() == 0);
    CHECK((shared[0] == 'P' && shared[1] == 'g'));
    CHECK(madvise(shared.data(), kSize, MADV_DONTNEED) == 0);  // it is not only here
    CHECK((shared[0] == 'P' && shared[kPageSize] == 'u'));
    // It lives for as long as anybody has it.
    char* const handed = map(kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    handed[0] = 'h';
    Child heir([&] { return read_byte(go.reader()) == 'g' ? handed[0] : 1; });
    CHECK(munmap(handed, kPageSize) == 0);
    CHECK(write_byte(go.writer(), 'g'));
    CHECK(heir.result() == 'h');
}
