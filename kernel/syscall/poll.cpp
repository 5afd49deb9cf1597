// SPDX-License-Identifier: MIT
// poll(2), ppoll(2), select(2), pselect6(2). One loop for all: look at every file while hanging a wait node on each of its queues, sleep
// until one of the nodes is taken off or time is up, look again.
#include <algorithm>
#include <cstring>

#include "kernel/syscall/helpers.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::syscall {

namespace {

// A file that is waited for. The reference keeps its wait queues alive.
struct Watched {
    fs::FileRef file;
    Fd fd = -1;
    u16 events = 0;  // what is wanted
    u16 found = 0;
};

// The wait nodes of one sleep, one for each queue that a file adds. The first few are here; more come in chunks, so that
// their number is limited by memory only, and are kept until the wait is over.
class Waiter final : public fs::PollTable {
public:
    ~Waiter() {
        clear();
        while (Chunk* chunk = first_.next) {
            first_.next = std::exchange(chunk->next, nullptr);
            delete chunk;
        }
    }
    void add(sync::WaitQueue& queue) override {
        if (used_ == Chunk::kNodes) {
            if (last_->next == nullptr) last_->next = new (std::nothrow) Chunk;
            if (last_->next == nullptr) {
                incomplete_ = true;
                return;
            }
            last_ = last_->next;
            used_ = 0;
        }
        queue.announce(last_->nodes[used_++]);
    }
    bool incomplete() const { return incomplete_; }  // there was no memory for a node: to sleep would miss its queue
    sync::WaitResult sleep(Nanoseconds deadline) {
        const auto taken = [](const void* waiter) { return static_cast<const Waiter*>(waiter)->taken(); };
        return sync::sleep_on(taken, this, sched::SleepKind::Interruptible, "poll", deadline);
    }
    void clear() {
        for (Chunk* chunk = &first_; chunk != nullptr; chunk = chunk == last_ ? nullptr : chunk->next)
            for (usize i = 0; i < used_in(*chunk); ++i) chunk->nodes[i].retract();
        last_ = &first_;
        used_ = 0;
    }

private:
    struct Chunk {
        static constexpr usize kNodes = 12;
        sync::WaitNode nodes[kNodes];
        Chunk* next = nullptr;
    };

    bool taken() const {
        for (const Chunk* chunk = &first_;; chunk = chunk->next) {
            for (usize i = 0; i < used_in(*chunk); ++i)
                if (!chunk->nodes[i].queued()) return true;
            if (chunk == last_) return false;
        }
    }
    usize used_in(const Chunk& chunk) const { return &chunk == last_ ? used_ : Chunk::kNodes; }

