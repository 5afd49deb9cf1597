// SPDX-License-Identifier: MIT
// System V shared memory: segments that are made and found by keys, where and how they are attached, who is counted as
// attached, how long a removed segment stays, and who may do what.
#include <sys/shm.h>

#include "tests/guest/ipc.hpp"

using namespace guest;

namespace {

constexpr std::size_t kPages = 4, kSize = kPages * kPageSize;

shmid_ds* info_of(void* structure) { return static_cast<shmid_ds*>(structure); }  // what shmctl wants it to be

int status_of_segment(int id, shmid_ds* status) { return errno_of(shmctl(id, IPC_STAT, status)); }

// A segment that is removed with the object.
class Segment {
public:
    explicit Segment(std::size_t size = kSize, int mode = 0600, key_t key = IPC_PRIVATE)
        : id_(shmget(key, size, mode | IPC_CREAT | IPC_EXCL)) {
        REQUIRE(id_ >= 0);
    }
    ~Segment() { shmctl(id_, IPC_RMID, nullptr); }
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;
    operator int() const { return id_; }
    shmid_ds status() const {
        shmid_ds status{};
        CHECK(status_of_segment(id_, &status) == 0);
        return status;
    }
    long attached() const { return static_cast<long>(status().shm_nattch); }

private:
    const int id_;
};

bool is_failure(const void* address, int wanted) { return address == MAP_FAILED && errno == wanted; }

char* attach(int id, const void* at = nullptr, int flags = 0) { return static_cast<char*>(shmat(id, at, flags)); }

// For those that would make a segment: what should not have been made is not left behind.
bool refused(int id, int wanted) {
    const bool right = fails(id, wanted);
    if (id >= 0) shmctl(id, IPC_RMID, nullptr);
    return right;
}

// An attachment that ends with the object.
class Attached {
public:
    explicit Attached(int id, const void* at = nullptr, int flags = 0) : base_(attach(id, at, flags)) {
        REQUIRE((base_ != MAP_FAILED));  // in parentheses, as Catch would show the text at a char*
    }
    ~Attached() { shmdt(base_); }
    Attached(const Attached&) = delete;
    Attached& operator=(const Attached&) = delete;
    char* data() const { return base_; }
    char& operator[](std::size_t offset) const { return base_[offset]; }

private:
    char* const base_;
};

// Where nothing is mapped, and nothing will be for as long as nobody asks for memory.
char* free_place(std::size_t size) {
    const Mapping mapping(size);
    return mapping.data();
}

}  // namespace

TEST_CASE("segments are made, found by their keys, and removed") {
    const key_t key = key_of(0);
    shminfo limits{};
    REQUIRE(shmctl(0, IPC_INFO, info_of(&limits)) >= 0);
    CHECK(limits.shmmin == 1);
    CHECK(fails(shmget(key, kSize, 0600), ENOENT));
    CHECK(refused(shmget(key, 0, IPC_CREAT | 0600), EINVAL));
    if (limits.shmmax != ULONG_MAX) CHECK(refused(shmget(key, limits.shmmax + 1, IPC_CREAT | 0600), EINVAL));
    CHECK(fails(shmget(key, kSize, 0600), ENOENT));
    int old = -1;
    {
        const Segment segment(5000, 0640, key), unnamed, other;
        old = segment;
        CHECK(shmget(key, 5000, 0600) == segment);
        CHECK(shmget(key, 1, IPC_CREAT | 0600) == segment);
        CHECK(shmget(key, 0, 0) == segment);
        CHECK(fails(shmget(key, 5001, 0600), EINVAL));  // though a page has room for it
        CHECK(fails(shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0600), EEXIST));
        CHECK(unnamed != other);
        const int plain = shmget(IPC_PRIVATE, 1, 0600);
        CHECK(plain >= 0);
        CHECK(shmctl(plain, IPC_RMID, nullptr) == 0);
        CHECK(is_gone(shmctl(plain, IPC_RMID, nullptr)));
    }
    CHECK(fails(shmget(key, 1, 0600), ENOENT));
    const Segment again(1, 0600, key);
    CHECK(again != old);
    CHECK((attach(old) == MAP_FAILED));
    CHECK((errno == EINVAL || errno == EIDRM));
    CHECK(is_failure(attach(-1), EINVAL));
    shmid_ds status{};
    CHECK(fails(shmctl(-1, IPC_STAT, &status), EINVAL));
    CHECK(is_gone(shmctl(old, IPC_STAT, &status)));
    CHECK(fails(shmctl(again, 77, &status), EINVAL));
    for (const int command : {IPC_STAT, IPC_SET}) CHECK(fails(shmctl(again, command, info_of(nullptr) + 1), EFAULT));
}

