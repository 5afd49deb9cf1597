// SPDX-License-Identifier: MIT
// Processes: waiting, groups, fork, exec, vfork, clone.
#include "tests/guest/abi.hpp"

using namespace guest;

// ---- processes -----------------------------------------------------------------------------------------------------

TEST_CASE("wait4 and waitid: which child, which change, what they tell") {
    Pipe hold;
    const auto wait_in_group = [&](pid_t group) {
        return start_child([&, group] {
            setpgid(0, group);
            hold.close_writer();
            return read_byte(hold.reader()) == -1 ? 3 : 4;
        });
    };
    const pid_t own = wait_in_group(getpgrp()), leader = wait_in_group(0);
    setpgid(leader, leader);
    siginfo_t info;
    const auto told = [&](pid_t pid, int code, int status) {
        return info.si_signo == SIGCHLD && info.si_pid == pid && info.si_uid == getuid() && info.si_code == code &&
               info.si_status == status;
    };
    const auto clear = [&] { std::memset(&info, 0xff, sizeof info); };
    int status = 77;
    CHECK(waitpid(-1, &status, WNOHANG) == 0);
    CHECK(status == 77);
    clear();
    CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOHANG) == 0);
    CHECK(info.si_pid == 0);
    CHECK(info.si_signo == 0);
    CHECK(fails(waitpid(1, &status, WNOHANG), ECHILD));  // nobody's child here
    CHECK(fails(waitid(P_PID, static_cast<id_t>(getpid()), &info, WEXITED), ECHILD));
    CHECK(fails(waitid(P_PGID, 1 << 22, &info, WEXITED), ECHILD));
    CHECK(fails(waitpid(-(1 << 22), &status, 0), ECHILD));

    REQUIRE(kill(leader, SIGSTOP) == 0);
    CHECK(waitid(P_PGID, static_cast<id_t>(leader), &info, WSTOPPED | WNOWAIT) == 0);
    CHECK(told(leader, CLD_STOPPED, SIGSTOP));
    clear();
    CHECK(waitid(P_ALL, 0, &info, WSTOPPED) == 0);
    CHECK(told(leader, CLD_STOPPED, SIGSTOP));
    clear();
    CHECK(waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG) == 0);  // each change once
    CHECK(info.si_pid == 0);
    REQUIRE(kill(leader, SIGCONT) == 0);
    CHECK(waitid(P_PID, static_cast<id_t>(leader), &info, WCONTINUED) == 0);
    CHECK(told(leader, CLD_CONTINUED, SIGCONT));
    CHECK(waitpid(leader, &status, WNOHANG | WUNTRACED | WCONTINUED) == 0);
    REQUIRE(kill(leader, SIGTERM) == 0);
    rusage usage;
    std::memset(&usage, 0xff, sizeof usage);
    CHECK(syscall(SYS_waitid, P_PGID, leader, &info, WEXITED | WNOWAIT, &usage) == 0);
    CHECK(told(leader, CLD_KILLED, SIGTERM));
    CHECK(usage.ru_utime.tv_sec >= 0);
    CHECK(usage.ru_utime.tv_sec < 1000);
    REQUIRE(wait4(-leader, &status, 0, &usage) == leader);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
    CHECK_FALSE(WCOREDUMP(status));
    CHECK(fails(waitpid(leader, &status, 0), ECHILD));

    hold.close_writer();
    CHECK(waitid(P_PGID, 0, &info, WEXITED | WNOWAIT) == 0);  // of the caller's own group
    CHECK(told(own, CLD_EXITED, 3));
    CHECK(waitpid(0, &status, 0) == own);
    CHECK(WEXITSTATUS(status) == 3);
    const pid_t last = start_child([] { return 5; });
    CHECK(waitid(P_ALL, 0, nullptr, WEXITED) == 0);  // nothing is to be told
    CHECK(fails(waitpid(last, &status, 0), ECHILD));
}

