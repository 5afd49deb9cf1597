// SPDX-License-Identifier: MIT
// See signal_fd.hpp.
#include "kernel/ipc/signal_fd.hpp"

#include "kernel/abi/epoll.hpp"
#include "kernel/task/signal/signal.hpp"

namespace hd::ipc {

namespace {

// Which fields of siginfo mean something depends on where the signal comes from (Linux: signalfd_copyinfo()).
abi::SignalFdSigInfo record_of(const abi::SigInfo& info) {
    abi::SignalFdSigInfo record{};
    record.signo = static_cast<u32>(info.signo);
    record.error = info.error;
    record.code = info.code;
    const bool fault =
        info.code > 0 && info.code != abi::kSI_KERNEL && (abi::signal_bit(info.signo) & task::kSynchronousSignals) != 0;
    if (fault) {
        record.address = info.fault.address;
    } else if (info.code == abi::kSI_TIMER) {
        record.tid = static_cast<u32>(info.timer.timer_id);
        record.overrun = static_cast<u32>(info.timer.overrun);
        record.pointer = info.timer.value;
        record.integer = static_cast<i32>(info.timer.value);
    } else {
        record.pid = static_cast<u32>(info.rt.pid);
        record.uid = info.rt.uid;
        if (info.signo == abi::kSIGCHLD && info.code > 0) {
            record.status = info.child.status;
            record.utime = static_cast<u64>(info.child.utime);
            record.stime = static_cast<u64>(info.child.stime);
        } else if (info.code < 0) {
            record.pointer = info.rt.value;
            record.integer = static_cast<i32>(info.rt.value);
        }
    }
    return record;
}

}  // namespace

Result<u64> SignalFd::read_at(fs::IoBuffer& buffer, u64) {
    const u64 start = buffer.done();
    if (buffer.remaining() < sizeof(abi::SignalFdSigInfo)) return fail(Errno::kEINVAL);
    Result<> result;
    while (result && buffer.remaining() >= sizeof(abi::SignalFdSigInfo)) {
        abi::SigInfo info;
        if (!task::take_signal(wanted(), info)) {
            if (buffer.done() != start) break;
            if (nonblocking()) return fail(Errno::kEAGAIN);
            auto& arrived = task::current_process().signal_arrived;
            const auto ready = [&] { return task::has_pending(wanted()); };
            if (arrived.wait_interruptible("signalfd_read", ready) != sync::WaitResult::Ready)
                return fail(Errno::kERESTARTSYS);
            continue;
        }
        const abi::SignalFdSigInfo record = record_of(info);
        result = buffer.put({reinterpret_cast<const u8*>(&record), sizeof record});
    }
    return buffer.moved_since(start, result);
}

u32 SignalFd::poll(fs::PollTable* table) {
    if (table != nullptr)
        table->add(table->lasting() ? creator_->signal_arrived : task::current_process().signal_arrived);
    return task::has_pending(wanted()) ? abi::kPOLLIN : 0;
}

}  // namespace hd::ipc
