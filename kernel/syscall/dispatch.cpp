// SPDX-License-Identifier: MIT
// The dispatcher: kernel/syscall/dispatch.hpp.
#include "kernel/syscall/dispatch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "kernel/core/log.hpp"
#include "kernel/syscall/handlers.hpp"

namespace hd::syscall {

#define SYSCALL(number, name, parameters)
#define ALIAS(number, name, parameters, call) \
    Answer sys_##name parameters { return sys_##call; }
#include "kernel/syscall/table.def"

namespace {

constexpr usize kTableSize = 512;
using Entry = Answer (*)(arch::TrapFrame& frame);

template <class T> T argument(u64 raw) {
    if constexpr (std::is_integral_v<T>)
        return static_cast<T>(raw);
    else
        return T{raw};
}

// What the table holds for a handler: takes the registers apart.
template <auto Function> struct Adapter;
template <class... Arguments, Answer (*Function)(Arguments...)> struct Adapter<Function> {
    static Answer call(arch::TrapFrame& frame) {
        return [&frame]<usize... Index>(std::index_sequence<Index...>) {
            return Function(argument<Arguments>(frame.syscall_argument(Index))...);
        }(std::index_sequence_for<Arguments...>());
    }
};

Answer missing(arch::TrapFrame& frame) {
    // rseq(2), which the C library of every program asks for and does without, is missing on purpose (docs/differences.md).
    constexpr u64 kRseq = 334;
    static constinit std::atomic<bool> reported[kTableSize] = {};
    const u64 number = frame.syscall_number(), slot = std::min(number, kTableSize - 1);
    // relaxed: only the line in the log depends on it.
    if (number != kRseq && !reported[slot].exchange(true, std::memory_order_relaxed))
        log::info("system call {} is not implemented", number);
    return fail(Errno::kENOSYS);
}

constexpr auto kTable = [] {
    std::array<Entry, kTableSize> table;
    table.fill(missing);
#define SYSCALL(number, name, parameters) table[number] = Adapter<sys_##name>::call;
#include "kernel/syscall/table.def"
    return table;
}();

}  // namespace

void dispatch(arch::TrapFrame& frame) {
    const u64 number = frame.syscall_number();
    const Entry entry = number < kTableSize ? kTable[number] : missing;
    frame.set_result(entry(frame).raw());
}

}  // namespace hd::syscall