    Chunk first_;
    Chunk* last_ = &first_;
    usize used_ = 0;  // of the last chunk
    bool incomplete_ = false;
};

usize look(std::span<Watched> files, Waiter* waiter) {
    usize ready = 0;
    for (Watched& watched : files) {
        if (watched.file) {
            watched.found = static_cast<u16>(watched.file->ready_events(waiter) & watched.events);
        }
        if (watched.found == 0) continue;
        ++ready;
        waiter = nullptr;  // nobody will sleep: the rest need not be waited for
    }
    return ready;
}

// How many are ready, 0 when the time is up. kERESTARTNOHAND, ENOMEM.
Result<usize> wait_for(std::span<Watched> files, Nanoseconds deadline) {
    usize ready = look(files, nullptr);
    auto ended = sync::WaitResult::TimedOut;
    if (ready == 0 && deadline > time::now()) {
        Waiter waiter;
        do {
            ready = look(files, &waiter);
            if (ready != 0) return ready;
            if (waiter.incomplete()) return fail(Errno::kENOMEM);
            ended = waiter.sleep(deadline);
            waiter.clear();
        } while (ended == sync::WaitResult::Ready);
        ready = look(files, nullptr);
    }
    if (ready != 0) return ready;
    // A signal is told of even if the time is up, or was from the beginning: a program that polls its signals by letting
    // them through here, with ppoll(2)'s mask and no timeout, would otherwise never see one (Linux: do_poll()).
    if (ended == sync::WaitResult::Interrupted || task::signal_pending(sched::current()))
        return fail(Errno::kERESTARTNOHAND);
    return 0;
}

// poll(2) for the program's array, up to a point in time.
Result<u64> poll_until(InOut<abi::PollFd> fds, UInt count, Nanoseconds deadline) {
    if (count > descriptor_limit()) return fail(Errno::kEINVAL);
    const auto list = TRY(mm::make_array<abi::PollFd>(count));
    const auto files = TRY(mm::make_array<Watched>(count));
    TRY(mm::copy_from_user(list.get(), fds.address(), count * sizeof(abi::PollFd)));
    for (usize i = 0; i < count; ++i) {
        Watched& watched = files[i];
        watched.events = static_cast<u16>(list[i].events) | abi::kPOLLERR | abi::kPOLLHUP;  // always told
        if (list[i].fd < 0) continue;
        auto file = file_of(list[i].fd);
        if (file)
            watched.file = std::move(*file);
        else
            watched.found = abi::kPOLLNVAL;
    }
    const usize ready = TRY(wait_for({files.get(), count}, deadline));
    for (usize i = 0; i < count; ++i)
        TRY(Out<i16>((fds + i).address() + offsetof(abi::PollFd, revents)).store(static_cast<i16>(files[i].found)));
    return ready;
}

Result<u64> resume_poll(task::RestartBlock& block) {
    auto result =
        poll_until(InOut<abi::PollFd>(block.arguments[0]), static_cast<UInt>(block.arguments[1]), block.deadline);
    if (!result && result.error() == Errno::kERESTARTNOHAND) return fail(Errno::kERESTART_RESTARTBLOCK);
    return result;
}

// ---- select(2): three bit sets

constexpr u32 kSelectReadable = abi::kPOLLIN | abi::kPOLLRDNORM | abi::kPOLLHUP | abi::kPOLLERR;
constexpr u32 kSelectWritable = abi::kPOLLOUT | abi::kPOLLWRNORM | abi::kPOLLERR;
constexpr u32 kSelectBits[3] = {kSelectReadable, kSelectWritable, abi::kPOLLPRI};

struct SelectSets {
    InOut<u64> sets[3];
    usize words;
    std::unique_ptr<u64[]> bits;  // the three sets, one behind the other

    Result<> load(Int count, InOut<u64> readable, InOut<u64> writable, InOut<u64> exceptional) {
        sets[0] = readable;
        sets[1] = writable;
        sets[2] = exceptional;
        words = (std::min<usize>(static_cast<usize>(count), fs::FdTable::kHardLimit) + 63) / 64;
        bits = TRY(mm::make_array<u64>(3 * words));
        clear();
        for (usize set = 0; set < 3; ++set)
            if (sets[set]) TRY(mm::copy_from_user(&bits[set * words], sets[set].address(), words * sizeof(u64)));
        return {};
    }
    void clear() { std::fill_n(bits.get(), 3 * words, 0); }
    bool has(usize set, usize fd) const { return (bits[set * words + fd / 64] >> fd % 64 & 1) != 0; }
    u16 events(usize fd) const {
        return (has(0, fd) ? kSelectReadable : 0) | (has(1, fd) ? kSelectWritable : 0) |
               (has(2, fd) ? abi::kPOLLPRI : 0);
    }
    Result<> store() {
        for (usize set = 0; set < 3; ++set)
            if (sets[set]) TRY(mm::copy_to_user(sets[set].address(), &bits[set * words], words * sizeof(u64)));
        return {};
    }
};

Result<u64> select_until(Int count, InOut<u64> readable, InOut<u64> writable, InOut<u64> exceptional,
                         Nanoseconds deadline) {
    if (count < 0) return fail(Errno::kEINVAL);
    SelectSets sets;
    TRY(sets.load(count, readable, writable, exceptional));
    const usize limit = std::min(static_cast<usize>(count), sets.words * 64);
    usize wanted = 0;
    for (usize fd = 0; fd < limit; ++fd) wanted += sets.events(fd) != 0;
    const auto list = TRY(mm::make_array<Watched>(wanted));
    const std::span files(list.get(), wanted);
    usize next = 0;
    for (usize fd = 0; fd < limit; ++fd) {
        if (sets.events(fd) == 0) continue;
        Watched& watched = files[next++];
        watched.fd = static_cast<Fd>(fd);
        watched.events = sets.events(fd);
        watched.file = TRY(file_of(watched.fd));
    }
    TRY(wait_for(files, deadline));
    sets.clear();
    u64 ready = 0;
    for (const Watched& watched : files) {
        const usize fd = static_cast<usize>(watched.fd);
        for (usize set = 0; set < 3; ++set) {
            if ((watched.found & kSelectBits[set]) == 0) continue;
            sets.bits[set * sets.words + fd / 64] |= u64{1} << fd % 64;
            ++ready;
        }
    }
    TRY(sets.store());
    return ready;
}

// What is left of a time limit goes back to the program (select(2), "Linux notes"); an address that cannot be written to
// is no error.
abi::Timespec rest_until(Nanoseconds deadline) {
    const Nanoseconds rest = deadline - time::now();
    return abi::timespec_of(std::max(rest, Nanoseconds{0}));
}

Result<Nanoseconds> deadline_from(InOut<abi::Timespec> timeout) {
    return timeout ? deadline_after(TRY(duration_from(timeout))) : Nanoseconds::max();
}

bool interrupted(const Result<u64>& result) { return !result && result.error() == Errno::kERESTARTNOHAND; }

}  // namespace

