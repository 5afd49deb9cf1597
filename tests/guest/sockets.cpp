// SPDX-License-Identifier: MIT
// Sockets (socket(7), unix(7), tcp(7), udp(7)) on one machine: streams, datagrams and packets, names, what is passed along, ends.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "tests/guest/parallel.hpp"

using namespace guest;

namespace {

// Closed in the end.
class Socket {
public:
    explicit Socket(int fd) : fd_(fd) {}
    Socket(int domain, int type) : fd_(socket(domain, type, 0)) {}
    ~Socket() { shut(); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    operator int() const { return fd_; }
    void shut() {
        if (fd_ >= 0) close(fd_);
        fd_ = -1;
    }

private:
    int fd_;
};

struct Pair {
    explicit Pair(int type) { REQUIRE(socketpair(AF_UNIX, type, 0, fds) == 0); }
    ~Pair() {
        for (const int fd : fds)
            if (fd >= 0) close(fd);
    }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    void shut(int which) {
        close(fds[which]);
        fds[which] = -1;
    }
    int fds[2];
};

std::string take(int fd, std::size_t most = 100, int flags = 0) {
    std::string text(most, '\0');
    const ssize_t count = recv(fd, text.data(), most, flags);
    return count < 0 ? "error " + std::to_string(errno) : text.substr(0, static_cast<std::size_t>(count));
}
bool give(int fd, std::string_view text, int flags = MSG_NOSIGNAL) {
    return send(fd, text.data(), text.size(), flags) == static_cast<ssize_t>(text.size());
}

sockaddr_un abstract(const char* name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s.%d", name, getpid());
    return address;
}
socklen_t length_of(const sockaddr_un& address) {
    return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + std::strlen(address.sun_path + 1));
}
template <class Address> sockaddr* generic(Address& address) { return reinterpret_cast<sockaddr*>(&address); }
template <class Address> const sockaddr* generic(const Address& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

sockaddr_in loopback(std::uint16_t port = 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = port;
    return address;
}
sockaddr_in name_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    CHECK(getsockname(fd, generic(address), &size) == 0);
    return address;
}
// A socket that listens at a free port.
struct Server {
    Server() {
        const sockaddr_in any = loopback();
        REQUIRE(bind(fd, generic(any), sizeof any) == 0);
        REQUIRE(listen(fd, 8) == 0);
        address = name_of(fd);
    }
    int connect_one() const {
        const int client = socket(AF_INET, SOCK_STREAM, 0);
        CHECK(connect(client, generic(address), sizeof address) == 0);
        return client;
    }
    Socket fd{AF_INET, SOCK_STREAM};
    sockaddr_in address{};
};

short ready(int fd, short events = POLLIN | POLLOUT | POLLRDHUP, int timeout = 0) {
    pollfd one{fd, events, 0};
    return poll(&one, 1, timeout) < 0 ? short{-1} : one.revents;
}

}  // namespace

TEST_CASE("a pair of streams: bytes in order, across packets, to the end") {
    Pair pair(SOCK_STREAM);
    CHECK(ready(pair.fds[0]) == POLLOUT);
    CHECK((give(pair.fds[0], "one") && give(pair.fds[0], "two")));
    CHECK(ready(pair.fds[1]) == (POLLIN | POLLOUT));
    CHECK(take(pair.fds[1], 4, MSG_PEEK) == "onet");
    CHECK(take(pair.fds[1], 4) == "onet");
    CHECK(take(pair.fds[1]) == "wo");
    CHECK(take(pair.fds[1], 1, MSG_DONTWAIT) == "error " + std::to_string(EAGAIN));
    Worker reader;
    reader.start([&] { return take(pair.fds[1], 6, MSG_WAITALL) == "abcdef" ? 0 : 1; });
    CHECK(sleeps(reader.tid()));
    CHECK((give(pair.fds[0], "abc") && give(pair.fds[0], "def")));
    CHECK(reader.finish() == 0);
    CHECK(give(pair.fds[0], "last"));
    pair.shut(0);
    CHECK((ready(pair.fds[1]) & (POLLIN | POLLHUP | POLLRDHUP)) == (POLLIN | POLLHUP | POLLRDHUP));
    CHECK(take(pair.fds[1]) == "last");
    CHECK(take(pair.fds[1]).empty());
    CHECK((!give(pair.fds[1], "x") && errno == EPIPE));
}

