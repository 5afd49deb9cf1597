// SPDX-License-Identifier: MIT
// Time, usage, limits, names, /proc, roots, and errors that are easily confused.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- time and numbers ----------------------------------------------------------------------------------------------

TEST_CASE("alarm and setitimer are one timer; sleeps say what is left of them") {
    CHECK(child_exit([] {
              itimerval timer{};
              const itimerval long_time{{5, 0}, {70, 500'000}}, off{};
              return first_wrong({alarm(100) == 0, getitimer(ITIMER_REAL, &timer) == 0,
                                  timer.it_value.tv_sec >= 90 && timer.it_value.tv_sec <= 100,
                                  timer.it_interval.tv_sec == 0, setitimer(ITIMER_REAL, &long_time, &timer) == 0,
                                  timer.it_value.tv_sec >= 90, getitimer(ITIMER_REAL, &timer) == 0,
                                  timer.it_value.tv_sec >= 60 && timer.it_value.tv_sec <= 70,
                                  timer.it_interval.tv_sec == 5, alarm(50) >= 60, getitimer(ITIMER_REAL, &timer) == 0,
                                  timer.it_interval.tv_sec == 0, setitimer(ITIMER_REAL, &off, nullptr) == 0,
                                  alarm(0) == 0, getitimer(ITIMER_REAL, &timer) == 0, timer.it_value.tv_sec == 0});
          }) == 0);
    CHECK(child_exit([] {
              handle(SIGALRM);
              const itimerval every{{0, 60'000}, {0, 60'000}};
              const timespec wanted{10, 0};
              timespec left{99, 9};
              const long long begin = now_ns();
              setitimer(ITIMER_REAL, &every, nullptr);
              const bool ended = fails(nanosleep(&wanted, &left), EINTR);
              const long long passed = now_ns() - begin;
              const long long rest = left.tv_sec * 1'000'000'000LL + left.tv_nsec;
              return first_wrong({ended, left.tv_nsec >= 0 && left.tv_nsec < 1'000'000'000, rest < 10'000'000'000,
                                  passed >= 55'000'000, passed + rest >= 9'999'000'000, passed < 9'000'000'000});
          }) == 0);
    for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME}) {
        CAPTURE(clock);
        timespec end{}, now{};
        const timespec some{0, 25'000'000};
        REQUIRE(clock_gettime(clock, &end) == 0);
        const long long begin = now_ns(clock);
        CHECK(clock_nanosleep(clock, 0, &some, nullptr) == 0);
        CHECK(now_ns(clock) - begin >= 25'000'000);
        end.tv_nsec += 70'000'000;
        if (end.tv_nsec >= 1'000'000'000) end = {end.tv_sec + 1, end.tv_nsec - 1'000'000'000};
        CHECK(clock_nanosleep(clock, TIMER_ABSTIME, &end, nullptr) == 0);
        REQUIRE(clock_gettime(clock, &now) == 0);
        CHECK((now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec)));
    }
}

