// SPDX-License-Identifier: MIT
// System V message queues: which message a receiver gets, who waits when a queue is full or has nothing of the right
// type, what is known of a queue, and who may use it.
#include <sys/msg.h>

#include "tests/guest/ipc.hpp"

using namespace guest;

namespace {

struct Message {
    long type;
    char text[200];
};

int send(int id, long type, const std::string& text, int flags = 0) {
    Message message{type, {}};
    std::memcpy(message.text, text.data(), text.size());
    return errno_of(msgsnd(id, &message, text.size(), flags));
}

// What msgrcv() says as "TYPE TEXT", or the number of its error.
std::string receive(int id, long type = 0, int flags = IPC_NOWAIT, std::size_t size = sizeof Message::text) {
    Message message{};
    const ssize_t length = msgrcv(id, &message, size, type, flags);
    if (length < 0) return std::to_string(errno);
    return std::to_string(message.type) + " " + std::string(message.text, static_cast<std::size_t>(length));
}

std::string text_of_error(int number) { return std::to_string(number); }

int status_of_queue(int id, msqid_ds* status) { return errno_of(msgctl(id, IPC_STAT, status)); }

msqid_ds* info_of(void* structure) { return static_cast<msqid_ds*>(structure); }  // what msgctl wants it to be

// A queue that is removed with the object.
class Queue {
public:
    explicit Queue(int mode = 0600, key_t key = IPC_PRIVATE) : id_(msgget(key, mode | IPC_CREAT | IPC_EXCL)) {
        REQUIRE(id_ >= 0);
    }
    ~Queue() { msgctl(id_, IPC_RMID, nullptr); }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;
    operator int() const { return id_; }
    msqid_ds status() const {
        msqid_ds status{};
        CHECK(status_of_queue(id_, &status) == 0);
        return status;
    }
    int set_limit(std::size_t bytes) const {
        msqid_ds changed = status();
        changed.msg_qbytes = bytes;
        return errno_of(msgctl(id_, IPC_SET, &changed));
    }
    // How many messages it has, and how many bytes they are.
    std::pair<std::size_t, std::size_t> load() const {
        const msqid_ds now = status();
        return {now.msg_qnum, now.__msg_cbytes};
    }

private:
    const int id_;
};

using Load = std::pair<std::size_t, std::size_t>;

// A child that receives, and ends with 0 if that gives what it should.
class Receiver : public Child {
public:
    Receiver(int id, long type, std::string wanted, int flags = 0, std::size_t size = sizeof Message::text)
        : Child([=] { return receive(id, type, flags, size) == wanted ? 0 : 1; }) {
        CHECK(blocks());
    }
};

}  // namespace

TEST_CASE("message queues are made, found by their keys, and removed; every error") {
    const key_t key = key_of(0);
    msginfo limits{};
    REQUIRE(msgctl(0, IPC_INFO, info_of(&limits)) >= 0);
    CHECK(fails(msgget(key, 0600), ENOENT));
    int old = -1;
    {
        const Queue queue(0640, key), unnamed, other;
        old = queue;
        CHECK(msgget(key, 0600) == queue);
        CHECK(msgget(key, IPC_CREAT | 0600) == queue);
        CHECK(msgget(key, 0) == queue);
        CHECK(fails(msgget(key, IPC_CREAT | IPC_EXCL | 0600), EEXIST));
        CHECK(unnamed != other);
        const int plain = msgget(IPC_PRIVATE, 0600);
        CHECK(plain >= 0);
        CHECK(msgctl(plain, IPC_RMID, nullptr) == 0);
        CHECK(is_gone(msgctl(plain, IPC_RMID, nullptr)));
    }
    CHECK(fails(msgget(key, 0600), ENOENT));
    const Queue again(0600, key);
    CHECK(again != old);
    msqid_ds status{};
    CHECK(is_gone(msgctl(old, IPC_STAT, &status)));
    for (const int gone : {send(old, 1, "x", IPC_NOWAIT), std::stoi(receive(old))}) {
        CHECK((gone == EINVAL || gone == EIDRM));
    }
    Message message{1, {}};
    CHECK(send(again, 0, "x") == EINVAL);
    CHECK(send(again, -1, "x") == EINVAL);
    CHECK(send(-1, 1, "x") == EINVAL);
    CHECK(receive(-1) == text_of_error(EINVAL));
    CHECK(fails(msgsnd(again, &message, static_cast<std::size_t>(limits.msgmax) + 1, 0), EINVAL));
    CHECK(fails(msgsnd(again, &message, static_cast<std::size_t>(-1), 0), EINVAL));
    CHECK(fails(msgrcv(again, &message, static_cast<std::size_t>(-1), 0, IPC_NOWAIT), EINVAL));
    CHECK(error(SYS_msgsnd, static_cast<int>(again), 16, 1, 0) == EFAULT);
    const Mapping edge(2 * kPageSize);
    REQUIRE(mprotect(edge.data() + kPageSize, kPageSize, PROT_NONE) == 0);
    char* const last = edge.data() + kPageSize - sizeof(long);
    std::memcpy(last, &message.type, sizeof(long));
    CHECK(error(SYS_msgsnd, static_cast<int>(again), last, 0, 0) == 0);
    CHECK(error(SYS_msgsnd, static_cast<int>(again), last, 1, 0) == EFAULT);
    CHECK(again.load() == Load{1, 0});
    CHECK(receive(again) == "1 ");
    CHECK(fails(msgctl(-1, IPC_STAT, &status), EINVAL));
    CHECK(fails(msgctl(again, 77, &status), EINVAL));
    for (const int command : {IPC_STAT, IPC_SET}) CHECK(fails(msgctl(again, command, info_of(nullptr) + 1), EFAULT));
}