TEST_CASE("a child whose end sends another signal is waited for by __WALL and __WCLONE") {
    CHECK(child_exit([] {
              handle(SIGUSR1, SA_RESTART);
              const long pid = syscall(SYS_clone, SIGUSR1, nullptr, nullptr, nullptr, nullptr);
              if (pid == 0) _exit(6);
              int status = 0, last = 0;
              const bool hidden = fails(waitpid(-1, &status, 0), ECHILD);
              const bool found = waitpid(static_cast<pid_t>(pid), &status, __WALL) == pid;
              const bool told = g_count == 1 && g_info.si_signo == SIGUSR1 && g_info.si_code == CLD_EXITED &&
                                g_info.si_pid == pid && g_info.si_status == 6;
              const long silent = syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr);
              if (silent == 0) _exit(7);
              return first_wrong({pid > 0, hidden, found, WEXITSTATUS(status) == 6, told,
                                  waitpid(-1, &last, __WCLONE) == silent, WEXITSTATUS(last) == 7, g_count == 1});
          }) == 0);
    CHECK(child_exit([] {  // SA_NOCLDWAIT: wait() waits for all of them, and has nothing to tell
              struct sigaction action{};
              action.sa_handler = SIG_DFL;
              action.sa_flags = SA_NOCLDWAIT;
              sigaction(SIGCHLD, &action, nullptr);
              const long long begin = now_ns();
              if (fork() == 0) {
                  sleep_ms(60);
                  _exit(0);
              }
              return fails(wait(nullptr), ECHILD) && now_ns() - begin >= 55'000'000 ? 0 : 1;
          }) == 0);
}

TEST_CASE("process groups and sessions: what is refused") {
    Pipe ready, end;
    const auto finish = [&](pid_t pid) { return write_byte(end.writer(), 'e') && WEXITSTATUS(wait_status(pid)) == 0; };
    const pid_t executed = start_child([&] { return Role("hold", {ready.writer(), end.reader()}).take(); });
    REQUIRE(await_byte(ready.reader()) == 'r');
    CHECK(fails(setpgid(executed, executed), EACCES));  // it is another program now
    CHECK(getpgid(executed) == getpgrp());
    CHECK(getsid(executed) == getsid(0));
    CHECK(finish(executed));
    CHECK(fails(setpgid(executed, 0), ESRCH));

    const pid_t elsewhere = start_child([&] {
        if (setsid() != getpid() || !fails(setpgid(0, 0), EPERM) || !write_byte(ready.writer(), 'r')) return 1;
        return read_byte(end.reader()) == 'e' ? 0 : 2;
    });
    REQUIRE(await_byte(ready.reader()) == 'r');
    CHECK(fails(setpgid(elsewhere, 0), EPERM));  // not in this session
    CHECK(getpgid(elsewhere) == elsewhere);
    CHECK(getsid(elsewhere) == elsewhere);
    const pid_t joiner = start_child([&] {
        return first_wrong({fails(setpgid(0, elsewhere), EPERM), fails(setpgid(0, 1 << 22), EPERM),
                            fails(setpgid(0, -1), EINVAL), fails(setpgid(getppid(), 0), ESRCH), setpgid(0, 0) == 0,
                            setpgid(0, getpid()) == 0, getpgid(0) == getpid()});
    });
    CHECK(WEXITSTATUS(wait_status(joiner)) == 0);
    CHECK(finish(elsewhere));

    // A group outlives its leader; its number is then no process's, but still the group's.
    const pid_t leader = start_child([&] {
        setpgid(0, 0);
        if (fork() == 0) {
            handle(SIGUSR1);
            mask(SIG_BLOCK, {SIGUSR1});
            write_byte(ready.writer(), 'r');
            const bool told = take(SIGUSR1, nullptr) == SIGUSR1;
            write_byte(ready.writer(), told ? 't' : 'f');
            _exit(0);
        }
        return read_byte(end.reader()) == 'e' ? 0 : 1;
    });
    REQUIRE(await_byte(ready.reader()) == 'r');
    CHECK(finish(leader));
    CHECK(fails(kill(leader, 0), ESRCH));
    CHECK(kill(-leader, SIGUSR1) == 0);
    CHECK(await_byte(ready.reader()) == 't');
}

TEST_CASE("fork: what a child does not inherit") {
    CHECK(child_exit([] {
              mask(SIG_BLOCK, {SIGUSR1});
              raise(SIGUSR1);
              alarm(100);
              prctl(PR_SET_PDEATHSIG, SIGHUP);
              prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
              tms before{};
              times(&before);
              const int seen = child_exit([] {
                  tms now{};
                  int death_signal = -1;
                  times(&now);
                  prctl(PR_GET_PDEATHSIG, &death_signal);
                  return first_wrong({!is_pending(SIGUSR1), is_blocked(SIGUSR1), alarm(0) == 0, death_signal == 0,
                                      now.tms_utime + now.tms_stime < 100, now.tms_cutime + now.tms_cstime == 0,
                                      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1});  // this one it does
              });
              return seen != 0 ? seen : first_wrong({is_pending(SIGUSR1), alarm(0) > 90});
          }) == 0);
}

