// SPDX-License-Identifier: MIT
// epoll(7): an open file that watches others. Waiting costs what is ready, not what is watched:
//
//     watched file's wait queue ──► standing WaitNode ──callback──► the Watch goes to the epoll's arrivals, a waiter is woken
//                                                                        │
//     epoll_wait(2) moves the arrivals to the ready list, takes Watches off it, asks each file (poll), and tells the program;
//     level-triggered ones go back on the list
//
// A callback only says "look again": what is told is what the file answers then. An edge-triggered Watch is looked at once for
// each call of its callback; a level-triggered one until its file says no.
//
// A Watch belongs to an epoll and to an open file description (with the descriptor it was added by: the same file may be added
// under two). It ends with either: closing the last descriptor of a file ends its Watches, whatever epolls they are in. It
// holds no reference to the file, or the file would never close; each side takes the Watch out before it goes.
//
// Epolls may watch epolls, up to kMaxDepth of them one over the other and never in a circle, which epoll_ctl(2) checks. So the
// callbacks that wake outer epolls, and outer polls that ask inner ones, come to an end, and their locks are of one rank but
// always taken from outside in (mutexes) or inside out (wait queues).
//
// `queued` says that a Watch is among the arrivals or on the ready list; whoever turns it true puts it there. No change is lost:
//
//     callback, after the file has changed         epoll_wait(2)
//     C1  queued := true; was it so?               E1  queued := false
//     C2  if not, push on the arrivals             E2  ask the file
//
// Both C1 and E1 are read-modify-writes. If C1 comes first, E1 reads what it wrote, so E2 sees the change. If E1 comes first, C1 finds
// false, and the Watch arrives anew. A level-triggered Watch is asked before E1, too: if it is ready, it stays where it is. The arrivals are a stack that takes one atomic exchange to push or to take over; the ready
// list is touched with the mutex held only.
//
// Locking, in this order:
//   g_epoll_graph   (mutex, rank EpollGraph)      which epoll watches which; the end of epolls and of watched files
//   mutex_          (mutex, rank Epoll)           an epoll's set of Watches and its ready list; handing out events
//   g_watchers_lock (spinlock, rank Watchers)     each file's list of its Watches
#pragma once
#include <functional>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/rbtree.hpp>

#include "kernel/abi/epoll.hpp"
#include "kernel/ipc/anonymous_file.hpp"
#include "kernel/mm/slab/object_cache.hpp"

namespace hd::ipc {

struct InSet;
struct InReady;
using WatchSetHook = boost::intrusive::set_base_hook<boost::intrusive::tag<InSet>>;
using WatchReadyHook = boost::intrusive::list_base_hook<boost::intrusive::tag<InReady>>;

class Epoll;

}  // namespace hd::ipc

namespace hd::fs {

// One file in one epoll.
struct Watch : ipc::WatchSetHook, ipc::WatchReadyHook, mm::CachedBy<Watch> {
    static constexpr const char* kCacheName = "epoll_watch";
    // A place on one of the file's wait queues.
    struct Place : sync::WaitNode {
        explicit Place(Watch& of) : WaitNode(&Watch::on_wake_up), watch(of) {}
        Watch& watch;
        Place* next = nullptr;
    };

    Watch(ipc::Epoll& of, fs::File& watched, int under, abi::EpollEvent wanted)
        : epoll(of), file(watched), fd(under), first(*this), events(wanted.events), data(wanted.data) {}
    ~Watch() {
        while (Place* place = first.next) {
            first.next = place->next;
            delete place;
        }
    }
    static bool on_wake_up(sync::WaitNode& node, u32 events);

    ipc::Epoll& epoll;
    fs::File& file;
    const int fd;
    Place first;
    bool first_used = false;
    std::atomic<u32>
        events;  // wanted; changed with the epoll's mutex held. relaxed: a callback that sees the old ones came before
    u64 data;    // guarded by the epoll's mutex
    Watch* next_watcher = nullptr;  // of the same file
    std::atomic<bool> queued{false};
    Watch* next_arrival = nullptr;  // the one that arrived before
};

}  // namespace hd::fs

