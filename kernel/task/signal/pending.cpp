// SPDX-License-Identifier: MIT
// Pending signals: kernel/task/signal/pending.hpp.
#include "kernel/task/signal/pending.hpp"

#include <algorithm>
#include <bit>

namespace hd::task {

void PendingSignals::add(int signo, std::unique_ptr<QueuedSignal> record) {
    if (!wants(signo)) return;
    set_ |= abi::signal_bit(signo);
    if (record) queue_.push_back(*record.release());
}

void PendingSignals::add_record(std::unique_ptr<QueuedSignal> record) {
    set_ |= abi::signal_bit(record->info.signo);
    queue_.push_back(*record.release());
}

void PendingSignals::remove_timer(int signo, i32 timer_id) {
    const auto is_timers = [&](const QueuedSignal& record) {
        return record.info.code == abi::kSI_TIMER && record.info.timer.timer_id == timer_id;
    };
    const usize before = queue_.size();
    queue_.remove_and_dispose_if(is_timers, std::default_delete<QueuedSignal>());
    const auto same = [&](const QueuedSignal& record) { return record.info.signo == signo; };
    if (queue_.size() != before && std::ranges::none_of(queue_, same)) set_ &= ~abi::signal_bit(signo);
}

bool PendingSignals::take(u64 wanted, abi::SigInfo& info) {
    u64 candidates = set_ & wanted;
    if (candidates == 0) return false;
    if ((candidates & kSynchronousSignals) != 0) candidates &= kSynchronousSignals;
    const u64 lowest = candidates & -candidates;
    const int signo = std::countr_zero(lowest) + 1;

    info = abi::SigInfo{};
    info.signo = signo;
    const auto is_it = [signo](const QueuedSignal& record) { return record.info.signo == signo; };
    auto record = std::find_if(queue_.begin(), queue_.end(), is_it);
    if (record != queue_.end()) {
        info = record->info;
        record = queue_.erase_and_dispose(record, std::default_delete<QueuedSignal>());
    }
    if (std::none_of(record, queue_.end(), is_it)) set_ &= ~lowest;
    return true;
}

void PendingSignals::remove(u64 signals) {
    if ((set_ & signals) == 0) return;
    set_ &= ~signals;
    queue_.remove_and_dispose_if(
        [signals](const QueuedSignal& record) { return (abi::signal_bit(record.info.signo) & signals) != 0; },
        std::default_delete<QueuedSignal>());
}

}  // namespace hd::task
