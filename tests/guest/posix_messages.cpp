// SPDX-License-Identifier: MIT
// POSIX message queues: how they are opened and what limits them, the order of messages, waiting with and without a
// limit of time, notification of a process, and queues as descriptors that can be polled.
#include <mqueue.h>
#include <sys/epoll.h>

#include "tests/guest/ipc.hpp"

using namespace guest;

namespace {

const std::string g_prefix = "/heddle." + std::to_string(getpid()) + ".";

constexpr std::size_t kLength = 16;  // of the messages of most queues here

// All but O_CREAT is left to the caller; -1 if it cannot be done.
mqd_t create(const std::string& name, long most, long length, int flags = O_RDWR | O_EXCL, mode_t mode = 0600) {
    mq_attr attributes{};
    attributes.mq_maxmsg = most;
    attributes.mq_msgsize = length;
    return mq_open(name.c_str(), flags | O_CREAT, mode, &attributes);
}

// For those that would make a queue: what should not have been made is not left behind.
bool refused(mqd_t queue, const std::string& name, int wanted) {
    const bool right = fails(queue, wanted);
    if (queue >= 0) mq_unlink(name.c_str());
    return right;
}

// An open queue, with its name if it made it; both are gone with the object.
class Queue {
public:
    explicit Queue(long most = 4, const std::string& name = g_prefix + "q", mode_t mode = 0600, int flags = O_RDWR)
        : name_(name), made_(true), id_(create(name, most, kLength, flags | O_EXCL, mode)) {
        REQUIRE(id_ >= 0);
    }
    Queue(const Queue& other, int flags) : name_(other.name_), made_(false), id_(mq_open(name_.c_str(), flags)) {
        REQUIRE(id_ >= 0);
    }
    ~Queue() {
        mq_close(id_);
        if (made_) mq_unlink(name_.c_str());
    }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    operator mqd_t() const { return id_; }
    const char* name() const { return name_.c_str(); }
    mq_attr attributes() const {
        mq_attr attributes{};
        CHECK(mq_getattr(id_, &attributes) == 0);
        return attributes;
    }
    long count() const { return attributes().mq_curmsgs; }
    int set_nonblocking(bool on) const {
        mq_attr changed{};
        changed.mq_flags = on ? O_NONBLOCK : 0;
        return errno_of(mq_setattr(id_, &changed, nullptr));
    }

private:
    const std::string name_;
    const bool made_;
    const mqd_t id_;
};

int send(mqd_t queue, const std::string& text, unsigned priority = 0, const timespec* limit = nullptr) {
    return errno_of(limit == nullptr ? mq_send(queue, text.data(), text.size(), priority)
                                     : mq_timedsend(queue, text.data(), text.size(), priority, limit));
}

// What a receiver gets as "PRIORITY TEXT", or the number of its error.
std::string receive(mqd_t queue, const timespec* limit = nullptr, std::size_t size = kLength) {
    char text[kLength] = {};
    unsigned priority = 77;
    const ssize_t length = limit == nullptr ? mq_receive(queue, text, size, &priority)
                                            : mq_timedreceive(queue, text, size, &priority, limit);
    if (length < 0) return std::to_string(errno);
    return std::to_string(priority) + " " + std::string(text, static_cast<std::size_t>(length));
}

std::string text_of_error(int number) { return std::to_string(number); }

// A child that receives, and ends with 0 if that gives what it should.
class Receiver : public Child {
public:
    Receiver(mqd_t queue, std::string wanted) : Child([=] { return receive(queue) == wanted ? 0 : 1; }) {
        CHECK(blocks());
    }
};

// A number of the kernel's, or what it should be where it does not tell.
long limit_of(const char* name, long otherwise) {
    const std::string text = text_of(std::string("/proc/sys/fs/mqueue/") + name);
    return text.empty() ? otherwise : std::stol(text);
}

}  // namespace

