// SPDX-License-Identifier: MIT
// What concerns the memory of every process at once. Context of both: task; sleeping locks of a lower rank than AddressSpace may
// be held, spinlocks not.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::task {

// The last resort when memory has run out: takes the pages of a process that is to end anyway, or else kills the one with the most
// of them, pid 1 excepted, says so in the log and takes its pages. False: there is none left.
//
// The victim may be asleep in a lock that the caller holds (both ends of a pipe), so nobody waits for it to end: its memory
// goes here and now (Linux: the oom_reaper). It cannot notice: before it returns to user mode it dies, and what the kernel
// still copies for it fails with EFAULT.
bool make_room();

// Takes the pages of a file from byte `from` on out of every address space: the file has become shorter. `source` is its
// mm::PageSource::identity(). New faults must find the file's new size already.
void unmap_everywhere(const void* source, u64 from);

}  // namespace hd::task
