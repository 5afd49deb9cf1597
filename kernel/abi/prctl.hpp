// SPDX-License-Identifier: MIT
// prctl(2): the operations that are supported.
#pragma once
#include "kernel/lib/types.hpp"

namespace hd::abi {

inline constexpr i32 kPR_SET_PDEATHSIG = 1, kPR_GET_PDEATHSIG = 2, kPR_GET_DUMPABLE = 3, kPR_SET_DUMPABLE = 4,
                     kPR_SET_NAME = 15, kPR_GET_NAME = 16, kPR_SET_TIMERSLACK = 29, kPR_GET_TIMERSLACK = 30,
                     kPR_SET_CHILD_SUBREAPER = 36, kPR_GET_CHILD_SUBREAPER = 37, kPR_SET_NO_NEW_PRIVS = 38,
                     kPR_GET_NO_NEW_PRIVS = 39;

}  // namespace hd::abi
