// SPDX-License-Identifier: MIT
// See epoll.hpp.
#include "kernel/ipc/epoll.hpp"

#include "kernel/mm/slab/slab.hpp"
#include "kernel/time/timer.hpp"

namespace hd::fs {

bool Watch::on_wake_up(sync::WaitNode& node, u32 events) {
    Watch& watch = static_cast<Place&>(node).watch;
    return watch.epoll.notify(watch, events);
}

}  // namespace hd::fs

namespace hd::ipc {

using sync::WaitResult;

namespace {

constexpr u32 kModes = abi::kEPOLLET | abi::kEPOLLONESHOT | abi::kEPOLLEXCLUSIVE | abi::kEPOLLWAKEUP;
constexpr u32 kAlwaysTold = abi::kPOLLERR | abi::kPOLLHUP;

constinit sync::Mutex g_epoll_graph{core::Rank::EpollGraph};
constinit core::Spinlock g_watchers_lock{core::Rank::Watchers};

// The second and further mutexes of rank Epoll, from outside in.
class SCOPED_CAPABILITY [[nodiscard]] InnerGuard {
public:
    explicit InnerGuard(sync::Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock_second(); }
    ~InnerGuard() RELEASE() { mutex_.unlock(); }
    InnerGuard(const InnerGuard&) = delete;

private:
    sync::Mutex& mutex_;
};

void link_watcher(fs::Watch& watch) {
    core::LockGuard guard(g_watchers_lock);
    watch.next_watcher = watch.file.watchers.load(std::memory_order_relaxed);
    watch.file.watchers.store(&watch, std::memory_order_release);
}

void unlink_watcher(fs::Watch& watch) {
    core::LockGuard guard(g_watchers_lock);
    fs::Watch* const first = watch.file.watchers.load(std::memory_order_relaxed);
    if (first == &watch) return watch.file.watchers.store(watch.next_watcher, std::memory_order_release);
    fs::Watch* before = first;
    while (before->next_watcher != &watch) before = before->next_watcher;
    before->next_watcher = watch.next_watcher;
}

}  // namespace

// Puts a standing node on each queue that the file names.
class Epoll::Registration final : public fs::PollTable {
public:
    explicit Registration(Watch& watch) : watch_(watch) {}
    void add(sync::WaitQueue& queue) override {
        Watch::Place* place = &watch_.first;
        if (std::exchange(watch_.first_used, true)) {
            place = new (std::nothrow) Watch::Place(watch_);
            if (place == nullptr) {
                incomplete = true;
                return;
            }
            place->next = std::exchange(watch_.first.next, place);
        }
        place->exclusive = (watch_.events.load(std::memory_order_relaxed) & abi::kEPOLLEXCLUSIVE) != 0;
        queue.announce(*place);
    }
    bool lasting() const override { return true; }
    bool incomplete = false;

private:
    Watch& watch_;
};

// ---- arrivals and the ready list

// A wake-up of a watched file's queue, whose lock is held.
bool Epoll::notify(Watch& watch, u32 events) {
    const u32 wanted = watch.events.load(std::memory_order_relaxed) & ~kModes;
    if (wanted == 0 || (events != 0 && (events & wanted) == 0)) return false;  // 0: a one-shot that has fired
    if (!watch.queued.exchange(true, std::memory_order_acq_rel)) {
        Watch* newest = arrivals_.load(std::memory_order_relaxed);
        // release pairs with take_arrivals_locked(): the link is seen.
        do watch.next_arrival = newest;
        while (!arrivals_.compare_exchange_weak(newest, &watch, std::memory_order_release, std::memory_order_relaxed));
    }
    const bool waiting = waiters_.has_waiters();
    waiters_.wake_nested(1, 0);
    poll_queue_.wake_nested(sync::WaitQueue::kAll, abi::kPOLLIN);
    return waiting;
}

void Epoll::sort_arrivals_locked() {
    Watch* watch = arrivals_.exchange(nullptr, std::memory_order_acquire);
    const auto end = ready_.end();
    for (auto before = end; watch != nullptr; watch = watch->next_arrival) before = ready_.insert(before, *watch);
}

// Before it is asked: what changes from now on has it arrive again.
void Epoll::take_off_locked(Watch& watch) {
    ready_.erase(ready_.iterator_to(watch));
    watch.queued.exchange(false, std::memory_order_acq_rel);
}

// Unless it has arrived again already.
void Epoll::put_back_locked(Watch& watch) {
    if (!watch.queued.exchange(true, std::memory_order_acq_rel)) ready_.push_back(watch);
}

// What of the wanted is there.
inline u32 Epoll::ask_locked(Watch& watch) {
    return watch.file.ready_events(nullptr) & watch.events.load(std::memory_order_relaxed) & ~kModes;
}

// Of one on the list that said no: a change that came meanwhile may have been taken for one that it is there for already.
u32 Epoll::ask_again_locked(Watch& watch) {
    take_off_locked(watch);
    const u32 found = ask_locked(watch);
    if (found != 0) put_back_locked(watch);
    return found;
}

// The end of every section that has changed the list: others may have something to do.
inline void Epoll::tell_rest_locked() {
    has_ready_.store(!ready_.empty(), std::memory_order_relaxed);
    if (something_ready()) waiters_.wake_one();
}

// After a change of what is wanted: is it there already?
void Epoll::look_at_locked(Watch& watch) {
    if (ask_locked(watch) == 0) return;
    put_back_locked(watch);
    tell_rest_locked();
    poll_queue_.wake_all(sched::WakeHint::None, abi::kPOLLIN);
}

Result<u32> Epoll::hand_out_locked(mm::UserPtr<abi::EpollEvent> to, u32 most) {
    take_arrivals_locked();
    const Watch* const last =
        ready_.empty() ? nullptr : &ready_.back();  // behind it come those that were asked already
    u32 count = 0;
    bool reachable = true;
    for (bool more = last != nullptr; more && reachable && count < most;) {
        Watch& watch = ready_.front();
        more = &watch != last;
        const u32 modes = watch.events.load(std::memory_order_relaxed);
        const bool level = (modes & (abi::kEPOLLET | abi::kEPOLLONESHOT)) == 0;
        if (!level) take_off_locked(watch);
        u32 found = ask_locked(watch);
        if (found == 0 && level) found = ask_again_locked(watch);
        if (found == 0) continue;
        reachable = (to + count).store({found, watch.data}).has_value();
        if (reachable) ++count;
        if (level) {
            if (&ready_.back() != &watch && watch.WatchReadyHook::is_linked())
                ready_.splice(ready_.end(), ready_, ready_.iterator_to(watch));  // others come first the next time
        } else if (!reachable) {
            put_back_locked(watch);
        } else if ((modes & abi::kEPOLLONESHOT) != 0) {
            watch.events.store(modes & kModes, std::memory_order_relaxed);
        }
    }
    tell_rest_locked();
    if (count == 0 && !reachable) return fail(Errno::kEFAULT);
    return count;
}

Result<u32> Epoll::wait(mm::UserPtr<abi::EpollEvent> to, u32 most, Nanoseconds deadline) {
    if (something_ready()) {
        mutex_.lock();
        const Result<u32> count = hand_out_locked(to, most);
        mutex_.unlock();
        if (!count || *count != 0) [[likely]]
            return count;
    }
    return wait_longer(to, most, deadline);
}

// Nothing was ready. Apart from the rest, whose frame it would burden.
[[gnu::noinline]] Result<u32> Epoll::wait_longer(mm::UserPtr<abi::EpollEvent> to, u32 most, Nanoseconds deadline) {
    for (;;) {
        if (deadline <= time::now()) return 0;
        const auto result = waiters_.wait_interruptible("epoll_wait", [this] { return something_ready(); }, deadline);
        if (result == WaitResult::Interrupted) return fail(Errno::kEINTR);
        if (!something_ready()) continue;
        sync::MutexGuard guard(mutex_);
        const u32 count = TRY(hand_out_locked(to, most));
        if (count != 0) return count;
    }
}

// Asks what is on the list, until one file says yes; those that say no leave it.
u32 Epoll::poll(fs::PollTable* table) {
    if (table != nullptr) table->add(poll_queue_);
    InnerGuard guard(mutex_);
    take_arrivals_locked();
    u32 answer = 0;
    while (answer == 0 && !ready_.empty()) {
        Watch& watch = ready_.front();
        if (ask_locked(watch) != 0 || ask_again_locked(watch) != 0) answer = abi::kPOLLIN;
    }
    has_ready_.store(!ready_.empty(), std::memory_order_relaxed);
    return answer;
}

// ---- what is watched

fs::Watch* Epoll::find_locked(int fd, fs::File& file) {
    const auto found = watches_.find(std::pair(&file, fd), WatchOrder());
    return found == watches_.end() ? nullptr : &*found;
}

Result<> Epoll::insert_locked(int fd, fs::File& file, abi::EpollEvent wanted) {
    if (find_locked(fd, file) != nullptr) return fail(Errno::kEEXIST);
    wanted.events |= kAlwaysTold;
    auto* watch = new (std::nothrow) Watch(*this, file, fd, wanted);
    if (watch == nullptr) return fail(Errno::kENOMEM);
    watches_.insert_unique(*watch);
    link_watcher(*watch);
    Registration registration(*watch);
    file.poll(&registration);
    if (registration.incomplete) {
        remove_locked(*watch);
        return fail(Errno::kENOMEM);
    }
    look_at_locked(*watch);
    return {};
}

void Epoll::remove_locked(Watch& watch) {
    for (Watch::Place* place = &watch.first; place != nullptr; place = place->next) place->retract();
    // No callback runs any more, and none will.
    take_arrivals_locked();
    if (watch.WatchReadyHook::is_linked()) ready_.erase(ready_.iterator_to(watch));
    has_ready_.store(!ready_.empty(), std::memory_order_relaxed);
    unlink_watcher(watch);
    watches_.erase(watches_.iterator_to(watch));
    delete &watch;
}

Result<> Epoll::add(int fd, fs::File& file, abi::EpollEvent wanted) {
    auto* const inner = fs::file_cast<Epoll>(file);
    if ((wanted.events & abi::kEPOLLEXCLUSIVE) != 0) {
        constexpr u32 kAllowed =
            abi::kPOLLIN | abi::kPOLLOUT | kAlwaysTold | abi::kEPOLLET | abi::kEPOLLEXCLUSIVE | abi::kEPOLLWAKEUP;
        if (inner != nullptr || (wanted.events & ~kAllowed) != 0) return fail(Errno::kEINVAL);
    }
    if (inner == nullptr) {
        sync::MutexGuard guard(mutex_);
        return insert_locked(fd, file, wanted);
    }
    sync::MutexGuard graph(g_epoll_graph);
    TRY(check_nesting(*inner));
    sync::MutexGuard guard(mutex_);
    return insert_locked(fd, file, wanted);
}

Result<> Epoll::modify(int fd, fs::File& file, abi::EpollEvent wanted) {
    sync::MutexGuard guard(mutex_);
    Watch* const watch = find_locked(fd, file);
    if (watch == nullptr) return fail(Errno::kENOENT);
    const u32 old = watch->events.load(std::memory_order_relaxed);
    if (((old | wanted.events) & abi::kEPOLLEXCLUSIVE) != 0) return fail(Errno::kEINVAL);
    watch->events.store(wanted.events | kAlwaysTold, std::memory_order_relaxed);
    watch->data = wanted.data;
    look_at_locked(*watch);
    return {};
}

Result<> Epoll::remove(int fd, fs::File& file) {
    const auto take_out = [&]() -> Result<> {
        sync::MutexGuard guard(mutex_);
        Watch* const watch = find_locked(fd, file);
        if (watch == nullptr) return fail(Errno::kENOENT);
        remove_locked(*watch);
        return {};
    };
    if (fs::file_cast<Epoll>(file) == nullptr) return take_out();
    sync::MutexGuard graph(g_epoll_graph);
    return take_out();
}

// ---- nesting; all with g_epoll_graph held, so that no link between epolls comes or goes

// How many epolls are below each other from this one on, itself included; more than enough if `forbidden` is among them.
u32 Epoll::depth_below(Epoll& epoll, const Epoll& forbidden, u32 depth) {
    if (&epoll == &forbidden || depth > kMaxDepth) return kMaxDepth + 1;
    u32 deepest = depth;
    InnerGuard guard(epoll.mutex_);
    for (Watch& watch : epoll.watches_)
        if (auto* const inner = fs::file_cast<Epoll>(watch.file))
            deepest = std::max(deepest, depth_below(*inner, forbidden, depth + 1));
    return deepest;
}

u32 Epoll::depth_above(Epoll& epoll) {
    u32 highest = 0;
    for (Watch* watch = epoll.watchers.load(std::memory_order_relaxed); watch != nullptr; watch = watch->next_watcher)
        highest = std::max(highest, depth_above(watch->epoll));
    return highest + 1;
}

Result<> Epoll::check_nesting(const Epoll& target) {
    const u32 below = depth_below(const_cast<Epoll&>(target), *this, 1);
    return below + depth_above(*this) > kMaxDepth ? fail(Errno::kELOOP) : Result<>();
}

// ---- ends

Epoll::~Epoll() {
    sync::MutexGuard graph(g_epoll_graph);
    sync::MutexGuard guard(mutex_);
    while (!watches_.empty()) remove_locked(*watches_.begin());
}

// The file is about to go, and nobody has a descriptor of it. An epoll that ends at the same time comes first or second: here the
// graph's lock keeps it whole.
void Epoll::forget_watchers(fs::File& file) {
    sync::MutexGuard graph(g_epoll_graph);
    for (;;) {
        Watch* const watch = file.watchers.load(std::memory_order_acquire);
        if (watch == nullptr) return;
        sync::MutexGuard guard(watch->epoll.mutex_);
        watch->epoll.remove_locked(*watch);
    }
}

void init_epoll() { fs::g_forget_watchers = Epoll::forget_watchers; }

}  // namespace hd::ipc