TEST_CASE("memory of a segment is the same wherever it is attached, and stays without being attached") {
    const Segment segment(5000);
    {
        const Attached first(segment), second(segment);
        CHECK((first.data() != second.data()));
        CHECK(std::all_of(first.data(), first.data() + 2 * kPageSize, [](char byte) { return byte == 0; }));
        second[4999] = 'a';
        CHECK(first[4999] == 'a');
        first[2 * kPageSize - 1] = 'b';  // what is asked for is rounded up to pages
        CHECK(second[2 * kPageSize - 1] == 'b');
        CHECK(exit_of_child([&] {  // a child inherits the attachments, and may have its own
                  first[0] = 'c';
                  const char* const own = attach(segment);
                  return first_wrong({own[0] == 'c', own[4999] == 'a', own != first.data(), second[0] == 'c'});
              }) == 0);
        CHECK(second[0] == 'c');
    }
    CHECK(segment.attached() == 0);
    CHECK(exit_of_child([&] {
              char* const own = attach(segment);
              const int wrong = first_wrong({own[0] == 'c', own[4999] == 'a', own[2 * kPageSize - 1] == 'b'});
              own[1] = 'd';
              return wrong;
          }) == 0);
    CHECK(Attached(segment)[1] == 'd');
    // Two that run, and wait for each other at different addresses of the same word.
    const Attached here(segment);
    auto& turn = *reinterpret_cast<Word*>(here.data());
    turn = 0;
    std::deque<Child> children;
    for (const std::uint32_t own : {0U, 1U}) {
        children.emplace_back([&, own] {
            auto& word = own == 0 ? turn : *reinterpret_cast<Word*>(attach(segment));
            for (std::uint32_t i = own; i < 100; i += 2) {
                while (word != i) futex(&word, FUTEX_WAIT, i - 1);
                ++word;
                futex(&word, FUTEX_WAKE, 1);
            }
            return 0;
        });
    }
    CHECK(all_succeed(children));
    CHECK(turn == 100);
}

