// SPDX-License-Identifier: MIT
// The watch for deadlocks: threads of user programs that wait for each other in a circle, through whatever they wait for (wait.hpp).
// A kernel thread, deadlockd, looks a second after somebody went to sleep, and once a second as long as anything has changed
// since its last look; then it rests until the next sleep. Each circle is told once, on the console: every thread in it, where it
// waits and for whom, with the calls that led there. Option: deadlock=report (the default), or deadlock=break: besides, one of the
// waits whose call has an EDEADLK (FUTEX_LOCK_PI; fcntl(2) with F_SETLKW) ends with it, if there is one.
//
// Why no deadlock is missed for ever: it lasts, and the last thread to go to sleep in it makes the watch look (a sleeper either finds
// `watching` set and wakes deadlockd, or went to sleep before deadlockd's last look, or was seen awake by that: then it is not the
// last). A circle that an exit or a close(2) completes is found at the next look.
//
// Why what is told is true: the graph is read while threads go on, so it may mix times; but each wait in a circle is looked at again
// at the end, and who has slept through all of it has not changed anything meanwhile. It says as much as the memory of the program
// and the table in wait.hpp: a signal handler, or a program outside, may still end such a wait.
#pragma once

namespace hd::ipc {

void init_deadlock_watch();  // boot; task context

}  // namespace hd::ipc