namespace hd::ipc {

// By what a Watch is found: file and descriptor.
struct WatchOrder {
    bool operator()(const fs::Watch& a, const fs::Watch& b) const {
        return &a.file != &b.file ? std::less<>()(&a.file, &b.file) : a.fd < b.fd;
    }
    bool operator()(const fs::Watch& a, const std::pair<fs::File*, int>& b) const {
        return &a.file != b.first ? std::less<>()(&a.file, b.first) : a.fd < b.second;
    }
    bool operator()(const std::pair<fs::File*, int>& a, const fs::Watch& b) const {
        return a.first != &b.file ? std::less<>()(a.first, &b.file) : a.second < b.fd;
    }
};

class Epoll final : public AnonymousFile {
public:
    static constexpr char kTag = 0;
    static constexpr u32 kMaxDepth = 5;

    Epoll() : AnonymousFile(AnonymousKind::EventPoll, abi::kO_RDWR) {}
    ~Epoll() override;

    // epoll_ctl(2). EEXIST, ENOENT, EINVAL, ELOOP (a circle, or too deep), ENOMEM.
    Result<> add(int fd, fs::File& file, abi::EpollEvent wanted);
    Result<> modify(int fd, fs::File& file, abi::EpollEvent wanted);
    Result<> remove(int fd, fs::File& file);
    // epoll_wait(2): up to `most` events; how many. 0 at the deadline. EINTR, EFAULT.
    Result<u32> wait(mm::UserPtr<abi::EpollEvent> to, u32 most, Nanoseconds deadline);

    u32 poll(fs::PollTable* table) override;
    const void* type_tag() const override { return &kTag; }

private:
    friend struct fs::Watch;
    using Watch = fs::Watch;
    class Registration;
    using Watches = boost::intrusive::rbtree<Watch, boost::intrusive::base_hook<WatchSetHook>,
                                             boost::intrusive::compare<WatchOrder>>;
    using ReadyList = boost::intrusive::list<Watch, boost::intrusive::base_hook<WatchReadyHook>,
                                             boost::intrusive::constant_time_size<false>>;

    static void forget_watchers(fs::File& file);
    friend void init_epoll();

    Watch* find_locked(int fd, fs::File& file) REQUIRES(mutex_);
    Result<> insert_locked(int fd, fs::File& file, abi::EpollEvent wanted) REQUIRES(mutex_);
    void remove_locked(Watch& watch) REQUIRES(mutex_);
    void look_at_locked(Watch& watch) REQUIRES(mutex_);
    Result<u32> wait_longer(mm::UserPtr<abi::EpollEvent> to, u32 most, Nanoseconds deadline);
    Result<u32> hand_out_locked(mm::UserPtr<abi::EpollEvent> to, u32 most) REQUIRES(mutex_);
    bool notify(Watch& watch, u32 events);
    // relaxed: a waiter looks after it has announced itself (sync::WaitQueue::someone_waits()).
    bool something_ready() const {
        return has_ready_.load(std::memory_order_relaxed) || arrivals_.load(std::memory_order_relaxed) != nullptr;
    }
    void take_arrivals_locked() REQUIRES(mutex_) {
        if (arrivals_.load(std::memory_order_relaxed) != nullptr) [[unlikely]]  // who pushes now wakes up somebody, too
            sort_arrivals_locked();
    }
    void sort_arrivals_locked() REQUIRES(mutex_);
    void take_off_locked(Watch& watch) REQUIRES(mutex_);
    void put_back_locked(Watch& watch) REQUIRES(mutex_);
    u32 ask_locked(Watch& watch) REQUIRES(mutex_);
    u32 ask_again_locked(Watch& watch) REQUIRES(mutex_);
    void tell_rest_locked() REQUIRES(mutex_);
    Result<> check_nesting(const Epoll& target);
    static u32 depth_below(Epoll& epoll, const Epoll& forbidden, u32 depth);
    static u32 depth_above(Epoll& epoll);

    sync::Mutex mutex_{core::Rank::Epoll};
    Watches watches_ GUARDED_BY(mutex_);
    ReadyList ready_ GUARDED_BY(mutex_);
    std::atomic<bool> has_ready_{false};     // when nobody has the mutex: ready_ is not empty
    std::atomic<Watch*> arrivals_{nullptr};  // the newest; any context
    sync::WaitQueue waiters_;                // epoll_wait(2)
    sync::WaitQueue poll_queue_;             // poll(2), and epolls that watch this one
};

void init_epoll();  // boot

}  // namespace hd::ipc
