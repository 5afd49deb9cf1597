// SPDX-License-Identifier: MIT
// Signals that were sent and not yet taken: a process has one such set, each thread another. A standard signal is pending at
// most once; real-time signals queue, in order (signal(7)).
//
// Invariant: a queued record's bit is set. A bit without a record is a signal whose information was lost for want of memory.
// Locking: the caller's (the process's signal lock). Frees memory, never sleeps. Pure: tested on the host.
#pragma once
#include <boost/intrusive/list.hpp>
#include <memory>

#include "kernel/abi/signal.hpp"
#include "kernel/mm/slab/object_cache.hpp"

namespace hd::task {

struct QueuedSignal : boost::intrusive::list_base_hook<>, mm::CachedBy<QueuedSignal> {
    static constexpr const char* kCacheName = "signal";
    explicit QueuedSignal(const abi::SigInfo& signal) : info(signal) {}
    abi::SigInfo info;
};

// Faults come before what others sent, so that the handler sees the registers of its fault.
inline constexpr u64 kSynchronousSignals = abi::signal_bit(abi::kSIGSEGV) | abi::signal_bit(abi::kSIGBUS) |
                                           abi::signal_bit(abi::kSIGILL) | abi::signal_bit(abi::kSIGTRAP) |
                                           abi::signal_bit(abi::kSIGFPE) | abi::signal_bit(abi::kSIGSYS);
// What signals do when no handler is set (signal(7), "Standard signals"): these stop the process, these do nothing to who takes
// them - SIGCONT has continued it when it was sent -, all others end it.
inline constexpr u64 kStopSignals = abi::signal_bit(abi::kSIGSTOP) | abi::signal_bit(abi::kSIGTSTP) |
                                    abi::signal_bit(abi::kSIGTTIN) | abi::signal_bit(abi::kSIGTTOU);
inline constexpr u64 kHarmlessSignals = abi::signal_bit(abi::kSIGCHLD) | abi::signal_bit(abi::kSIGURG) |
                                        abi::signal_bit(abi::kSIGWINCH) | abi::signal_bit(abi::kSIGCONT);
inline constexpr u64 kUnblockableSignals = abi::signal_bit(abi::kSIGKILL) | abi::signal_bit(abi::kSIGSTOP);

class PendingSignals {
public:
    PendingSignals() = default;
    ~PendingSignals() { remove(~u64{0}); }
    PendingSignals(const PendingSignals&) = delete;
    PendingSignals& operator=(const PendingSignals&) = delete;

    u64 set() const { return set_; }
    // Would add() keep a record of this signal? No for a standard signal that is pending already.
    bool wants(int signo) const { return signo >= abi::kSIGRTMIN || (set_ & abi::signal_bit(signo)) == 0; }
    // `record` may be null: then only the bit is set.
    void add(int signo, std::unique_ptr<QueuedSignal> record);
    // Takes the most urgent signal out of `wanted`: synchronous ones first, then by number. false: none is pending.
    bool take(u64 wanted, abi::SigInfo& info);
    // One more, even of a standard signal that is pending already: a timer's.
    void add_record(std::unique_ptr<QueuedSignal> record);
    void remove_timer(int signo, i32 timer_id);
    void remove(u64 signals);
    usize queued() const { return queue_.size(); }

private:
    u64 set_ = 0;
    boost::intrusive::list<QueuedSignal> queue_;
};

}  // namespace hd::task
