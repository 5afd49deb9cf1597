// SPDX-License-Identifier: MIT
// Where in its program a thread is: for reports about threads that sleep. Task context, may sleep and allocate.
#pragma once
#include "kernel/lib/format.hpp"
#include "kernel/task/process.hpp"

namespace hd::task {

// "function+0x12", with the names of the file that is mapped there; else the file's name and offset, else the bare number.
void describe_user_address(TextSink& sink, mm::AddressSpace& space, u64 address);

// The instructions that a thread will go on with when its calls return, the innermost first. By frame pointers; of functions without
// them only those between the stack pointer and the first frame are found, as words that look like return addresses: some may
// have returned already. The thread sleeps in a system call; if it goes on meanwhile, the addresses mean nothing.
class UserStackWalk {
public:
    UserStackWalk(const Thread& thread, mm::AddressSpace& space);
    // The next one outwards; 0: the end.
    u64 next();
    // Was the last one found by a frame pointer, or by the look of it?
    bool is_certain() const { return certain_; }

private:
    bool read(u64 address, u64& word) const {
        return space_.read_foreign(VirtAddr{address}, &word, sizeof word) == sizeof word;
    }
    bool is_return_address(u64 address) const;
    u64 scan();

    static constexpr u64 kMostScanned = 2048, kLargestFrame = u64{1} << 20;  // bytes

    mm::AddressSpace& space_;
    u64 ip_;
    u64 scan_at_, scan_end_;  // words that may be return addresses
    u64 frame_;               // the frame pointer that comes next
    bool certain_ = true;
};

}  // namespace hd::task
