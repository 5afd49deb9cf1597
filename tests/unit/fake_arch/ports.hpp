// SPDX-License-Identifier: MIT
// The device behind the simulated machine's I/O ports. Every access is a point at which another simulated CPU may go
// on.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::fake {

class PortDevice {
public:
    virtual u8 read(u16 port) = 0;
    virtual void write(u16 port, u8 value) = 0;

protected:
    ~PortDevice() = default;
};

// nullptr: reads give 0xff, as from an empty bus.
extern PortDevice* g_port_device;

}  // namespace hd::fake