TEST_CASE("which message is received") {
    const Queue queue;
    const auto fill = [&] {
        char name = 'a';
        for (const long type : {5, 3, 4, 3, 1, 5, 1}) CHECK(send(queue, type, std::string(1, name++)) == 0);
    };
    const auto all = [&](long type, int flags = 0) {
        std::string texts, one;
        while ((one = receive(queue, type, IPC_NOWAIT | flags)).find(' ') != one.npos) {
            texts += one.substr(one.find(' ') + 1);
        }
        CHECK(one == text_of_error(ENOMSG));
        return texts;
    };
    fill();
    CHECK(receive(queue) == "5 a");  // the first
    CHECK(receive(queue, 3) == "3 b");
    CHECK(receive(queue, 3) == "3 d");
    CHECK(receive(queue, 3) == text_of_error(ENOMSG));
    CHECK(receive(queue, 2) == text_of_error(ENOMSG));
    CHECK(receive(queue, -4) == "1 e");  // the first of the lowest type
    CHECK(receive(queue, -4) == "1 g");
    CHECK(receive(queue, -4) == "4 c");
    CHECK(receive(queue, -4) == text_of_error(ENOMSG));
    CHECK(receive(queue, 5) == "5 f");
    CHECK(receive(queue) == text_of_error(ENOMSG));
    fill();
    CHECK(all(5, MSG_EXCEPT) == "bcdeg");  // the first of any other
    CHECK(all(5) == "af");
    fill();
    CHECK(all(-3) == "egbd");
    CHECK(all(LONG_MIN) == "caf");
    fill();
    CHECK(all(LONG_MAX) == "");
    CHECK(all(LONG_MAX, MSG_EXCEPT) == "abcdefg");
    CHECK(send(queue, LONG_MAX, "most") == 0);
    CHECK(receive(queue, LONG_MAX) == std::to_string(LONG_MAX) + " most");

    CHECK(send(queue, 1, "too long") == 0);
    CHECK(send(queue, 2, "short") == 0);
    CHECK(receive(queue, 0, IPC_NOWAIT, 7) == text_of_error(E2BIG));
    CHECK(receive(queue, 2, IPC_NOWAIT, 5) == "2 short");
    CHECK(receive(queue, 0, IPC_NOWAIT, 0) == text_of_error(E2BIG));
    CHECK(queue.load() == Load{1, 8});  // it is still there
    CHECK(receive(queue, 0, IPC_NOWAIT | MSG_NOERROR, 7) == "1 too lon");
    CHECK(queue.load() == Load{0, 0});  // and the rest is lost
    CHECK(send(queue, 6, "") == 0);
    CHECK(receive(queue, 0, IPC_NOWAIT, 0) == "6 ");

    // Long ones, too.
    msginfo limits{};
    REQUIRE(msgctl(0, IPC_INFO, info_of(&limits)) >= 0);
    const auto most = static_cast<std::size_t>(limits.msgmax);
    std::vector<char> out(sizeof(long) + most), in(sizeof(long) + most);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(i / 256 + i);
    out[7] = 0;  // a type is positive
    CHECK(msgsnd(queue, out.data(), most, 0) == 0);
    CHECK(msgrcv(queue, in.data(), most, 0, 0) == static_cast<ssize_t>(most));
    CHECK(out == in);
}