TEST_CASE("a stream fills up, a writer waits, and half of it can be shut") {
    Pair pair(SOCK_STREAM);
    const std::string block(8192, 'b');
    std::size_t sent = 0;
    while (give(pair.fds[0], block, MSG_DONTWAIT | MSG_NOSIGNAL)) sent += block.size();
    CHECK(errno == EAGAIN);
    CHECK(sent >= 8192);
    CHECK((ready(pair.fds[0]) & POLLOUT) == 0);
    Worker writer;
    writer.start([&] { return give(pair.fds[0], block) && shutdown(pair.fds[0], SHUT_WR) == 0 ? 0 : 1; });
    CHECK(sleeps(writer.tid()));
    std::size_t read = 0;
    for (std::string got; !(got = take(pair.fds[1], 65536)).empty();) read += got.size();
    CHECK(writer.finish() == 0);
    CHECK(read >= sent);
    CHECK(give(pair.fds[1], "back"));  // the other direction still works
    CHECK(take(pair.fds[0]) == "back");
}

TEST_CASE("packets keep their borders, and say what was cut off") {
    for (const int type : {SOCK_SEQPACKET, SOCK_DGRAM}) {
        CAPTURE(type);
        const Pair pair(type);
        CHECK((give(pair.fds[0], "long one") && give(pair.fds[0], "two")));
        char bytes[4];
        iovec piece{bytes, sizeof bytes};
        msghdr message{};
        message.msg_iov = &piece;
        message.msg_iovlen = 1;
        CHECK(recvmsg(pair.fds[1], &message, 0) == 4);
        CHECK((message.msg_flags & MSG_TRUNC) != 0);
        CHECK(recv(pair.fds[1], bytes, 1, MSG_TRUNC) == 3);
    }
}

