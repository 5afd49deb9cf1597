// SPDX-License-Identifier: MIT
// The registers of an interrupted program: x86-64's, which are plain data. Included by arch/user.hpp only.
#pragma once
#include "arch/x86_64/arch_impl/user.hpp"