TEST_CASE("receivers that wait get what they wait for, the first of them first") {
    const Queue queue;
    {
        Receiver two(queue, 2, "2 b"), low(queue, -3, "3 c"), any(queue, 0, "4 d"), other(queue, 4, "1 a", MSG_EXCEPT);
        CHECK(send(queue, 2, "b") == 0);
        CHECK(queue.load() == Load{0, 0});  // it has gone straight to the one that waits
        CHECK(queue.status().msg_lspid == getpid());
        CHECK(queue.status().msg_lrpid == two.pid());
        CHECK(two.result() == 0);
        CHECK(send(queue, 3, "c") == 0);
        CHECK(low.result() == 0);
        CHECK(send(queue, 4, "d") == 0);
        CHECK(any.result() == 0);
        CHECK(send(queue, 4, "e") == 0);  // not for the last one
        CHECK(other.blocks());
        CHECK(queue.load() == Load{1, 1});
        CHECK(send(queue, 1, "a") == 0);
        CHECK(other.result() == 0);
        CHECK(receive(queue) == "4 e");
    }
    {
        std::deque<Child> equal;
        for (int i = 0; i < 3; ++i) {
            equal.emplace_back([&] { return receive(queue, 0, 0) == "1 x" ? 0 : 1; });
            CHECK(equal.back().blocks());
        }
        while (!equal.empty()) {
            CHECK(send(queue, 1, "x") == 0);
            REQUIRE(first_ended(equal) == 0);
            CHECK(equal.front().result() == 0);
            equal.pop_front();
        }
    }
    {  // Who has no room for it must not keep it from others.
        Receiver small(queue, 0, text_of_error(E2BIG), 0, 3), next(queue, 0, "1 long");
        CHECK(send(queue, 1, "long") == 0);
        CHECK(small.result() == 0);
        CHECK(next.result() == 0);
        Receiver alone(queue, 0, text_of_error(E2BIG), 0, 3);
        CHECK(send(queue, 1, "long") == 0);
        CHECK(alone.result() == 0);
        CHECK(receive(queue) == "1 long");
        Receiver content(queue, 0, "1 lon", MSG_NOERROR, 3);
        CHECK(send(queue, 1, "long") == 0);
        CHECK(content.result() == 0);
        CHECK(queue.load() == Load{0, 0});
    }
    {  // One that is killed takes nothing with it.
        Receiver killed(queue, 0, ""), last(queue, 0, "1 x");
        CHECK(killed.kill_with(SIGKILL));
        CHECK(killed.status() == SIGKILL);
        CHECK(send(queue, 1, "x") == 0);
        CHECK(last.result() == 0);
    }
    const auto call = [&] { return receive(queue, 0, 0) == "1 s" ? 0 : errno; };
    CHECK(interrupt(0, false, call, [] {}) == EINTR);
    CHECK(interrupt(SA_RESTART, false, call, [] {}) == EINTR);
    CHECK(stop_and_continue(true, call, [&] { CHECK(send(queue, 1, "s") == 0); }) == 0);
    Receiver first(queue, 0, text_of_error(EIDRM)), second(queue, 9, text_of_error(EIDRM));
    CHECK(queue.set_limit(100) == 0);  // which wakes them, but they go on
    CHECK((first.blocks() && second.blocks()));
    CHECK(msgctl(queue, IPC_RMID, nullptr) == 0);
    CHECK(first.result() == 0);
    CHECK(second.result() == 0);
}

