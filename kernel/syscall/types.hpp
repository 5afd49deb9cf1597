// SPDX-License-Identifier: MIT
// The argument types of system calls. They say to handlers, tracer and documentation what an argument is; the dispatcher makes
// them from the registers' 64 bits.
#pragma once
#include <concepts>
#include <memory>

#include "kernel/abi/capability.hpp"
#include "kernel/abi/epoll.hpp"
#include "kernel/abi/fcntl.hpp"
#include "kernel/abi/futex.hpp"
#include "kernel/abi/mman.hpp"
#include "kernel/abi/mqueue.hpp"
#include "kernel/abi/poll.hpp"
#include "kernel/abi/resource.hpp"
#include "kernel/abi/sched.hpp"
#include "kernel/abi/signal.hpp"
#include "kernel/abi/socket.hpp"
#include "kernel/abi/stat.hpp"
#include "kernel/abi/statfs.hpp"
#include "kernel/abi/system.hpp"
#include "kernel/abi/sysv.hpp"
#include "kernel/abi/uio.hpp"
#include "kernel/lib/result.hpp"
#include "kernel/mm/vm/user_ptr.hpp"

namespace hd::syscall {

using Fd = i32;
using DirFd = i32;  // a directory, or AT_FDCWD
using PidArg = i32;
using Signo = i32;
using Mode = u32;   // permissions and the like: octal
using Flags = u32;  // bits
using Int = i32;
using UInt = u32;
using Long = i64;
using Size = u64;
using Offset = i64;
using Address = u64;  // of user memory, not followed by the handler itself

// Pointers into the program's memory: In is only read, Out only written, InOut both. Null where the man page allows it.
template <class T> using In = mm::UserPtr<T>;
template <class T> using Out = mm::UserPtr<T>;
template <class T> using InOut = mm::UserPtr<T>;

struct Text {  // a NUL-terminated string
    u64 address;
};
struct Path {  // one that names a file
    u64 address;
};
struct Buffer {  // bytes; the next argument is their number
    u64 address;
};

// What a handler answers, as the program finds it in the result register: a number, 0 for mere success, or minus an
// error's number. Errors become numbers here and nowhere else.
class Answer {
public:
    Answer(std::integral auto number) : raw_(static_cast<u64>(number)) {}
    Answer(std::unexpected<Errno> error) : Answer(error.error()) {}
    Answer(Errno error) : raw_(static_cast<u64>(-static_cast<i64>(error))) {}  // kNoError: 0
    Answer(const Result<>& result) : Answer(result ? Answer(0) : Answer(fail(result.error()))) {}
    template <std::integral T> Answer(const Result<T>& result)
        : Answer(result ? Answer(*result) : Answer(fail(result.error()))) {}
    u64 raw() const { return raw_; }

private:
    u64 raw_;
};

// Copies a path in: short ones, which most are, without allocating.
class PathArgument {
public:
    // EFAULT, ENAMETOOLONG, ENOMEM; ENOENT for "". The view lives as long as this.
    Result<std::string_view> load(Path path);
    Result<std::string_view> load_maybe_empty(Path path);

private:
    char small_[128];
    std::unique_ptr<char[]> large_;
};

}  // namespace hd::syscall