TEST_CASE("shmat: where and how") {
    const Segment segment;
    char* const place = free_place(3 * kSize);
    {
        const Attached there(segment, place + kPageSize);
        CHECK((there.data() == place + kPageSize));
        CHECK(is_failure(attach(segment, place + kSize), EINVAL));  // the end is in the way
        CHECK(is_failure(attach(segment, place), EINVAL));
        CHECK(is_failure(attach(segment, place + kSize + kPageSize + 1), EINVAL));
        CHECK(segment.attached() == 1);
        const Attached rounded(segment, place + kSize + 2 * kPageSize - 1, SHM_RND);
        CHECK((rounded.data() == place + kSize + kPageSize));
    }
    CHECK((attach(segment, reinterpret_cast<void*>(0xffff'8000'0000'0000)) == MAP_FAILED));
    CHECK(is_failure(attach(segment, nullptr, SHM_REMAP), EINVAL));
    CHECK(segment.attached() == 0);
    {
        const Mapping mapping(3 * kSize);
        std::memset(mapping.data(), 'm', 3 * kSize);
        char* const middle = mapping.data() + kSize;
        CHECK(is_failure(attach(segment, middle), EINVAL));
        CHECK((attach(segment, middle, SHM_REMAP) == middle));
        CHECK((middle[-1] == 'm' && middle[0] == 0 && middle[kSize - 1] == 0 && middle[kSize] == 'm'));
        CHECK((attach(segment, middle + 2 * kPageSize + 100, SHM_REMAP | SHM_RND) == middle + 2 * kPageSize));
        middle[0] = 'x';
        CHECK(middle[2 * kPageSize] == 'x');
        CHECK(middle[kSize + 2 * kPageSize] == 'm');
    }
    CHECK(segment.attached() == 0);  // unmapping detaches
    {
        const Attached reads(segment, nullptr, SHM_RDONLY), writes(segment);
        CHECK(reads[0] == 'x');
        writes[0] = 'y';
        CHECK(reads[0] == 'y');
        CHECK(is_fault(fault_of([&] { reads[1] = 'z'; }), SIGSEGV, SEGV_ACCERR, &reads[1]));
        CHECK(fails(mprotect(reads.data(), kPageSize, PROT_READ | PROT_WRITE), EACCES));
        CHECK(error(SYS_read, -1, reads.data(), 1) == EBADF);
        CHECK(writes[1] == 0);
        CHECK(mprotect(writes.data() + kPageSize, kPageSize, PROT_READ) == 0);
        CHECK(is_fault(fault_of([&] { writes[kPageSize] = 'z'; }), SIGSEGV, SEGV_ACCERR, &writes[kPageSize]));
        writes[2 * kPageSize] = 'z';
        CHECK(reads[2 * kPageSize] == 'z');
    }
    CHECK(segment.attached() == 0);
    const Attached plain(segment), runs(segment, nullptr, SHM_EXEC);
    const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov $42, %eax; ret
    std::memcpy(plain.data(), code, sizeof code);
    const auto call = [](const Attached& at) { return reinterpret_cast<int (*)()>(at.data())(); };
    CHECK(call(runs) == 42);
    CHECK(is_fault(fault_of([&] { call(plain); }), SIGSEGV, SEGV_ACCERR, plain.data()));
}

TEST_CASE("who is counted as attached: over fork, exec and exit") {
    const Segment segment;
    Pipe go, said;
    const auto hold = [&](auto body) {
        return [&, body] {
            if (!body() || !write_byte(said.writer(), 'd')) return 1;
            return read_byte(go.reader()) == 'g' ? 0 : 2;
        };
    };
    const auto heard = [&](const Child& child, char what) { return hear(said, child) == what; };
    CHECK(segment.attached() == 0);
    {
        Child child(hold([&] { return attach(segment) != MAP_FAILED && attach(segment) != MAP_FAILED; }));
        CHECK(heard(child, 'd'));
        CHECK(segment.attached() == 2);
        CHECK(segment.status().shm_lpid == child.pid());
        CHECK(write_byte(go.writer(), 'g'));
        CHECK(child.result() == 0);
        CHECK(segment.attached() == 0);
    }
    const Attached first(segment), second(segment);
    CHECK(segment.status().shm_lpid == getpid());
    {
        Child child(hold([&] { return shmdt(first.data()) == 0; }));
        CHECK(heard(child, 'd'));
        CHECK(segment.attached() == 3);
        CHECK(segment.status().shm_lpid == child.pid());
        CHECK(first[0] == 0);  // it was the child's that it has detached
        CHECK(child.kill_with(SIGKILL));
        CHECK(child.status() == SIGKILL);
        CHECK(segment.attached() == 2);
    }
    {
        Child executes([&] {
            const Role role("hold", {said.writer(), go.reader()});
            return attach(segment) == MAP_FAILED ? 1 : role.take();
        });
        CHECK(heard(executes, 'r'));
        CHECK(segment.attached() == 2);
        CHECK(write_byte(go.writer(), 'e'));
        CHECK(executes.result() == 0);
    }
    {  // Threads have their memory together.
        Worker worker;
        char* theirs = nullptr;
        CHECK(worker.run([&] { return (theirs = attach(segment)) != MAP_FAILED; }) == 1);
        CHECK(segment.attached() == 3);
        CHECK(theirs[0] == 0);
        CHECK(shmdt(theirs) == 0);
    }
    CHECK(segment.attached() == 2);
    // One that the other users' ends make the last.
    Child parent([&] {
        Child child(hold([] { return true; }));
        return child.exit();
    });
    CHECK(heard(parent, 'd'));
    CHECK(segment.attached() == 6);
    CHECK(write_byte(go.writer(), 'g'));
    CHECK(parent.exit() == 0);
    CHECK(segment.attached() == 2);
}

TEST_CASE("a removed segment stays until the last one detaches") {
    const key_t key = key_of(0);
    const Segment first(kSize, 0640, key);
    const Attached here(first);
    here[0] = 'f';
    CHECK(shmctl(first, IPC_RMID, nullptr) == 0);
    const shmid_ds status = first.status();
    CHECK((status.shm_perm.mode & 07777) == (SHM_DEST | 0640));
    CHECK(status.shm_perm.__key == IPC_PRIVATE);
    CHECK(status.shm_nattch == 1);
    CHECK(fails(shmget(key, 1, 0600), ENOENT));
    const Segment second(2 * kSize, 0600, key);  // the key is free
    CHECK(second != first);
    CHECK(Attached(second)[0] == 0);
    CHECK(here[0] == 'f');
    {
        const Attached more(first);  // who knows the id may still come
        CHECK(more[0] == 'f');
        CHECK(first.attached() == 2);
    }
    Pipe go;
    Child child([&] {
        if (read_byte(go.reader()) != 'g') return 1;
        return first_wrong({here[0] == 'f', shmdt(here.data()) == 0, shmdt(here.data()) == -1});
    });
    CHECK(shmdt(here.data()) == 0);
    CHECK(first.attached() == 1);
    CHECK(write_byte(go.writer(), 'g'));
    CHECK(child.result() == 0);
    shmid_ds gone{};
    CHECK(is_gone(shmctl(first, IPC_STAT, &gone)));
    CHECK((attach(first) == MAP_FAILED));
    // Also by the end of a process that nobody told to detach.
    Child dies([&] {
        attach(second);
        return pause();
    });
    CHECK(dies.blocks());
    CHECK(second.attached() == 1);
    CHECK(shmctl(second, IPC_RMID, nullptr) == 0);
    CHECK(second.attached() == 1);
    CHECK(dies.kill_with(SIGKILL));
    CHECK(dies.status() == SIGKILL);
    CHECK(is_gone(shmctl(second, IPC_STAT, &gone)));
}

TEST_CASE("shmdt: whole attachments, whatever is left of them") {
    const Segment segment;
    char* const base = attach(segment);
    CHECK(fails(shmdt(base + kPageSize), EINVAL));
    CHECK(fails(shmdt(base + 1), EINVAL));
    CHECK(fails(shmdt(&segment), EINVAL));
    CHECK(fails(shmdt(nullptr), EINVAL));
    CHECK(munmap(base, kSize) == 0);
    CHECK(segment.attached() == 0);
    CHECK(fails(shmdt(base), EINVAL));
    const Mapping mapping(kSize);
    CHECK(fails(shmdt(mapping.data()), EINVAL));

    // A hole, and something else in it.
    char* const torn = attach(segment);
    REQUIRE((torn != MAP_FAILED));
    torn[0] = 't';
    char* const hole = torn + kPageSize;
    map(kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0, hole);
    hole[0] = 'h';
    CHECK(segment.attached() >= 1);
    CHECK(fails(shmdt(hole), EINVAL));
    CHECK(fails(shmdt(hole + kPageSize), EINVAL));  // what is behind it is no attachment of its own
    CHECK(shmdt(torn) == 0);
    CHECK(segment.attached() == 0);
    CHECK(hole[0] == 'h');
    for (const std::ptrdiff_t page : {0, 2, 3}) {
        char* const address = torn + page * static_cast<std::ptrdiff_t>(kPageSize);
        CHECK(is_fault(fault_of([&] { touch(address); }), SIGSEGV, SEGV_MAPERR, address));
    }
    CHECK(munmap(hole, kPageSize) == 0);
    // Without its beginning.
    char* const rest = attach(segment);
    REQUIRE((rest != MAP_FAILED));
    CHECK(munmap(rest, kPageSize) == 0);
    CHECK(segment.attached() == 1);
    CHECK(shmdt(rest) == 0);
    CHECK(segment.attached() == 0);

    // Neighbours stay, also of the same segment.
    const Segment other;
    char* const place = free_place(3 * kSize);
    for (const int id : {int{segment}, int{segment}, int{other}}) {
        char* const next = place + static_cast<std::size_t>(segment.attached()) * kSize;
        CHECK((attach(id, next) == next));
    }
    CHECK(shmdt(place) == 0);
    CHECK(segment.attached() == 1);
    CHECK(other.attached() == 1);
    CHECK(place[kSize] == 't');
    CHECK(shmdt(place + kSize) == 0);
    CHECK(segment.attached() == 0);
    CHECK(place[2 * kSize] == 0);
    CHECK(shmdt(place + 2 * kSize) == 0);
    CHECK(other.attached() == 0);
}

TEST_CASE("shmctl: what is known of a segment") {
    const Since since;
    const Segment segment(5000, 0640, key_of(0));
    const shmid_ds fresh = segment.status();
    CHECK(fresh.shm_segsz == 5000);
    CHECK(fresh.shm_cpid == getpid());
    CHECK(fresh.shm_lpid == 0);
    CHECK(fresh.shm_nattch == 0);
    CHECK(fresh.shm_atime == 0);
    CHECK(fresh.shm_dtime == 0);
    CHECK(since.covers(fresh.shm_ctime));
    CHECK(fresh.shm_perm.__key == key_of(0));
    CHECK((fresh.shm_perm.mode & 07777) == 0640);
    CHECK((fresh.shm_perm.uid == geteuid() && fresh.shm_perm.cuid == geteuid()));
    CHECK((fresh.shm_perm.gid == getegid() && fresh.shm_perm.cgid == getegid()));
    {
        const Attached here(segment);
        CHECK(since.covers(segment.status().shm_atime));
        CHECK(segment.status().shm_dtime == 0);
        CHECK(segment.status().shm_lpid == getpid());
    }
    CHECK(since.covers(segment.status().shm_dtime));
    shmid_ds changed = fresh;
    changed.shm_perm.uid = 12;
    changed.shm_perm.gid = 13;
    changed.shm_perm.cuid = 14;
    changed.shm_perm.mode = 07604;
    changed.shm_segsz = 1;
    CHECK(shmctl(segment, IPC_SET, &changed) == 0);
    const shmid_ds now = segment.status();
    CHECK((now.shm_perm.uid == 12 && now.shm_perm.gid == 13 && now.shm_perm.cuid == geteuid()));
    CHECK((now.shm_perm.mode & 07777) == 0604);
    CHECK(now.shm_segsz == 5000);
    CHECK(since.covers(now.shm_ctime));
    if (shmctl(segment, SHM_LOCK, nullptr) == 0) {
        CHECK((segment.status().shm_perm.mode & 07777) == (SHM_LOCKED | 0604));
        CHECK(shmctl(segment, SHM_UNLOCK, nullptr) == 0);
        CHECK((segment.status().shm_perm.mode & 07777) == 0604);
    } else {
        WARN("no SHM_LOCK here");
    }

    const Segment second(3 * kPageSize, 0604);
    const Attached held(second);
    std::memset(held.data(), 'h', 2 * kPageSize);
    shminfo limits{};
    shm_info used{};
    const int highest = shmctl(0, IPC_INFO, info_of(&limits));
    CHECK(shmctl(0, SHM_INFO, info_of(&used)) == highest);
    CHECK(used.used_ids >= 2);
    CHECK(used.shm_tot >= 5);  // pages, of which those count as present that somebody has touched
    CHECK(used.shm_rss + used.shm_swp >= 2);
    CHECK((limits.shmmni >= 2 && limits.shmall >= 5 && limits.shmmax >= 5000));
    int found = 0, index = -1;
    for (int i = 0; i <= highest; ++i) {
        shmid_ds status{};
        const int id = shmctl(i, SHM_STAT, &status);
        if (id == segment) found += status.shm_segsz == 5000 && status.shm_nattch == 0, index = i;
        if (id == second) found += status.shm_segsz == 3 * kPageSize && status.shm_nattch == 1;
    }
    CHECK(found == 2);
    CHECK(fails(shmctl(highest + 1, SHM_STAT, &changed), EINVAL));
    changed.shm_perm.mode = 0600;
    CHECK(shmctl(segment, IPC_SET, &changed) == 0);
    CHECK(exit_of_user(stranger(), [&] {
              shmid_ds status{};
              return first_wrong({fails(shmctl(index, SHM_STAT, &status), EACCES),
                                  shmctl(index, SHM_STAT_ANY, &status) == segment, status.shm_segsz == 5000});
          }) == 0);
}

TEST_CASE("who may use a segment") {
    const uid_t user = stranger();
    const Segment closed(kSize, 0600, key_of(0)), readable(kSize, 0604), writable(kSize, 0602), grouped(kSize, 0660),
        given, runs(kSize, 0605);
    shmid_ds status = grouped.status();
    status.shm_perm.gid = user + 1;
    CHECK(shmctl(grouped, IPC_SET, &status) == 0);
    status = given.status();
    status.shm_perm.uid = user;
    status.shm_perm.mode = 0006;
    CHECK(shmctl(given, IPC_SET, &status) == 0);
    const auto reads = [](int id) { return attach(id, nullptr, SHM_RDONLY) == MAP_FAILED ? errno : 0; };
    const auto writes = [](int id) { return attach(id) == MAP_FAILED ? errno : 0; };
    const auto executes = [](int id) { return attach(id, nullptr, SHM_RDONLY | SHM_EXEC) == MAP_FAILED ? errno : 0; };
    const auto set_it = [&](int id) { return errno_of(shmctl(id, IPC_SET, &status)); };
    const auto remove_it = [](int id) { return errno_of(shmctl(id, IPC_RMID, nullptr)); };
    CHECK(exit_of_user(user, [&] {
              shmid_ds seen{};
              return first_wrong(
                  {fails(shmget(key_of(0), 1, 0600), EACCES), fails(shmget(key_of(0), 1, 0004), EACCES),
                   shmget(key_of(0), 1, 0) == closed, reads(closed) == EACCES,
                   status_of_segment(closed, &seen) == EACCES, set_it(closed) == EPERM, remove_it(closed) == EPERM,  //
                   reads(readable) == 0, writes(readable) == EACCES, executes(readable) == EACCES,
                   status_of_segment(readable, &seen) == 0, executes(runs) == 0, writes(writable) == EACCES,
                   reads(writable) == EACCES, reads(grouped) == EACCES, remove_it(readable) == EPERM});
          }) == 0);
    const auto in_group = [&] {
        return first_wrong({reads(grouped) == 0, writes(grouped) == 0, set_it(grouped) == EPERM});
    };
    CHECK(exit_of_user(user, in_group, {user + 1}) == 0);
    CHECK(exit_of_user(user, [&] {  // the owner has the owner's rights, not everybody's; but may change them
              const bool none = reads(given) == EACCES && writes(given) == EACCES;
              status.shm_perm.mode = 0600;
              return first_wrong({none, set_it(given) == 0, writes(given) == 0, remove_it(given) == 0});
          }) == 0);
    CHECK(exit_of_user(user, [&] {  // whoever made it keeps what an owner has
              const int id = shmget(IPC_PRIVATE, 1, 0600);
              status.shm_perm.uid = user + 1;
              status.shm_perm.mode = 0600;
              return first_wrong({id >= 0, set_it(id) == 0, writes(id) == 0, remove_it(id) == 0});
          }) == 0);
}

TEST_CASE("shmget has ENOSPC when there are as many segments as may be") {
    shminfo limits{};
    REQUIRE(shmctl(0, IPC_INFO, info_of(&limits)) >= 0);
    if (limits.shmmni > 5000) {
        WARN("too many are allowed here");
        return;
    }
    CHECK(exit_of_child([&] {
              unshare(CLONE_NEWIPC);  // so that nobody else lacks them; without it this does no harm, either
              std::vector<int> ids;
              int id = -1;
              while (ids.size() <= limits.shmmni && (id = shmget(IPC_PRIVATE, 1, 0600)) >= 0) ids.push_back(id);
              const bool full = id == -1 && errno == ENOSPC && !ids.empty();
              bool again = full && shmctl(ids.back(), IPC_RMID, nullptr) == 0;
              if (again) again = (ids.back() = shmget(IPC_PRIVATE, 1, 0600)) >= 0;
              for (const int one : ids) shmctl(one, IPC_RMID, nullptr);
              return first_wrong({full, again});
          }) == 0);
}