TEST_CASE("senders wait for a queue that is full") {
    const Queue queue;
    REQUIRE(queue.set_limit(10) == 0);
    CHECK(queue.status().msg_qbytes == 10);
    const auto sender = [&](std::string text) { return [&, text] { return send(queue, 1, text); }; };
    CHECK(send(queue, 1, "123456", IPC_NOWAIT) == 0);
    CHECK(send(queue, 2, "7890", IPC_NOWAIT) == 0);
    CHECK(send(queue, 1, "x", IPC_NOWAIT) == EAGAIN);
    CHECK(send(queue, 1, "", IPC_NOWAIT) == 0);  // there is always room for nothing,
    CHECK(receive(queue, 1) == "1 123456");
    CHECK(receive(queue, 1) == "1 ");
    for (int i = 1; i < 10; ++i) CHECK(send(queue, 1, "", IPC_NOWAIT) == 0);
    CHECK(send(queue, 1, "", IPC_NOWAIT) == EAGAIN);  // but not for more messages than bytes
    CHECK(send(queue, 1, "1", IPC_NOWAIT) == EAGAIN);
    for (int i = 1; i < 10; ++i) CHECK(receive(queue, 1) == "1 ");
    CHECK(send(queue, 3, "123456", IPC_NOWAIT) == 0);
    CHECK(send(queue, 1, "12345678901", IPC_NOWAIT) == EAGAIN);  // though it would never fit
    {
        Child big(sender("12345678"));
        CHECK(big.blocks());
        Child small(sender("abc"));
        CHECK(small.blocks());
        CHECK(queue.load() == Load{2, 10});
        CHECK(receive(queue, 2) == "2 7890");
        CHECK(small.result() == 0);  // it fits where the other one does not
        CHECK(big.blocks());
        CHECK(receive(queue) == "3 123456");
        CHECK(big.blocks());
        CHECK(receive(queue) == "1 abc");
        CHECK(big.result() == 0);
        CHECK(queue.status().msg_lspid == big.pid());
        CHECK(queue.load() == Load{1, 8});
    }
    {
        Child waits(sender("12345678901234567890"));  // more room comes another way, too
        CHECK(waits.blocks());
        CHECK(queue.set_limit(27) == 0);
        CHECK(waits.blocks());
        CHECK(queue.set_limit(28) == 0);
        CHECK(waits.result() == 0);
        CHECK(queue.load() == Load{2, 28});
    }
    CHECK(queue.set_limit(1) == 0);  // what is there stays
    CHECK(queue.load() == Load{2, 28});
    CHECK(interrupt(0, false, sender("x"), [] {}) == EINTR);
    CHECK(interrupt(SA_RESTART, false, sender("x"), [] {}) == EINTR);
    const auto make_room = [&] {
        CHECK(receive(queue) == "1 12345678");
        CHECK(receive(queue) == "1 12345678901234567890");
    };
    CHECK(stop_and_continue(true, sender("s"), make_room) == 0);
    CHECK(queue.load() == Load{1, 1});
    {
        Child killed(sender("k"));
        CHECK(killed.blocks());
        CHECK(killed.kill_with(SIGKILL));
        CHECK(killed.status() == SIGKILL);
        CHECK(receive(queue) == "1 s");
        CHECK(receive(queue) == text_of_error(ENOMSG));
        CHECK(send(queue, 1, "r") == 0);
    }
    Child first(sender("x")), second(sender("yyy"));
    CHECK((first.blocks() && second.blocks()));
    CHECK(msgctl(queue, IPC_RMID, nullptr) == 0);
    CHECK(first.result() == EIDRM);
    CHECK(second.result() == EIDRM);
}

TEST_CASE("msg_qbytes: how much it is, and who may have more") {
    const Queue queue;
    msginfo limits{};
    REQUIRE(msgctl(0, IPC_INFO, info_of(&limits)) >= 0);
    CHECK(queue.status().msg_qbytes == static_cast<std::size_t>(limits.msgmnb));
    CHECK(exit_of_user(stranger(), [&] {
              const int id = msgget(IPC_PRIVATE, 0600);
              msqid_ds changed{};
              const bool known = status_of_queue(id, &changed) == 0;
              const auto set = [&](std::size_t bytes) {
                  changed.msg_qbytes = bytes;
                  return errno_of(msgctl(id, IPC_SET, &changed));
              };
              const auto most = static_cast<std::size_t>(limits.msgmnb);
              return first_wrong({known, set(most + 1) == EPERM, set(most - 1) == 0, set(most) == 0,
                                  msgctl(id, IPC_RMID, nullptr) == 0});
          }) == 0);
}

