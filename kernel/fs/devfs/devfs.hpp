// SPDX-License-Identifier: MIT
// devfs: the tree at /dev, of the type devtmpfs: a tmpfs that begins with a node for every registered device, the links fd,
// stdin, stdout and stderr (they lead into /proc/self/fd), and the directories shm and pts.
#pragma once

namespace hd::fs {

// Registers null, zero, full, random and urandom, and mounts a devtmpfs at /dev, which is made if it is not there, and a
// tmpfs at /dev/shm. Boot, task context.
void mount_devfs();

}  // namespace hd::fs
