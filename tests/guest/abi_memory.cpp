// SPDX-License-Identifier: MIT
// Memory: places, protection, files in memory; and every call with the worst pointers.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- memory --------------------------------------------------------------------------------------------------------

TEST_CASE("brk: bounds, neighbours, zeroes") {
    CHECK(child_exit([] {  // with the raw call: the C library's idea of the break stays as it is
              const auto set = [](std::uintptr_t address) {
                  return static_cast<std::uintptr_t>(syscall(SYS_brk, address));
              };
              const std::uintptr_t begin = set(0);
              const std::uintptr_t next_page = (begin + kPageSize - 1) / kPageSize * kPageSize;
              const std::uintptr_t end = next_page + 8 * kPageSize + 123;
              const bool grown = set(end) == end;
              std::memset(reinterpret_cast<void*>(next_page), 'b', 8 * kPageSize + 123);
              const bool shrunk = set(next_page) == next_page;
              const siginfo_t fault = fault_of([&] { touch(reinterpret_cast<char*>(next_page)); });
              const bool again = set(end) == end;
              const char* const memory = reinterpret_cast<const char*>(next_page);
              const bool zero = std::count(memory, memory + 8 * kPageSize, 0) == 8 * kPageSize;
              void* const wall = mmap(reinterpret_cast<void*>(next_page + 16 * kPageSize), kPageSize, PROT_READ,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
              return first_wrong({begin != 0, grown, shrunk, fault.si_signo == SIGSEGV, again, zero, set(1) == end,
                                  set(0x7fff'ffff'0000) == end, set(~std::uintptr_t{0}) == end, wall != MAP_FAILED,
                                  set(next_page + 20 * kPageSize) == end, set(begin) == begin});
          }) == 0);
}

TEST_CASE("mmap: hints, fixed places, and what lies beside them") {
    char* const base = map(10 * kPageSize);
    for (int page = 0; page < 10; ++page)
        base[static_cast<std::size_t>(page) * kPageSize] = static_cast<char>('0' + page);
    REQUIRE(munmap(base + 4 * kPageSize, 2 * kPageSize) == 0);
    // A hint is followed where there is room, and never at the cost of another mapping.
    constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;
    char* const hinted = map(2 * kPageSize, PROT_READ, kAnonymous, -1, 0, base + 4 * kPageSize);
    CHECK(hinted == base + 4 * kPageSize);
    char* const other = map(2 * kPageSize, PROT_READ, kAnonymous, -1, 0, base + 3 * kPageSize);
    CHECK((other < base || other >= base + 10 * kPageSize));
    CHECK(base[3 * kPageSize] == '3');
    munmap(other, 2 * kPageSize);
    CHECK(map(kPageSize, PROT_READ | PROT_WRITE, kAnonymous | MAP_FIXED, -1, 0, base + 7 * kPageSize) ==
          base + 7 * kPageSize);
    CHECK(base[7 * kPageSize] == 0);
    CHECK(base[6 * kPageSize] == '6');
    CHECK(base[8 * kPageSize] == '8');
    const auto fixed_error = [](std::uintptr_t at, std::size_t size, int flags) {
        return error(SYS_mmap, at, size, PROT_READ, kAnonymous | flags, -1, 0);
    };
    const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(base);
    for (int page = 3; page < 5; ++page)
        CHECK(fixed_error(start + static_cast<std::size_t>(page) * kPageSize, 2 * kPageSize, MAP_FIXED_NOREPLACE) ==
              EEXIST);
    CHECK(fixed_error(start + 100, kPageSize, MAP_FIXED) == EINVAL);
    CHECK(fixed_error(0x8000'0000'0000 - kPageSize, 2 * kPageSize, MAP_FIXED) == ENOMEM);
    CHECK(fixed_error(0xffff'8000'0000'0000, kPageSize, MAP_FIXED) == ENOMEM);
    REQUIRE(munmap(base + 4 * kPageSize, 2 * kPageSize) == 0);
    CHECK(fixed_error(start + 4 * kPageSize, 2 * kPageSize, MAP_FIXED_NOREPLACE) == 0);

    // Sizes are rounded up, ranges may have holes and cross borders.
    REQUIRE(munmap(base + kPageSize, 1) == 0);
    CHECK(is_fault(fault_of([&] { touch(base + 2 * kPageSize - 1); }), SIGSEGV, SEGV_MAPERR, base + 2 * kPageSize - 1));
    CHECK(base[0] == '0');
    CHECK(base[2 * kPageSize] == '2');
    CHECK(munmap(base, 9 * kPageSize) == 0);
    CHECK(base[9 * kPageSize] == '9');
    CHECK(munmap(base, 10 * kPageSize) == 0);
    CHECK(munmap(base, 10 * kPageSize) == 0);  // nothing there is no error
    CHECK(error(SYS_munmap, base, ~std::size_t{0} - kPageSize) == EINVAL);
}

TEST_CASE("PROT_NONE, protections across mappings, and calls that meet them") {
    char* const base = map(6 * kPageSize);
    Pipe pipe;
    base[2 * kPageSize] = 'k';
    REQUIRE(mprotect(base + 2 * kPageSize, kPageSize, PROT_NONE) == 0);
    char* const inside = base + 2 * kPageSize + 77;
    CHECK(is_fault(fault_of([&] { touch(inside); }), SIGSEGV, SEGV_ACCERR, inside));
    CHECK(error(SYS_write, pipe.writer(), inside, 1) == EFAULT);
    REQUIRE(write(pipe.writer(), "xyz", 3) == 3);
    CHECK(error(SYS_read, pipe.reader(), inside, 1) == EFAULT);
    char byte;
    CHECK(read(pipe.reader(), &byte, 1) == 1);
    CHECK(byte == 'x');                                                  // a read that failed took nothing
    REQUIRE(mprotect(base + kPageSize, 3 * kPageSize, PROT_READ) == 0);  // over the borders
    CHECK(base[2 * kPageSize] == 'k');
    for (std::size_t page = 1; page < 4; ++page) {
        char* const at = base + page * kPageSize;
        CHECK(is_fault(fault_of([&] { touch(at); }), SIGSEGV, SEGV_ACCERR, at));
    }
    CHECK(error(SYS_read, pipe.reader(), base + kPageSize, 1) == EFAULT);
    CHECK(fault_of([&] { base[0] = base[4 * kPageSize] = 'w'; }).si_signo == 0);
    REQUIRE(mprotect(base, 6 * kPageSize, PROT_READ | PROT_WRITE) == 0);
    CHECK(fault_of([&] { base[2 * kPageSize] = 'w'; }).si_signo == 0);
    CHECK(error(SYS_mprotect, 0xffff'8000'0000'0000, kPageSize, PROT_READ) == ENOMEM);
    munmap(base, 6 * kPageSize);
    // A reservation much larger than memory, then a part of it made usable (what allocators do).
    constexpr std::size_t kHuge = std::size_t{64} << 30;
    char* const huge = map(kHuge, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    REQUIRE(mprotect(huge + kHuge / 2, kPageSize, PROT_READ | PROT_WRITE) == 0);
    CHECK(fault_of([&] { huge[kHuge / 2] = 'w'; }).si_signo == 0);
    CHECK(fault_of([&] { touch(huge + kHuge / 2 + kPageSize); }).si_signo == SIGSEGV);
    CHECK(munmap(huge, kHuge) == 0);
}

TEST_CASE("shared file mappings are the file; private ones are not; past the end is SIGBUS") {
    const Scratch scratch;
    const Opened file(make_file("f", std::string(kPageSize + 100, 'f')));
    char* const shared = map(4 * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file);
    char* const twice = map(kPageSize, PROT_READ, MAP_SHARED, file, kPageSize);
    char* const own = map(4 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    shared[kPageSize + 5] = 'S';
    char byte = 0;
    CHECK(pread(file, &byte, 1, kPageSize + 5) == 1);
    CHECK(byte == 'S');
    CHECK(twice[5] == 'S');
    REQUIRE(pwrite(file, "W", 1, 7) == 1);
    CHECK(shared[7] == 'W');
    CHECK(own[7] == 'W');  // not yet copied (Linux; POSIX leaves it open)
    own[8] = 'P';
    REQUIRE(pwrite(file, "X", 1, 8) == 1);
    CHECK(own[8] == 'P');
    CHECK(shared[8] == 'X');
    CHECK(child_exit([&] {
              shared[9] = 'C';
              own[9] = 'C';
              return 0;
          }) == 0);
    CHECK(shared[9] == 'C');
    CHECK(own[9] != 'P');

    // The last page's rest is zero, and what is written there is not the file's.
    CHECK(shared[kPageSize + 100] == 0);
    shared[kPageSize + 200] = 'z';
    CHECK(status_of("f").st_size == kPageSize + 100);
    for (char* const base : {shared, own}) {
        char* const past = base + 2 * kPageSize + 3;
        CHECK(is_fault(fault_of([&] { touch(past); }), SIGBUS, BUS_ADRERR, past));
        CHECK(error(SYS_write, int{file}, past, 1) == EFAULT);
    }
    REQUIRE(ftruncate(file, 3 * kPageSize) == 0);
    CHECK(fault_of([&] { shared[2 * kPageSize] = '2'; }).si_signo == 0);
    REQUIRE(ftruncate(file, 10) == 0);
    CHECK(fault_of([&] { touch(shared + kPageSize); }).si_signo == SIGBUS);
    CHECK(fault_of([&] { touch(twice); }).si_signo == SIGBUS);
    CHECK(shared[20] == 0);
    munmap(shared, 4 * kPageSize);
    munmap(twice, kPageSize);
    munmap(own, 4 * kPageSize);
}

TEST_CASE("a file that was opened for reading only cannot be written to through memory") {
    const Scratch scratch;
    close(make_file("f", "text"));
    const Opened reader(open("f", O_RDONLY)), writer(open("f", O_WRONLY)), both(open("f", O_RDWR));
    CHECK(error(SYS_mmap, nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, int{reader}, 0) == EACCES);
    CHECK(error(SYS_mmap, nullptr, kPageSize, PROT_READ, MAP_PRIVATE, int{writer}, 0) == EACCES);
    char* const seen = map(kPageSize, PROT_READ, MAP_SHARED, reader);
    CHECK(fails(mprotect(seen, kPageSize, PROT_READ | PROT_WRITE), EACCES));
    CHECK(fault_of([&] { seen[0] = 'T'; }).si_signo == SIGSEGV);
    CHECK(content(reader) == "text");
    char* const own = map(kPageSize, PROT_READ, MAP_PRIVATE, reader);
    REQUIRE(mprotect(own, kPageSize, PROT_READ | PROT_WRITE) == 0);
    own[0] = 'T';
    CHECK(content(reader) == "text");
    char* const written = map(kPageSize, PROT_READ, MAP_SHARED, both);
    REQUIRE(mprotect(written, kPageSize, PROT_READ | PROT_WRITE) == 0);
    written[0] = 'T';
    CHECK(content(reader) == "Text");
    for (char* const memory : {seen, own, written}) munmap(memory, kPageSize);
}

TEST_CASE("mremap: growing, moving, shrinking") {
    char* base = map(8 * kPageSize);
    REQUIRE(munmap(base + 4 * kPageSize, 4 * kPageSize) == 0);
    std::memset(base, 'm', 4 * kPageSize);
    CHECK(mremap(base, 4 * kPageSize, 6 * kPageSize, 0) == base);  // there is room behind it
    CHECK(base[5 * kPageSize] == 0);
    char* const wall = map(kPageSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0, base + 6 * kPageSize);
    CHECK(error(SYS_mremap, base, 6 * kPageSize, 7 * kPageSize, 0) == ENOMEM);
    char* const moved = static_cast<char*>(mremap(base, 6 * kPageSize, 20 * kPageSize, MREMAP_MAYMOVE));
    REQUIRE(moved != MAP_FAILED);
    CHECK(moved != base);
    CHECK(std::count(moved, moved + 20 * kPageSize, 'm') == 4 * kPageSize);
    CHECK(moved[4 * kPageSize - 1] == 'm');
    CHECK(is_fault(fault_of([&] { touch(base); }), SIGSEGV, SEGV_MAPERR, base));
    CHECK(mremap(moved, 20 * kPageSize, 2 * kPageSize, 0) == moved);
    CHECK(fault_of([&] { touch(moved + 2 * kPageSize); }).si_signo == SIGSEGV);
    CHECK(moved[2 * kPageSize - 1] == 'm');
    CHECK(error(SYS_mremap, base, kPageSize, 2 * kPageSize, MREMAP_MAYMOVE) == EFAULT);
    CHECK(error(SYS_mremap, moved, 3 * kPageSize, 4 * kPageSize, MREMAP_MAYMOVE) == EFAULT);
    CHECK(error(SYS_mremap, moved, kPageSize, kPageSize, MREMAP_FIXED, wall) == EINVAL);  // not without MAYMOVE
    munmap(moved, 2 * kPageSize);
    munmap(wall, kPageSize);

    const Scratch scratch;  // of a file: what is added is the file's
    const Opened file(make_file("f", std::string(3 * kPageSize, 'f')));
    char* shared = map(kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file, kPageSize);
    shared = static_cast<char*>(mremap(shared, kPageSize, 3 * kPageSize, MREMAP_MAYMOVE));
    REQUIRE(shared != MAP_FAILED);
    shared[kPageSize + 1] = 'M';
    char byte = 0;
    CHECK(pread(file, &byte, 1, 2 * kPageSize + 1) == 1);
    CHECK(byte == 'M');
    CHECK(fault_of([&] { touch(shared + 2 * kPageSize); }).si_signo == SIGBUS);
    munmap(shared, 3 * kPageSize);
}

TEST_CASE("madvise: MADV_DONTNEED gives back what the mapping began with") {
    const Scratch scratch;
    const Opened file(make_file("f", std::string(2 * kPageSize, 'f')));
    char* const anonymous = map(4 * kPageSize);
    char* const own = map(2 * kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
    char* const shared = map(2 * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file);
    char* const shared_anonymous = map(kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    std::memset(anonymous, 'a', 4 * kPageSize);
    own[0] = 'o';
    shared[kPageSize] = shared_anonymous[0] = 's';
    for (const auto& [base, size] : std::map<char*, std::size_t>{{anonymous + kPageSize, 2 * kPageSize},
                                                                 {own, 2 * kPageSize},
                                                                 {shared, 2 * kPageSize},
                                                                 {shared_anonymous, kPageSize}})
        CHECK(madvise(base, size, MADV_DONTNEED) == 0);
    CHECK(anonymous[0] == 'a');
    CHECK(anonymous[kPageSize] == 0);
    CHECK(anonymous[3 * kPageSize - 1] == 0);
    CHECK(anonymous[3 * kPageSize] == 'a');
    CHECK(own[0] == 'f');
    CHECK(shared[kPageSize] == 's');
    CHECK(shared_anonymous[0] == 's');
    REQUIRE(munmap(anonymous + kPageSize, kPageSize) == 0);
    for (const int advice : {MADV_DONTNEED, MADV_WILLNEED, MADV_NORMAL, MADV_RANDOM}) {
        CAPTURE(advice);
        CHECK(fails(madvise(anonymous, 4 * kPageSize, advice), ENOMEM));  // there is a hole
    }
    CHECK(fails(madvise(anonymous, ~std::size_t{0}, MADV_WILLNEED), EINVAL));
    CHECK(madvise(anonymous, 0, MADV_DONTNEED) == 0);
    munmap(anonymous, 4 * kPageSize);
    munmap(own, 2 * kPageSize);
    munmap(shared, 2 * kPageSize);
    munmap(shared_anonymous, kPageSize);
}

TEST_CASE("what can never be there is not promised") {
    const int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY);
    const bool promises_all =
        fd >= 0 && read_byte(fd) == '1';  // proc(5); the default, and the value if it is not said, is 0
    if (fd >= 0) close(fd);
    if (promises_all) return;
    constexpr std::size_t kTooMuch = std::size_t{4} << 40;
    CHECK(child_exit([] {
              void* const page = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              void* const room = mmap(nullptr, kTooMuch, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              const long begin = syscall(SYS_brk, 0);
              return first_wrong({
                  error(SYS_mmap, nullptr, kTooMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                      ENOMEM,
                  error(SYS_mremap, page, kPageSize, kTooMuch, MREMAP_MAYMOVE) == ENOMEM,
                  room != MAP_FAILED,  // an address range is no promise
                  error(SYS_mprotect, room, kTooMuch, PROT_READ | PROT_WRITE) == ENOMEM,
                  syscall(SYS_brk, begin + static_cast<long>(kTooMuch)) == begin,
              });
          }) == 0);
}

// ---- pointers ------------------------------------------------------------------------------------------------------

namespace {

enum class Null { Refused, Allowed };

struct Probe {
    const char* name;
    std::function<long(void*)> call;
    Null null = Null::Refused;
    std::vector<int> also{};  // other errors that the man page lets it answer
};

}  // namespace

TEST_CASE("every call refuses bad pointers") {
    const Scratch scratch;
    const Opened file(make_file("f", std::string(100, 'f')));
    const Opened folder(open(".", O_RDONLY | O_DIRECTORY)), zero(open("/dev/zero", O_RDONLY));
    REQUIRE(symlink("f", "link") == 0);
    Pipe pipe;
    REQUIRE(write(pipe.writer(), "some bytes", 10) == 10);
    char* const page = map(2 * kPageSize);
    std::memset(page, 'x', kPageSize);  // so no string ends before the page does
    REQUIRE(munmap(page + kPageSize, kPageSize) == 0);
    char* const last = page + kPageSize - 1;
    // The last page that a program can have; a stack may be there already.
    char* const top = reinterpret_cast<char*>(0x7fff'ffff'e000);
    const bool top_is_ours = error(SYS_mmap, top, kPageSize, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == 0;
    char* const very_last = top + kPageSize - 1;
    const char kept = *very_last;
    const int in = pipe.reader(), out = pipe.writer(), self = getpid();
    const auto raw = [](long number, auto... arguments) { return syscall(number, arguments...); };
    const timespec none{}, soon{0, 1000};
    constexpr unsigned long kBits = 8;

    const std::vector<Probe> probes{
        {"read", [&](void* p) { return raw(SYS_read, int{zero}, p, 16); }},
        {"read (pipe)", [&](void* p) { return raw(SYS_read, in, p, 10); }},
        {"pread64", [&](void* p) { return raw(SYS_pread64, int{file}, p, 16, 0); }},
        {"write", [&](void* p) { return raw(SYS_write, out, p, 16); }},
        {"write (file)", [&](void* p) { return raw(SYS_write, int{file}, p, 16); }},
        {"pwrite64", [&](void* p) { return raw(SYS_pwrite64, int{file}, p, 16, 0); }},
        {"readv", [&](void* p) { return raw(SYS_readv, int{zero}, p, 1); }},
        {"writev", [&](void* p) { return raw(SYS_writev, out, p, 1); }},
        {"readv piece",
         [&](void* p) {
             const iovec one{p, 16};
             return raw(SYS_readv, int{zero}, &one, 1);
         }},
        {"writev piece",
         [&](void* p) {
             const iovec one{p, 16};
             return raw(SYS_writev, out, &one, 1);
         }},
        {"preadv", [&](void* p) { return raw(SYS_preadv, int{file}, p, 1, 0, 0); }},
        {"pwritev", [&](void* p) { return raw(SYS_pwritev, int{file}, p, 1, 0, 0); }},
        {"getdents64",
         [&](void* p) {
             lseek(folder, 0, SEEK_SET);
             return raw(SYS_getdents64, int{folder}, p, 4096);
         }},
        {"getcwd", [&](void* p) { return raw(SYS_getcwd, p, 4096); }},
        {"readlink", [&](void* p) { return raw(SYS_readlink, "link", p, 16); }},
        {"getrandom", [&](void* p) { return raw(SYS_getrandom, p, 16, 0); }},
        {"sendfile offset", [&](void* p) { return raw(SYS_sendfile, out, int{file}, p, 1); }, Null::Allowed},
        {"open", [&](void* p) { return raw(SYS_open, p, O_RDONLY); }},
        {"openat", [&](void* p) { return raw(SYS_openat, AT_FDCWD, p, O_RDONLY); }},
        {"creat", [&](void* p) { return raw(SYS_creat, p, 0644); }},
        {"stat path", [&](void* p) { return raw(SYS_stat, p, page); }},
        {"stat", [&](void* p) { return raw(SYS_stat, "/", p); }},
        {"lstat", [&](void* p) { return raw(SYS_lstat, "/", p); }},
        {"fstat", [&](void* p) { return raw(SYS_fstat, int{file}, p); }},
        {"newfstatat", [&](void* p) { return raw(SYS_newfstatat, AT_FDCWD, "f", p, 0); }},
        {"statfs path", [&](void* p) { return raw(SYS_statfs, p, page); }},
        {"statfs", [&](void* p) { return raw(SYS_statfs, "/", p); }},
        {"fstatfs", [&](void* p) { return raw(SYS_fstatfs, int{file}, p); }},
        {"access", [&](void* p) { return raw(SYS_access, p, R_OK); }},
        {"truncate", [&](void* p) { return raw(SYS_truncate, p, 0); }},
        {"chdir", [&](void* p) { return raw(SYS_chdir, p); }},
        {"mkdir", [&](void* p) { return raw(SYS_mkdir, p, 0755); }},
        {"rmdir", [&](void* p) { return raw(SYS_rmdir, p); }},
        {"unlink", [&](void* p) { return raw(SYS_unlink, p); }},
        {"rename from", [&](void* p) { return raw(SYS_rename, p, "x"); }},
        {"rename to", [&](void* p) { return raw(SYS_rename, "f", p); }},
        {"link from", [&](void* p) { return raw(SYS_link, p, "x"); }},
        {"link to", [&](void* p) { return raw(SYS_link, "f", p); }},
        {"symlink target", [&](void* p) { return raw(SYS_symlink, p, "x"); }},
        {"symlink", [&](void* p) { return raw(SYS_symlink, "f", p); }},
        {"readlink path", [&](void* p) { return raw(SYS_readlink, p, page, 16); }},
        {"chmod", [&](void* p) { return raw(SYS_chmod, p, 0644); }},
        {"chown", [&](void* p) { return raw(SYS_chown, p, -1, -1); }},
        {"lchown", [&](void* p) { return raw(SYS_lchown, p, -1, -1); }},
        {"mknod", [&](void* p) { return raw(SYS_mknod, p, S_IFREG | 0644, 0); }},
        {"utimensat path", [&](void* p) { return raw(SYS_utimensat, AT_FDCWD, p, nullptr, 0); }},
        {"utimensat", [&](void* p) { return raw(SYS_utimensat, AT_FDCWD, "f", p, 0); }, Null::Allowed},
        {"chroot", [&](void* p) { return raw(SYS_chroot, p); }, Null::Refused, {EPERM}},
        {"mount",
         [&](void* p) { return raw(SYS_mount, "none", p, "no_such_type", 0, nullptr); },
         Null::Refused,
         {EPERM}},
        {"umount2", [&](void* p) { return raw(SYS_umount2, p, 0); }, Null::Refused, {EPERM}},
        {"execve", [&](void* p) { return raw(SYS_execve, p, nullptr, nullptr); }},
        {"execve argv", [&](void* p) { return raw(SYS_execve, "/dev/null", p, nullptr); }, Null::Allowed, {EACCES}},
        {"execve envp", [&](void* p) { return raw(SYS_execve, "/dev/null", nullptr, p); }, Null::Allowed, {EACCES}},
        {"pipe", [&](void* p) { return raw(SYS_pipe, p); }},
        {"pipe2", [&](void* p) { return raw(SYS_pipe2, p, O_CLOEXEC); }},
        {"poll", [&](void* p) { return raw(SYS_poll, p, 1, 0); }},
        {"ppoll time", [&](void* p) { return raw(SYS_ppoll, nullptr, 0, p == nullptr ? &none : p, nullptr, 8); },
         Null::Allowed},
        {"ppoll mask", [&](void* p) { return raw(SYS_ppoll, nullptr, 0, &none, p, kBits); }, Null::Allowed},
        {"select set",
         [&](void* p) {
             timeval now{};
             return raw(SYS_select, 1, p, nullptr, nullptr, &now);
         },
         Null::Allowed},
        {"select time",
         [&](void* p) {
             timeval now{};
             return raw(SYS_select, 0, nullptr, nullptr, nullptr, p == nullptr ? &now : p);
         },
         Null::Allowed},
        {"pselect6 set",
         [&](void* p) {
             timespec now{};
             return raw(SYS_pselect6, 1, nullptr, p, nullptr, &now, nullptr);
         },
         Null::Allowed},
        {"pselect6 mask",
         [&](void* p) {
             timespec now{};
             return raw(SYS_pselect6, 0, nullptr, nullptr, nullptr, &now, p);
         },
         Null::Allowed},
        {"ioctl FIONREAD", [&](void* p) { return raw(SYS_ioctl, in, FIONREAD, p); }},
        {"ioctl FIONBIO", [&](void* p) { return raw(SYS_ioctl, in, FIONBIO, p); }},
        {"wait4 usage", [&](void* p) { return raw(SYS_wait4, -1, nullptr, WNOHANG, p); }, Null::Allowed, {ECHILD}},
        {"clock_gettime", [&](void* p) { return raw(SYS_clock_gettime, CLOCK_MONOTONIC, p); }},
        {"clock_getres", [&](void* p) { return raw(SYS_clock_getres, CLOCK_MONOTONIC, p); }, Null::Allowed},
        {"clock_settime", [&](void* p) { return raw(SYS_clock_settime, CLOCK_REALTIME, p); }, Null::Refused, {EPERM}},
        {"nanosleep", [&](void* p) { return raw(SYS_nanosleep, p, nullptr); }},
        {"nanosleep rest", [&](void* p) { return raw(SYS_nanosleep, &soon, p); }, Null::Allowed, {0}},
        {"clock_nanosleep", [&](void* p) { return raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, p, nullptr); }},
        {"getitimer", [&](void* p) { return raw(SYS_getitimer, ITIMER_REAL, p); }},
        {"setitimer", [&](void* p) { return raw(SYS_setitimer, ITIMER_REAL, p, nullptr); }, Null::Allowed},
        {"setitimer old",
         [&](void* p) {
             const itimerval off{};
             return raw(SYS_setitimer, ITIMER_REAL, &off, p);
         },
         Null::Allowed},
        {"gettimeofday", [&](void* p) { return raw(SYS_gettimeofday, p, nullptr); }, Null::Allowed},
        {"time", [&](void* p) { return raw(SYS_time, p); }, Null::Allowed},
        {"times", [&](void* p) { return raw(SYS_times, p); }, Null::Allowed},
        {"getrusage", [&](void* p) { return raw(SYS_getrusage, RUSAGE_SELF, p); }},
        {"sysinfo", [&](void* p) { return raw(SYS_sysinfo, p); }},
        {"uname", [&](void* p) { return raw(SYS_uname, p); }},
        {"sethostname", [&](void* p) { return raw(SYS_sethostname, p, 8); }, Null::Refused, {EPERM}},
        {"getrlimit", [&](void* p) { return raw(SYS_getrlimit, RLIMIT_CORE, p); }},
        {"setrlimit", [&](void* p) { return raw(SYS_setrlimit, RLIMIT_CORE, p); }},
        {"prlimit64 new", [&](void* p) { return raw(SYS_prlimit64, 0, RLIMIT_CORE, p, nullptr); }, Null::Allowed},
        {"prlimit64 old", [&](void* p) { return raw(SYS_prlimit64, 0, RLIMIT_CORE, nullptr, p); }, Null::Allowed},
        {"getresuid", [&](void* p) { return raw(SYS_getresuid, p, page, page); }},
        {"getresgid", [&](void* p) { return raw(SYS_getresgid, page, page, p); }},
        {"getgroups", [&](void* p) { return raw(SYS_getgroups, 65536, p); }, Null::Refused, {0}},  // there may be none
        {"setgroups", [&](void* p) { return raw(SYS_setgroups, 3, p); }, Null::Refused, {EPERM}},
        {"rt_sigaction", [&](void* p) { return raw(SYS_rt_sigaction, SIGUSR1, p, nullptr, kBits); }, Null::Allowed},
        {"rt_sigaction old", [&](void* p) { return raw(SYS_rt_sigaction, SIGUSR1, nullptr, p, kBits); }, Null::Allowed},
        {"rt_sigprocmask", [&](void* p) { return raw(SYS_rt_sigprocmask, SIG_BLOCK, p, nullptr, kBits); },
         Null::Allowed},
        {"rt_sigprocmask old", [&](void* p) { return raw(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, p, kBits); },
         Null::Allowed},
        {"rt_sigpending", [&](void* p) { return raw(SYS_rt_sigpending, p, kBits); }},
        {"rt_sigsuspend", [&](void* p) { return raw(SYS_rt_sigsuspend, p, kBits); }},
        {"rt_sigtimedwait", [&](void* p) { return raw(SYS_rt_sigtimedwait, p, nullptr, &none, kBits); }},
        {"rt_sigtimedwait time",
         [&](void* p) {
             const sigset_t set = set_of({SIGUSR1});
             return raw(SYS_rt_sigtimedwait, &set, nullptr, p == nullptr ? &none : p, kBits);
         },
         Null::Allowed,
         {EAGAIN}},
        {"rt_sigqueueinfo", [&](void* p) { return raw(SYS_rt_sigqueueinfo, self, 0, p); }},
        {"sigaltstack", [&](void* p) { return raw(SYS_sigaltstack, p, nullptr); }, Null::Allowed},
        {"sigaltstack old", [&](void* p) { return raw(SYS_sigaltstack, nullptr, p); }, Null::Allowed},
        {"sched_setparam", [&](void* p) { return raw(SYS_sched_setparam, 0, p); }, Null::Refused, {EINVAL}},
        {"sched_getparam", [&](void* p) { return raw(SYS_sched_getparam, 0, p); }, Null::Refused, {EINVAL}},
        {"sched_setscheduler",
         [&](void* p) { return raw(SYS_sched_setscheduler, 0, SCHED_OTHER, p); },
         Null::Refused,
         {EINVAL}},
        {"sched_rr_get_interval", [&](void* p) { return raw(SYS_sched_rr_get_interval, 0, p); }},
        {"sched_setaffinity", [&](void* p) { return raw(SYS_sched_setaffinity, 0, kBits, p); }},
        {"sched_getaffinity", [&](void* p) { return raw(SYS_sched_getaffinity, 0, 128, p); }},
        {"getcpu", [&](void* p) { return raw(SYS_getcpu, p, nullptr, nullptr); }, Null::Allowed},
        {"futex",
         [&](void* p) { return raw(SYS_futex, p, FUTEX_WAIT, 0, nullptr, nullptr, 0); },
         Null::Refused,
         {EINVAL}},
        {"futex time",
         [&](void* p) {
             int word = 1;
             return raw(SYS_futex, &word, FUTEX_WAIT, 0, p, nullptr, 0);
         },
         Null::Allowed,
         {EAGAIN}},
        {"get_robust_list", [&](void* p) { return raw(SYS_get_robust_list, 0, p, page); }},
        {"prctl PR_SET_NAME", [&](void* p) { return raw(SYS_prctl, PR_SET_NAME, p, 0, 0, 0); }},
        {"prctl PR_GET_NAME", [&](void* p) { return raw(SYS_prctl, PR_GET_NAME, p, 0, 0, 0); }},
        {"prctl PR_GET_PDEATHSIG", [&](void* p) { return raw(SYS_prctl, PR_GET_PDEATHSIG, p, 0, 0, 0); }},
        {"arch_prctl", [&](void* p) { return raw(SYS_arch_prctl, 0x1003, p); }},
    };
    const struct {
        const char* name;
        void* address;
    } pointers[] = {{"null", nullptr},
                    {"not mapped", page + kPageSize},
                    {"the last byte", last},
                    {"the last byte of all", very_last},
                    {"the kernel's half", reinterpret_cast<void*>(0xffff'8000'0000'1000)},
                    {"the kernel's text", reinterpret_cast<void*>(0xffff'ffff'8100'0000)},
                    {"the last page", reinterpret_cast<void*>(0xffff'ffff'ffff'f000)},
                    {"not canonical", reinterpret_cast<void*>(0x8000'0000'0000'0000)},
                    {"just not canonical", reinterpret_cast<void*>(0x0000'8000'0000'0000)},
                    {"where addresses end", reinterpret_cast<void*>(0xffff'ffff'ffff'ffff)}};
    const int free_before = lowest_free();
    for (const auto& [kind, address] : pointers)
        for (const Probe& probe : probes) {
            CAPTURE(probe.name, kind);
            *last = *very_last = 'x';
            errno = 0;
            const long result = probe.call(address);
            const int why = result == -1 ? errno : 0;
            bool right = why == EFAULT || std::count(probe.also.begin(), probe.also.end(), why) != 0;
            if (address == nullptr && probe.null == Null::Allowed) right = right || result >= 0;
            if (address == last || address == very_last) right = right || result == 1;  // what fits was moved
            CAPTURE(result, why);
            CHECK(right);
        }
    CHECK(lowest_free() == free_before);  // what pipe(2) could not tell it took back
    // wait(2) with a place that cannot be written to still says so.
    for (const auto& [kind, address] : pointers) {
        CAPTURE(kind);
        const pid_t pid = start_child([] { return 0; });
        const int status_error = error(SYS_wait4, pid, address, 0, nullptr);
        CHECK(status_error == (address == nullptr ? 0 : EFAULT));
        waitpid(pid, nullptr, WNOHANG);
        const pid_t other = start_child([] { return 0; });
        const int info_error = error(SYS_waitid, P_PID, other, address, WEXITED, nullptr);
        CHECK(info_error == (address == nullptr ? 0 : EFAULT));
        waitpid(other, nullptr, WNOHANG);
    }
    *very_last = kept;
    if (top_is_ours) munmap(top, kPageSize);
    munmap(page, kPageSize);
}

TEST_CASE("ranges that make no sense are refused by the calls about memory") {
    for (const std::uintptr_t address :
         {std::uintptr_t{0}, std::uintptr_t{0x7fff'ffff'f000}, std::uintptr_t{0x8000'0000'0000},
          std::uintptr_t{0xffff'8000'0000'0000}, ~std::uintptr_t{0} - 4095})
        for (const std::size_t size :
             {std::size_t{4096}, std::size_t{1} << 47, ~std::size_t{0}, ~std::size_t{0} - 4095}) {
            if (address == 0 && size == std::size_t{1} << 47) continue;  // that would be everything
            CAPTURE(address, size);
            const auto refused = [](int why) { return why == EINVAL || why == ENOMEM || why == EFAULT; };
            const int unmapped = error(SYS_munmap, address, size);
            CHECK((unmapped == EINVAL || (unmapped == 0 && address <= 0x7fff'ffff'f000 && size == 4096)));
            CHECK(refused(error(SYS_mprotect, address, size, PROT_READ)));
            if (address != 0) CHECK(refused(error(SYS_madvise, address, size, MADV_DONTNEED)));  // else it finds us
            const int synchronised = error(SYS_msync, address, size, MS_SYNC);
            CHECK((refused(synchronised) || (synchronised == 0 && size == ~std::size_t{0})));  // rounds up to nothing
            CHECK(refused(error(SYS_mremap, address, size, 2 * kPageSize, MREMAP_MAYMOVE)));
        }
}

TEST_CASE("what /proc does not let anybody write says so") {
    for (const char* const path :
         {"/proc/uptime", "/proc/version", "/proc/meminfo", "/proc/loadavg", "/proc/self/stat"}) {
        CAPTURE(path);
        const int fd = open(path, O_WRONLY);
        CHECK((fd >= 0 || errno == EACCES));
        if (fd < 0) continue;
        CHECK(write(fd, "1\n", 2) == -1);
        CHECK((errno == EIO || errno == EINVAL || errno == EPERM || errno == EACCES));
        close(fd);
    }
}

TEST_CASE("a folder can be asked for what lies at any position") {
    const Scratch scratch;
    close(make_file("f"));
    for (const char* const path :
         {".", "/", "/dev", "/proc/self", "/proc/self/fd", "/proc/self/task", "/proc/sys", "/proc"})
        for (const off_t position :
             {off_t{1}, off_t{3}, off_t{255}, off_t{257}, off_t{40'000}, off_t{INT_MAX}, off_t{INT_MAX} + 1,
              off_t{INT_MAX} + 257, off_t{UINT_MAX} + 1, off_t{1} << 40, LONG_MAX}) {
            CAPTURE(path, position);
            const Opened folder(open(path, O_RDONLY | O_DIRECTORY));
            char buffer[1024];
            if (lseek(folder, position, SEEK_SET) != position) continue;  // the file system knows better
            const int why = error(SYS_getdents64, int{folder}, buffer, sizeof buffer);
            CHECK((why == 0 || why == EINVAL || why == ENOENT));
        }
}