TEST_CASE("mq_open: names, flags, attributes, and every error") {
    const std::string name = g_prefix + "q";
    CHECK(fails(mq_open(name.c_str(), O_RDWR), ENOENT));
    CHECK(fails(mq_unlink(name.c_str()), ENOENT));
    CHECK(fails(create("/", 4, 16), ENOENT));
    CHECK(fails(create("heddle", 4, 16), EINVAL));
    CHECK(fails(create(name + "/x", 4, 16), EACCES));
    CHECK(fails(create("/" + std::string(256, 'n'), 4, 16), ENAMETOOLONG));
    CHECK(fails(mq_unlink(("/" + std::string(256, 'n')).c_str()), ENAMETOOLONG));
    CHECK(error(SYS_mq_open, 16, O_RDWR, 0, nullptr) == EFAULT);
    CHECK(error(SYS_mq_open, name.c_str() + 1, O_RDWR | O_CREAT, 0600, 16) == EFAULT);
    const struct {
        long most, length;
    } wrong[] = {{0, 16}, {-1, 16}, {4, 0}, {4, -1}, {65'537, 16}, {4, (16 << 20) + 1}};
    for (const auto& [most, length] : wrong) CHECK(refused(create(name, most, length), name, EINVAL));
    CHECK(fails(mq_open(name.c_str(), O_RDWR), ENOENT));
    {
        const Queue queue(3);
        const mq_attr made = queue.attributes();
        CHECK((made.mq_maxmsg == 3 && made.mq_msgsize == kLength && made.mq_curmsgs == 0 && made.mq_flags == 0));
        CHECK(fails(create(name, 3, 16), EEXIST));
        const mqd_t again = create(name, 5, 32, O_RDWR);  // which it has already
        mq_attr seen{};
        CHECK(again >= 0);
        CHECK(again != queue);
        CHECK(mq_getattr(again, &seen) == 0);
        CHECK((seen.mq_maxmsg == 3 && seen.mq_msgsize == kLength));
        CHECK(mq_close(again) == 0);
        CHECK(fails(mq_close(again), EBADF));
        CHECK(fcntl(queue, F_GETFD) == FD_CLOEXEC);
        const Queue reader(queue, O_RDONLY | O_NONBLOCK), writer(queue, O_WRONLY);
        CHECK(send(reader, "x") == EBADF);
        CHECK(receive(writer) == text_of_error(EBADF));
        CHECK(send(writer, "x") == 0);
        CHECK(receive(reader) == "0 x");
        CHECK(reader.attributes().mq_flags == O_NONBLOCK);
        CHECK(writer.attributes().mq_flags == 0);
    }
    const mqd_t plain = mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, nullptr);
    CHECK(plain >= 0);
    mq_attr usual{};
    CHECK(mq_getattr(plain, &usual) == 0);
    CHECK(usual.mq_maxmsg == limit_of("msg_default", 10));
    CHECK(usual.mq_msgsize == limit_of("msgsize_default", 8192));
    CHECK(mq_unlink(name.c_str()) == 0);
    CHECK(mq_close(plain) == 0);
    const Pipe pipe;
    CHECK(send(pipe.writer(), "x") == EBADF);
    CHECK(receive(pipe.reader()) == text_of_error(EBADF));
    CHECK(send(-1, "x") == EBADF);
    CHECK(fails(mq_getattr(pipe.reader(), &usual), EBADF));
    CHECK(fails(mq_setattr(pipe.reader(), &usual, nullptr), EBADF));
    CHECK(fails(mq_notify(pipe.reader(), nullptr), EBADF));
    CHECK(fails(mq_notify(-1, nullptr), EBADF));
}

TEST_CASE("who may open a queue, and how much an ordinary user may have") {
    const uid_t user = stranger();
    const mode_t before = umask(022);
    const Queue closed, readable(4, g_prefix + "r", 0666);
    umask(before);
    const auto open_it = [](const Queue& queue, int flags) { return errno_of(mq_open(queue.name(), flags)); };
    CHECK(exit_of_user(user, [&] {
              return first_wrong({open_it(closed, O_RDONLY) == EACCES, open_it(readable, O_RDONLY) == 0,
                                  open_it(readable, O_WRONLY) == EACCES, open_it(readable, O_RDWR) == EACCES,
                                  send(closed, "x") == 0,  // what is open is open
                                  mq_unlink(readable.name()) == -1,
                                  // The one of the man page, or that of a folder where each removes but his own.
                                  errno == EACCES || errno == EPERM});
          }) == 0);
    CHECK(open_it(readable, O_RDONLY) == 0);
    const std::string name = g_prefix + "u";
    CHECK(exit_of_user(user, [&] {
              const long most = limit_of("msg_max", 10), length = limit_of("msgsize_max", 8192);
              const int long_queue = errno_of(create(name, most + 1, 1)), wide = errno_of(create(name, 1, length + 1));
              const int made = errno_of(create(name, most, 1)), removed = errno_of(mq_unlink(name.c_str()));
              return first_wrong({long_queue == EINVAL, wide == EINVAL, made == 0, removed == 0});
          }) == 0);
    CHECK(exit_of_user(user, [&] {  // and one is everybody's
              const long most = limit_of("queues_max", 256);
              long made = 0;
              int result = 0;
              for (; made <= most; ++made) {
                  const mqd_t one = create(name + std::to_string(made), 1, 1);
                  result = errno_of(one);
                  if (one < 0 || mq_close(one) != 0) break;
              }
              for (long i = 0; i < made; ++i) mq_unlink((name + std::to_string(i)).c_str());
              return first_wrong({made > 0, result == ENOSPC});
          }) == 0);
}

TEST_CASE("a queue without a name stays for those who have it open") {
    const Queue queue(4, g_prefix + "q", 0600, O_RDWR | O_NONBLOCK);
    CHECK(send(queue, "old") == 0);
    CHECK(mq_unlink(queue.name()) == 0);
    CHECK(fails(mq_open(queue.name(), O_RDWR), ENOENT));
    const Queue second(4, queue.name(), 0600, O_RDWR | O_NONBLOCK);
    CHECK(second.count() == 0);
    CHECK(send(second, "new", 1) == 0);
    CHECK(queue.count() == 1);
    CHECK(exit_of_child([&] { return first_wrong({receive(queue) == "0 old", receive(second) == "1 new"}); }) == 0);
    // Messages wait for somebody to open it.
    CHECK(exit_of_child([&] {
              const mqd_t own = mq_open(queue.name(), O_WRONLY);
              return first_wrong({own >= 0, send(own, "kept") == 0, mq_close(own) == 0});
          }) == 0);
    CHECK(receive(Queue(second, O_RDONLY | O_NONBLOCK)) == "0 kept");
}

TEST_CASE("messages: the highest priority first, and of one priority the oldest; and their sizes") {
    const Queue queue(8, g_prefix + "q", 0600, O_RDWR | O_NONBLOCK);
    const struct {
        const char* text;
        unsigned priority;
    } sent[] = {{"a", 3}, {"b", 1}, {"c", 3}, {"d", 32'767}, {"e", 0}, {"f", 1}, {"g", 3}};
    for (const auto& [text, priority] : sent) CHECK(send(queue, text, priority) == 0);
    CHECK(queue.count() == 7);
    for (const char* const expected : {"32767 d", "3 a", "3 c"}) CHECK(receive(queue) == expected);
    CHECK(send(queue, "h", 2) == 0);
    for (const char* const expected : {"3 g", "2 h", "1 b", "1 f", "0 e"}) CHECK(receive(queue) == expected);
    CHECK(queue.count() == 0);
    CHECK(send(queue, "x", 32'768) == EINVAL);
    CHECK(send(queue, "0123456789abcdefg") == EMSGSIZE);
    CHECK(send(queue, "0123456789abcdef") == 0);
    CHECK(receive(queue, nullptr, kLength - 1) == text_of_error(EMSGSIZE));  // whatever the message is like
    CHECK(receive(queue) == "0 0123456789abcdef");
    CHECK(send(queue, "") == 0);
    CHECK(receive(queue, nullptr, 0) == text_of_error(EMSGSIZE));
    CHECK(receive(queue) == "0 ");
    CHECK(mq_send(queue, "x", 1, 5) == 0);
    char byte[kLength];
    CHECK(mq_receive(queue, byte, sizeof byte, nullptr) == 1);  // who does not ask is not told
    CHECK(error(SYS_mq_timedsend, static_cast<int>(queue), 16, 1, 0, nullptr) == EFAULT);
    CHECK(error(SYS_mq_timedsend, static_cast<int>(queue), byte, 1, 0, 16) == EFAULT);
    CHECK(queue.count() == 0);
}

TEST_CASE("waiting for messages and for room, also with a limit of time") {
    // One to wait with, in children, and one for what must be possible at once.
    const Queue queue(2, g_prefix + "q", 0600, O_RDWR | O_NONBLOCK), waits(queue, O_RDWR);
    const timespec past = from_now(CLOCK_REALTIME, -1), soon = from_now(CLOCK_REALTIME, 5);
    CHECK(receive(waits, &past) == text_of_error(ETIMEDOUT));
    CHECK(receive(waits, &soon) == text_of_error(ETIMEDOUT));
    CHECK(is_over(CLOCK_REALTIME, soon));
    const timespec wrong[] = {{0, -1}, {0, 1'000'000'000}, {-1, 0}};
    for (const timespec& time : wrong) CHECK(receive(waits, &time) == text_of_error(EINVAL));
    {
        Receiver first(waits, "2 a"), second(waits, "1 b");
        CHECK(send(queue, "a", 2) == 0);
        CHECK(first.result() == 0);
        CHECK(second.blocks());
        CHECK(send(queue, "b", 1) == 0);
        CHECK(second.result() == 0);
    }
    {
        Receiver killed(waits, ""), last(waits, "0 x");
        CHECK(killed.kill_with(SIGKILL));
        CHECK(killed.status() == SIGKILL);
        CHECK(send(queue, "x") == 0);
        CHECK(last.result() == 0);
    }
    CHECK(send(queue, "1", 1) == 0);
    CHECK(send(queue, "2", 1) == 0);
    const timespec later = from_now(CLOCK_REALTIME, 5);
    CHECK(send(waits, "x", 0, &past) == ETIMEDOUT);
    CHECK(send(waits, "x", 0, &later) == ETIMEDOUT);
    CHECK(is_over(CLOCK_REALTIME, later));
    for (const timespec& time : wrong) CHECK(send(waits, "x", 0, &time) == EINVAL);
    {
        Child first([&] { return send(waits, "3", 9); });
        CHECK(first.blocks());
        Child second([&] { return send(waits, "4", 9); });
        CHECK(second.blocks());
        CHECK(queue.count() == 2);
        CHECK(receive(queue) == "1 1");
        CHECK(first.result() == 0);  // its message is there, and the next
        CHECK(second.blocks());
        CHECK(receive(queue) == "9 3");
        CHECK(second.result() == 0);
        CHECK(receive(waits, &past) == "9 4");  // what is there needs no time
        CHECK(receive(queue) == "1 2");
        CHECK(send(waits, "5", 0, &past) == 0);
        CHECK(receive(queue) == "0 5");
    }
    CHECK(receive(queue) == text_of_error(EAGAIN));
    CHECK(receive(queue, &soon) == text_of_error(EAGAIN));
    CHECK((send(queue, "1") == 0 && send(queue, "2") == 0 && send(queue, "3") == EAGAIN));
    CHECK((receive(queue) == "0 1" && receive(queue) == "0 2"));

    const auto take = [&] { return receive(waits) == "0 e" ? 0 : errno; };
    CHECK(interrupt(0, false, take, [] {}) == EINTR);
    CHECK(interrupt(SA_RESTART, true, take, [&] { CHECK(send(queue, "e") == 0); }) == 0);
    CHECK(stop_and_continue(true, take, [&] { CHECK(send(queue, "e") == 0); }) == 0);
    CHECK((send(queue, "1") == 0 && send(queue, "2") == 0));
    const auto give = [&] { return send(waits, "3"); };
    CHECK(interrupt(0, false, give, [] {}) == EINTR);
    CHECK(interrupt(SA_RESTART, true, give, [&] { CHECK(receive(queue) == "0 1"); }) == 0);
    CHECK((receive(queue) == "0 2" && receive(queue) == "0 3"));
}

namespace {

sigevent event_of(int how, int signo = SIGUSR1, int value = 0) {
    sigevent event{};
    event.sigev_notify = how;
    event.sigev_signo = signo;
    event.sigev_value.sival_int = value;
    return event;
}

int ask(mqd_t queue, int how = SIGEV_SIGNAL, int signo = SIGUSR1, int value = 0) {
    const sigevent event = event_of(how, signo, value);
    return errno_of(mq_notify(queue, &event));
}

// What another process gets if it asks to be told, and does not mean it.
int ask_elsewhere(mqd_t queue) {
    return exit_of_child([&] { return ask(queue, SIGEV_NONE); });
}

}  // namespace

TEST_CASE("mq_notify: one process is told once that a queue has become not empty") {
    const Queue queue(4, g_prefix + "q", 0600, O_RDWR | O_NONBLOCK), waits(queue, O_RDONLY);
    siginfo_t info{};
    mask(SIG_BLOCK, {SIGUSR1, SIGUSR2});
    CHECK(ask(queue, 77) == EINVAL);
    CHECK(ask(queue, SIGEV_SIGNAL, 65) == EINVAL);
    CHECK(ask(queue, SIGEV_SIGNAL, -1) == EINVAL);
    CHECK(error(SYS_mq_notify, static_cast<int>(queue), 16) == EFAULT);
    CHECK(mq_notify(queue, nullptr) == 0);  // nothing to take back
    CHECK(ask(queue, SIGEV_SIGNAL, SIGUSR1, 42) == 0);
    CHECK(ask(queue) == EBUSY);
    CHECK(ask_elsewhere(queue) == EBUSY);
    CHECK_FALSE(is_pending(SIGUSR1));
    Child child([&] { return send(queue, "first"); });
    const pid_t sender = child.pid();
    CHECK(child.result() == 0);
    REQUIRE(is_pending(SIGUSR1));
    CHECK(take(SIGUSR1, &info) == SIGUSR1);
    CHECK(info.si_code == SI_MESGQ);
    CHECK(info.si_value.sival_int == 42);
    CHECK(info.si_pid == sender);
    CHECK(info.si_uid == getuid());
    CHECK(receive(queue) == "0 first");
    CHECK(send(queue, "second") == 0);  // it was told
    CHECK_FALSE(is_pending(SIGUSR1));
    // Only the first of the messages tells, and not those that were there before.
    CHECK(ask(queue, SIGEV_SIGNAL, SIGUSR2, 43) == 0);
    CHECK(send(queue, "third") == 0);
    CHECK_FALSE(is_pending(SIGUSR2));
    CHECK((receive(queue) == "0 second" && receive(queue) == "0 third"));
    CHECK_FALSE(is_pending(SIGUSR2));
    CHECK(ask_elsewhere(queue) == EBUSY);
    CHECK(send(queue, "fourth") == 0);
    REQUIRE(is_pending(SIGUSR2));
    CHECK(take(SIGUSR2, &info) == SIGUSR2);
    CHECK((info.si_value.sival_int == 43 && info.si_pid == getpid()));
    CHECK(receive(queue) == "0 fourth");
    // Who waits is served first, and nobody is told.
    CHECK(ask(queue) == 0);
    {
        Receiver receiver(waits, "0 fifth");
        CHECK(send(queue, "fifth") == 0);
        CHECK(receiver.result() == 0);
    }
    CHECK_FALSE(is_pending(SIGUSR1));
    CHECK(ask_elsewhere(queue) == EBUSY);
    CHECK(mq_notify(queue, nullptr) == 0);
    CHECK(send(queue, "sixth") == 0);
    CHECK_FALSE(is_pending(SIGUSR1));
    CHECK(receive(queue) == "0 sixth");
    // SIGEV_NONE has the place and does nothing with it.
    CHECK(ask(queue, SIGEV_NONE) == 0);
    CHECK(ask_elsewhere(queue) == EBUSY);
    CHECK(send(queue, "seventh") == 0);
    CHECK(ask_elsewhere(queue) == 0);
    // One that is handled, by who does nothing else.
    CHECK(receive(queue) == "0 seventh");
    handle(SIGUSR1);
    CHECK(ask(queue, SIGEV_SIGNAL, SIGUSR1, 44) == 0);
    mask(SIG_UNBLOCK, {SIGUSR1});
    CHECK(send(queue, "eighth") == 0);
    CHECK((g_count == 1 && g_info.si_code == SI_MESGQ && g_info.si_value.sival_int == 44));
    dispose(SIGUSR1, SIG_DFL);
    mask(SIG_UNBLOCK, {SIGUSR2});
}

TEST_CASE("mq_notify: a request is a process's, and ends with its descriptor") {
    const Queue queue(4, g_prefix + "q", 0600, O_RDWR | O_NONBLOCK);
    mask(SIG_BLOCK, {SIGUSR1});
    {
        const Queue second(queue, O_RDWR);
        CHECK(ask(second) == 0);
        CHECK(exit_of_child([&] {  // inherits no request that it could take back, by closing or by ending
                  const bool nothing = mq_notify(second, nullptr) == 0;
                  return first_wrong({nothing, mq_close(second) == 0, ask(queue) == EBUSY});
              }) == 0);
        CHECK(ask_elsewhere(queue) == EBUSY);
    }
    CHECK(ask_elsewhere(queue) == 0);
    CHECK(send(queue, "x") == 0);
    CHECK_FALSE(is_pending(SIGUSR1));
    CHECK(receive(queue) == "0 x");
    Pipe go, said;
    for (const bool executes : {false, true}) {
        CAPTURE(executes);
        Child child([&] {
            const Role role("hold", {said.writer(), go.reader()});
            if (ask(queue) != 0) return 1;
            if (executes) return role.take();
            return write_byte(said.writer(), 'r') ? pause() : 2;
        });
        CHECK(hear(said, child) == 'r');
        CHECK(ask_elsewhere(queue) == (executes ? 0 : EBUSY));
        if (executes) {
            CHECK(write_byte(go.writer(), 'e'));
            CHECK(child.result() == 0);
        } else {
            CHECK(child.kill_with(SIGKILL));
            CHECK(child.status() == SIGKILL);
        }
        CHECK(ask_elsewhere(queue) == 0);
    }
    // All threads are the same process.
    Worker worker;
    CHECK(worker.run([&] { return ask(queue); }) == 0);
    CHECK(ask(queue) == EBUSY);
    CHECK(mq_notify(queue, nullptr) == 0);
    CHECK(ask_elsewhere(queue) == 0);
    mask(SIG_UNBLOCK, {SIGUSR1});
}

TEST_CASE("mq_setattr: only whether to wait can be set, of all that share an opened queue") {
    const Queue queue, other(queue, O_RDWR);
    mq_attr changed{}, old{};
    changed.mq_flags = O_NONBLOCK;
    changed.mq_maxmsg = 8;
    changed.mq_msgsize = 100;
    changed.mq_curmsgs = 3;
    CHECK(mq_setattr(queue, &changed, &old) == 0);
    CHECK((old.mq_flags == 0 && old.mq_maxmsg == 4 && old.mq_msgsize == kLength && old.mq_curmsgs == 0));
    const mq_attr now = queue.attributes();
    CHECK((now.mq_flags == O_NONBLOCK && now.mq_maxmsg == 4 && now.mq_msgsize == kLength && now.mq_curmsgs == 0));
    CHECK((fcntl(queue, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == (O_RDWR | O_NONBLOCK));
    CHECK(other.attributes().mq_flags == 0);
    changed.mq_flags = O_NONBLOCK | O_APPEND;
    CHECK(fails(mq_setattr(queue, &changed, nullptr), EINVAL));
    const Opened copy(dup(queue));
    CHECK(receive(copy) == text_of_error(EAGAIN));
    CHECK(exit_of_child([&] { return queue.set_nonblocking(false); }) == 0);
    CHECK(queue.attributes().mq_flags == 0);
    CHECK(fcntl(copy, F_SETFL, O_NONBLOCK) == 0);
    CHECK(queue.attributes().mq_flags == O_NONBLOCK);
    CHECK(error(SYS_mq_getsetattr, static_cast<int>(queue), nullptr, nullptr) == 0);
    CHECK(error(SYS_mq_getsetattr, static_cast<int>(queue), 16, nullptr) == EFAULT);
}

TEST_CASE("queues can be polled, whatever they were opened for") {
    const Queue queue(2, g_prefix + "q", 0600, O_RDWR | O_NONBLOCK), reader(queue, O_RDONLY), writer(queue, O_WRONLY);
    const Opened group(epoll_create1(0));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = 7;
    CHECK(epoll_ctl(group, EPOLL_CTL_ADD, reader, &event) == 0);
    const auto state = [&](mqd_t which) {
        pollfd polled{which, POLLIN | POLLOUT, 0};
        return poll(&polled, 1, 0) >= 0 ? int{polled.revents} : -1;
    };
    const auto ready = [&] { return epoll_wait(group, &event, 1, 0); };
    for (const mqd_t which : {mqd_t{queue}, mqd_t{reader}, mqd_t{writer}}) CHECK(state(which) == POLLOUT);
    CHECK(ready() == 0);
    CHECK(send(queue, "1") == 0);
    for (const mqd_t which : {mqd_t{queue}, mqd_t{reader}}) CHECK(state(which) == (POLLIN | POLLOUT));
    CHECK(ready() == 1);
    CHECK(event.data.u64 == 7);
    CHECK(send(queue, "2") == 0);
    CHECK(state(queue) == POLLIN);
    const auto wait_for = [&](short events) {
        return [&, events] {
            pollfd polled{queue, events, 0};
            return poll(&polled, 1, -1) == 1 && polled.revents == events ? 0 : 1;
        };
    };
    {
        Child room(wait_for(POLLOUT));
        CHECK(room.blocks());
        CHECK(receive(queue) == "0 1");
        CHECK(room.result() == 0);
    }
    CHECK(receive(queue) == "0 2");
    CHECK(ready() == 0);
    Child message([&] { return wait_for(POLLIN | POLLOUT)() == 1 && wait_for(POLLIN)() == 0 ? 0 : 1; });
    Child events([&] {
        epoll_event seen{};
        return epoll_wait(group, &seen, 1, -1) == 1 && seen.events == EPOLLIN && seen.data.u64 == 7 ? 0 : 1;
    });
    CHECK((message.blocks() && events.blocks()));
    CHECK(send(queue, "x") == 0);
    CHECK(message.result() == 0);
    CHECK(events.result() == 0);
    CHECK(receive(queue) == "0 x");
}

TEST_CASE("a queue's descriptor reads as a line about it") {
    const Queue queue;
    const auto line = [&] {
        char text[128] = {};
        const ssize_t length = pread(queue, text, sizeof text, 0);
        return length < 0 ? text_of_error(errno) : std::string(text, static_cast<std::size_t>(length));
    };
    if (line() == text_of_error(EBADF)) return;  // a C library's own queues
    CHECK(line() == "QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
    CHECK(send(queue, "abc") == 0);
    CHECK(send(queue, "de") == 0);
    CHECK(line() == "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
    char byte = 0;
    CHECK(read(queue, &byte, 1) == 1);
    CHECK(byte == 'Q');
    CHECK(read(queue, &byte, 1) == 1);
    CHECK(byte == 'S');
    CHECK((write(queue, "x", 1) == -1 && errno == EINVAL));
    CHECK(receive(queue) == "0 abc");
    CHECK(receive(queue) == "0 de");
}