TEST_CASE("clocks: they run, agree and have a resolution; processor time is for work") {
    for (const clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                  CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME}) {
        CAPTURE(clock);
        timespec resolution{-1, -1}, time{-1, -1};
        REQUIRE(clock_getres(clock, &resolution) == 0);
        CHECK(resolution.tv_sec == 0);
        CHECK(resolution.tv_nsec > 0);
        CHECK(resolution.tv_nsec <= 10'000'000);
        REQUIRE(syscall(SYS_clock_gettime, clock, &time) == 0);
        CHECK(time.tv_sec >= 0);
        CHECK((time.tv_nsec >= 0 && time.tv_nsec < 1'000'000'000));
        CHECK(syscall(SYS_clock_getres, clock, nullptr) == 0);
    }
    timeval day{};
    REQUIRE(syscall(SYS_gettimeofday, &day, nullptr) == 0);
    const long long real = now_ns(CLOCK_REALTIME);
    CHECK(std::abs(real / 1'000'000'000 - day.tv_sec) <= 2);
    CHECK(std::abs(real / 1'000'000'000 - syscall(SYS_time, nullptr)) <= 2);
    CHECK(now_ns(CLOCK_BOOTTIME) - now_ns() > -1'000'000'000);
    const long long before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(100);
    CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 80'000'000);
    const long long begin = now_ns(CLOCK_THREAD_CPUTIME_ID), end = begin + 30'000'000;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) continue;
    CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before >= 30'000'000);
}

TEST_CASE("getrusage and times only ever grow, and children count when they are waited for") {
    const auto cpu = [](const rusage& usage) {
        return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000L + usage.ru_utime.tv_usec +
               usage.ru_stime.tv_usec;
    };
    rusage before{}, after{}, of_child{}, children{}, children_later{};
    tms ticks_before{}, ticks_after{};
    REQUIRE(getrusage(RUSAGE_SELF, &before) == 0);
    REQUIRE(getrusage(RUSAGE_CHILDREN, &children) == 0);
    const clock_t first = times(&ticks_before);
    Mapping memory(300 * kPageSize);
    for (std::size_t page = 0; page < 300; ++page) memory[page * kPageSize] = 1;
    const pid_t pid = start_child([] {
        const long long end = now_ns(CLOCK_PROCESS_CPUTIME_ID) + 100'000'000;
        while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < end) continue;
        return 0;
    });
    siginfo_t info;
    REQUIRE(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
    REQUIRE(getrusage(RUSAGE_CHILDREN, &children_later) == 0);
    CHECK(cpu(children_later) == cpu(children));  // not waited for yet
    REQUIRE(wait4(pid, nullptr, 0, &of_child) == pid);
    CHECK(cpu(of_child) >= 60'000);
    REQUIRE(getrusage(RUSAGE_CHILDREN, &children_later) == 0);
    CHECK(cpu(children_later) - cpu(children) >= 60'000);
    CHECK(cpu(children_later) - cpu(children) <= cpu(of_child) + 30'000);
    REQUIRE(getrusage(RUSAGE_SELF, &after) == 0);
    CHECK(cpu(after) >= cpu(before));
    CHECK(after.ru_minflt > before.ru_minflt);
    CHECK(after.ru_maxrss >= before.ru_maxrss);
    CHECK(after.ru_maxrss > 300);
    CHECK(after.ru_nvcsw > before.ru_nvcsw);  // it has slept for the child
    rusage thread{};
    REQUIRE(getrusage(RUSAGE_THREAD, &thread) == 0);
    CHECK(cpu(thread) <= cpu(after) + 30'000);
    const clock_t last = times(&ticks_after);
    CHECK(last > first);
    CHECK(ticks_after.tms_utime >= ticks_before.tms_utime);
    CHECK(ticks_after.tms_stime >= ticks_before.tms_stime);
    CHECK(ticks_after.tms_cutime + ticks_after.tms_cstime - ticks_before.tms_cutime - ticks_before.tms_cstime >= 5);
    CHECK(sysconf(_SC_CLK_TCK) == 100);
}

TEST_CASE("prlimit64: reading, lowering, raising, others") {
    for (int resource = 0; resource < 16; ++resource) {
        rlimit limit{1, 0};
        CAPTURE(resource);
        CHECK(syscall(SYS_prlimit64, 0, resource, nullptr, &limit) == 0);
        CHECK(limit.rlim_cur <= limit.rlim_max);
    }
    Pipe hold;
    const pid_t other = start_child([&] {
        hold.close_writer();
        return read_byte(hold.reader()) == -1 ? 0 : 1;
    });
    rlimit limit{}, old{};
    REQUIRE(syscall(SYS_prlimit64, other, RLIMIT_CORE, nullptr, &old) == 0);
    limit = {0, old.rlim_max};
    REQUIRE(syscall(SYS_prlimit64, other, RLIMIT_CORE, &limit, nullptr) == 0);
    REQUIRE(syscall(SYS_prlimit64, other, RLIMIT_CORE, nullptr, &limit) == 0);
    CHECK(limit.rlim_cur == 0);
    hold.close_writer();
    CHECK(WEXITSTATUS(wait_status(other)) == 0);
    CHECK(exit_of_user(stranger(), [me = getpid()] {
              const rlimit low{10, 20}, lower{5, 20}, high{20, 20}, higher{20, 21};
              rlimit seen{};
              return first_wrong({setrlimit(RLIMIT_CORE, &low) == 0, setrlimit(RLIMIT_CORE, &lower) == 0,
                                  setrlimit(RLIMIT_CORE, &high) == 0, fails(setrlimit(RLIMIT_CORE, &higher), EPERM),
                                  getrlimit(RLIMIT_CORE, &seen) == 0, seen.rlim_cur == 20 && seen.rlim_max == 20,
                                  error(SYS_prlimit64, me, RLIMIT_CORE, nullptr, &seen) == EPERM,
                                  error(SYS_prlimit64, me, RLIMIT_CORE, &low, nullptr) == EPERM});
          }) == 0);
}

TEST_CASE("limits are kept: processes, queued signals") {
    CHECK(exit_of_user(stranger(), [] {
              const rlimit one{1, 1};
              if (setrlimit(RLIMIT_NPROC, &one) != 0) return 100;
              const pid_t pid = fork();
              if (pid == 0) _exit(0);
              const int why = errno;
              if (pid > 0) waitpid(pid, nullptr, 0);
              return pid == -1 && why == EAGAIN ? 0 : 1;
          }) == 0);
    CHECK(exit_of_user(stranger(), [] {
              const rlimit three{3, 3};
              const sigval value{};
              mask(SIG_BLOCK, {SIGRTMIN});
              if (setrlimit(RLIMIT_SIGPENDING, &three) != 0) return 100;
              for (int i = 0; i < 3; ++i)
                  if (sigqueue(getpid(), SIGRTMIN, value) != 0) return 1;
              return fails(sigqueue(getpid(), SIGRTMIN, value), EAGAIN) ? 0 : 2;
          }) == 0);
}

TEST_CASE("uname, sysinfo, and what /proc says of the same") {
    utsname names{};
    REQUIRE(uname(&names) == 0);
    CHECK(std::string(names.sysname) == "Linux");
    CHECK(std::string(names.machine) == "x86_64");
    int major = 0, minor = 0;
    CHECK(std::sscanf(names.release, "%d.%d", &major, &minor) == 2);
    CHECK(major * 1000 + minor >= 3002);  // what a C library asks for at least
    char host[100];
    REQUIRE(gethostname(host, sizeof host) == 0);
    CHECK(std::string(host) == names.nodename);

    const auto number_in = [](const char* path, const char* format) {
        std::FILE* const file = std::fopen(path, "r");
        REQUIRE(file != nullptr);
        unsigned long long value = 0;
        int found = 0;
        char line[512];
        while (found != 1 && std::fgets(line, sizeof line, file) != nullptr) found = std::sscanf(line, format, &value);
        std::fclose(file);
        CAPTURE(path, format);
        CHECK(found == 1);
        return value;
    };
    struct sysinfo info{};
    REQUIRE(sysinfo(&info) == 0);
    REQUIRE(info.mem_unit > 0);
    CHECK(info.totalram * info.mem_unit / 1024 == number_in("/proc/meminfo", "MemTotal: %llu"));
    CHECK(info.freeram <= info.totalram);
    CHECK(info.freeram > 0);
    CHECK(info.procs > 0);
    CHECK(info.totalswap * info.mem_unit / 1024 == number_in("/proc/meminfo", "SwapTotal: %llu"));
    CHECK(std::abs(info.uptime - static_cast<long>(number_in("/proc/uptime", "%llu"))) <= 2);
    CHECK(std::abs(info.uptime - static_cast<long>(now_ns(CLOCK_BOOTTIME) / 1'000'000'000)) <= 2);
    const long real = static_cast<long>(now_ns(CLOCK_REALTIME) / 1'000'000'000);
    CHECK(std::abs(static_cast<long>(number_in("/proc/stat", "btime %llu")) - (real - info.uptime)) <= 2);
    CHECK(sysconf(_SC_PHYS_PAGES) > 0);
}

TEST_CASE("/proc about the caller: what programs parse") {
    const Scratch scratch;
    const auto text_of = [](const std::string& path) {
        const Opened file(open(path.c_str(), O_RDONLY));
        std::string text;
        char piece[300];
        for (ssize_t got; (got = read(file, piece, sizeof piece)) > 0;)
            text.append(piece, static_cast<std::size_t>(got));
        return text;
    };
    const auto link_of = [](const std::string& path) {
        char text[PATH_MAX];
        const ssize_t length = readlink(path.c_str(), text, sizeof text);
        return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    };
    REQUIRE(prctl(PR_SET_NAME, "a) b (c") == 0);
    CHECK(text_of("/proc/self/comm") == "a) b (c\n");
    const std::string stat_line = text_of("/proc/self/stat");
    const std::size_t name_end = stat_line.rfind(')');
    REQUIRE(name_end != std::string::npos);
    CHECK(stat_line.substr(0, name_end + 1) == std::to_string(getpid()) + " (a) b (c)");
    char state = '?';
    int parent = 0, group = 0, session = 0;
    CHECK(std::sscanf(&stat_line[name_end + 2], "%c %d %d %d", &state, &parent, &group, &session) == 4);
    CHECK(state == 'R');
    CHECK(parent == getppid());
    CHECK(group == getpgrp());
    CHECK(session == getsid(0));
    CHECK(std::count(stat_line.begin() + static_cast<std::ptrdiff_t>(name_end), stat_line.end(), ' ') ==
          50);  // 52 fields
    REQUIRE(prctl(PR_SET_NAME, "abi") == 0);
    const std::string status = text_of("/proc/self/status");
    for (const std::string& line :
         {std::string("Name:\tabi\n"), "Tgid:\t" + std::to_string(getpid()), "PPid:\t" + std::to_string(getppid()),
          "Uid:\t" + std::to_string(getuid()) + "\t", std::string("Threads:\t1\n"), std::string("VmRSS:"),
          std::string("SigCgt:\t"), std::string("Umask:\t0022\n")}) {
        CAPTURE(line);
        CHECK(status.find(line) != std::string::npos);
    }
    CHECK(link_of("/proc/self") == std::to_string(getpid()));
    CHECK(link_of("/proc/self/cwd") == scratch.path());
    CHECK(link_of("/proc/self/root") == "/");
    CHECK(access(link_of(kSelf).c_str(), X_OK) == 0);
    CHECK(status_of(("/proc/" + std::to_string(getpid())).c_str()).st_uid == geteuid());
    std::string command = text_of("/proc/self/cmdline");
    CHECK(!command.empty());
    CHECK(command.back() == '\0');
    CHECK(fails(open("/proc/4194303/stat", O_RDONLY), ENOENT));
    CHECK(fails(open("/proc/new", O_CREAT | O_WRONLY, 0644), ENOENT));

    // The links in fd open what they name anew: another position, other flags.
    const Opened file(make_file("f", "0123"));
    REQUIRE(lseek(file, 2, SEEK_SET) == 2);
    const std::string in_fd = "/proc/self/fd/" + std::to_string(file);
    CHECK(link_of(in_fd) == scratch.path() + "/f");
    CHECK(link_of("/dev/fd/" + std::to_string(file)) == scratch.path() + "/f");
    CHECK(read_byte(Opened(open(in_fd.c_str(), O_RDONLY))) == '0');
    Pipe pipe;
    CHECK(link_of("/proc/self/fd/" + std::to_string(pipe.reader())).starts_with("pipe:["));
    {
        const Opened writer(open(("/proc/self/fd/" + std::to_string(pipe.reader())).c_str(), O_WRONLY));
        REQUIRE(write_byte(writer, 'p'));
    }
    CHECK(read_byte(pipe.reader()) == 'p');
    const std::string maps = text_of("/proc/self/maps");
    CHECK(maps.find("[stack]") != std::string::npos);
    CHECK(maps.find("[heap]") != std::string::npos);
    CHECK(text_of("/proc/mounts").find(" / ") != std::string::npos);
    const std::string small = text_of("/proc/self/mountinfo");
    CHECK(small.find(" / / ") != std::string::npos);
    CHECK(small.find(" - ") != std::string::npos);
}

TEST_CASE("getcwd and chroot") {
    const Scratch scratch;
    REQUIRE(mkdir("jail", 0755) == 0);
    REQUIRE(mkdir("jail/in", 0755) == 0);
    close(make_file("secret", "s"));
    close(make_file("jail/secret", "j"));
    REQUIRE(symlink("/secret", "jail/absolute") == 0);
    REQUIRE(symlink("../../../../secret", "jail/in/relative") == 0);
    REQUIRE(chdir("jail/in") == 0);
    const std::string here = scratch.path() + "/jail/in";
    char text[PATH_MAX];
    CHECK(error(SYS_getcwd, text, here.size()) == ERANGE);
    CHECK(syscall(SYS_getcwd, text, here.size() + 1) == static_cast<long>(here.size() + 1));
    CHECK(std::string(text) == here);
    CHECK(error(SYS_getcwd, text, 0) == ERANGE);
    REQUIRE(rename("../../jail", "../../moved") == 0);  // the name follows the folder
    CHECK((getcwd(text, sizeof text) != nullptr && std::string(text) == scratch.path() + "/moved/in"));
    CHECK(child_exit([&] {
              const int outside = open("../..", O_PATH);
              if (!is_root()) return 0;
              const auto first_byte = [](const char* path) {
                  const int fd = open(path, O_RDONLY);
                  const int byte = read_byte(fd);
                  close(fd);
                  return byte;
              };
              char where[PATH_MAX] = {};
              return first_wrong({
                  fails(chroot("../secret"), ENOTDIR),
                  fails(chroot("nothing"), ENOENT),
                  chroot("..") == 0,
                  syscall(SYS_getcwd, where, sizeof where) == 4 && std::string(where) == "/in",  // that did not move
                  first_byte("/secret") == 'j',
                  first_byte("../../../secret") == 'j',
                  first_byte("/absolute") == 'j',
                  first_byte("relative") == 'j',
                  access("/proc", F_OK) == -1,
                  status_of("/..").st_ino == status_of("/").st_ino,
                  fchdir(outside) == 0,  // a descriptor from before leads out
                  first_byte("secret") == 's',
              });
          }) == 0);
}

TEST_CASE("errors that are easily taken for one another") {
    const Scratch scratch;
    const Opened file(make_file("f", "12345"));
    alignas(8) char text[16];
    sched_param parameters{};
    CHECK(error(SYS_readlink, "", text, sizeof text) == ENOENT);
    CHECK(error(SYS_readlinkat, int{file}, "", text, sizeof text) == ENOENT);
    CHECK(error(SYS_sched_setscheduler, 0, SCHED_OTHER, nullptr) == EINVAL);
    CHECK(error(SYS_sched_setparam, 0, nullptr) == EINVAL);
    CHECK(error(SYS_sched_getparam, 0, nullptr) == EINVAL);
    CHECK(error(SYS_sched_setparam, -1, &parameters) == EINVAL);
    CHECK(error(SYS_sched_getscheduler, -1) == EINVAL);
    CHECK(error(SYS_getpriority, PRIO_PROCESS, -1) == ESRCH);
    CHECK(error(SYS_setpriority, PRIO_PROCESS, -1, 19) == ESRCH);
    CHECK(error(SYS_getpgid, -1) == ESRCH);
    CHECK(error(SYS_getsid, -1) == ESRCH);
    CHECK(error(SYS_sigaltstack, nullptr, nullptr) == 0);
    CHECK(error(SYS_rt_sigprocmask, 99, nullptr, nullptr, 8) == 0);
    CHECK(error(SYS_nanosleep, nullptr, nullptr) == EFAULT);
    CHECK(error(SYS_futex, text + 1, FUTEX_WAIT, 0, nullptr, nullptr, 0) == EINVAL);
    alignas(4) int word = 0;
    CHECK(error(SYS_futex, &word, FUTEX_WAIT, 1, nullptr, nullptr, 0) == EAGAIN);
    const timespec none{}, negative{-1, 0};
    CHECK(error(SYS_futex, &word, FUTEX_WAIT, 0, &none, nullptr, 0) == ETIMEDOUT);
    CHECK(error(SYS_futex, &word, FUTEX_WAIT, 0, &negative, nullptr, 0) == EINVAL);
    CHECK(error(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &none, nullptr, 0) == EINVAL);  // no bits
    CHECK(error(SYS_futex, &word, 99, 0, nullptr, nullptr, 0) == ENOSYS);
    REQUIRE(lseek(file, 2, SEEK_SET) == 2);
    int waiting = -1;
    CHECK(error(SYS_ioctl, int{file}, FIONREAD, &waiting) == 0);  // ioctl_list(2): also of files
    CHECK(waiting == 3);
    unsigned long base = 0, own;
    constexpr int kArchGetFs = 0x1003;
    __asm__("movq %%fs:0, %0" : "=r"(own));  // the System V ABI has it point to itself
    CHECK(error(SYS_arch_prctl, kArchGetFs, &base) == 0);
    CHECK(base == own);
    CHECK(error(SYS_arch_prctl, 0x1002, 0x8000'0000'0000'0000) == EPERM);
    CHECK(error(SYS_arch_prctl, 0x9999, &base) == EINVAL);
}

// ---- capabilities --------------------------------------------------------------------------------------------------

TEST_CASE("capget and capset: versions, whose, and what cannot be had") {
    struct Header {
        std::uint32_t version;
        int pid;
    };
    struct Data {
        std::uint32_t effective, permitted, inheritable;
    };
    constexpr std::uint32_t kVersion1 = 0x19980330, kVersion3 = 0x20080522;
    const auto get = [](Header& header, Data* data) { return syscall(SYS_capget, &header, data); };
    const auto set = [](Header& header, Data* data) { return syscall(SYS_capset, &header, data); };
    if (geteuid() == 0)
        CHECK(child_exit([&] {
                  Data data[2] = {}, none[2] = {};
                  Header header{kVersion3, 0};
                  if (get(header, data) != 0 || data[0].effective != data[0].permitted || data[0].permitted == 0)
                      return 1;
                  if (set(header, data) != 0 || set(header, none) != 0) return 2;
                  if (get(header, data) != 0 || data[0].permitted != 0 || data[1].effective != 0) return 3;
                  return geteuid() == 0 && fails(setresuid(1, 2, 3), EPERM) ? 0 : 4;
              }) == 0);
    CHECK(child_exit([&] {
              Data data[2] = {}, wanted[2] = {{1, 1, 0}, {}}, inherited[2] = {{0, 0, 1}, {}};
              Header unknown{0, 0}, wrong{1, 0}, current{kVersion3, 0}, first{kVersion1, getpid()},
                  nobody{kVersion3, 0x3fffffff}, negative{kVersion3, -1}, other{kVersion1, getppid()};
              if (geteuid() == 0 && setresuid(1000, 1000, 1000) != 0) return 100;
              return first_wrong({get(unknown, nullptr) == 0, unknown.version == kVersion3, get(current, data) == 0,
                                  data[0].effective == 0 && data[1].effective == 0, get(first, data) == 0,
                                  set(current, data) == 0, fails(get(nobody, data), ESRCH),
                                  fails(get(negative, data), EINVAL), fails(get(wrong, data), EINVAL),
                                  wrong.version == kVersion3, fails(set(current, wanted), EPERM),
                                  fails(set(current, inherited), EPERM), fails(set(other, data), EPERM)});
          }) == 0);
}
