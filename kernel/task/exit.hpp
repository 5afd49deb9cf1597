// SPDX-License-Identifier: MIT
// The end of threads and processes: exit(2), exit_group(2), fatal signals.
#pragma once
#include "kernel/task/process.hpp"

namespace hd::task {

// wait(2)'s form of an end by exit(2).
constexpr i32 exit_status_of(i32 code) { return (code & 0xff) << 8; }

// exit(2): the running thread ends; with the last one its process does, with this code unless it has one already.
[[noreturn]] void exit_this_thread(i32 code);
// exit_group(2): all threads of the process end.
[[noreturn]] void exit_this_process(i32 code);
// The running thread's way out, once its process knows why. Task context.
[[noreturn]] void exit_thread();

// The pieces that execve(2) shares. clear_child_tid: the C library's thread join waits for the word that set_tid_address(2) named;
// it is zeroed if somebody is left who can see it. account_space: a space is about to go, with the counts in it.
void clear_child_tid(Thread& self);
void account_space(Process& process, mm::AddressSpace& space);

// Wakes a futex after a thread's clear_child_tid word was zeroed; kernel/ipc/futex sets it. nullptr: there are no futexes.
extern void (*g_wake_futex)(u64 address);

}  // namespace hd::task
