// SPDX-License-Identifier: MIT
// poll(2), select(2): structures and event bits (asm-generic/poll.h).
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr u32 kPOLLIN = 1, kPOLLPRI = 2, kPOLLOUT = 4, kPOLLERR = 8, kPOLLHUP = 0x10, kPOLLNVAL = 0x20,
                     kPOLLRDNORM = 0x40, kPOLLWRNORM = 0x100;

struct PollFd {
    i32 fd;
    i16 events;
    i16 revents;
};
static_assert(sizeof(PollFd) == 8);

}  // namespace hd::abi