TEST_CASE("many messages between processes arrive once, and in order") {
    const Queue queue;
    REQUIRE(queue.set_limit(100) == 0);  // it is full often
    constexpr int kSenders = 3, kMessages = 100;
    struct Item {
        long type;
        int number;
    };
    std::deque<Child> children;
    for (int who = 1; who <= kSenders; ++who) {
        children.emplace_back([&, who] {  // of one sender each, in order
            for (int i = 0; i < kMessages; ++i) {
                Item item{};
                if (msgrcv(queue, &item, sizeof item.number, who, 0) != sizeof item.number) return 1;
                if (item.type != who || item.number != i) return 2;
            }
            return 0;
        });
        children.emplace_back([&, who] {
            for (int i = 0; i < kMessages; ++i) {
                const Item item{who, i};
                if (msgsnd(queue, &item, sizeof item.number, 0) != 0) return 1;
            }
            return 0;
        });
    }
    CHECK(all_succeed(children));
    CHECK(queue.load() == Load{0, 0});
    // Everybody's messages to everybody: each comes to one of them.
    children.clear();
    const Shared<std::atomic<int>[kMessages]> counts;
    for (int who = 0; who < kSenders; ++who) {
        children.emplace_back([&] {
            for (Item item{}; msgrcv(queue, &item, sizeof item.number, 0, 0) == sizeof item.number;) {
                if (item.number < 0) return 0;
                ++(*counts)[item.number];
            }
            return 1;
        });
        children.emplace_back([&, who] {
            for (int i = who; i < kMessages; i += kSenders) {
                const Item item{1 + i % 2, i};
                if (msgsnd(queue, &item, sizeof item.number, 0) != 0) return 1;
            }
            const Item end{1, -1};  // for one of the receivers: before the last of them is everything else
            return errno_of(msgsnd(queue, &end, sizeof end.number, 0));
        });
    }
    CHECK(all_succeed(children));
    CHECK(std::all_of(*counts, *counts + kMessages, [](const auto& count) { return count == 1; }));
}

TEST_CASE("msgctl: what is known of a queue, and of all of them") {
    const Since since;
    const Queue queue(0640, key_of(0));
    const msqid_ds fresh = queue.status();
    CHECK((fresh.msg_qnum == 0 && fresh.__msg_cbytes == 0));
    CHECK((fresh.msg_lspid == 0 && fresh.msg_lrpid == 0));
    CHECK((fresh.msg_stime == 0 && fresh.msg_rtime == 0));
    CHECK(since.covers(fresh.msg_ctime));
    CHECK(fresh.msg_perm.__key == key_of(0));
    CHECK((fresh.msg_perm.mode & 0777) == 0640);
    CHECK((fresh.msg_perm.uid == geteuid() && fresh.msg_perm.cuid == geteuid()));
    CHECK((fresh.msg_perm.gid == getegid() && fresh.msg_perm.cgid == getegid()));
    Child child([&] { return send(queue, 1, "hello"); });
    const pid_t sender = child.pid();
    CHECK(child.result() == 0);
    const msqid_ds sent = queue.status();
    CHECK((sent.msg_qnum == 1 && sent.__msg_cbytes == 5));
    CHECK((sent.msg_lspid == sender && sent.msg_lrpid == 0));
    CHECK((since.covers(sent.msg_stime) && sent.msg_rtime == 0));
    CHECK(receive(queue) == "1 hello");
    CHECK((queue.status().msg_lspid == sender && queue.status().msg_lrpid == getpid()));
    CHECK(since.covers(queue.status().msg_rtime));

    msqid_ds changed = fresh;
    changed.msg_perm.uid = 12;
    changed.msg_perm.gid = 13;
    changed.msg_perm.cuid = 14;
    changed.msg_perm.mode = 07604;
    changed.msg_qbytes = 77;
    changed.msg_qnum = 7;
    CHECK(msgctl(queue, IPC_SET, &changed) == 0);
    const msqid_ds now = queue.status();
    CHECK((now.msg_perm.uid == 12 && now.msg_perm.gid == 13 && now.msg_perm.cuid == geteuid()));
    CHECK((now.msg_perm.mode & 0777) == 0604);
    CHECK((now.msg_qbytes == 77 && now.msg_qnum == 0));
    CHECK(since.covers(now.msg_ctime));

    const Queue second(0600);
    CHECK(send(queue, 1, "12345") == 0);
    CHECK(send(second, 1, "123") == 0);
    CHECK(send(second, 1, "1234") == 0);
    msginfo limits{}, used{};
    const int highest = msgctl(0, IPC_INFO, info_of(&limits));
    CHECK(msgctl(0, MSG_INFO, info_of(&used)) == highest);
    CHECK((used.msgpool >= 2 && used.msgmap >= 3 && used.msgtql >= 12));  // queues, messages, bytes
    CHECK((limits.msgmni >= 2 && limits.msgmax >= 200 && limits.msgmnb >= 200));
    int found = 0, index = -1;
    for (int i = 0; i <= highest; ++i) {
        msqid_ds status{};
        const int id = msgctl(i, MSG_STAT, &status);
        if (id == queue) found += status.msg_qnum == 1 && status.__msg_cbytes == 5;
        if (id == second) found += status.msg_qnum == 2 && status.__msg_cbytes == 7, index = i;
    }
    CHECK(found == 2);
    CHECK(fails(msgctl(highest + 1, MSG_STAT, &changed), EINVAL));
    CHECK(exit_of_user(stranger(), [&] {
              msqid_ds status{};
              return first_wrong({fails(msgctl(index, MSG_STAT, &status), EACCES),
                                  msgctl(index, MSG_STAT_ANY, &status) == second, status.msg_qnum == 2});
          }) == 0);
}

