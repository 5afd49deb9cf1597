// SPDX-License-Identifier: MIT
#include "tests/unit/fake_arch/ports.hpp"

#include "arch/cpu.hpp"
#include "arch/port_io.hpp"

namespace hd {

namespace fake {
PortDevice* g_port_device = nullptr;
}

namespace arch {

u8 in8(u16 port) {
    detail::simulation_point();
    return fake::g_port_device != nullptr ? fake::g_port_device->read(port) : u8{0xff};
}

void out8(u16 port, u8 value) {
    detail::simulation_point();
    if (fake::g_port_device != nullptr) fake::g_port_device->write(port, value);
}

}  // namespace arch

}  // namespace hd
