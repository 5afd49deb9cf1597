// SPDX-License-Identifier: MIT
// The port instructions stand with the others that C++ has no words for. Included by arch/port_io.hpp only.
#pragma once
#include "arch/x86_64/registers.hpp"
