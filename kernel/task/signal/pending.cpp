// SPDX-License-Identifier: MIT
// Pending signals: kernel/task/signal/pending.hpp.
#include "kernel/task/signal/pending.hpp"

#include <bit>

namespace hd::task {

DefaultAction default_action(int signo) {
    switch (signo) {
    case abi::kSIGCHLD:
    case abi::kSIGURG:
    case abi::kSIGWINCH: return DefaultAction::Ignore;
    case abi::kSIGCONT: return DefaultAction::Continue;
    case abi::kSIGSTOP:
    case abi::kSIGTSTP:
    case abi::kSIGTTIN:
    case abi::kSIGTTOU: return DefaultAction::Stop;
    default: return DefaultAction::Terminate;
    }
}

void PendingSignals::add(int signo, std::unique_ptr<QueuedSignal> record) {
    if (!wants(signo)) return;
    set_ |= abi::signal_bit(signo);
    if (record) queue_.push_back(*record.release());
}

bool PendingSignals::take(u64 wanted, abi::SigInfo& info) {
    u64 candidates = set_ & wanted;
    if (candidates == 0) return false;
    if ((candidates & kSynchronousSignals) != 0) candidates &= kSynchronousSignals;
    const int signo = std::countr_zero(candidates) + 1;

    info = abi::SigInfo{};
    info.signo = signo;
    bool found = false, more = false;
    for (auto it = queue_.begin(); it != queue_.end();) {
        QueuedSignal& record = *it;
        if (record.info.signo != signo) {
            ++it;
        } else if (!found) {
            found = true;
            info = record.info;
            it = queue_.erase_and_dispose(it, std::default_delete<QueuedSignal>());
        } else {
            more = true;
            break;
        }
    }
    if (!more) set_ &= ~abi::signal_bit(signo);
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