Answer sys_poll(InOut<abi::PollFd> fds, UInt count, Int timeout_ms) {
    const Nanoseconds deadline = timeout_ms < 0 ? Nanoseconds::max() : deadline_after(milliseconds(timeout_ms));
    auto result = poll_until(fds, count, deadline);
    if (!interrupted(result)) return result;
    task::RestartBlock& block = task::current_thread().restart;
    block = {resume_poll, deadline, {fds.address(), count}};
    return fail(Errno::kERESTART_RESTARTBLOCK);
}

Answer sys_ppoll(InOut<abi::PollFd> fds, UInt count, InOut<abi::Timespec> timeout, In<u64> mask, Size mask_size) {
    const Nanoseconds deadline = TRY(deadline_from(timeout));
    if (mask) {
        TRY(check_mask_size(mask_size));
        task::begin_temporary_mask(TRY(mask.load()));
    }
    auto result = poll_until(fds, count, deadline);
    if (mask) task::finish_temporary_mask(interrupted(result));
    if (timeout) (void)timeout.store(rest_until(deadline));
    return result;
}

Answer sys_select(Int count, InOut<u64> readable, InOut<u64> writable, InOut<u64> exceptional,
                  InOut<abi::Timeval> timeout) {
    Nanoseconds deadline = Nanoseconds::max();
    if (timeout) {
        const abi::Timeval limit = TRY(timeout.load());
        if (limit.tv_sec < 0 || limit.tv_usec < 0) return fail(Errno::kEINVAL);
        constexpr i64 kMost = INT64_MAX / 1'000'000'000 / 2;  // longer is for ever
        if (limit.tv_sec < kMost && limit.tv_usec < kMost)
            deadline = deadline_after(seconds(limit.tv_sec) + microseconds(limit.tv_usec));
    }
    auto result = select_until(count, readable, writable, exceptional, deadline);
    if (timeout) {
        const abi::Timespec rest = rest_until(deadline);
        (void)timeout.store({rest.tv_sec, rest.tv_nsec / 1000});
    }
    return result;
}

Answer sys_pselect6(Int count, InOut<u64> readable, InOut<u64> writable, InOut<u64> exceptional,
                    InOut<abi::Timespec> timeout, In<MaskAndSize> mask) {
    const Nanoseconds deadline = TRY(deadline_from(timeout));
    MaskAndSize given{};
    if (mask) given = TRY(mask.load());
    if (given.mask_address != 0) {
        TRY(check_mask_size(given.mask_size));
        task::begin_temporary_mask(TRY(In<u64>(given.mask_address).load()));
    }
    auto result = select_until(count, readable, writable, exceptional, deadline);
    if (given.mask_address != 0) task::finish_temporary_mask(interrupted(result));
    if (timeout) (void)timeout.store(rest_until(deadline));
    return result;
}

}  // namespace hd::syscall
