// SPDX-License-Identifier: MIT
#include "kernel/tty/line.hpp"

#include <algorithm>

namespace hd::tty {

constinit sync::WaitQueue g_worker;

// ---- from the device

void Line::call_worker() {
    work_.store(true);
    g_worker.wake_one();
}

usize Line::input_room() {
    core::LockGuard guard(input_lock_);
    const usize room = kInputCapacity - (input_head_ - input_tail_);
    input_refused_ = room == 0;
    return room;
}

void Line::receive(std::span<const u8> input) {
    {
        core::LockGuard guard(input_lock_);
        for (const u8 one : input)
            if (input_head_ - input_tail_ < kInputCapacity) input_[input_head_++ % kInputCapacity] = one;
    }
    call_worker();
}

void Line::output_drained() {
    writers_.wake_all();
    call_worker();  // echo may wait for room
}

usize Line::peek_input(std::span<u8> to) {
    core::LockGuard guard(input_lock_);
    const usize count = std::min(to.size(), input_head_ - input_tail_);
    for (usize i = 0; i < count; ++i) to[i] = input_[(input_tail_ + i) % kInputCapacity];
    return count;
}

void Line::drop_input(usize count) {
    bool resume;
    {
        core::LockGuard guard(input_lock_);
        input_tail_ += std::min(count, input_head_ - input_tail_);
        resume = input_refused_ && input_head_ - input_tail_ < kInputCapacity;
        if (resume) input_refused_ = false;
    }
    if (resume) device_.resume_input();
}

// What the line discipline does not take stays in the queue until a reader has made room and calls again.
void Line::work() {
    work_.store(false);
    u8 batch[64];
    usize taken = 0;
    do {
        bool readable;
        {
            sync::MutexGuard guard(lock_);
            taken = discipline_.receive({batch, peek_input(batch)});
            drop_input(taken);
            readable = discipline_.readable();
        }
        if (readable) readers_.wake_all();
    } while (taken == std::size(batch));
    device_.flush();
    writers_.wake_all();  // ^Q, or ^C that emptied the queue
}

// ---- reading and writing

Result<> Line::take_turn(bool& busy, const Access& access) {
    if (busy && access.nonblocking) return fail(Errno::kEAGAIN);
    const auto result = turns_.wait_interruptible("tty turn", lock_, [&]() REQUIRES(lock_) { return !busy; });
    if (result != sync::WaitResult::Ready) return fail(Errno::kERESTARTSYS);
    busy = true;
    return {};
}

void Line::end_turn(bool& busy) {
    busy = false;
    turns_.wake_all();
}

Result<u64> Line::read(fs::IoBuffer& buffer, const Access& access) {
    sync::MutexGuard guard(lock_);
    TRY(take_turn(reading_, access));
    const Result<u64> result = read_in_turn(buffer, access);
    end_turn(reading_);
    return result;
}

// VMIN and VTIME: termios(3), "Canonical and noncanonical mode". What has been read when something goes wrong counts.
Result<u64> Line::read_in_turn(fs::IoBuffer& buffer, const Access& access) {
    u64 minimum = 1;
    Nanoseconds deadline = Nanoseconds::max(), pause{};  // of the whole read; between two characters
    bool at_once = access.nonblocking;
    Errno at_once_error = Errno::kEAGAIN;
    if (!discipline_.canonical()) {
        const abi::Termios& settings = discipline_.termios();
        const Nanoseconds time = milliseconds(i64{100} * settings.c_cc[abi::kVTIME]);
        if (settings.c_cc[abi::kVMIN] != 0) {
            minimum = settings.c_cc[abi::kVMIN];
            pause = time;
        } else if (time.raw != 0) {
            deadline = time::now() + time;
        } else {
            at_once = true;
            at_once_error = Errno{};
        }
    }
    u64 total = 0;
    Errno error{};
    while (buffer.remaining() > 0) {
        if (!discipline_.readable()) {
            if (total >= minimum || hung_up(access)) break;
            if (at_once) {
                error = at_once_error;
                break;
            }
            const auto result = readers_.wait_interruptible(
                "tty read", lock_, [&]() REQUIRES(lock_) { return discipline_.readable() || hung_up(access); },
                deadline);
            if (result == sync::WaitResult::Interrupted) error = Errno::kERESTARTSYS;
            if (result != sync::WaitResult::Ready) break;
            continue;
        }
        u8 bytes[128];
        const auto [count, line_ended] = discipline_.read({bytes, std::min<usize>(sizeof bytes, buffer.remaining())});
        if (count == buffer.remaining() && !line_ended) discipline_.skip_end_of_file();
        u8 next;
        if (peek_input({&next, 1}) != 0) call_worker();  // it waits for the room made here
        lock_.unlock();
        const Result<> copied = buffer.put({bytes, count});  // may fault and sleep
        lock_.lock();
        if (!copied) {
            error = copied.error();
            break;
        }
        total += count;
        if (line_ended) break;
        if (pause.raw != 0) deadline = time::now() + pause;
    }
    if (total == 0 && error != Errno{}) return fail(error);
    return total;
}

Result<u64> Line::write(fs::IoBuffer& buffer, const Access& access) {
    Result<u64> result;
    {
        sync::MutexGuard guard(lock_);
        TRY(take_turn(writing_, access));
        result = write_in_turn(buffer, access);
        end_turn(writing_);
    }
    device_.flush();
    return result;
}

Result<u64> Line::write_in_turn(fs::IoBuffer& buffer, const Access& access) {
    u64 total = 0;
    while (buffer.remaining() > 0) {
        u8 bytes[256];
        const std::span<u8> piece(bytes, std::min<usize>(sizeof bytes, buffer.remaining()));
        lock_.unlock();
        const Result<> copied = buffer.get(piece);  // may fault and sleep
        lock_.lock();
        Result<usize> written = fail(Errno::kEFAULT);
        if (copied) written = write_piece(piece, access);
        if (!written && total == 0) return fail(written.error());
        if (!written) break;
        total += *written;
        if (*written < piece.size()) break;
        // A device that always has room would otherwise not let ^C through before the end.
        if (sync::g_interrupt_pending(sched::current())) break;
    }
    return total;
}

// Less than all of it when a signal comes or waiting is not wanted; an error if that is nothing.
Result<usize> Line::write_piece(std::span<const u8> piece, const Access& access) {
    usize written = 0;
    while (written < piece.size()) {
        Errno error{};
        if (hung_up(access))
            error = Errno::kEIO;
        else if (const usize count = discipline_.write(piece.subspan(written)); count > 0)
            written += count;
        else if (access.nonblocking)
            error = Errno::kEAGAIN;
        else {
            lock_.unlock();
            device_.flush();
            // Room comes from the device, which does not take the mutex: the predicate looks again after it was
            // announced.
            const auto result = writers_.wait_interruptible("tty write", [&] { return may_write(access); });
            lock_.lock();
            if (result != sync::WaitResult::Ready) error = Errno::kERESTARTSYS;
        }
        if (error == Errno{}) continue;
        if (written == 0) return fail(error);
        break;
    }
    return written;
}

bool Line::may_read(const Access& access) {
    sync::MutexGuard guard(lock_);
    return discipline_.readable(true) || hung_up(access);
}

bool Line::may_write(const Access& access) {
    sync::MutexGuard guard(lock_);
    return discipline_.writable() || hung_up(access);
}

// ---- settings

abi::Termios Line::termios() {
    sync::MutexGuard guard(lock_);
    return discipline_.termios();
}

void Line::set_termios(const abi::Termios& next) {
    {
        sync::MutexGuard guard(lock_);
        discipline_.set_termios(next);
        device_.configure(next);
    }
    // Another mode may make something readable, end a stop, or let more input in.
    readers_.wake_all();
    writers_.wake_all();
    call_worker();
}

usize Line::available() {
    sync::MutexGuard guard(lock_);
    return discipline_.available();
}

void Line::discard(bool input, bool output) {
    {
        sync::MutexGuard guard(lock_);
        if (input) {
            discipline_.discard_input();
            drop_input(kInputCapacity);
        }
        if (output) device_.discard_output();
    }
    writers_.wake_all();
    call_worker();
}

Result<> Line::drain(const Access& access) {
    device_.flush();
    const auto sent = [&] {
        sync::MutexGuard guard(lock_);
        return (!discipline_.echo_pending() && device_.unsent() == 0) || hung_up(access);
    };
    if (writers_.wait_interruptible("tty drain", sent) != sync::WaitResult::Ready) return fail(Errno::kERESTARTSYS);
    // What the device has taken is not on the wire yet, and no interrupt tells when it is. 16 characters take a
    // millisecond and a half at 115200 baud, three seconds at 50.
    const Nanoseconds end = time::now() + milliseconds(4000);
    sync::WaitQueue nobody;
    while (!device_.idle() && !hung_up(access) && time::now() < end) {
        const auto pause = nobody.wait_interruptible("tty drain", [] { return false; }, time::now() + milliseconds(1));
        if (pause == sync::WaitResult::Interrupted) return fail(Errno::kERESTARTSYS);
    }
    return {};
}

void Line::hang_up() {
    {
        sync::MutexGuard guard(lock_);
        // relaxed: whoever compares it to decide holds the mutex, or is told by a wake-up.
        hangups_.fetch_add(1, std::memory_order_relaxed);
        discipline_.reset();
        drop_input(kInputCapacity);  // or the next session would read it
    }
    readers_.wake_all();
    writers_.wake_all();
    call_worker();
}

}  // namespace hd::tty
