// SPDX-License-Identifier: MIT
// devfs: the tree at /dev, of the type devtmpfs: a tmpfs that begins with a node for every registered device, the links fd,
// stdin, stdout and stderr (they lead into /proc/self/fd), and the directories shm and pts. Boot, task context.
#pragma once
#include "kernel/fs/vfs/file_system.hpp"

namespace hd::fs {

namespace devfs {

// Registers a driver and makes its node, now or when /dev is mounted. `name` lives for good.
void add_character_device(const char* name, u32 major, u32 minor, u32 mode, DeviceOpener opener);

}  // namespace devfs

// Registers null, zero, full, random and urandom, and mounts a devtmpfs at /dev, which is made if it is not there, and a
// tmpfs at /dev/shm.
void mount_devfs();

}  // namespace hd::fs