TEST_CASE("descriptors and credentials travel with a message") {
    const Pair pair(SOCK_STREAM);
    Pipe pipe;
    const int on = 1, passed = pipe.reader();
    CHECK(setsockopt(pair.fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
    char byte = 'f';
    iovec piece{&byte, 1};
    alignas(cmsghdr) char control[128] = {};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(sizeof passed);
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof passed);
    std::memcpy(CMSG_DATA(part), &passed, sizeof passed);
    CHECK(sendmsg(pair.fds[0], &message, 0) == 1);
    message.msg_controllen = sizeof control;
    CHECK(recvmsg(pair.fds[1], &message, MSG_CMSG_CLOEXEC) == 1);
    int received = -1;
    ucred sender{};
    for (part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_type == SCM_RIGHTS) std::memcpy(&received, CMSG_DATA(part), sizeof received);
        if (part->cmsg_type == SCM_CREDENTIALS) std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
    }
    CHECK((sender.pid == getpid() && sender.uid == geteuid()));
    const Socket file(received);
    REQUIRE(received >= 0);
    CHECK(fcntl(received, F_GETFD) == FD_CLOEXEC);
    CHECK(write_byte(pipe.writer(), 'p'));
    CHECK(read_byte(received) == 'p');
    ucred peer{};
    socklen_t size = sizeof peer;
    CHECK(getsockopt(pair.fds[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
    CHECK(peer.pid == getpid());
}

TEST_CASE("unix sockets with names: connect, accept, refuse") {
    const sockaddr_un address = abstract("stream");
    Socket server(AF_UNIX, SOCK_STREAM);
    const Socket early(AF_UNIX, SOCK_STREAM);
    CHECK(connect(early, generic(address), length_of(address)) == -1);
    CHECK(errno == ECONNREFUSED);
    CHECK(bind(server, generic(address), length_of(address)) == 0);
    CHECK(connect(early, generic(address), length_of(address)) == -1);
    CHECK(errno == ECONNREFUSED);
    CHECK(listen(server, 1) == 0);
    CHECK(ready(server, POLLIN) == 0);
    CHECK(connect(early, generic(address), length_of(address)) == 0);
    CHECK(ready(server, POLLIN) == POLLIN);
    const Socket connection(accept4(server, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    REQUIRE(connection >= 0);
    CHECK((fcntl(connection, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((give(early, "hello") && take(connection) == "hello"));
    const Socket second(AF_UNIX, SOCK_STREAM);
    CHECK(bind(second, generic(address), length_of(address)) == -1);
    CHECK(errno == EADDRINUSE);
    const Socket pending(AF_UNIX, SOCK_STREAM);
    CHECK(connect(pending, generic(address), length_of(address)) == 0);
    server.shut();
    CHECK(take(pending) == "error " + std::to_string(ECONNRESET));
}

TEST_CASE("TCP on the loopback: a server with epoll, half closed connections, errors") {
    const Server server;
    const Socket client(server.connect_one());
    const Socket connection(accept(server.fd, nullptr, nullptr));
    REQUIRE(connection >= 0);
    CHECK(name_of(connection).sin_port == server.address.sin_port);
    const Socket epoll(epoll_create1(0));
    epoll_event wanted{EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = connection}}, seen{};
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, connection, &wanted) == 0);
    CHECK(epoll_wait(epoll, &seen, 1, 0) == 0);
    CHECK(give(client, "request"));
    CHECK(epoll_wait(epoll, &seen, 1, -1) == 1);
    CHECK(seen.events == EPOLLIN);
    CHECK(take(connection) == "request");
    CHECK(shutdown(client, SHUT_WR) == 0);
    CHECK(epoll_wait(epoll, &seen, 1, -1) == 1);
    CHECK(seen.events == (EPOLLIN | EPOLLRDHUP));
    CHECK(take(connection).empty());
    CHECK((give(connection, "answer") && take(client) == "answer"));
    Socket nobody(AF_INET, SOCK_STREAM);
    const sockaddr_in any = loopback();
    CHECK(bind(nobody, generic(any), sizeof any) == 0);
    const sockaddr_in closed = name_of(nobody);
    nobody.shut();
    const Socket late(AF_INET, SOCK_STREAM);
    CHECK(connect(late, generic(closed), sizeof closed) == -1);
    CHECK(errno == ECONNREFUSED);
    const Socket patient(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK(connect(patient, generic(server.address), sizeof server.address) == -1);
    CHECK(errno == EINPROGRESS);
    CHECK((ready(patient, POLLOUT, -1) & POLLOUT) != 0);
    int error = -1;
    socklen_t size = sizeof error;
    CHECK(getsockopt(patient, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    CHECK(error == 0);
}

TEST_CASE("UDP on the loopback: who sent it, connected sockets, nobody there") {
    const Socket server(AF_INET, SOCK_DGRAM), client(AF_INET, SOCK_DGRAM);
    const sockaddr_in any = loopback();
    CHECK(bind(server, generic(any), sizeof any) == 0);
    const sockaddr_in address = name_of(server);
    CHECK(connect(client, generic(address), sizeof address) == 0);
    CHECK(give(client, "question"));
    char bytes[16] = {};
    sockaddr_in from{};
    socklen_t size = sizeof from;
    CHECK(recvfrom(server, bytes, sizeof bytes, 0, generic(from), &size) == 8);
    CHECK(from.sin_port == name_of(client).sin_port);
    CHECK(sendto(server, "reply", 5, 0, generic(from), sizeof from) == 5);
    CHECK(take(client) == "reply");
    CHECK(take(client, 1, MSG_DONTWAIT) == "error " + std::to_string(EAGAIN));
}

TEST_CASE("wrong use of sockets") {
    const Socket stream(AF_UNIX, SOCK_STREAM), tcp(AF_INET, SOCK_STREAM), datagram(AF_UNIX, SOCK_DGRAM);
    Pipe pipe;
    CHECK(fails(socket(AF_UNIX, 77, 0), EINVAL));
    CHECK(fails(socket(77, SOCK_STREAM, 0), EAFNOSUPPORT));
    CHECK(fails(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT));
    CHECK(fails(listen(datagram, 1), EOPNOTSUPP));
    CHECK(fails(listen(stream, 1), EINVAL));
    CHECK(fails(accept(tcp, nullptr, nullptr), EINVAL));
    CHECK(fails(accept(pipe.reader(), nullptr, nullptr), ENOTSOCK));
    CHECK(fails(shutdown(tcp, SHUT_WR), ENOTCONN));
    CHECK(fails(send(datagram, "x", 1, 0), ENOTCONN));
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    CHECK(fails(getpeername(tcp, generic(peer), &size), ENOTCONN));
    CHECK(fails(lseek(tcp, 0, SEEK_SET), ESPIPE));
}