TEST_CASE("who may use a queue") {
    const uid_t user = stranger();
    const Queue closed(0600, key_of(0)), readable(0604), writable(0602), grouped(0660), given;
    msqid_ds status = grouped.status();
    status.msg_perm.gid = user + 1;
    CHECK(msgctl(grouped, IPC_SET, &status) == 0);
    status.msg_perm.uid = user;
    status.msg_perm.mode = 0006;
    CHECK(msgctl(given, IPC_SET, &status) == 0);
    const auto set_it = [&](int id) { return errno_of(msgctl(id, IPC_SET, &status)); };
    const auto remove_it = [](int id) { return errno_of(msgctl(id, IPC_RMID, nullptr)); };
    const auto send_it = [](int id) { return send(id, 1, "x", IPC_NOWAIT); };
    const auto take_it = [](int id) {
        const std::string result = receive(id);
        return result == "1 x" ? 0 : std::stoi(result);
    };
    CHECK(send_it(readable) == 0);
    CHECK(exit_of_user(user, [&] {
              msqid_ds seen{};
              return first_wrong(
                  {fails(msgget(key_of(0), 0600), EACCES), msgget(key_of(0), 0) == closed, send_it(closed) == EACCES,
                   take_it(closed) == EACCES, status_of_queue(closed, &seen) == EACCES, set_it(closed) == EPERM,
                   remove_it(closed) == EPERM,  //
                   send_it(readable) == EACCES, take_it(readable) == 0, status_of_queue(readable, &seen) == 0,
                   remove_it(readable) == EPERM, send_it(writable) == 0, take_it(writable) == EACCES,
                   status_of_queue(writable, &seen) == EACCES, send_it(grouped) == EACCES});
          }) == 0);
    const auto in_group = [&] {
        return first_wrong({send_it(grouped) == 0, take_it(grouped) == 0, set_it(grouped) == EPERM});
    };
    CHECK(exit_of_user(user, in_group, {user + 1}) == 0);
    CHECK(exit_of_user(user, [&] {  // the owner has the owner's rights, not everybody's; but may change them
              const bool none = send_it(given) == EACCES && take_it(given) == EACCES;
              status.msg_perm.mode = 0600;
              return first_wrong({none, set_it(given) == 0, send_it(given) == 0, take_it(given) == 0,
                                  remove_it(given) == 0, remove_it(given) != 0});
          }) == 0);
    CHECK(exit_of_user(user, [&] {  // whoever made it keeps what an owner has
              const int id = msgget(IPC_PRIVATE, 0600);
              status.msg_perm.uid = user + 1;
              status.msg_perm.mode = 0600;
              return first_wrong({id >= 0, set_it(id) == 0, send_it(id) == 0, take_it(id) == 0, remove_it(id) == 0});
          }) == 0);
}