TEST_CASE("the signal for a parent's death names the parent") {
    Pipe told, ready;
    const pid_t parent = start_child([&] {
        if (fork() == 0) {
            mask(SIG_BLOCK, {SIGUSR1});
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            write_byte(ready.writer(), 'r');
            siginfo_t info{};
            const bool got = take(SIGUSR1, &info) == SIGUSR1;
            const pid_t who = got ? info.si_pid : -1;
            _exit(write(told.writer(), &who, sizeof who) == sizeof who ? 0 : 1);
        }
        return read_byte(ready.reader()) == 'r' ? 0 : 1;
    });
    CHECK(WEXITSTATUS(wait_status(parent)) == 0);
    pid_t who = 0;
    REQUIRE(read(told.reader(), &who, sizeof who) == sizeof who);
    CHECK(who == parent);
}

TEST_CASE("exec: what stays and what goes") {
    const Scratch scratch;
    REQUIRE(symlink(kSelf, "a_name_of_more_than_fifteen_letters") == 0);
    Pipe answer;
    const Opened closing(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const pid_t pid = start_child([&] {
        static char stack[65536];
        const stack_t alternate{stack, 0, sizeof stack};
        setpgid(0, 0);
        sigaltstack(&alternate, nullptr);
        dispose(SIGUSR1, SIG_IGN);
        handle(SIGUSR2);
        mask(SIG_SETMASK, {SIGHUP, SIGRTMIN});
        raise(SIGHUP);
        alarm(1000);
        umask(0123);
        prctl(PR_SET_DUMPABLE, 0);
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        prctl(PR_SET_NAME, "before");
        const int kept = dup(closing);
        const Role role("state", {answer.writer(), kept, closing});
        prctl(PR_SET_PDEATHSIG, SIGUSR2);
        return role.take("a_name_of_more_than_fifteen_letters");
    });
    answer.close_writer();
    CHECK(WEXITSTATUS(wait_status(pid)) == 0);
    State state{};
    REQUIRE(read(answer.reader(), &state, sizeof state) == sizeof state);
    CHECK(state.pid == pid);
    CHECK(state.parent == getpid());
    CHECK(state.group == pid);
    CHECK(state.session == getsid(0));
    CHECK(sigismember(&state.blocked, SIGHUP) == 1);
    CHECK(sigismember(&state.blocked, SIGRTMIN) == 1);
    CHECK(sigismember(&state.blocked, SIGTERM) == 0);
    CHECK(sigismember(&state.pending, SIGHUP) == 1);
    CHECK(state.ignores_usr1);
    CHECK_FALSE(state.catches_usr2);
    CHECK(state.stack_flags == SS_DISABLE);
    CHECK(state.alarm > 900);
    CHECK(state.mask == 0123);
    CHECK(state.directory == status_of(".").st_ino);
    CHECK(state.dumpable == 1);
    CHECK(state.death_signal == SIGUSR2);
    CHECK(state.no_new_privileges == 1);
    CHECK(std::string(state.name) == "a_name_of_more_");
    CHECK(state.kept_open);
    CHECK(state.closed);
}

TEST_CASE("exec: arguments as they are, and the longest one") {
    Pipe answer;
    const std::vector<std::string> odd{"", "two words", "", "-x=\"y\"", std::string(5000, 'z')};
    CHECK(child_exit([&] { return Role("arguments", {answer.writer()}, odd).take(); }) == 0);
    std::string expected;
    for (const std::string& argument : odd) expected += argument + "\n";
    std::string text(6000, '\0');
    const ssize_t got = read(answer.reader(), text.data(), text.size());
    CHECK(text.substr(0, static_cast<std::size_t>(got)) == expected);
    const auto with_argument_of = [](std::size_t length) {
        return child_exit([&] { return Role("length", {}, {"abi", std::string(length, 'l')}).take(); });
    };
    CHECK(with_argument_of(131'071) == 0);  // with its NUL, 32 pages
    CHECK(with_argument_of(131'072) == 100 + E2BIG);
    CHECK(child_exit([] {  // many short ones: at least 128 KiB are promised, a quarter of the stack's limit allowed
              const std::vector<std::string> many(20'000, "1234567");
              const rlimit small{1 << 19, 1 << 19};
              if (setrlimit(RLIMIT_STACK, &small) != 0) return 1;
              return Role("length", {}, many).take();
          }) == 100 + E2BIG);
}

TEST_CASE("exec: a script's one argument, relative interpreters, refusals that leave all as it was") {
    const Scratch scratch;
    const auto script = [](const char* name, const std::string& text, mode_t mode = 0755) {
        close(make_file(name, text, mode));
    };
    script("one", "#! " + std::string(kSelf) + "  two words \t\nrest");
    REQUIRE(symlink(kSelf, "interpreter") == 0);
    script("relative", "#!./interpreter\n");
    script("by_folder", "#!" + scratch.path() + "\n");
    script("plain", "text\n", 0644);
    script("by_plain", "#!./plain\n");
    script("blank", "#!   \n");
    script("text", "echo not for the kernel\n");
    Pipe answer;
    const auto run = [&](const char* path) {
        const int status =
            child_exit([&] { return Role("arguments", {answer.writer()}, {"zero", "a", ""}).take(path); });
        if (status != 0) return std::to_string(status);
        char text[500];
        const ssize_t got = read(answer.reader(), text, sizeof text);
        return std::string(text, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    };
    CHECK(run("./one") == std::string(kSelf) + "\ntwo words\n./one\na\n\n");
    CHECK(run("relative") == "./interpreter\nrelative\na\n\n");
    CHECK(run("by_folder") == std::to_string(100 + EACCES));
    CHECK(run("by_plain") == std::to_string(100 + EACCES));
    CHECK(run("plain") == std::to_string(100 + EACCES));
    CHECK(run("blank") == std::to_string(100 + ENOEXEC));
    CHECK(run("text") == std::to_string(100 + ENOEXEC));
    CHECK(run("text/x") == std::to_string(100 + ENOTDIR));
    CHECK(run("/dev/null") == std::to_string(100 + EACCES));
    CHECK(run(std::string(256, 'n').c_str()) == std::to_string(100 + ENAMETOOLONG));
    CHECK(child_exit([&] {
              handle(SIGUSR1);
              const int fd = open("plain", O_RDONLY | O_CLOEXEC);
              const bool refused = Role("state", {}).take("text") == 100 + ENOEXEC;
              raise(SIGUSR1);
              return first_wrong({refused, g_count == 1, read_byte(fd) == 't'});
          }) == 0);
    CHECK(exit_of_user(kNobody, [] { return Role("state", {}).take("./plain") == 100 + EACCES ? 0 : 1; }) == 0);
}

TEST_CASE("vfork: memory is lent until the exec, descriptors and signals are not") {
    const Shared<int> value;
    Pipe ready, end;
    const Role role("hold", {ready.writer(), end.reader()});
    const long long begin = now_ns();
    const pid_t first = vfork();
    if (first == 0) {
        const timespec while_parent_waits{0, 60'000'000};
        nanosleep(&while_parent_waits, nullptr);
        close(ready.reader());
        _exit(chdir("/proc") == 0 ? 9 : 8);
    }
    CHECK(now_ns() - begin >= 60'000'000);
    CHECK(fcntl(ready.reader(), F_GETFD) >= 0);
    char directory[100];
    CHECK((getcwd(directory, sizeof directory) != nullptr && std::string(directory) != "/proc"));
    CHECK(WEXITSTATUS(wait_status(first)) == 9);
    const pid_t second = vfork();
    if (second == 0) _exit(role.take());
    // Here the new program runs, and waits.
    CHECK(waitpid(second, nullptr, WNOHANG) == 0);
    CHECK(await_byte(ready.reader()) == 'r');
    REQUIRE(write_byte(end.writer(), 'e'));
    CHECK(WEXITSTATUS(wait_status(second)) == 0);
}

TEST_CASE("clone shares what its flags say") {
    static int value;
    alignas(16) static char stack[65536];
    char* const top = stack + sizeof stack;
    const auto run = [&](int flags, int (*body)(void*), void* argument) {
        const pid_t pid = clone(body, top, flags | SIGCHLD, argument);
        REQUIRE(pid > 0);
        return WEXITSTATUS(wait_status(pid));
    };
    value = 1;
    CHECK(run(0, [](void*) { return value++; }, nullptr) == 1);
    CHECK(value == 1);
    CHECK(run(CLONE_VM, [](void*) { return value++; }, nullptr) == 1);
    CHECK(value == 2);
    const auto open_one = [](void*) { return fcntl(open("/dev/null", O_RDONLY), F_DUPFD, 150); };
    const int own = run(0, open_one, nullptr);
    CHECK(fails(fcntl(own, F_GETFD), EBADF));
    const int free_before = lowest_free(), shared = run(CLONE_FILES, open_one, nullptr);
    CHECK(close(shared) == 0);
    CHECK(close(free_before) == 0);
    const mode_t before = umask(022);
    const auto change = [](void*) { return umask(077) == 022 && chdir("/proc") == 0 ? 0 : 1; };
    const Opened back(open(".", O_RDONLY | O_DIRECTORY));
    CHECK(run(0, change, nullptr) == 0);
    CHECK(umask(022) == 022);
    CHECK(run(CLONE_FS, change, nullptr) == 0);
    CHECK(umask(before) == 077);
    char directory[100];
    CHECK((getcwd(directory, sizeof directory) != nullptr && std::string(directory) == "/proc"));
    REQUIRE(fchdir(back) == 0);
    CHECK(error(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0) == EINVAL);
}
