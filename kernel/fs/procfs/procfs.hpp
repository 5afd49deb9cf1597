// SPDX-License-Identifier: MIT
// proc(5): what the kernel knows, as text, in Linux's formats. Nothing is stored: an inode is made when its name is looked
// up, and a file's text when it is read, whole, so that several read(2)s see one state.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::fs {

// Makes the type "proc" known and mounts one at /proc, which is made if it is not there. Boot, after mount_devfs().
void mount_procfs();

// What was last written to /proc/heddle/exit_status: the status with which the machine ends (make run RUN='…').
u8 exit_status();

}  // namespace hd::fs
